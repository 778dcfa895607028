"""What a file or a set of files is, and what it is made of, in the time that reading takes: nothing is replayed."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rdbtool.analysis.collecting import Collector, release_of
from rdbtool.analysis.contents import Contents, Wanted
from rdbtool.analysis.costs import Costs
from rdbtool.analysis.traffic import Traffic, count_log
from rdbtool.aof.layout import Layout, LogFile, locate
from rdbtool.aof.resp import CommandReader
from rdbtool.errors import FormatError, InputError
from rdbtool.findings import Finding, Report, Severity, finding_of
from rdbtool.inputs.detect import (
    BASE,
    DIRECTORY,
    EMPTY,
    JSON_LINES,
    LOG,
    MANIFEST,
    SNAPSHOT,
    TEXT,
    Opened,
    Progress,
    is_updated,
    open_detected,
    refuse_empty_snapshot,
)
from rdbtool.inputs.jsonl import JsonlSource
from rdbtool.inputs.keys import Facts, KeySource, RdbSource
from rdbtool.inputs.selection import Selection
from rdbtool.io.window import Window

from .memory import add_checksum

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .parts import Workforce

EXEC = b"EXEC"


@dataclass(slots=True)
class Part:
    """One file: ``role`` in its set, or ``file``; ``kind``: as `inputs.detect` tells it; ``size`` in bytes, of a
    compressed file those behind that; ``facts``: of the snapshot in it, if any.
    """

    path: str
    role: str = "file"
    kind: str = ""
    size: int = 0
    facts: Facts = field(default_factory=Facts)
    checksum: str = ""
    libraries: list[str] = field(default_factory=list)
    module_data: list[str] = field(default_factory=list)
    commands: int = 0
    empty: int = 0


@dataclass(slots=True, kw_only=True)
class InfoReport(Report):
    """``parts``: the files in their order; ``contents``: of the snapshots in them; ``traffic``: of their logs;
    ``release``: whose memory `Contents` counts; ``partial``: not all could be read.
    """

    path: str
    contents: Contents
    kind: str = ""
    parts: list[Part] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    release: str = ""
    partial: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(part.size for part in self.parts)

    @property
    def facts(self) -> Facts | None:
        """What the snapshot says of itself; None where there is none."""
        return next((part.facts for part in self.parts if part.facts.version), None)

    @property
    def has_log(self) -> bool:
        """Whether there are commands, or a file for them."""
        return any(part.kind in {LOG, TEXT} or part.commands for part in self.parts)

    @property
    def transactions(self) -> int:
        """Transactions in the log, that were completed."""
        tally = self.traffic.names.get(EXEC)
        return 0 if tally is None else int(tally.count)


def info(
    path: str | os.PathLike[str],
    wanted: Wanted | None = None,
    *,
    progress: Progress | None = None,
    executor: Executor | None = None,
    workers: int = 0,
    portion: int = 0,
) -> InfoReport:
    """Read what is at ``path``, whatever it is. What is damaged is a finding, after what could be read.

    With an ``executor`` parts of a plain snapshot, of about ``portion`` bytes, are counted side by side, by so many
    ``workers``; the answer is the same. Raises `InputError` where nothing could be, `UnsupportedError`, and
    `LostWorkerError`.
    """
    wanted = Wanted(now_ms=time.time_ns() // 1_000_000) if wanted is None else wanted
    path = os.fspath(path)
    force = None
    if executor is not None:
        from .parts import Workforce

        force = Workforce.of(executor, workers, portion)
    report = InfoReport(path=path, contents=Contents(wanted))
    with open_detected(path, progress) as opened:
        report.kind = opened.kind
        if opened.kind in {DIRECTORY, MANIFEST}:
            layout = _layout(report)
            for file in layout.files:
                _file(report, file, force)
        else:
            _take(report, Part(path, kind=opened.kind), opened, force, progress)
    report.traffic.flush_time()
    return report


def _layout(report: InfoReport) -> Layout:
    try:
        layout = locate(report.path)
    except FormatError as e:
        report.findings.add(finding_of(e))
        report.partial = True
        return Layout(report.path)
    for finding in layout.findings:
        report.findings.add(finding)
    return layout


def _file(report: InfoReport, file: LogFile, force: Workforce | None) -> None:
    part = Part(file.path, file.role)
    try:
        if file.missing:
            raise InputError("the file is not there, and the manifest names it", path=file.path)
        with open_detected(file.path) as opened:
            part.kind = opened.kind
            _take(report, part, opened, force, None)
    except InputError as e:
        report.parts.append(part)
        report.findings.add(finding_of(e))
        report.partial = True


def _take(report: InfoReport, part: Part, opened: Opened, force: Workforce | None, progress: Progress | None) -> None:
    """Count what is in one file."""
    report.parts.append(part)
    w = opened.window
    try:
        refuse_empty_snapshot(opened)
        if opened.kind in {SNAPSHOT, BASE}:
            if is_updated(opened):
                _keys(report, part, _updated(report, w, part.path), None, progress)
            else:
                source = _keys(report, part, RdbSource(w), force, progress)
                w = source.reader.window if isinstance(source, RdbSource) else w
        elif opened.kind == JSON_LINES:
            _keys(report, part, JsonlSource(w), None, progress)
            return
        elif opened.kind not in {LOG, TEXT, EMPTY}:
            RdbSource(w).next()  # which tells what else it is
        if not w.at_end():
            if opened.kind == SNAPSHOT and w.data[w.pos] not in b"*#":
                message = "bytes behind the end, which servers ignore"
                report.findings.add(Finding(Severity.WARNING, "trailing-bytes", message, part.path, int(w.offset())))
            else:
                _commands(report, part, w, opened.kind)
    except FormatError as e:
        report.findings.add(finding_of(e))
        report.partial = True
    finally:
        part.size = int(w.size if w.size >= 0 else w.offset())


def _updated(report: InfoReport, w: Window, path: str) -> KeySource:
    """The keys of a snapshot with commands in it; the window stands behind it then."""
    from rdbtool.inputs.dataset import DatasetSource, facts_of_replayed
    from rdbtool.inputs.replaying import SnapshotOnly, replay

    replayed = replay(path, first=w, feed=SnapshotOnly(), layout=Layout(path, [LogFile(path, "aof")]))
    report.findings.add_all(replayed.findings)
    return DatasetSource(path, replayed.dataset, facts_of_replayed(replayed), replayed.module_aux)


def _keys(
    report: InfoReport, part: Part, source: KeySource, force: Workforce | None, progress: Progress | None
) -> KeySource:
    """Count the keys of a source; returns that which had the last ones."""
    try:
        first = source.next()
    finally:
        part.facts = source.facts
    release = release_of(source.facts)
    report.release = report.release or release.name
    costs = Costs(release)
    collector = Collector(report.contents, costs)
    try:
        if force is not None:
            from .contents_parts import Counting, count_ahead

            counting = Counting(report.contents.wanted, Selection(), release)
            left = count_ahead(source, collector, counting, force, progress)
            if left is not source:
                source = left
                first = source.next()
        collector.run(source, Selection(), first)
    finally:
        report.contents.add_tables(costs)
        part.checksum = collector.checksum
        part.libraries = collector.libraries
        part.module_data = collector.module_data
        part.empty = int(source.empty)
        add_checksum(report.findings, part.path, collector)
    return source


def _commands(report: InfoReport, part: Part, w: Window, kind: str) -> None:
    from rdbtool.inputs.replaying import commands_of

    traffic = report.traffic
    before = traffic.commands
    traffic.begin_file()
    commands = commands_of(w, LogFile(part.path, "aof"), "commands" if kind == TEXT else "auto")
    try:
        if isinstance(commands, CommandReader):
            count_log(commands, traffic)
        else:
            while (command := commands.next()) is not None:
                traffic.note(command.args)
    finally:
        part.commands = int(traffic.commands - before)


def merged(reports: list[InfoReport], wanted: Wanted) -> Contents:
    """The contents of all reports together."""
    contents = Contents(wanted)
    for report in reports:
        contents.merge(report.contents)
    return contents
