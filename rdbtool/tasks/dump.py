"""Show what a snapshot or a log holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rdbtool.aof.names import uncarried
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import FormatError
from rdbtool.findings import Finding, Report, Severity, finding_of
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.keys import RdbSource
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.outputs.exporter import Exporter
from rdbtool.outputs.losses import loss_findings, miscount_findings
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.resp import too_long

from .sharing import UNSHARED, Sharing, open_shared

if TYPE_CHECKING:
    from concurrent.futures import Executor


@dataclass(slots=True, kw_only=True)
class DumpReport(Report):
    """``keys``: seen in the input; ``written``; ``skipped``: left out because their bytes are damaged;
    ``missing``: keys that were named and are not there; ``losses``: what the format cannot say, by kind; ``output``:
    the file that was written, "" for none.
    """

    path: str
    keys: int = 0
    written: int = 0
    skipped: int = 0
    missing: list[bytes] = field(default_factory=list)
    losses: dict[str, int] = field(default_factory=dict)
    output: str = ""


def dump(
    path: str,
    exporter: Exporter,
    selection: Selection | None = None,
    *,
    keep_going: bool = False,
    point: PointInTime = WHOLE,
    unknown: str = "stop",
    commands: bool = False,
    progress: Progress | None = None,
    server: Server = STOCK_SERVER,
    executor: Executor | None = None,
    workers: int = 0,
    portion: int = 0,
    options: OutputOptions | None = None,
    to: str = "standard output",
    partitions: int = 0,
) -> DumpReport:
    """Write the keys at ``path`` that ``selection`` wants to ``exporter``.

    Functions and data of modules go along where nothing is left out. Damage ends it with a finding, after what
    could be read; with ``keep_going``, a key whose bytes are framed but damaged is left out and listed. For
    the other parameters see `inputs.opening.open_keys`. With an ``executor`` and the ``options`` that the exporter was
    made with, parts of a plain RDB, of about ``portion`` bytes, are encoded side by side by so many ``workers``, where
    the format and the selection allow it; what is written is the same. A log is replayed by so many ``partitions`` of
    its keys, or by as many as the memory limit of the ``server`` asks for, of which so many ``workers`` do one each:
    keys of a database come in another order then. ``to``: what the exporter writes to, for messages. Raises
    `InputError`, `OutputError`, `UsageError`, `UnsupportedError`, `LostWorkerError`.
    """
    selection = Selection() if selection is None else selection
    exporter.verify = keep_going
    report = DumpReport(path=path)
    pipeline = Pipeline(selection, exporter, report.findings, beside=selection.everything, keep_going=keep_going)
    lost: dict[str, int] = {}
    skipped = 0
    try:
        opening = {
            "point": point,
            "unknown": uncarried(unknown),
            "commands": commands,
            "progress": progress,
            "aside": pipeline,
            "server": server,
            "keep_going": keep_going,
            "name": selection.one_name,
        }
        sharing = Sharing(partitions, None, max(workers, 1), server.memory_limit)
        with open_shared(path, sharing if sharing.is_asked else UNSHARED, "", opening) as opened:
            for finding in opened.findings:
                report.findings.add(finding)
            report.loss = opened.loss
            report.mended = opened.mended
            skipped = opened.skipped
            exporter.losses.untold |= opened.source.made
            try:
                source = opened.source
                moved = False
                if executor is not None and options is not None and not keep_going and isinstance(source, RdbSource):
                    from .dump_parts import can_be_parted, move_in_parts
                    from .workers import cores

                    moved = can_be_parted(selection, options) and move_in_parts(
                        pipeline, source, options, executor, workers or cores(), portion
                    )
                if not moved:
                    pipeline.run(source)
            finally:
                pipeline.start(opened.source.facts)
                lost = opened.source.lost
    except FormatError as e:
        report.findings.add(finding_of(e, Severity.WARNING if keep_going and pipeline.begun else Severity.ERROR))
        report.loss = report.loss or (keep_going and pipeline.begun)
    finally:
        if pipeline.begun:
            exporter.end()
    report.keys = pipeline.keys + skipped
    report.written = pipeline.written
    report.skipped = pipeline.skipped + skipped
    report.losses = {**exporter.losses.counts, **lost}
    for finding in [*loss_findings(report.losses, to), *too_long(exporter, to)]:
        report.findings.add(finding)
    for finding in miscount_findings(exporter.miscounted, path):
        report.findings.add(finding)
    report.loss = report.loss or bool(report.losses) or pipeline.loss
    report.missing = selection.missing
    for key in report.missing:
        report.findings.add(Finding(Severity.ERROR, "no-such-key", "there is no such key", path, key=key))
    return report
