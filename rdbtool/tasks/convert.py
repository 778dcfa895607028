"""Write what snapshots and logs hold in another form, or for another server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from rdbtool.aof.layout import locate
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.basics.text import AUTO, UTF8
from rdbtool.errors import FormatError, UnsupportedError, UsageError
from rdbtool.findings import Finding, Report, Severity, finding_of, plural
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.filters import slot_ranges
from rdbtool.inputs.jsonl import JsonlSource
from rdbtool.inputs.opening import OpenedKeys, open_keys, repeated_keys
from rdbtool.inputs.selection import Selection
from rdbtool.io.sink import commit_all
from rdbtool.outputs.exporter import Exporter
from rdbtool.outputs.losses import loss_findings
from rdbtool.outputs.merging import Merge
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.outlets import Outlet, open_outlet
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.rdb import RdbOut
from rdbtool.outputs.registry import row_of
from rdbtool.outputs.sharding import NO_OUTPUT, BySlot
from rdbtool.servers.slots import SLOTS

Conflict: TypeAlias = Literal["error", "first", "last"]


@dataclass(slots=True, kw_only=True)
class ConvertReport(Report):
    """``outputs``: the paths written; ``keys``: seen; ``written``; ``skipped``: left out because their bytes are
    damaged; ``dropped``: left out because another input has them; ``losses``: what could not be kept, by kind;
    ``target``: the release an RDB was written for.
    """

    sources: list[str]
    outputs: list[str] = field(default_factory=list)
    keys: int = 0
    written: int = 0
    skipped: int = 0
    dropped: int = 0
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
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 254:
        raise UsageError(f"not a split: {text!r} (a number of outputs up to 254, or slots=0-5460,5461-16383)")
    count = int(text)
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
    stem, ending = os.path.splitext(bare)
    return f"{stem}-{part}{ending}" + path[len(bare) :]


def convert(
    sources: Sequence[str],
    output: str,
    options: OutputOptions,
    selection: Selection | None = None,
    *,
    split: str = "",
    on_conflict: Conflict = "error",
    keep_going: bool = False,
    point: PointInTime = WHOLE,
    unknown: str = "stop",
    commands: bool = False,
    source_mode: int = AUTO,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write the keys of ``sources`` that ``selection`` wants to ``output``, as ``options`` say.

    ``split``: to several outputs by hash slot (`shard_ranges`); ``on_conflict``: what to do about a key that several
    inputs have; ``keep_going``: leave out damaged keys, and take what can be read of damaged files, with ``loss``;
    ``source_mode``: how JSON lines without a header say bytes; the others as for `inputs.opening.open_keys`.

    Damage is an error finding, and then nothing is written. Raises `InputError`, `OutputError`, `UsageError`,
    `UnsupportedError`.
    """
    if options.mode == UTF8 and row_of(options.format).text and options.lossless:
        raise UsageError("with --bytes utf8, what is not UTF-8 is lost")
    selection = Selection() if selection is None else selection
    report = ConvertReport(sources=list(sources))
    ordered = list(reversed(sources)) if on_conflict == "last" else list(sources)
    ranges = shard_ranges(split) if split else []
    if ranges and output == "-":
        raise UsageError("several outputs cannot all go to standard output")
    paths = [shard_path(output, *span) for span in ranges] or [output]
    inputs = _files_of(sources, commands=commands)
    checked = replace(options, verify=keep_going)
    try:
        with contextlib.ExitStack() as stack:
            outlets = [stack.enter_context(open_outlet(path, checked, inputs)) for path in paths]
            stages = [outlet.exporter for outlet in outlets]
            if ranges:
                stages.append(BySlot(list(stages), ranges))
            merges = len(sources) > 1 or keep_going or on_conflict != "error"
            merge = Merge(stages[-1], refuse=on_conflict == "error") if merges else None
            if merge is not None:
                stages.append(merge)
            for source in ordered:
                if merge is not None:
                    last = on_conflict == "last" and not commands and not point.asked
                    merge.next_input(source, repeated_keys(source, source_mode) if last else None)
                distinct = on_conflict == "error" and not keep_going
                pipeline = Pipeline(selection, stages[-1], report.findings, keep_going=keep_going, distinct=distinct)
                with open_keys(
                    source,
                    point=point,
                    unknown=unknown,
                    commands=commands,
                    to=options.rdb.to,
                    mode=source_mode,
                    progress=progress,
                    aside=pipeline,
                    keep_going=keep_going,
                ) as opened:
                    report.kept = opened
                    for outlet in outlets:
                        outlet.exporter.losses.untold |= opened.source.made
                    _move(pipeline, opened, report)
                    _carry(opened, outlets, report)
            stages[-1].end()
            _note_losses(stages, options, report, output)
            commit_all([outlet.finish() for outlet in outlets])
            for outlet in outlets:
                report.outputs.append(outlet.path)
                if isinstance(outlet.exporter, RdbOut):
                    report.target = outlet.exporter.target_name
            if merge is not None:
                report.dropped = merge.dropped
                report.written -= merge.dropped
                _note_repeated(merge.repeated, report, on_conflict)
            if ranges:
                report.written -= stages[len(outlets)].losses.counts.get(NO_OUTPUT, 0)
    except FormatError as e:
        report.findings.add(finding_of(e))
        report.outputs = []
    return report


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


def _move(pipeline: Pipeline, opened: OpenedKeys, report: ConvertReport) -> None:
    """Move the keys of one input."""
    for finding in opened.findings:
        report.findings.add(finding)
    report.loss = report.loss or opened.loss
    try:
        pipeline.run(opened.source)
    except FormatError as e:
        if not pipeline.keep_going:
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
    _add(report.losses, opened.source.lost)
    if isinstance(opened.source, JsonlSource):
        _add(report.losses, opened.source.losses.counts)


def _carry(opened: OpenedKeys, outlets: list[Outlet], report: ConvertReport) -> None:
    """Hand on the commands of a log that no server knows."""
    carried = opened.carried
    if not carried:
        return
    if len(outlets) == 1 and outlets[0].takes_commands:
        outlets[0].carried += carried
    else:
        _add(report.losses, {"commands that no server has": len(carried)})


def _note_losses(stages: list[Exporter], options: OutputOptions, report: ConvertReport, output: str) -> None:
    for stage in stages:
        _add(report.losses, stage.losses.counts)
    if not report.losses:
        return
    if options.lossless:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(report.losses.items()))
        raise UnsupportedError(f"cannot be kept: {kinds}", path=output, doing="writing")
    report.loss = True
    for finding in loss_findings(report.losses, output):
        report.findings.add(finding)


def _add(counts: dict[str, int], more: dict[str, int]) -> None:
    for kind, count in more.items():
        counts[kind] = counts.get(kind, 0) + count
