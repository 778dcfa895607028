"""Write what snapshots and logs hold in another form, or for another server."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from rdbtool.aof.layout import locate
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.basics.numbers import natural
from rdbtool.basics.text import AUTO, UTF8
from rdbtool.errors import FormatError, UnsupportedError, UsageError
from rdbtool.findings import Finding, Findings, Report, Severity, add_counts, finding_of, plural
from rdbtool.inputs.detect import Progress, header_of, is_vouched_for
from rdbtool.inputs.filters import slot_ranges
from rdbtool.inputs.jsonl import JsonlSource
from rdbtool.inputs.keys import KeySource, RdbSource
from rdbtool.inputs.opening import OpenedKeys, is_streamed
from rdbtool.inputs.parts import set_of
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.destination import find
from rdbtool.io.sink import commit_all, without_compression
from rdbtool.io.source import opener_of
from rdbtool.outputs.changing import Changes, Changing
from rdbtool.outputs.exporter import Exporter
from rdbtool.outputs.joining import Join, Repeated
from rdbtool.outputs.losses import loss_findings, miscount_findings
from rdbtool.outputs.merging import Merge
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.outlets import Outlet, open_outlet
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.rdb import RdbOut
from rdbtool.outputs.registry import format_of_path, row_of
from rdbtool.outputs.resp import too_long
from rdbtool.outputs.sharding import NO_OUTPUT, BySlot
from rdbtool.rdb.layout.facts import MODULE_VALUES, OF_TYPE
from rdbtool.servers.slots import SLOTS

from .sharing import UNSHARED, Sharing, open_shared

BY_NAME: Final = OutputOptions()
COPIED: Final = ("rdb", "aof", "aof-set")
"""Formats into which values are copied without being read."""
Conflict: TypeAlias = Literal["error", "first", "last", "merge"]


@dataclass(slots=True, kw_only=True)
class ConvertReport(Report):
    """``outputs``: the paths written; ``keys``: seen; ``written``; ``skipped``: left out because their bytes are
    damaged; ``dropped``: left out because another input has them; ``merged``: that went into the same key of another
    input; ``losses``: what could not be kept, by kind;
    ``target``: the release an RDB was written for.
    """

    sources: list[str]
    outputs: list[str] = field(default_factory=list)
    keys: int = 0
    written: int = 0
    skipped: int = 0
    dropped: int = 0
    merged: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    target: str = ""
    kept: object = None
    """The last input: freeing what was loaded takes a while, which a program that is about to end can save."""

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        return {
            "sources": self.sources,
            "outputs": self.outputs,
            "keys": self.keys,
            "written": self.written,
            "skipped": self.skipped,
            "dropped": self.dropped,
            "merged": self.merged,
            "losses": self.losses,
            "target": self.target,
            "loss": self.loss,
            "findings": [f.as_json() for f in self.findings.items],
        }


def shard_ranges(text: str) -> list[tuple[int, int]]:
    """First and last slots of each output: ``3`` for three equal parts, ``slots=0-5460,5461-16383`` for these.

    Raises `UsageError`.
    """
    if text.startswith("slots="):
        return slot_ranges(text.removeprefix("slots="))
    count = natural(text)
    if not 1 <= count <= 254:
        raise UsageError(f"not a split: {text!r} (a number of outputs up to 254, or slots=0-5460,5461-16383)")
    # as redis-cli --cluster create divides them
    per = SLOTS / count
    firsts = [round(i * per) for i in range(count)]
    return [(first, (firsts[i + 1] if i + 1 < count else SLOTS) - 1) for i, first in enumerate(firsts)]


def shard_path(path: str, first: int, last: int) -> str:
    """The name of the output for these slots: ``out.rdb`` becomes ``out-0-5460.rdb``, ``{}`` is replaced."""
    part = f"{first}-{last}"
    if "{}" in path:
        return path.replace("{}", part)
    bare = path.rstrip(os.sep)
    plain = without_compression(bare)
    stem, ending = os.path.splitext(plain)
    ending += bare[len(plain) :]
    return f"{stem}-{part}{ending}" + path[len(bare) :]


def output_paths(output: str, split: str = "") -> list[str]:
    """The paths that `convert` writes to. Raises `UsageError`."""
    if not split:
        return [output]
    if output == "-":
        raise UsageError("several outputs cannot all go to standard output")
    return [shard_path(output, *span) for span in shard_ranges(split)]


def convert(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    options: OutputOptions = BY_NAME,
    selection: Selection | None = None,
    *,
    split: str = "",
    on_conflict: Conflict = "error",
    changes: Changes | None = None,
    keep_going: bool = False,
    check: bool = False,
    point: PointInTime = WHOLE,
    unknown: str = "stop",
    commands: bool = False,
    source_mode: int = AUTO,
    progress: Progress | None = None,
    server: Server = STOCK_SERVER,
    sharing: Sharing = UNSHARED,
) -> ConvertReport:
    """Write the keys of ``sources``, one path or several, that ``selection`` wants to ``output``, as ``options`` say.

    ``split``: to several outputs by hash slot (`shard_ranges`); ``on_conflict``: what to do about a key that several
    inputs have, to ``merge`` which the inputs are read twice; ``changes``: of keys on their way; ``keep_going``: leave
    out damaged keys, and take what can be read of damaged files, with ``loss``; ``check``: verify every value that is
    copied unread, also where a checksum vouches for it; ``source_mode``: how JSON lines without a header say bytes;
    ``sharing``: replay logs by partitions of their keys, and read a snapshot by parts of it where its values are
    encoded anew; the others as for `inputs.opening.open_keys`.

    Parts of one set are replayed one behind the other, in their order, as a server loads them, and not merged.
    Damage is an error finding, and then nothing is written. Raises `InputError`, `OutputError`, `UsageError`,
    `UnsupportedError`.
    """
    paths = [sources] if isinstance(sources, (str, os.PathLike)) else sources
    given: Sequence[str] = [os.fspath(path) for path in paths]
    output = os.fspath(output)
    if not options.format:
        options = options._replace(format=format_of_path(output))
    if options.mode == UTF8 and row_of(options.format).text and options.lossless:
        raise UsageError("with --bytes utf8, what is not UTF-8 is lost")
    selection = Selection() if selection is None else selection
    report = ConvertReport(sources=list(given))
    is_plain = selection.everything and not (split or keep_going or commands or point.asked)
    if is_plain and len(given) == 1 and opener_of(given[0]) is not None and _is_copy(options, changes):
        return _copied(given[0], output, report, progress)
    layout = None if commands else set_of(given)
    if layout is not None:
        given = [layout.path]
    job = _Job(
        given,
        output,
        options,
        selection,
        changes or Changes(),
        report,
        outputs=output_paths(output, split),
        inputs=_files_of(given, commands=commands) if layout is None else layout.paths,
        ranges=shard_ranges(split) if split else [],
        on_conflict=on_conflict,
        keep_going=keep_going,
        check=check,
        progress=progress,
        sharing=sharing,
    )
    job.opening = {
        "point": point,
        "unknown": unknown,
        "commands": commands,
        "to": options.rdb.to,
        "mode": source_mode,
        "server": server,
        "layout": layout,
        "name": selection.one_name,
    }
    if keep_going and job.can_begin_anew:
        # What is sound is read once. Of what is not, nothing has been written for good.
        with contextlib.suppress(FormatError, UnsupportedError):
            job.run(salvage=False)
            return report
        job.begin_anew()
    try:
        try:
            job.run_all()
        except _UnprovenError:  # only now it shows that nothing vouches for what was copied
            job.begin_anew()
            job.check = True
            job.run_all()
        report = job.report
    except FormatError as e:
        report = job.report
        report.findings.add(finding_of(e))
        report.outputs = []
    return report


class _UnprovenError(Exception):
    """Values were copied that no checksum vouches for."""


@dataclass
class _Job:
    """What holds for every input of a run; ``inputs``: all files of them; ``ranges``: of slots, for each output;
    ``opening``: how inputs are opened; ``in_parts``: the input was read by parts.
    """

    given: Sequence[str]
    output: str
    options: OutputOptions
    selection: Selection
    changes: Changes
    report: ConvertReport
    _: KW_ONLY
    outputs: list[str]
    inputs: tuple[str, ...]
    ranges: list[tuple[int, int]]
    on_conflict: Conflict
    keep_going: bool
    check: bool
    progress: Progress | None
    sharing: Sharing
    opening: dict[str, Any] = field(default_factory=dict)
    in_parts: bool = False

    @property
    def can_begin_anew(self) -> bool:
        """Whether all inputs can be read again, and nothing that is written is out before the end."""
        inputs = all(os.path.isfile(path) or os.path.isdir(path) for path in self.given)
        return inputs and not any(path == "-" or find(path).is_stream for path in self.outputs)

    def begin_anew(self) -> None:
        """Forget what was done."""
        self.report = ConvertReport(sources=list(self.given))
        self.selection.kept = 0

    def run_all(self) -> None:
        """Write the outputs. Of what several processes found damaged, one tells, where nothing has gone out yet, what
        comes first.
        """
        try:
            self.run(salvage=self.keep_going)
        except (FormatError, UnsupportedError):
            if not (self.in_parts and self.can_begin_anew):
                raise
            self.begin_anew()
            self.sharing = UNSHARED
            self.run(salvage=self.keep_going)

    def run(self, *, salvage: bool) -> None:
        """Write the outputs. Raises `FormatError` for damage; with ``keep_going``, that is only without ``salvage``."""
        self.opening["keep_going"] = salvage
        report, given, on_conflict, ranges = self.report, self.given, self.on_conflict, self.ranges
        keep_going = self.keep_going
        copies = self.options.format in COPIED
        verify = (
            keep_going
            or self.check
            or (copies and not all(is_vouched_for(path, again=self.can_begin_anew) for path in self.inputs))
        )
        checked = self.options._replace(verify=verify)
        with contextlib.ExitStack() as stack:
            repeated = self.repeated(given) if on_conflict == "merge" else {}
            outlets = [stack.enter_context(open_outlet(path, checked, self.inputs)) for path in self.outputs]
            stages = [outlet.exporter for outlet in outlets]
            by_slot = BySlot(list(stages), ranges) if ranges else None
            if by_slot is not None:
                stages.append(by_slot)
            merges = len(given) > 1 or keep_going or on_conflict in {"first", "last"}
            merge = Merge(stages[-1], refuse=on_conflict in {"error", "merge"}) if merges else None
            if merge is not None:
                stages.append(merge)
            join = Join(stages[-1], repeated) if repeated else None
            if join is not None:
                stages.append(join)
            changing = Changing(stages[-1], self.changes) if self.changes.any else None
            if changing is not None:
                stages.append(changing)
            for source in reversed(given) if on_conflict == "last" else given:
                if merge is not None:
                    merge.next_input(source, self.again(source) if on_conflict == "last" else None)
                for stage in (join, changing):
                    if stage is not None:
                        stage.next_input(source)
                with self.open(source, stages[-1], self.progress) as (pipeline, opened):
                    report.kept = opened
                    if copies and not verify and not isinstance(opened.source, RdbSource) and not opened.is_proven:
                        for outlet in outlets:
                            outlet.exporter.verify = True
                    for outlet in outlets:
                        outlet.exporter.losses.untold |= opened.source.made
                    run = pipeline.run
                    if len(stages) == 1 and not keep_going and _pays(opened.source, checked):
                        run = partial(self.run_in_parts, pipeline, checked)
                    _move(pipeline, opened, report, run, stop=not salvage)
                    if keep_going and not salvage and (pipeline.loss or not opened.is_proven):
                        raise FormatError("something may be damaged", path=source)
                    is_doubtful = isinstance(opened.source, RdbSource) and not opened.is_proven
                    if is_doubtful and copies and not verify and self.can_begin_anew:
                        raise _UnprovenError
                    alone = len(given) == 1 and self.selection.everything
                    _carry(opened, outlets, self.changes, report, alone=alone)
            stages[-1].end()
            _note_losses(stages, self.options, report, self.output)
            for finding in miscount_findings(sum(outlet.exporter.miscounted for outlet in outlets), ", ".join(given)):
                report.findings.add(finding)
            if by_slot is not None and by_slot.elsewhere:
                report.findings.add(_not_in_database_0(by_slot.elsewhere, self.output))
            commit_all([outlet.finish() for outlet in outlets])
            for outlet in outlets:
                report.outputs.append(outlet.path)
                for finding in too_long(outlet.exporter, outlet.path) if self.options.format == "resp" else ():
                    report.findings.add(finding)
                if isinstance(outlet.exporter, RdbOut):
                    report.target = outlet.exporter.target_name
            if merge is not None:
                report.dropped = merge.dropped
                _note_repeated(merge.repeated, report, on_conflict)
            if join is not None:
                report.merged = join.joined
            gone = [report.losses.get(fact, 0) for fact in (*OF_TYPE.values(), MODULE_VALUES, NO_OUTPUT)]
            report.written -= report.dropped + report.merged + sum(gone)

    def run_in_parts(self, pipeline: Pipeline, options: OutputOptions, source: KeySource) -> None:
        """What ``pipeline.run(source)`` does, by several workers where there are such."""
        sharing = self.sharing
        executor = sharing.ready() if sharing.workers > 1 and sharing.memory is None else None
        if executor is not None and isinstance(source, RdbSource):
            from .dump_parts import can_be_parted, move_in_parts

            if can_be_parted(self.selection, options):
                self.in_parts = True
                if move_in_parts(pipeline, source, options, executor, sharing.workers, sharing.portion):
                    return
        pipeline.run(source)

    @contextlib.contextmanager
    def open(
        self, source: str, exporter: Exporter, progress: Progress | None = None
    ) -> Iterator[tuple[Pipeline, OpenedKeys]]:
        """An input, and the pipeline to ``exporter``."""
        distinct = self.on_conflict == "error" and not self.keep_going
        pipeline = Pipeline(
            self.selection, exporter, self.report.findings, keep_going=self.keep_going, distinct=distinct
        )
        beside = self.outputs[0] if os.path.isdir(os.path.dirname(os.path.abspath(self.outputs[0]))) else ""
        opening = {"progress": progress, "aside": pipeline, **self.opening}
        copies = self.options.format == "rdb" and not self.changes.any and not self.options.rdb.envelope
        rdb = self.options.rdb if copies else None
        with open_shared(source, self.sharing, "" if beside == "-" else beside, opening, rdb) as opened:
            yield pipeline, opened

    def again(self, source: str) -> dict[int, dict[bytes, int]]:
        """The keys that an input has more than once, where that can be: it is read for their names."""
        if self.opening["commands"] or self.opening["point"].asked or not is_streamed(source):
            return {}
        return self.repeated([source])

    def repeated(self, sources: Sequence[str]) -> dict[int, dict[bytes, int]]:
        """The keys that come more than once, by database, and how often: the inputs are read for their names. Raises
        `UsageError` for one that cannot be read twice.
        """
        for source in sources:
            is_fifo = os.path.exists(source) and stat.S_ISFIFO(os.stat(source).st_mode)
            if source == "-" or is_fifo or opener_of(source) is not None:
                raise UsageError("cannot be read twice, which merging needs", path=source)
        told = self.report.findings
        kept = self.selection.kept
        self.report.findings = Findings()  # the second time tells the same
        found = Repeated()
        stage = Changing(found, self.changes) if self.changes.any else found
        for source in sources:
            if isinstance(stage, Changing):
                stage.next_input(source)
            with self.open(source, stage) as (pipeline, opened), contextlib.suppress(FormatError):
                pipeline.run(opened.source)
        self.report.findings = told
        self.selection.kept = kept
        return found.keys


def _is_copy(options: OutputOptions, changes: Changes | None) -> bool:
    """Whether a snapshot stays what it is."""
    rdb = options.rdb
    written_anew = rdb.to or rdb.limits or rdb.drop_modules or rdb.envelope or not (rdb.compress and rdb.checksum)
    return options.format == "rdb" and not written_anew and not (changes is not None and changes.any)


def _copied(source: str, output: str, report: ConvertReport, progress: Progress | None) -> ConvertReport:
    """Take over the bytes of a snapshot as they stand."""
    from .fetch import fetch  # runs on files need none of it

    try:
        report.keys, report.target = fetch(source, output, progress)
    except FormatError as e:
        report.findings.add(finding_of(e))
        return report
    report.written = report.keys
    report.outputs = [output]
    return report


def _not_in_database_0(keys: int, output: str) -> Finding:
    message = (
        f"{plural(keys, 'key')} of other databases than 0, where nodes of a cluster end that load them: choose by "
        "--db 0, or renumber by --db-map"
    )
    return Finding(Severity.WARNING, "databases", message, output)


def _note_repeated(repeated: int, report: ConvertReport, on_conflict: Conflict) -> None:
    """Tell of keys that one input has twice; who did not say which counts has lost the others."""
    if not repeated:
        return
    which = "last" if on_conflict == "last" else "first"
    message = f"{plural(repeated, 'copy')} of keys that an input has more than once left out: the {which} one counts"
    report.findings.add(Finding(Severity.WARNING, "duplicate-key", message))
    report.loss = report.loss or on_conflict == "error"


def _files_of(sources: Sequence[str], *, commands: bool) -> tuple[str, ...]:
    """All files that are read, none of which an output may replace."""
    files: list[str] = []
    for source in sources:
        files.append(source)
        if source != "-" and not commands:
            files += locate(source).paths
    return tuple(files)


def _pays(source: KeySource, options: OutputOptions) -> bool:
    """Whether encoding the values of a snapshot takes so much longer than reading it that several processes help."""
    if not isinstance(source, RdbSource):
        return False
    if options.format != "rdb" or options.verify:
        return True
    to, header = options.rdb.to, header_of(source.reader.window)
    return to is not None and header is not None and not to.release.loads(int(header.dialect), int(header.version))


def _move(
    pipeline: Pipeline, opened: OpenedKeys, report: ConvertReport, run: Callable[[KeySource], None], *, stop: bool
) -> None:
    """Move the keys of one input, as ``run`` does it. ``stop``: raise `FormatError` where reading breaks."""
    for finding in opened.findings:
        report.findings.add(finding)
    report.loss = report.loss or opened.loss
    report.mended = report.mended or opened.mended
    report.skipped += opened.skipped
    report.keys += opened.skipped
    try:
        run(opened.source)
    except FormatError as e:
        if stop:
            raise
        report.findings.add(finding_of(e, Severity.WARNING))
        report.loss = True
    pipeline.start(opened.source.facts)
    report.keys += pipeline.keys
    report.written += pipeline.written
    report.skipped += pipeline.skipped
    report.loss = report.loss or pipeline.loss
    if opened.source.empty:
        what = f"{plural(opened.source.empty, 'empty collection')} left out, as servers do when they load the file"
        report.findings.add(Finding(Severity.NOTE, "empty-collection", what, opened.source.path))
    add_counts(report.losses, opened.source.lost)
    if isinstance(opened.source, JsonlSource):
        add_counts(report.losses, opened.source.losses.counts)


def _carry(opened: OpenedKeys, outlets: list[Outlet], changes: Changes, report: ConvertReport, *, alone: bool) -> None:
    """Hand on the commands of a log that are kept. ``alone``: all keys of this input are in the output, and no others.

    Raises `UnsupportedError` where the keys without the commands would be what no server ever had.
    """
    carried = opened.carried
    if not carried:
        return
    for command in carried:
        command.db = changes.new_db(command.db)
    if len(outlets) == 1 and outlets[0].takes_commands:
        if not alone:
            raise UnsupportedError(
                "which keys the commands touch that are kept (--unknown carry) is not known: they stay with all keys "
                "of their log, and with those only",
                path=opened.source.path,
            )
        outlets[0].carried += carried
    elif opened.followers:
        raise UnsupportedError(
            f"the output cannot hold commands, and those that are kept (--unknown carry) bring {opened.followers} "
            "later ones along: write an append-only file, or leave them out (--unknown skip)",
            path=opened.source.path,
        )
    else:
        add_counts(report.losses, {"commands that no server has": len(carried)})


def _note_losses(stages: list[Exporter], options: OutputOptions, report: ConvertReport, output: str) -> None:
    for stage in stages:
        add_counts(report.losses, stage.losses.counts)
    if not report.losses:
        return
    if options.lossless:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(report.losses.items()))
        raise UnsupportedError(f"cannot be kept: {kinds}", path=output, doing="writing")
    report.loss = True
    for finding in loss_findings(report.losses, output):
        report.findings.add(finding)
