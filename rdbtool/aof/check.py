"""Check one file of a log: its snapshot, its framing, its transactions, its annotations."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from rdbtool.errors import FormatError, InputError, RdbToolError, printable
from rdbtool.findings import Finding, Findings, Severity, changed_finding, plural
from rdbtool.io.random_access import Pages, Portions
from rdbtool.io.source import open_input
from rdbtool.io.window import Metered, Window, window_over
from rdbtool.rdb.opcodes import MAGICS
from rdbtool.servers.features import CUTS_TO_WHOLE_STATE
from rdbtool.servers.releases import newest_of_each

from .config import DEFAULT, LogConfig
from .detect import ARCHIVE_HEAD, COMMAND_HEAD, LOG, OTHER, RDB, archive_of, kind_at, kind_of
from .layout import LogFile
from .line_ends import can_turn_back
from .options import OptionUse
from .resp import COMMAND, END, FAULT, CommandReader, Fault
from .salvage import Salvager
from .scan import UNTIL, BadCommand, Scanner

if TYPE_CHECKING:
    from rdbtool.rdb.check import RdbFacts

OK: Final = "ok"
EMPTY: Final = "empty"
TRUNCATED: Final = "truncated"
"""The server cuts it and starts."""
BROKEN: Final = "broken"
"""The server refuses it."""
MISSING: Final = "missing"
RREPLAY: Final = b"RREPLAY"
"""KeyDB's command that carries those of another master, in their own form, as its second argument."""
NESTED_KEPT: Final = 100
"""Names of commands within RREPLAY that are told."""
TEXT_COPY: Final = re.compile(rb"(#[^\r\n]*(\n|\r\r\n))?\*\d+(\n|\r\r\n)")
"""How a log begins whose line ends were changed."""


Scan: TypeAlias = Callable[[Window, Findings, LogConfig], Scanner | None]
"""Begins the scan of the log that a window stands at, and returns it, to go on from where it stands; None for nothing
done.
"""


@final
class FileVerdict:
    """What the check found out about one file. Sizes and offsets are in bytes of the uncompressed file.

    ``good_up_to``: what a server loads ends there; ``sound_up_to``: what can be read does, whether or not a server
    has the commands; ``log_start``: where the commands begin, behind the preamble; ``cuttable``: whether a cut can
    repair it; ``unknown``: commands that no release has; ``wrong``: the first with too few or too many words;
    ``used``: the rows of the commands in it, by name -> where each is first;
    ``options``: those in it that are newer than their commands; ``outside``: the first SELECT of a
    database that is not there.
    """

    def __init__(self, path: str, role: str, verdict: str = OK, *, cuttable: bool = True) -> None:
        self.path = path
        self.role = role
        self.verdict = verdict
        self.size = 0
        self.good_up_to = 0
        self.sound_up_to = 0
        self.log_start = 0
        self.commands = 0
        self.transactions = 0
        self.annotations = 0
        self.first_comment = -1
        """Where the first line stands that begins with #, timestamp or not; -1 for none."""
        self.long_line = -1
        """Where the first header line stands that servers before Redis 7.0 do not read at once; -1 for none."""
        self.first_timestamp = -1
        self.last_timestamp = -1
        self.preamble: RdbFacts | None = None
        self.preamble_findings = Findings()
        self.in_multi = False
        """Whether a MULTI is open where reading ends."""
        self.command_end = 0
        """Where the last command ends; annotations behind it are not counted."""
        self.before_multi = 0
        """Where the command before the last MULTI ends."""
        self.fault: Fault | None = None
        self.unknown: list[BadCommand] = []
        self.wrong: BadCommand | None = None
        self.used: dict[bytes, int] = {}
        self.outside: BadCommand | None = None
        self.options: list[OptionUse] = []
        self.nested: dict[bytes, int] = {}
        """Commands within RREPLAY of KeyDB, and how many of each."""
        self.cut_annotation = -1
        self.readable_behind = -1
        """Commands behind the fault that can be read; -1 where it was not looked."""
        self.cuttable = cuttable
        self.plain = True
        """Whether it is a file as it stands: not compressed, not a pipe."""
        self.until = -1
        """Offset at which to cut for the time asked for; -1 if all is older."""
        self.foreign = False
        """It is something else, such as an archive, or nothing of it can be read, nor does it begin like a log."""
        self.line_ends = False
        """Its line ends were changed: it was copied as text."""
        self.restorable = False
        """And they can be turned back: the lengths in it prove that."""

    def __reduce__(self) -> tuple[object, ...]:
        return FileVerdict, (self.path, self.role), self.__getstate__()

    @property
    def whole(self) -> bool:
        """Whether all of it can be read."""
        return self.cuttable and self.fault is None and self.verdict != MISSING

    @property
    def needs_mending(self) -> bool:
        """Whether the snapshot that a plain file should begin with is damaged."""
        return self.plain and self.verdict != MISSING and not self.cuttable

    def cut_by(self, whole_state: bool) -> int:
        """Where a server cuts the file that it takes for one that ends early; ``whole_state``: one that has
        `features.CUTS_TO_WHOLE_STATE`.
        """
        fault = self.fault
        at = self.command_end
        if fault is not None and self.in_multi and (whole_state or fault.code == "multi-without-exec"):
            at = self.before_multi
        return 0 if at == self.log_start and not whole_state else at

    def as_json(self) -> dict[str, Any]:
        """The verdict as data."""
        facts: dict[str, Any] = {
            "path": self.path,
            "role": self.role,
            "verdict": self.verdict,
            "size": self.size,
            "good_up_to": self.good_up_to,
            "sound_up_to": self.sound_up_to,
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
    config: LogConfig = DEFAULT,
    until: int = -1,
    salvageable: bool = True,
    progress: Callable[[int, int], object] | None = None,
    scan: Scan | None = None,
) -> FileVerdict:
    """Check a file of a log. ``last``: whether it is the one a server may cut by itself; ``until``: a Unix
    time, behind whose annotation reading ends; ``salvageable``: look what could be kept behind damage;
    ``progress`` is told the bytes read of this file, and its size or -1; ``scan``: who begins the scan of the log.

    Raises `InputError`.
    """
    if file.missing:
        verdict = FileVerdict(file.path, file.role)
        verdict.verdict = MISSING
        verdict.cuttable = False
        return verdict
    with open_input(file.path) as source:
        stream = source.stream if progress is None else Metered(source.stream, source.size, progress)
        w = Window(Portions(stream), path=source.name, size=source.size)
        w.file = source.file
        verdict = verify_log_in(
            w, file, findings, last=last, config=config, until=until, salvageable=salvageable, scan=scan
        )
        change = source.changed()
        # A running server appends: what was read of a sound log is the beginning of one.
        if change and not (last and verdict.verdict in {OK, EMPTY} and os.path.getsize(file.path) >= verdict.size):
            findings.add(changed_finding(change, file.path))
        return verdict


def verify_log_in(
    w: Window,
    file: LogFile,
    findings: Findings,
    *,
    last: bool | None = True,
    config: LogConfig = DEFAULT,
    until: int = -1,
    salvageable: bool = True,
    scan: Scan | None = None,
) -> FileVerdict:
    """The same for a file that is open at its first byte. What is no file of its own is not looked behind.

    ``last``: None where that is not known yet: then `tell_fault` is still to be called.
    """
    verdict = FileVerdict(file.path, file.role)
    verdict.plain = w.file is not None
    if w.at_end():
        verdict.verdict = EMPTY
        _empty(file, findings)
        return verdict
    head = _head(w)
    if kind_at(w) == RDB and not _preamble(w, verdict, findings, config):
        return verdict
    verdict.log_start = int(w.offset())
    scanner = None if scan is None or until >= 0 else scan(w, findings, config)
    if scanner is None:
        scanner = Scanner(w, findings, config, until=until)
    outcome = scanner.run()
    _results(verdict, scanner, outcome)
    if not verdict.cuttable:
        verdict.good_up_to = 0
    _tell_names(verdict, findings, config)
    if verdict.outside is not None:
        _tell_outside(verdict, verdict.outside, findings, config)
    if verdict.fault is not None:
        archive = archive_of(head)
        if archive:
            _tell_archive(verdict, archive, findings)
            return verdict
        if verdict.plain:
            _tell_line_ends(verdict, findings, config)
        if salvageable and verdict.plain and not _tell_headless(verdict, verdict.fault, findings):
            _look_behind(verdict, verdict.fault, config)
            _tell_foreign(verdict, verdict.fault, findings)
        if last is not None:
            _tell_fault(verdict, verdict.fault, findings, last)
    return verdict


def tell_fault(verdict: FileVerdict, findings: Findings, *, last: bool) -> None:
    """Tell what ended the reading of a file, when it is known whether it is the last of its set."""
    if verdict.fault is not None and not verdict.foreign:
        _tell_fault(verdict, verdict.fault, findings, last)


def _head(w: Window) -> bytes:
    """The first bytes, as far as they tell what a file is."""
    want = ARCHIVE_HEAD if w.size < 0 else min(ARCHIVE_HEAD, w.size - w.offset())
    w.need(want)
    return w.data[w.pos : min(w.pos + ARCHIVE_HEAD, w.end)]


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


def _preamble(w: Window, verdict: FileVerdict, findings: Findings, config: LogConfig) -> bool:
    """Check the snapshot a file begins with; whether it can be read to its end."""
    from rdbtool.rdb.check import verify_rdb  # many logs have no snapshot

    mine = verdict.preamble_findings
    mine.kept = findings.kept
    verdict.preamble = facts = verify_rdb(w, mine, databases=int(config.databases), keep_expired=True)
    for finding in mine.items:
        if finding.code == "unreadable":
            raise InputError(finding.message, path=finding.path, offset=finding.offset, doing=finding.doing)
    findings.add_all(mine)
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
    newest_servers = " and ".join(release.title for release in newest_of_each())
    refused = f"{newest_servers} refuse the {snapshot}"
    if "unsupported" in mine.counts:
        refused = f"servers up to {newest_servers} refuse the {snapshot}, newer ones may load it"
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
    verdict.first_comment = int(scanner.first_comment)
    verdict.long_line = scanner.long_line
    verdict.first_timestamp = int(scanner.first_timestamp)
    verdict.last_timestamp = int(scanner.last_timestamp)
    verdict.good_up_to = verdict.sound_up_to = int(scanner.good_up_to())
    verdict.in_multi = scanner.in_multi
    verdict.command_end = int(scanner.command_end)
    verdict.before_multi = int(scanner.before_multi)
    verdict.used = scanner.used
    verdict.outside = scanner.outside
    verdict.options = scanner.options()
    verdict.cut_annotation = int(scanner.cut_annotation)
    verdict.wrong = scanner.wrong
    verdict.unknown = sorted(scanner.unknown.values(), key=start_of)
    verdict.size = int(w.size) if w.size >= 0 else int(w.offset())
    if outcome == UNTIL:
        verdict.until = int(scanner.multi_start if scanner.in_multi else scanner.until_at)
    fault = scanner.fault
    if outcome == FAULT and fault is not None:
        verdict.fault = fault


def start_of(command: BadCommand) -> int:
    """Where it stands."""
    return int(command.start)


def _tell_names(verdict: FileVerdict, findings: Findings, config: LogConfig) -> None:
    """Tell commands that only another server has."""
    for unknown in verdict.unknown:
        verdict.good_up_to = min(verdict.good_up_to, int(unknown.before))
        verdict.verdict = BROKEN
        name = printable(unknown.name, 64)
        module = b"." in unknown.name.strip(b".")
        times = "" if unknown.count == 1 else f", {unknown.count} times"
        needs = "a module (--allow)" if module else "a module or a renamed command (--allow, --rename)"
        message = f"command '{name}'{times}: it needs {needs}; stock servers refuse the file here"
        findings.add(Finding(Severity.ERROR, "unknown-command", message, verdict.path, int(unknown.start)))
    if any(unknown.name.upper() == RREPLAY for unknown in verdict.unknown) or RREPLAY in config.names.allowed:
        _tell_nested(verdict, findings, config)


def _tell_nested(verdict: FileVerdict, findings: Findings, config: LogConfig) -> None:
    """Tell what RREPLAY of KeyDB holds: commands of another master, as a log has them."""
    if not verdict.plain:
        return
    first = -1
    try:
        with Pages(verdict.path) as pages:
            reader = CommandReader(pages.window(verdict.log_start, verdict.size), config.max_bulk)
            while (kind := reader.read()) != END:
                if kind != COMMAND or len(reader.args) < 3 or reader.args[0].upper() != RREPLAY:
                    continue
                first = int(reader.offset) if first < 0 else first
                nested = CommandReader(window_over(reader.args[2]), config.max_bulk)
                while nested.read() == COMMAND:
                    name = nested.args[0].upper()
                    if name in verdict.nested or len(verdict.nested) < NESTED_KEPT:
                        verdict.nested[name] = verdict.nested.get(name, 0) + 1
    except FormatError:  # the scan has told it, or what is nested is cut short: what was counted so far is there
        pass
    if verdict.nested:
        names = ", ".join(f"{printable(name, 64)} {count}" for name, count in sorted(verdict.nested.items()))
        message = f"RREPLAY of KeyDB, from here on, carries commands of another master: {names}"
        findings.add(Finding(Severity.NOTE, "nested-commands", message, verdict.path, first))


def _tell_outside(verdict: FileVerdict, outside: BadCommand, findings: Findings, config: LogConfig) -> None:
    times = "" if outside.count == 1 else f", and {plural(int(outside.count) - 1, 'other SELECT')}"
    message = (
        f"SELECT {printable(outside.name, 64)}{times}: a server with {plural(int(config.databases), 'database')} logs "
        "an error and runs what follows in the database that was selected before (--databases)"
    )
    findings.add(Finding(Severity.ERROR, "select-outside", message, verdict.path, int(outside.start)))


def _tell_archive(verdict: FileVerdict, archive: str, findings: Findings) -> None:
    verdict.foreign = True
    verdict.verdict = BROKEN
    findings.add(Finding(Severity.ERROR, "not-a-log", f"no append-only file, but {archive}", verdict.path, 0))


def _tell_headless(verdict: FileVerdict, fault: Fault, findings: Findings) -> bool:
    """Tell a file that begins with a snapshot whose header is damaged: servers take it for a log, and a cut leaves
    nothing.
    """
    if fault.start > 0 or verdict.role == "incr":
        return False
    from rdbtool.rdb.salvage.salvaged import ZEROED
    from rdbtool.rdb.salvage.salvager import Salvager as SnapshotSalvager

    try:
        with Pages(verdict.path) as pages:
            if kind_of(pages.take(0, COMMAND_HEAD)) != OTHER:
                return False
            found = SnapshotSalvager(pages, undo=False).run()
    except RdbToolError:
        return False
    zeroed = found.zeroed and verdict.role == "base"
    if not found.keys and not zeroed:
        return False
    verdict.cuttable = False
    verdict.good_up_to = 0
    code = "lost-header"
    message = f"it begins with a snapshot whose header is damaged, and {plural(found.keys, 'key')} of which can be read"
    if zeroed:
        code = ZEROED
        message = "the base has nothing but NULs in it: all that it held is lost, and the other files are what is left"
    findings.add(Finding(Severity.ERROR, code, message, verdict.path, 0))
    return True


def _look_behind(verdict: FileVerdict, fault: Fault, config: LogConfig) -> None:
    """Find out how many commands can be read behind the fault."""
    try:
        with Pages(verdict.path) as pages:
            salvager = Salvager(pages, fault.start, verdict.size, config, whole_transactions=False, counting=True)
            salvager.run()
            verdict.readable_behind = int(salvager.commands)
    except RdbToolError:  # it was readable a moment ago: then this stays unknown
        return


def _tell_line_ends(verdict: FileVerdict, findings: Findings, config: LogConfig) -> None:
    """Tell a log that something took for text: then no cut helps, and another copy may."""
    try:
        with Pages(verdict.path) as pages:
            head = pages.take(verdict.log_start, 64)
            if head.startswith(b"\xef\xbb\xbf") or TEXT_COPY.match(head):
                verdict.restorable = can_turn_back(pages, verdict.log_start, config)
    except RdbToolError:
        return
    if head.startswith(b"\xef\xbb\xbf"):
        what = "it begins with a byte order mark: an editor saved it as text"
    elif TEXT_COPY.match(head):
        what = "its line ends are not CRLF: it was copied as text"
    else:
        return
    verdict.line_ends = True
    if verdict.restorable:
        way_out = "the lengths in it prove that they can be turned back: -o COPY does"
    else:
        way_out = "the lengths in it do not fit, so they cannot be turned back; another copy of it may be whole"
    message = f"{what}; a cut loses nearly everything; {way_out}"
    findings.add(Finding(Severity.WARNING, "text-copy", message, verdict.path, verdict.log_start))


def _tell_foreign(verdict: FileVerdict, fault: Fault, findings: Findings) -> None:
    """Tell a file that is something else: a repair would empty it."""
    if fault.start > 0 or verdict.readable_behind > 0:
        return
    try:
        with Pages(verdict.path) as pages:
            head = pages.take(0, COMMAND_HEAD)
    except RdbToolError:
        return
    if kind_of(head) in {LOG, RDB} or any(magic.startswith(head) for magic in MAGICS):
        return
    verdict.foreign = True
    message = "no command in it can be read, nor does it begin like a log: is it an append-only file at all?"
    findings.add(Finding(Severity.WARNING, "not-a-log", message, verdict.path, 0))


def _cutting(verdict: FileVerdict) -> str:
    """What servers do about a log that ends early."""
    new, old = verdict.cut_by(True), verdict.cut_by(False)
    if new == old:
        return f"the server cuts the file at {new} and starts"
    since = CUTS_TO_WHOLE_STATE.valkey
    assert since is not None
    first = f"Valkey {since[0]}.{since[1]}"
    before = f"Valkey before {first.partition(' ')[2]}"
    if old == 0:
        return (
            f"repair it before Redis, or {before}, is started on it: they load the snapshot and cut the file to 0 "
            f"bytes, so that the next start has lost it; {first} cuts the file at {new}"
        )
    return (
        f"Redis, and {before}, cut the file at {old}, within the MULTI, which stays open, and what they then write "
        f"behind it is lost at the next start: repair it first; {first} cuts the file at {new}"
    )


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
            consequence += f" (Redis from 8.4 on cuts it by itself if aof-load-corrupt-tail-max-size is {tail} or more)"
    elif last:
        if verdict.verdict == OK:
            verdict.verdict = TRUNCATED
        consequence = _cutting(verdict)
    else:
        verdict.verdict = BROKEN
        consequence = (
            f"as this is not the last file, the server cuts it at {verdict.cut_by(True)} on disk, refuses to start, "
            "and starts without a word the next time"
        )
    if fault.code in {"bad-argc", "zero-argc"}:
        consequence += "; redis-check-aof does not mind a count below 1"
    message = f"{fault.message}: {consequence}"
    if code == "multi-without-exec":
        held = max(behind - 1, 0)  # MULTI itself can be read
        message += f"; it holds {plural(held, 'whole command')}" if verdict.plain else ""
        if held:
            message += (
                ". If a server has cut this log within a transaction and gone on writing, the commands from the next "
                "SELECT on are acknowledged writes: --salvage --keep-open-transaction keeps them"
            )
    elif behind > 0:
        message += f"; {behind} command{'' if behind == 1 else 's'} behind the damage can be read"
    doing = "reading a command" if fault.offset == fault.start else f"reading the command at {fault.start}"
    findings.add(Finding(Severity.ERROR, code, message, verdict.path, int(fault.offset), None, -1, doing))
