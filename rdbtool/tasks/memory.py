"""What keys take on a server, found out from the files."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rdbtool.analysis.collecting import Collector, KeyRows, release_of
from rdbtool.analysis.contents import Contents, Wanted
from rdbtool.analysis.costs import Costs
from rdbtool.analysis.tallies import Tally
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import FormatError, InputError, LostWorkerError, RdbToolError, TruncatedError, UnsupportedError
from rdbtool.findings import Finding, Findings, Report, Severity, finding_of
from rdbtool.inputs.detect import UPDATE, Progress
from rdbtool.inputs.jsonl import JsonlSource
from rdbtool.inputs.keys import Facts, RdbSource
from rdbtool.inputs.opening import OpenedKeys, open_keys
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.source import is_plain
from rdbtool.servers import releases
from rdbtool.servers.memory import JEMALLOC
from rdbtool.servers.releases import NEWEST, Release, writer_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from rdbtool.inputs.salvaging import Behind

    from .parts import Workforce

DAMAGE: Final = (FormatError.code, TruncatedError.code, "not-applied")
"""Codes of findings that tell of what could not be read."""
CAVEATS: Final = ("database-uncertain", "line-ends", "no-end", UPDATE)
"""Codes of what is told of a salvaged snapshot and is no damage itself."""


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
    executor: Executor | None = None,
    workers: int = 0,
    portion: int = 0,
) -> ContentsReport:
    """Measure the keys at ``paths``, one or several, that ``selection`` wants.

    ``release``: of the server, such as ``redis-7.0``, else the one that wrote each file, or the newest Redis;
    ``allocator``: the server's (`servers.memory`); ``reported``: as MEMORY USAGE counts; ``list_depth``: the server's
    ``list-compress-depth``; ``rows``: where each key goes; ``largest``: find out the size of the largest elements. What
    is damaged is a finding, after what could be read: behind damage too, except in what is compressed or piped, which
    is not copied for that. So is one of several inputs that cannot be read at all. With an ``executor``, parts of plain
    snapshots, of about ``portion`` bytes, are measured side by side, by so many ``workers``; the answer is the same.
    Raises `InputError`, `OutputError`, `UsageError`, `UnsupportedError`, `LostWorkerError`.
    """
    wanted = Wanted(now_ms=time.time_ns() // 1_000_000) if wanted is None else wanted
    force = None
    if executor is not None:
        from .parts import Workforce

        force = Workforce.of(executor, workers, portion)
    given = [os.fspath(path) for path in ([paths] if isinstance(paths, (str, os.PathLike)) else paths)]
    job = _Job(
        wanted,
        asked=None if release is None else releases.release_of(release),
        allocator=allocator,
        reported=reported,
        list_depth=list_depth,
        selection=Selection() if selection is None else selection,
        rows=rows,
        largest=largest,
        reading=Reading() if reading is None else reading,
        progress=progress,
        force=force,
    )
    report = ContentsReport(contents=Contents(wanted), allocator=allocator)
    if rows is not None:
        rows.begin()
    for path in given:
        job.selection.kept = 0  # it may have chosen from another file
        one = job.measured(path)
        if one.error is not None:
            if len(given) == 1 or not isinstance(one.error, InputError):
                raise one.error
            one.note(one.error)
        one.file.total.merge(one.contents.total)
        one.file.tables = int(one.contents.tables)
        if len(given) == 1:
            report.contents = one.contents
        else:
            report.contents.merge(one.contents)
        report.files.append(one.file)
        report.loss = report.loss or one.loss
        report.findings.add_all(one.findings)
    if rows is not None:
        rows.end()
    return report


@dataclass(slots=True)
class _Measured:
    """One input. ``broken``: reading ended early, or did not show that nothing is damaged; ``error``: why it cannot be
    counted at all.
    """

    file: FileFacts
    contents: Contents
    findings: Findings = field(default_factory=Findings)
    loss: bool = False
    broken: bool = False
    collector: Collector | None = None
    error: InputError | UnsupportedError | None = None

    def note(self, error: RdbToolError) -> None:
        """Note what ended the reading."""
        self.file.partial = True
        self.findings.add(finding_of(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """How inputs are measured; see `memory`."""

    wanted: Wanted = field(kw_only=False)
    asked: Release | None
    allocator: str
    reported: bool
    list_depth: int
    selection: Selection
    rows: KeyRows | None
    largest: bool
    reading: Reading
    progress: Progress | None
    force: Workforce | None

    def measured(self, path: str) -> _Measured:
        """What is at ``path``, read once. Where that breaks, and the file can be read again at any place, all is
        counted anew, of what can be read in front of the break and behind.
        """
        kept = self.selection.kept
        one = self._read(path, None)
        if one.broken and _can_be_read_again(path) and not self._is_sound(path, one):
            self.selection.kept = kept
            one = self._read(path, one)
        if one.collector is not None:
            one.collector.write_held()
        return one

    def _is_sound(self, path: str, one: _Measured) -> bool:
        """Whether several processes find nothing wrong with a snapshot that was read to its end, where no checksum
        tells.
        """
        force = self.force
        if force is None or one.file.checksum not in {"off", "none"}:
            return False
        from .check_rdb import check_rdb

        report = check_rdb(path, executor=force.executor, workers=force.workers, portion=force.portion)
        return report.findings.worst is Severity.NOTE

    def _read(self, path: str, before: _Measured | None) -> _Measured:
        """Read an input; for another time where it turned out to be damaged ``before``."""
        one = _Measured(FileFacts(path), Contents(self.wanted))
        reading = self.reading
        try:
            with open_keys(
                path,
                point=reading.point,
                unknown="skip" if reading.unknown == "carry" else reading.unknown,
                commands=reading.commands,
                progress=self.progress,
                server=reading.server,
                keep_going=before is not None,
                undo=False,  # what was counted is not read again
            ) as opened:
                salvaged = opened.salvaged
                if before is None or salvaged is None:
                    if before is not None and not is_replayed(opened):
                        return before
                    self._count(one, opened, None)
                else:
                    last = -1 if before.collector is None else int(before.collector.last_row)
                    with salvaged.behind(path, last) as behind:
                        self._count(one, opened, behind)
                    one.file.checksum = salvaged.result.checksum
        except FormatError as e:
            one.broken = True
            one.note(e)
        except InputError as e:
            one.error = e
        except UnsupportedError as unsupported:
            one.broken = True  # damage can look so
            one.error = unsupported
        return one

    def _count(self, one: _Measured, opened: OpenedKeys, behind: Behind | None) -> None:
        """Count the keys of an input."""
        _note_opened(one, opened)
        file = one.file
        source = opened.source
        try:
            first = source.next()
        finally:
            file.facts = source.facts
        file.release = release_of(source.facts) if self.asked is None else self.asked
        costs = Costs(file.release, self.allocator, reported=self.reported)
        collector = Collector(
            one.contents,
            costs,
            rows=self.rows,
            behind=behind,
            largest=self.largest,
            list_depth=self.list_depth,
            writer=writer_of(file.facts.aux),
        )
        one.collector = collector
        try:
            if self.force is not None and behind is None:
                from .contents_parts import Counting, count_ahead

                counting = Counting(
                    self.wanted,
                    self.selection,
                    file.release,
                    self.allocator,
                    self.reported,
                    self.largest,
                    self.list_depth,
                    writer_of(file.facts.aux),
                    None if self.rows is None else self.rows.maker,
                )
                left = count_ahead(source, collector, counting, self.force, self.progress)
                if left is not source:
                    opened.source = source = left
                    first = source.next()
            collector.run(source, self.selection, first)
        finally:
            one.contents.add_tables(costs)
            file.checksum = collector.checksum
            file.libraries = collector.libraries
            file.module_data = collector.module_data
        one.broken = not opened.is_proven
        add_checksum(one.findings, file.path, collector)


def _can_be_read_again(path: str) -> bool:
    return os.path.isdir(path) or (os.path.isfile(path) and is_plain(path))


def is_replayed(opened: OpenedKeys) -> bool:
    """Whether the keys are what a log amounts to."""
    return not isinstance(opened.source, RdbSource | JsonlSource)


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


def _note_opened(one: _Measured, opened: OpenedKeys) -> None:
    for finding in opened.findings:
        damage = finding.code in DAMAGE or (opened.salvaged is not None and finding.code not in CAVEATS)
        one.findings.add(finding._replace(severity=Severity.ERROR) if damage else finding)
    one.file.partial = opened.partial
    one.loss = opened.loss and not opened.partial and opened.salvaged is None
    if is_replayed(opened):
        one.file.replayed = True
        unit = 20 if sys.platform == "darwin" else 10  # bytes there, KiB elsewhere
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> unit
        what = "the snapshot" if UPDATE in one.findings.counts else "the log"
        message = f"{what} was replayed first, which took {peak:,} MiB of memory at most"
        one.findings.add(Finding(Severity.NOTE, "replayed", message, one.file.path))


def add_checksum(findings: Findings, path: str, collector: Collector) -> None:
    """Add a finding where the checksum of a snapshot is wrong."""
    if collector.checksum == "bad":
        message = "the checksum is wrong: some byte of the file has changed since it was written"
        findings.add(Finding(Severity.ERROR, "checksum", message, path, int(collector.end_offset)))


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
