"""Check one file of a log: its snapshot, its framing, its transactions, its annotations."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from rdbtool.errors import InputError, RdbToolError, printable
from rdbtool.findings import Finding, Findings, Severity
from rdbtool.io.random_access import Pages, Portions
from rdbtool.io.source import open_input
from rdbtool.io.window import Metered, Window
from rdbtool.rdb.check import DATABASES, RdbFacts, verify_rdb
from rdbtool.rdb.opcodes import MAGICS
from rdbtool.servers.releases import NEWEST, newest

from .detect import LOG, RDB, kind_at, kind_of
from .layout import LogFile
from .resp import FAULT, MAX_BULK, Fault
from .salvage import Salvager
from .scan import UNTIL, BadCommand, Scanner

OK: Final = "ok"
EMPTY: Final = "empty"
TRUNCATED: Final = "truncated"
"""The server cuts it and starts."""
BROKEN: Final = "broken"
"""The server refuses it."""
MISSING: Final = "missing"
TEXT_COPY: Final = re.compile(rb"(#[^\r\n]*(\n|\r\r\n))?\*\d+(\n|\r\r\n)")
"""How a log begins whose line ends were changed."""


@dataclass(slots=True)
class FileVerdict:
    """What the check found out about one file. Sizes and offsets are in bytes of the uncompressed file.

    ``good_up_to``: what a server loads ends there; ``log_start``: where the commands begin, behind the
    preamble; ``cuttable``: whether a cut can repair it; ``unknown``: commands that no release has;
    ``wrong``: the first with too few or too many words.
    """

    path: str
    role: str
    verdict: str = OK
    size: int = 0
    good_up_to: int = 0
    log_start: int = 0
    commands: int = 0
    transactions: int = 0
    annotations: int = 0
    first_timestamp: int = -1
    last_timestamp: int = -1
    preamble: RdbFacts | None = None
    fault: Fault | None = None
    unknown: list[BadCommand] = field(default_factory=list)
    wrong: BadCommand | None = None
    cut_annotation: int = -1
    readable_behind: int = -1
    """Commands behind the fault that can be read; -1 where it was not looked."""
    cuttable: bool = True
    plain: bool = True
    """Whether it is a file as it stands: not compressed, not a pipe."""
    until: int = -1
    """Offset at which to cut for the time asked for; -1 if all is older."""
    foreign: bool = False
    """Nothing of it can be read, nor does it begin like a log."""

    def as_json(self) -> dict[str, Any]:
        """The verdict as data."""
        facts: dict[str, Any] = {
            "path": self.path,
            "role": self.role,
            "verdict": self.verdict,
            "size": self.size,
            "good_up_to": self.good_up_to,
            "commands": self.commands,
            "transactions": self.transactions,
            "annotations": self.annotations,
            "first_timestamp": self.first_timestamp if self.first_timestamp >= 0 else None,
            "last_timestamp": self.last_timestamp if self.last_timestamp >= 0 else None,
        }
        if self.preamble is not None:
            facts["rdb"] = self.preamble.as_json()
        if self.readable_behind >= 0:
            facts["readable_behind_the_damage"] = self.readable_behind
        return facts


def verify_log(
    file: LogFile,
    findings: Findings,
    *,
    last: bool = True,
    max_bulk: int = MAX_BULK,
    databases: int = DATABASES,
    allowed: frozenset[bytes] = frozenset(),
    until: int = -1,
    salvageable: bool = True,
    progress: Callable[[int, int], object] | None = None,
) -> FileVerdict:
    """Check a file of a log. ``last``: whether it is the one a server may cut by itself; ``until``: a Unix
    time, behind whose annotation reading ends; ``salvageable``: look what could be kept behind damage;
    ``progress`` is told the bytes read of this file, and its size or -1.

    Raises `InputError`.
    """
    verdict = FileVerdict(file.path, file.role)
    if file.missing:
        verdict.verdict = MISSING
        verdict.cuttable = False
        return verdict
    with open_input(file.path) as source:
        stream = source.stream if progress is None else Metered(source.stream, source.size, progress)
        w = Window(Portions(stream), path=source.name, size=source.size)
        verdict.plain = source.size >= 0
        if w.at_end():
            verdict.verdict = EMPTY
            _empty(file, findings)
            return verdict
        if kind_at(w) == RDB and not _preamble(w, verdict, findings, databases):
            return verdict
        verdict.log_start = int(w.offset())
        scanner = Scanner(w, findings, max_bulk=max_bulk, allowed=allowed, until=until)
        outcome = scanner.run()
        _results(verdict, scanner, outcome)
        if not verdict.cuttable:
            verdict.good_up_to = 0
    for unknown in verdict.unknown:
        _unknown(verdict, unknown, findings)
    if verdict.wrong is not None:
        _refused(
            verdict,
            verdict.wrong,
            findings,
            "wrong-arity",
            "too few or too many words: Valkey 9.1 refuses the file, older servers log an error or crash; "
            "redis-check-aof does not look at it",
        )
    if verdict.fault is not None:
        if verdict.plain:
            _tell_line_ends(verdict, findings)
        if salvageable and verdict.plain:
            _look_behind(verdict, verdict.fault, max_bulk, allowed)
            _tell_foreign(verdict, verdict.fault, findings)
        _tell_fault(verdict, verdict.fault, findings, last)
    return verdict


def _empty(file: LogFile, findings: Findings) -> None:
    if file.role == "base":
        findings.add(
            Finding(
                Severity.WARNING,
                "empty-file",
                "the base is empty: the server starts without what it held, if another file has data",
                file.path,
            )
        )
    else:
        findings.add(Finding(Severity.NOTE, "empty-file", "the file is empty", file.path))


def _preamble(w: Window, verdict: FileVerdict, findings: Findings, databases: int) -> bool:
    """Check the snapshot a file begins with; whether it can be read to its end."""
    mine = Findings()
    verdict.preamble = facts = verify_rdb(w, mine, databases=databases, keep_expired=True)
    for finding in mine.items:
        if finding.code == "unreadable":
            raise InputError(finding.message, path=finding.path, offset=finding.offset, doing=finding.doing)
        findings.add(finding)
    if facts.dialect == "valkey":
        findings.add(
            Finding(
                Severity.NOTE,
                "valkey-preamble",
                "begins with a Valkey snapshot: redis-check-aof and valkey-check-aof take it for damage, and --fix "
                "of theirs empties the file",
                verdict.path,
                0,
            )
        )
    if facts.complete and mine.worst is not Severity.ERROR:
        return True
    verdict.verdict = BROKEN
    verdict.cuttable = False
    snapshot, rest = ("snapshot", "commands behind it") if verdict.role != "base" else ("base", "increments")
    refused = f"the server refuses the {snapshot}"
    if "unsupported" in mine.counts:
        refused = (
            f"servers up to {NEWEST.title} and {newest('valkey').title} refuse the {snapshot}, newer ones may load it"
        )
    message = f"{refused}; no cut repairs it, and the {rest} cannot be loaded without it"
    findings.add(Finding(Severity.ERROR, "bad-preamble", message, verdict.path, 0))
    if facts.complete:
        return True
    verdict.size = int(w.size) if w.size >= 0 else int(facts.end)
    return False


def _results(verdict: FileVerdict, scanner: Scanner, outcome: int) -> None:
    w = scanner.window
    verdict.commands = int(scanner.commands)
    verdict.transactions = int(scanner.transactions)
    verdict.annotations = int(scanner.annotations)
    verdict.first_timestamp = int(scanner.first_timestamp)
    verdict.last_timestamp = int(scanner.last_timestamp)
    verdict.good_up_to = int(scanner.good_up_to())
    verdict.cut_annotation = int(scanner.cut_annotation)
    verdict.wrong = scanner.wrong
    verdict.unknown = sorted(scanner.unknown.values(), key=start_of)
    verdict.size = int(w.size) if w.size >= 0 else int(w.offset())
    if outcome == UNTIL:
        verdict.until = int(scanner.multi_start if scanner.in_multi else scanner.until_at)
    if outcome == FAULT:
        verdict.fault = scanner.fault


def start_of(command: BadCommand) -> int:
    """Where it stands."""
    return int(command.start)


def _unknown(verdict: FileVerdict, unknown: BadCommand, findings: Findings) -> None:
    name = printable(unknown.name, 64)
    if unknown.count > 1:
        findings.add(
            Finding(
                Severity.WARNING,
                "foreign-command",
                f"{unknown.count} commands '{name}', which no release of Redis or Valkey has: only a server that has "
                "it, from a module or renamed, loads the file",
                verdict.path,
                int(unknown.start),
            )
        )
        return
    _refused(
        verdict,
        unknown,
        findings,
        "unknown-command",
        "no release has it: the server refuses the file; redis-check-aof does not look at names",
    )


def _refused(verdict: FileVerdict, command: BadCommand, findings: Findings, code: str, why: str) -> None:
    verdict.good_up_to = min(verdict.good_up_to, int(command.before))
    if verdict.verdict == OK:
        verdict.verdict = BROKEN
    message = f"command '{printable(command.name, 64)}': {why}"
    findings.add(Finding(Severity.ERROR, code, message, verdict.path, int(command.start)))


def damaged_names(verdict: FileVerdict) -> frozenset[bytes]:
    """Names of unknown commands that are taken for damage: those that occur once."""
    return frozenset(u.name.upper() for u in verdict.unknown if u.count == 1)


def _look_behind(verdict: FileVerdict, fault: Fault, max_bulk: int, allowed: frozenset[bytes]) -> None:
    """Find out how many commands can be read behind the fault."""
    try:
        with Pages(verdict.path) as pages:
            salvager = Salvager(
                pages, fault.start, verdict.size, max_bulk=max_bulk, allowed=allowed, whole_transactions=False
            )
            salvager.run()
            verdict.readable_behind = int(salvager.commands)
    except RdbToolError:  # it was readable a moment ago: then this stays unknown
        return


def _tell_line_ends(verdict: FileVerdict, findings: Findings) -> None:
    """Tell a log that something took for text: then no cut helps, and another copy may."""
    try:
        with Pages(verdict.path) as pages:
            head = pages.take(verdict.log_start, 64)
    except RdbToolError:
        return
    if head.startswith(b"\xef\xbb\xbf"):
        what = "it begins with a byte order mark: an editor saved it as text"
    elif TEXT_COPY.match(head):
        what = "its line ends are not CRLF: it was copied as text"
    else:
        return
    message = f"{what}; a cut loses nearly everything, another copy of it may be whole"
    findings.add(Finding(Severity.WARNING, "text-copy", message, verdict.path, verdict.log_start))


def _tell_foreign(verdict: FileVerdict, fault: Fault, findings: Findings) -> None:
    """Tell a file that is something else: a repair would empty it."""
    if fault.start > 0 or verdict.readable_behind > 0:
        return
    try:
        with Pages(verdict.path) as pages:
            head = pages.take(0, 6)
    except RdbToolError:
        return
    if kind_of(head) in {LOG, RDB} or any(magic.startswith(head) for magic in MAGICS):
        return
    verdict.foreign = True
    message = "no command in it can be read, nor does it begin like a log: is it an append-only file at all?"
    findings.add(Finding(Severity.WARNING, "not-a-log", message, verdict.path, 0))


def _tell_fault(verdict: FileVerdict, fault: Fault, findings: Findings, last: bool) -> None:
    behind = verdict.readable_behind
    code = fault.code
    if fault.code == "truncated-command" and behind > 0:
        code = "length-beyond-end"
    if not fault.truncated:
        verdict.verdict = BROKEN
        consequence = "the server crashes" if fault.code == "bad-length" else "the server refuses the file"
        if last and behind == 0:
            tail = verdict.size - verdict.good_up_to
            consequence += f" (Redis 8.4 cuts it by itself if aof-load-corrupt-tail-max-size is {tail} or more)"
    elif last:
        if verdict.verdict == OK:
            verdict.verdict = TRUNCATED
        consequence = f"the server cuts the file at {verdict.good_up_to} and starts"
    else:
        verdict.verdict = BROKEN
        consequence = (
            f"as this is not the last file, the server cuts it at {verdict.good_up_to} on disk, refuses to start, and "
            "starts without a word the next time"
        )
    if fault.code == "bad-argc":
        consequence += "; redis-check-aof does not mind a count below 1"
    message = f"{fault.message}: {consequence}"
    if code == "multi-without-exec":
        held = max(behind - 1, 0)  # MULTI itself can be read
        message += f"; it holds {held} whole command{'' if held == 1 else 's'}" if verdict.plain else ""
    elif behind > 0:
        message += f"; {behind} command{'' if behind == 1 else 's'} behind the damage can be read"
    doing = "reading a command" if fault.offset == fault.start else f"reading the command at {fault.start}"
    findings.add(Finding(Severity.ERROR, code, message, verdict.path, int(fault.offset), None, -1, doing))
