"""Write a sound snapshot with everything that can be read of a damaged one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from rdbtool.errors import SALVAGING, FormatError, UsageError
from rdbtool.findings import Finding, Findings, Report, Severity, plural
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.opening import source_of_salvaged
from rdbtool.inputs.salvaging import SalvagedFile, open_salvaged
from rdbtool.inputs.selection import Selection
from rdbtool.io.sink import commit_all
from rdbtool.outputs.losses import loss_findings
from rdbtool.outputs.merging import Merge
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.outlets import open_outlet
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.rdb import RdbOut
from rdbtool.rdb.events import Function, FunctionPreGa
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.salvage.salvaged import Salvaged

ANY_LOSS: Final = -1


@dataclass(slots=True, kw_only=True)
class SalvageRdbReport(Report):
    """What was saved. ``result``: what was found in the file at ``path``; ``output``: where it went; ``written``: keys;
    ``dropped``: left out because they came before; ``in_doubt``: nothing is lost, and yet something may be wrong;
    ``target``: the release that it was written for.
    """

    path: str
    output: str
    result: Salvaged
    written: int = 0
    dropped: int = 0
    in_doubt: bool = False
    target: str = ""
    losses: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        return {
            "output": self.output,
            "written": self.written,
            "dropped": self.dropped,
            "target": self.target,
            "losses": self.losses,
            **self.result.as_json(),
            "loss": self.loss,
            "findings": [f.as_json() for f in self.findings.items],
        }


def salvage_rdb(
    path: str,
    output: str,
    *,
    options: RdbOptions | None = None,
    partial: bool = False,
    max_lost: int = ANY_LOSS,
    progress: Progress | None = None,
) -> SalvageRdbReport:
    """Write what can be read of the RDB at ``path`` to ``output``, ``-`` for either of the standard streams.

    ``partial``: keep the elements that can be read of damaged collections; ``max_lost``: bytes that may be lost at
    most, -1 for any. Raises `FormatError` where no key can be found, `UsageError` where more would be lost than may be,
    `InputError`, `OutputError`; then nothing is written.
    """
    with open_salvaged(path, partial=partial, progress=progress) as source:
        result = source.result
        report = SalvageRdbReport(path=path, output=output, result=result)
        if not result.runs:
            raise FormatError("no records of an RDB can be found in it", path=path, doing=SALVAGING)
        if result.lacking and not result.keys and not _has_libraries(source):
            raise FormatError("no key can be read of it", path=path, doing=SALVAGING)
        if 0 <= max_lost < result.lost_bytes:
            raise UsageError(
                f"{plural(result.lost_bytes, 'byte')} would be lost, more than the {max_lost:,} allowed", path=path
            )
        for finding in source.findings():
            report.findings.add(finding)
        report.loss = result.lossy
        report.mended = result.mended
        _write(report, source, options or RdbOptions())
    return report


def _has_libraries(source: SalvagedFile) -> bool:
    """Whether there are functions among what can be read."""
    reader = RdbReader(source.window(), checksum=False)
    return any(isinstance(event, (Function, FunctionPreGa)) for event in reader)


def _write(report: SalvageRdbReport, source: SalvagedFile, options: RdbOptions) -> None:
    form = OutputOptions("rdb", rdb=options, verify=report.result.miscounted > 0)
    told = Findings()
    with open_outlet(report.output, form, (report.path,)) as outlet:
        merge = Merge(outlet.exporter, refuse=False)
        merge.next_input(report.path)
        pipeline = Pipeline(Selection(), merge, told, keep_going=True)
        keys, found = source_of_salvaged(source)
        for finding in found:
            report.findings.add(finding)
        pipeline.run(keys)
        merge.end()
        if isinstance(outlet.exporter, RdbOut):
            report.target = outlet.exporter.target_name
        report.losses = {**outlet.exporter.losses.counts, **keys.lost}
        report.dropped = merge.repeated
        report.written = int(pipeline.written) - merge.repeated
        if merge.repeated:
            what = f"{plural(merge.repeated, 'copy')} of keys that came before left out: the first counts"
            report.findings.add(Finding(Severity.WARNING, "duplicate-key", what, report.path))
        for finding in [*map(source.located, told.items), *loss_findings(report.losses, report.output)]:
            report.findings.add(finding)
        lacking = report.result.lacking or pipeline.loss or merge.repeated > 0 or bool(report.losses)
        report.in_doubt = report.loss and not lacking
        report.loss = report.loss or lacking
        commit_all([outlet.finish()])
