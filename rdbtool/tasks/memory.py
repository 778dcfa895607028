"""What keys take on a server, found out from the files."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rdbtool.analysis.collecting import Collector, KeyRows, release_of
from rdbtool.analysis.contents import Contents, Wanted
from rdbtool.analysis.costs import Costs
from rdbtool.analysis.tallies import Tally
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import FormatError, InputError, LostWorkerError, RdbToolError, TruncatedError
from rdbtool.findings import Finding, Report, Severity, finding_of
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.jsonl import JsonlSource
from rdbtool.inputs.keys import Facts, RdbSource
from rdbtool.inputs.opening import OpenedKeys, open_keys
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.source import is_plain
from rdbtool.servers import releases
from rdbtool.servers.memory import JEMALLOC
from rdbtool.servers.releases import NEWEST, Release, writer_of

DAMAGE: Final = (FormatError.code, TruncatedError.code, "not-applied")
"""Codes of findings that tell of what could not be read."""


@dataclass(slots=True)
class FileFacts:
    """What was read of one input. ``release``: whose structures were counted; ``partial``: not all of it could be
    read; ``replayed``: it is a log; ``size``: bytes, -1 where that is not known; ``facts``: what it says of itself.
    """

    path: str
    release: Release = NEWEST
    partial: bool = False
    replayed: bool = False
    size: int = -1
    facts: Facts = field(default_factory=Facts)
    checksum: str = ""
    libraries: list[str] = field(default_factory=list)
    module_data: list[str] = field(default_factory=list)
    total: Tally = field(default_factory=Tally)
    tables: int = 0


@dataclass(slots=True, kw_only=True)
class ContentsReport(Report):
    """``contents``: of all files together; ``files``: each of them; ``allocator``: its name."""

    contents: Contents
    allocator: str = JEMALLOC
    files: list[FileFacts] = field(default_factory=list)

    @property
    def partial(self) -> bool:
        """Whether something could not be read, so that all sums are of a part."""
        return any(file.partial for file in self.files)


@dataclass(frozen=True, slots=True)
class Reading:
    """How inputs are read: see `inputs.opening.open_keys`."""

    point: PointInTime = WHOLE
    unknown: str = "stop"
    commands: bool = False
    server: Server = STOCK_SERVER


def memory(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    wanted: Wanted | None = None,
    *,
    release: Release | str | None = None,
    allocator: str = JEMALLOC,
    reported: bool = False,
    list_depth: int = 0,
    selection: Selection | None = None,
    rows: KeyRows | None = None,
    largest: bool = False,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> ContentsReport:
    """Measure the keys at ``paths``, one or several, that ``selection`` wants.

    ``release``: of the server, such as ``redis-7.0``, else the one that wrote each file, or the newest Redis;
    ``allocator``: the server's (`servers.memory`); ``reported``: as MEMORY USAGE counts; ``list_depth``: the server's
    ``list-compress-depth``; ``rows``: where each key goes; ``largest``: find out the size of the largest elements. What
    is damaged is a finding, after what could be read: behind damage too, except in what is compressed or piped, which
    is not copied for that. So is one of several inputs that cannot be read at all. Raises `InputError`, `OutputError`,
    `UsageError` and `UnsupportedError`.
    """
    wanted = Wanted(now_ms=time.time_ns() // 1_000_000) if wanted is None else wanted
    report = ContentsReport(contents=Contents(wanted), allocator=allocator)
    selection = Selection() if selection is None else selection
    reading = Reading() if reading is None else reading
    if rows is not None:
        rows.begin()
    asked = None if release is None else releases.release_of(release)
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    for path in given:
        selection.kept = 0  # it may have chosen from another file
        file = FileFacts(path)
        contents = report.contents if len(given) == 1 else Contents(wanted)
        try:
            with open_keys(
                path,
                point=reading.point,
                unknown="skip" if reading.unknown == "carry" else reading.unknown,
                commands=reading.commands,
                progress=progress,
                server=reading.server,
                keep_going=os.path.isdir(path) or (os.path.isfile(path) and is_plain(path)),
            ) as opened:
                _note_opened(report, file, opened)
                source = opened.source
                try:
                    first = source.next()
                finally:
                    file.facts = source.facts
                file.release = release_of(source.facts) if asked is None else asked
                costs = Costs(file.release, allocator, reported=reported)
                collector = Collector(
                    contents, costs, rows=rows, largest=largest, list_depth=list_depth, writer=writer_of(file.facts.aux)
                )
                try:
                    collector.run(source, selection, first)
                finally:
                    contents.add_tables(costs)
                    _close(report, file, collector)
        except (FormatError, InputError) as e:
            if isinstance(e, InputError) and len(given) == 1:
                raise
            file.partial = True
            report.findings.add(finding_of(e))
        file.total.merge(contents.total)
        file.tables = int(contents.tables)
        if contents is not report.contents:
            report.contents.merge(contents)
        report.files.append(file)
    if rows is not None:
        rows.end()
    return report


def of_all_inputs(
    results: Iterable[tuple[str, ContentsReport | RdbToolError]], wanted: Wanted, allocator: str
) -> ContentsReport:
    """One report from what `memory` says of each input, or raises: one of several that cannot be read is a finding."""
    told = list(results)
    report = ContentsReport(contents=Contents(wanted), allocator=allocator)
    for path, result in told:
        if isinstance(result, RdbToolError):
            if len(told) == 1 or not isinstance(result, InputError | LostWorkerError):
                raise result
            report.files.append(FileFacts(path, partial=True))
            report.findings.add(finding_of(result))
        elif len(told) == 1:
            return result
        else:
            report.contents.merge(result.contents)
            report.files += result.files
            report.findings.add_all(result.findings)
            report.loss = report.loss or result.loss
    return report


def _note_opened(report: ContentsReport, file: FileFacts, opened: OpenedKeys) -> None:
    damaged = False
    for finding in opened.findings:
        if finding.code in DAMAGE:
            damaged = True
            finding = replace(finding, severity=Severity.ERROR)
        report.findings.add(finding)
    file.partial = damaged
    report.loss = report.loss or (opened.loss and not damaged)
    source = opened.source
    if not isinstance(source, RdbSource | JsonlSource):
        file.replayed = True
        unit = 20 if sys.platform == "darwin" else 10  # bytes there, KiB elsewhere
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> unit
        message = f"the log was replayed first, which took {peak:,} MiB of memory at most"
        report.findings.add(Finding(Severity.NOTE, "replayed", message, file.path))


def _close(report: ContentsReport, file: FileFacts, collector: Collector) -> None:
    """Take over what was read of a file beside keys, whole or not."""
    file.checksum = collector.checksum
    file.libraries = collector.libraries
    file.module_data = collector.module_data
    add_checksum(report, file.path, collector)


def add_checksum(report: Report, path: str, collector: Collector) -> None:
    """Add a finding where the checksum of a snapshot is wrong."""
    if collector.checksum == "bad":
        message = "the checksum is wrong: some byte of the file has changed since it was written"
        report.findings.add(Finding(Severity.ERROR, "checksum", message, path, int(collector.end_offset)))


@dataclass(frozen=True, slots=True)
class Growth:
    """A prefix in two inputs: keys and bytes before and after. ``name`` is b"" for all keys."""

    name: bytes
    keys_before: int
    keys_after: int
    bytes_before: int
    bytes_after: int

    @property
    def grown(self) -> int:
        """By how many bytes."""
        return self.bytes_after - self.bytes_before


def growth(before: Contents, after: Contents) -> list[Growth]:
    """What changed between two inputs, counted with the same prefixes: those whose sums differ, the greatest change
    first; all keys come first of all, whether they differ or not.
    """
    left, right = before.prefixes, after.prefixes
    sums = Growth(
        b"",
        int(before.total.keys),
        int(after.total.keys),
        int(before.total.bytes),
        int(after.total.bytes),
    )
    if left is None or right is None:
        return [sums]
    changed = []
    for name in left.prefixes.keys() | right.prefixes.keys():
        a, b = left.prefixes.get(name), right.prefixes.get(name)
        one = Growth(
            name,
            0 if a is None else int(a.keys),
            0 if b is None else int(b.keys),
            0 if a is None else int(a.bytes),
            0 if b is None else int(b.bytes),
        )
        if one.keys_before != one.keys_after or one.grown:
            changed.append(one)
    changed.sort(key=lambda one: (-abs(one.grown), one.name))
    return [sums, *changed]
