"""Which releases load a log, where they cut it, and with which words they refuse it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rdbtool.aof.check import MISSING, FileVerdict, verify_log
from rdbtool.aof.config import LogConfig
from rdbtool.aof.layout import LogFile
from rdbtool.aof.options import OptionUse
from rdbtool.aof.resp import SHORT_LINE
from rdbtool.errors import printable, printable_text
from rdbtool.findings import Findings, plural
from rdbtool.servers.commands import COMMANDS, CommandRow
from rdbtool.servers.features import (
    CHECKS_ARITY_IN_LOG,
    CUTS_CORRUPT_TAIL,
    CUTS_TO_WHOLE_STATE,
    LOG_ANNOTATIONS,
    LOG_SNAPSHOTS,
    LONG_LINES,
    LOOKS_UP_SUBCOMMANDS,
    MULTI_PART_LOGS,
    SCRIPT_ERRORS_CRASH,
)
from rdbtool.servers.releases import Release

if TYPE_CHECKING:
    from .check_aof import CheckAofReport

BAD_FORMAT: Final = "Bad file format reading the append only file"
WORDS: Final = {"bad-length": "", "zero-argc": "Unrecoverable error reading the append only file"}
"""What servers say of faults, other than `BAD_FORMAT`."""
SCRIPTS: Final = (b"EVAL", b"EVALSHA", b"FCALL")


@dataclass(slots=True)
class Refusal:
    """Where a server stops reading a file, and why; ``words``: what it says, "" where that is not known."""

    offset: int
    reason: str
    words: str = ""


@dataclass(slots=True)
class LogSuitability:
    """Whether a release loads a log: ``loads`` is None where that cannot be told.

    ``passed_over``: commands that it answers with an error, and goes on, because it lacks an option in them;
    ``cuts_at``: where it cuts the file ``cut_file`` on disk, -1 if it does not; ``words``: what it says when it
    refuses the log; ``reasons`` say why it does, ``remarks`` what to expect else.
    """

    release: str
    title: str
    loads: bool | None = True
    passed_over: int = 0
    cuts_at: int = -1
    cut_file: str = ""
    words: str = ""
    reasons: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def refuse(self, reason: str, words: str = "") -> None:
        """It does not load, for one more reason."""
        self.loads = False
        self.reasons.append(reason)
        self.words = self.words or words

    def as_json(self) -> dict[str, Any]:
        """The same as data."""
        return {
            "release": self.release,
            "loads": self.loads,
            "passed_over": self.passed_over,
            "cuts_at": self.cuts_at if self.cuts_at >= 0 else None,
            "cut_file": self.cut_file or None,
            "words": self.words or None,
            "reasons": self.reasons,
            "remarks": self.remarks,
        }


def log_suitability(report: CheckAofReport, release: Release) -> LogSuitability:
    """Tell whether ``release``, with the configuration that the check was given, loads what was checked."""
    answer = LogSuitability(release.name, release.title)
    layout = report.layout
    codes = report.findings.counts
    if "bad-manifest" in codes:
        answer.refuse("the manifest is damaged")
        return answer
    if layout is not None and layout.is_set and not release.has(MULTI_PART_LOGS):
        answer.refuse("it knows no log of several files: it passes them by and starts empty")
        return answer
    if "no-manifest" in codes:
        answer.refuse("there is no manifest: it passes the files by and starts empty")
        return answer
    for i, file in enumerate(report.files):
        if not _weigh(answer, report, file, release, last=i == len(report.files) - 1):
            break
    return answer


def _weigh(answer: LogSuitability, report: CheckAofReport, file: FileVerdict, release: Release, *, last: bool) -> bool:
    """Take one file into account; whether the server goes on to the next."""
    name = printable_text(os.path.basename(file.path)) if len(report.files) > 1 else ""
    where = f"{name}: " if name else ""
    if file.verdict == MISSING:
        answer.refuse(f"{where}the file is missing", f"The AOF file {name} doesn't exist")
        return False
    if file.preamble is not None and not release.does(LOG_SNAPSHOTS):
        answer.refuse(f"{where}it reads no snapshot in front of a log", BAD_FORMAT)
        return False
    if file.preamble is not None:
        # whoever wrote it has the modules whose data it holds
        owned = [] if report.asked else [*file.preamble.modules, *file.preamble.module_data]
        from .check_rdb import suitability

        snapshot = suitability(file.preamble, file.preamble_findings, release, owned)
        if snapshot.loads is False:
            for reason in snapshot.reasons:
                answer.refuse(f"{where}the snapshot: {reason}")
            return False
        if snapshot.loads is None:
            answer.loads = None
        answer.remarks += [f"{where}the snapshot: {remark}" for remark in snapshot.remarks]
    if file.long_line >= 0 and not release.does(LONG_LINES):
        answer.remarks.append(f"{where}at {file.long_line}: it reads {SHORT_LINE} bytes of this line as its header")
        if file.plain:
            file = _with_short_lines(report, file, last)
        elif answer.loads:
            answer.loads = None
    fault = file.fault
    refusals = _refusals(file, release)
    if fault is not None and not fault.truncated:
        refusals.append(Refusal(int(fault.start), fault.message, WORDS.get(fault.code, BAD_FORMAT)))
    first = min(refusals, key=_offset, default=None)
    # what an open MULTI holds is read before its end is missed
    read = fault is None or not fault.truncated or fault.code == "multi-without-exec"
    if first is not None and (read or (fault is not None and first.offset < fault.start)):
        answer.refuse(f"{where}at {first.offset}: {first.reason}", first.words)
        if fault is not None and first.offset == fault.start and last and release.does(CUTS_CORRUPT_TAIL):
            tail = file.size - file.sound_up_to
            answer.remarks.append(f"with aof-load-corrupt-tail-max-size {tail} or more it cuts the end and starts")
        return False
    _remark(answer, where, file, release)
    if fault is None:
        return True
    if fault.code == "bad-length":
        answer.remarks.append(
            f"{where}at {int(fault.offset)}: it reserves the memory for that argument; built without jemalloc, it "
            "dies if the machine has less"
        )
    answer.cuts_at = file.cut_by(release.does(CUTS_TO_WHOLE_STATE))
    answer.cut_file = file.path
    if not last:
        answer.refuse(
            f"{where}it ends early and is not the last file: the server cuts it at {answer.cuts_at} on disk, refuses "
            "to start, and starts without a word the next time",
            "the truncated file is not the last file",
        )
        return False
    if answer.cuts_at == 0 and file.log_start > 0:
        answer.remarks.append(f"{where}it loads the snapshot, and cuts it off the file: the next start has lost it")
    elif answer.cuts_at > file.before_multi and file.in_multi:
        answer.remarks.append(f"{where}it leaves a MULTI open: the next start loses what is written behind it")
    return True


def _with_short_lines(report: CheckAofReport, file: FileVerdict, last: bool) -> FileVerdict:
    """The verdict on a file for a server that reads header lines in shorter pieces."""
    told = report.config
    config = LogConfig(told.names, databases=told.databases, max_bulk=told.max_bulk, line=SHORT_LINE)
    return verify_log(LogFile(file.path, file.role), Findings(), last=last, config=config, salvageable=False)


def _offset(refusal: Refusal) -> int:
    return refusal.offset


def _refusals(file: FileVerdict, release: Release) -> list[Refusal]:
    """Where the server would stop for what can be read, in no order."""
    found = []
    if file.first_comment >= 0 and not release.does(LOG_ANNOTATIONS):
        found.append(Refusal(file.first_comment, "it knows no timestamp annotations", BAD_FORMAT))
    for unknown in file.unknown:
        container = unknown.container
        if container is not None and not release.does(LOOKS_UP_SUBCOMMANDS) and is_in(container, release):
            continue
        subcommand = b"" if container is None else unknown.name.partition(b" ")[2]
        found.append(_unknown(unknown.name, subcommand, int(unknown.start), release))
    for name, start in file.used.items():
        row = COMMANDS[name]
        if not knows(row, release):
            found.append(_unknown(name.replace(b"|", b" "), name.partition(b"|")[2], start, release))
    for use, names in refused_options(file, release):
        title = use.options.title
        reason = f"it takes no '{title}' with {' and '.join(names)}"
        found.append(Refusal(use.start, reason, f"wrong number of arguments for '{title.lower()}' command"))
    wrong = file.wrong
    if wrong is not None and release.does(CHECKS_ARITY_IN_LOG):
        shown = printable(wrong.name, 64)
        lower = printable(wrong.name.lower().replace(b" ", b"|"), 64)
        found.append(
            Refusal(
                int(wrong.start),
                f"{plural(int(wrong.words), 'word')} are too many or too few for '{shown}'",
                f"wrong number of arguments for '{lower}' command",
            )
        )
    return found


def _unknown(name: bytes, subcommand: bytes, start: int, release: Release) -> Refusal:
    shown = printable(name, 64)
    first = printable(name[: -len(subcommand) - 1] if subcommand else name, 64)
    if not release.does(CHECKS_ARITY_IN_LOG):
        words = f"Unknown command '{first}'"
    elif subcommand:
        words = f"unknown subcommand '{printable(subcommand, 64)}'"
    else:
        words = f"unknown command '{first}'"
    return Refusal(start, f"{release.title} has no command '{shown}'", words)


def is_in(row: CommandRow, release: Release) -> bool:
    """Whether the release has that command."""
    since = row.valkey if release.valkey else row.redis
    last = "" if release.valkey else row.redis_last
    return since != "" and _version(since) <= release.version and (not last or release.version <= _version(last))


def knows(row: CommandRow, release: Release) -> bool:
    """Whether the release finds that command when it loads a log: some look up only the name in front."""
    if row.is_subcommand and not release.does(LOOKS_UP_SUBCOMMANDS):
        row = COMMANDS[row.name.partition(b"|")[0]]
    return is_in(row, release)


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def _remark(answer: LogSuitability, where: str, file: FileVerdict, release: Release) -> None:
    """Say what happens where it goes on."""
    _pass_over(answer, where, file, release)
    wrong = file.wrong
    if wrong is not None and not release.does(CHECKS_ARITY_IN_LOG):
        row = COMMANDS.get(wrong.name.upper().replace(b" ", b"|"))
        few = row is None or wrong.words < abs(int(row.arity))
        how = "few words: it may crash" if few else "many words: it logs an error and passes it over"
        answer.remarks.append(f"{where}at {int(wrong.start)}: '{printable(wrong.name, 64)}' has too {how}")
        if few and answer.loads:
            answer.loads = None
    if file.outside is not None:
        answer.remarks.append(f"{where}at {int(file.outside.start)}: it refuses this SELECT and goes on")
    script = min((file.used[name] for name in SCRIPTS if name in file.used), default=-1)
    if script >= 0 and release.does(SCRIPT_ERRORS_CRASH):
        answer.remarks.append(f"{where}at {script}: it crashes if a command fails in this script, or in a later one")
        if answer.loads:
            answer.loads = None


def _pass_over(answer: LogSuitability, where: str, file: FileVerdict, release: Release) -> None:
    """Say which commands it knows, and fails for an option that it lacks, or carries out without it."""
    for ignores in (False, True):
        lacking = [row for row in lacking_options(file, release) if row[0].options.trailing == ignores]
        if not lacking:
            continue
        count = sum(use.count for use, _ in lacking)
        names = ", ".join(sorted({f"{use.options.title} with {' and '.join(names)}" for use, names in lacking}))
        start = min(use.start for use, _ in lacking)
        what = f"it carries {plural(count, 'command')} out as if that was not there"
        if not ignores:
            answer.passed_over += count
            what = f"it passes {plural(count, 'command')} over"
        answer.remarks.append(f"{where}from {start} on {what}: {names}")


def lacking_options(file: FileVerdict, release: Release) -> list[tuple[OptionUse, list[str]]]:
    """The commands with options that the release lacks, and which those are; not those for which it refuses the log."""
    return [row for row in _lacking(file, release) if not refuses_option(row[0], release)]


def refused_options(file: FileVerdict, release: Release) -> list[tuple[OptionUse, list[str]]]:
    """The same for those for which it does."""
    return [row for row in _lacking(file, release) if refuses_option(row[0], release)]


def _lacking(file: FileVerdict, release: Release) -> list[tuple[OptionUse, list[str]]]:
    found = ((use, use.options.lacking(use.found, release)) for use in file.options)
    return [(use, names) for use, names in found if names]


def refuses_option(use: OptionUse, release: Release) -> bool:
    """Whether a release that lacks these options refuses a log with them, as there are too many words then."""
    return use.options.trailing and release.does(CHECKS_ARITY_IN_LOG)
