"""Check an append-only file, or the set of files that a manifest makes one: would a server load it, how far, and
what stands in the way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rdbtool.aof.check import BROKEN, EMPTY, MISSING, TRUNCATED, FileVerdict, tell_fault, verify_log, verify_log_in
from rdbtool.aof.config import DEFAULT, LogConfig
from rdbtool.aof.layout import Layout, LogFile, locate, parts_beside, refuse_rewritten
from rdbtool.aof.names import STOCK, CommandNames
from rdbtool.aof.options import OptionUse
from rdbtool.aof.resp import MAX_BULK
from rdbtool.aof.scan import BadCommand
from rdbtool.basics.numbers import natural
from rdbtool.errors import FormatError, InputError, UsageError, printable
from rdbtool.findings import Finding, Findings, Report, Severity, finding_of, plural
from rdbtool.io.progress import Meter, Progress
from rdbtool.io.window import Window
from rdbtool.servers.commands import COMMANDS
from rdbtool.servers.features import CHECKS_ARITY_IN_LOG, MULTI_PART_LOGS, SCRIPT_ERRORS_CRASH
from rdbtool.servers.limits import DATABASES
from rdbtool.servers.releases import RELEASES, Release, newest_of_each, releases_asked, writer_of

from .libraries import tell_libraries
from .log_suitability import SCRIPTS, LogSuitability, knows, lacking_options, log_suitability, refused_options

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(slots=True)
class CheckAofReport(Report):
    """What the check found. ``files`` in the order a server loads them, then history files if asked for.

    ``config``: of the server that was asked about; ``suitability``: what ``releases`` do with it; ``asked``: whether
    they were named, and are not those that come to mind: the one that wrote it, or the newest.
    """

    path: str = ""
    layout: Layout | None = None
    files: list[FileVerdict] = field(default_factory=list)
    history: list[FileVerdict] = field(default_factory=list)
    config: LogConfig = DEFAULT
    releases: Sequence[Release] = ()
    suitability: list[LogSuitability] = field(default_factory=list)
    asked: bool = False

    @property
    def verdict(self) -> str:
        """``ok``, ``truncated`` (a server cuts the end by itself, and starts) or ``broken``, for a release at least."""
        codes = self.findings.counts
        if any(code in codes for code in ("bad-manifest", "missing-file", "no-manifest")):
            return BROKEN
        verdicts = {f.verdict for f in self.files}
        if BROKEN in verdicts or MISSING in verdicts or any(s.loads is False for s in self.suitability):
            return BROKEN
        return TRUNCATED if TRUNCATED in verdicts else "ok"

    @property
    def lacks_manifest(self) -> bool:
        """Whether the manifest of a set is damaged, or not there."""
        return "bad-manifest" in self.findings.counts or "no-manifest" in self.findings.counts

    @property
    def refused(self) -> bool:
        """Whether a release does not load it; one that was asked for has to be known to."""
        return any(s.loads is False or (self.asked and s.loads is None) for s in self.suitability)

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        manifest = self.layout.manifest_path if self.layout is not None else ""
        return {
            "path": self.path,
            "verdict": self.verdict,
            "manifest": manifest or None,
            "files": [f.as_json() for f in self.files],
            "history": [f.as_json() for f in self.history],
            "for": [s.as_json() for s in self.suitability],
            "findings": [f.as_json() for f in self.findings.items],
            "counts": self.findings.counts,
        }


def check_aof(
    path: str | os.PathLike[str],
    *,
    history: bool = False,
    max_bulk: int = MAX_BULK,
    databases: int = DATABASES,
    names: CommandNames = STOCK,
    releases: Iterable[str | Release] = (),
    until: int = -1,
    all_findings: bool = False,
    layout: Layout | None = None,
    progress: Progress | None = None,
    window: Window | None = None,
    executor: Executor | None = None,
    workers: int = 0,
    portion: int = 0,
) -> CheckAofReport:
    """Check what is at ``path``: a log with or without a snapshot in front, a manifest, or a directory.

    ``history``: check also the files that a rewrite has replaced; ``max_bulk``: the server's ``proto-max-bulk-len``;
    ``databases``: how many it has; ``names``: commands it has in addition, from a module or renamed; ``releases``:
    names of servers to tell what they do with it (`releases_asked`), if none the one that wrote it, or where that is
    not known the newest; ``all_findings``: keep each finding, however many they are; ``layout``: the files,
    where they are not those that `locate` finds; ``until``: a Unix time: reading a file ends at the first later
    annotation; ``progress`` is told the bytes read of all files, and their size or -1;
    ``window``: at the first byte of what is at ``path``, a single file, where it is open. With an ``executor`` parts of
    plain files, of about ``portion`` bytes, are scanned side by side, by so many ``workers``; the answer is the same.
    Raises `InputError` where something cannot be read, `UsageError` where ``path`` is ambiguous, `LostWorkerError`.
    """
    path = os.fspath(path)
    asked = releases_asked(releases)
    report = CheckAofReport(path=path, asked=bool(asked))
    if all_findings:
        report.findings.kept = sys.maxsize
    report.config = config = LogConfig(names, databases=databases, max_bulk=max_bulk)
    try:
        if window is not None:
            layout = Layout(path, [LogFile(path, "aof")])
        report.layout = layout = layout or locate(path)
    except FormatError as e:
        report.findings.add(_bad_manifest(e))
        for file in parts_beside(path):
            report.files.append(verify_log(file, report.findings, config=config, progress=progress))
        judge_log(report, asked)
        return report
    for finding in layout.findings:
        report.findings.add(finding)
    meter = Meter([file.path for file in layout.files], progress)
    gone = next((file for file in layout.files if file.missing), None)
    if gone is not None and window is None:
        refuse_rewritten(layout, InputError("cannot open: it is gone", path=gone.path))
    for i, file in enumerate(layout.files):
        if window is not None:
            report.files.append(verify_log_in(window, file, report.findings, config=config, until=until))
            continue
        progress = meter.of(file.path)
        scan = None
        if executor is not None:
            from .check_aof_parts import ScanInParts
            from .workers import cores

            scan = partial(ScanInParts(executor, workers or cores(), portion), progress=progress)
        try:
            verdict = verify_log(
                file,
                report.findings,
                last=i == len(layout.files) - 1,
                config=config,
                until=until,
                progress=progress,
                scan=scan,
            )
        except InputError as e:
            refuse_rewritten(layout, e)
            raise
        report.files.append(verdict)
    if history:
        report.history = [verify_log(file, report.findings, config=config) for file in layout.history]
    _tell_whole(report)
    judge_log(report, asked)
    return report


def join_checks(
    report: CheckAofReport, checked: Mapping[str, tuple[FileVerdict, Findings]], releases: Sequence[Release]
) -> None:
    """Make what was found in each file of ``report.layout``, by its name, the report about the log. Each was checked
    while it was not known whether it is the last.
    """
    layout = report.layout
    assert layout is not None
    for finding in layout.findings:
        report.findings.add(finding)
    for i, file in enumerate(layout.files):
        name = os.path.basename(file.path)
        if name not in checked:
            report.files.append(FileVerdict(file.path, file.role, MISSING, cuttable=False))
            continue
        verdict, findings = checked[name]
        tell_fault(verdict, findings, last=i == len(layout.files) - 1)
        report.findings.add_all(findings)
        report.files.append(verdict)
    _tell_whole(report)
    judge_log(report, releases)


def _tell_whole(report: CheckAofReport) -> None:
    """Tell what shows when all files were checked."""
    layout = report.layout
    assert layout is not None
    if layout.is_set and layout.files and all(f.verdict == EMPTY for f in report.files):
        report.findings.add(
            Finding(Severity.WARNING, "all-empty", "every file is empty: the server starts empty", layout.manifest_path)
        )
    for verdict in report.files:
        if verdict.preamble is not None:
            known = len(verdict.preamble_findings.items)
            tell_libraries(verdict.preamble, verdict.preamble_findings, verdict.path)
            for finding in verdict.preamble_findings.items[known:]:
                report.findings.add(finding)


def judge_log(report: CheckAofReport, releases: Sequence[Release]) -> None:
    """Tell what releases do with a log whose files were checked, and find what some of them refuse."""
    writer = _writer(report)
    asked = releases or ((writer,) if writer is not None else newest_of_each())
    report.releases = asked
    report.suitability = [log_suitability(report, release) for release in asked]
    for file in report.files:
        if file.wrong is not None:
            report.findings.add(wrong_arity(file, file.wrong, asked))
        newer = min(_newer(file, asked), default=None)
        if newer is not None:
            start, name, without, lacks = newer
            file.verdict = BROKEN
            file.good_up_to = min(file.good_up_to, start)
            message = f"command '{printable(name, 64)}': {without} refuses the file here, and has no such {lacks}"
            report.findings.add(Finding(Severity.ERROR, "newer-command", message, file.path, start))
        older = [(release, lacking) for release in asked if (lacking := lacking_options(file, release))]
        if older:
            report.findings.add(_newer_option(file, older, Severity.ERROR if report.asked else Severity.WARNING))
        script = min((file.used[name] for name in SCRIPTS if name in file.used), default=-1)
        if script >= 0 and any(r.does(SCRIPT_ERRORS_CRASH) for r in asked):
            message = (
                "a script: where a command in one fails, Redis from 7.0 on and Valkey crash while they load the log "
                "(Redis 6.2 logs an error and goes on)"
            )
            report.findings.add(Finding(Severity.WARNING, "script", message, file.path, script))


def _writer(report: CheckAofReport) -> Release | None:
    """The release that wrote the newest snapshot of it; None where none says."""
    for file in reversed(report.files):
        if file.preamble is not None:
            aux = {name.encode(): value.encode() for name, value in file.preamble.aux.items()}
            writer = writer_of(aux)
            if writer is not None and report.layout is not None and report.layout.is_set:
                if not writer.has(MULTI_PART_LOGS):  # it wrote the snapshot, but never a set
                    return None
            if writer is not None:
                # A version between two releases of the table, such as 3.9, is a pre-release of the later one.
                newest = newest_of_each()[writer.valkey]
                later = [r for r in RELEASES if r.product == writer.product and r.version >= writer.version]
                return newest if DEVELOPMENT_BUILD in file.preamble.aux.values() or not later else later[0]
    return None


def _newer(file: FileVerdict, asked: Sequence[Release]) -> Iterator[tuple[int, bytes, str, str]]:
    """Commands that some release has and one that was asked for has not, or not with that option: where, which, that
    release, and what it lacks.
    """
    for name, start in file.used.items():
        row = COMMANDS[name]
        for release in asked:
            if not knows(row, release):
                yield start, name.replace(b"|", b" "), release.title, "command"
                break
    for release in asked:
        for use, names in refused_options(file, release):
            yield use.start, f"{use.options.title} {' '.join(names)}".encode(), release.title, "option"


def _newer_option(
    file: FileVerdict, older: list[tuple[Release, list[tuple[OptionUse, list[str]]]]], severity: Severity
) -> Finding:
    """The finding for options that some of the releases lack: their data are not what the log's server had."""
    release, lacking = max(older, key=lambda row: sum(use.count for use, _ in row[1]))
    count = sum(use.count for use, _ in lacking)
    use, names = min(lacking, key=lambda row: row[0].start)
    if use.options.trailing:
        does = "does as if that was not there"
        what = f"so that what {plural(count, 'command')} did can be another thing there"
    else:
        does, what = "logs an error and goes on", f"so that what {plural(count, 'command')} did is missing there"
    message = f"{use.options.title} with {' and '.join(names)}: {release.title} has no such option, {does}, {what}"
    return Finding(severity, "newer-option", message, file.path, use.start)


def wrong_arity(file: FileVerdict, wrong: BadCommand, releases: Iterable[Release]) -> Finding:
    """The finding for too few or too many words, an error where one of the releases minds it, as it marks the file."""
    minded = any(release.does(CHECKS_ARITY_IN_LOG) for release in releases)
    since = CHECKS_ARITY_IN_LOG.valkey
    assert since is not None
    times = "" if wrong.count == 1 else f" ({int(wrong.count)} commands like this)"
    message = (
        f"{plural(int(wrong.words), 'word')} in a command '{printable(wrong.name, 64)}'{times}: Valkey from "
        f"{since[0]}.{since[1]} on refuses the file; Redis and older Valkey log an error and go on, or crash; "
        "redis-check-aof does not look at it"
    )
    if minded:
        file.verdict = BROKEN
        file.good_up_to = min(file.good_up_to, int(wrong.before))
    severity = Severity.ERROR if minded else Severity.WARNING
    return Finding(severity, "wrong-arity", message, file.path, int(wrong.start))


DEVELOPMENT_BUILD: Final = "255.255.255"
"""The version that a build from the development branch gives itself."""


def _bad_manifest(error: FormatError) -> Finding:
    finding = finding_of(error)
    return Finding(
        finding.severity,
        "bad-manifest",
        f"{finding.message}: the server ends; the files beside it are checked by themselves",
        finding.path,
        finding.offset,
        doing=finding.doing,
    )


def refuse_nothing_before(report: CheckAofReport, until: int) -> None:
    """Raise `UsageError` where a cut at ``until`` would leave nothing, or cannot be told."""
    if not any(f.annotations or f.until >= 0 for f in report.files):
        raise UsageError(
            "no timestamp annotations: only a log written with 'aof-timestamp-enabled yes' can be cut at a time",
            path=report.path,
        )
    first = report.files[0]
    if first.until == 0:
        raise UsageError(f"nothing in it is as old as {until}: the first annotation is later", path=first.path)
    facts = first.preamble
    created = facts.aux.get("ctime", "") if facts is not None else ""
    if natural(created) > until:
        raise UsageError(
            f"the snapshot it begins with was written at {created}, after {until}: an older state is not in it",
            path=first.path,
        )
