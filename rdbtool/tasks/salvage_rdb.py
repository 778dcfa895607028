"""Write a sound snapshot with everything that can be read of a damaged one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from rdbtool.errors import FormatError, UsageError
from rdbtool.findings import Finding, Report, Severity, plural
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.keys import RdbSource
from rdbtool.inputs.salvaging import salvaged
from rdbtool.inputs.selection import Selection
from rdbtool.io.random_access import Pages
from rdbtool.io.sink import commit_all
from rdbtool.outputs.losses import loss_findings
from rdbtool.outputs.merging import Merge
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.outlets import open_outlet
from rdbtool.outputs.pipeline import Pipeline
from rdbtool.outputs.rdb import RdbOut
from rdbtool.rdb.salvage.salvaged import Salvaged

ANY_LOSS: Final = -1


@dataclass(slots=True, kw_only=True)
class SalvageRdbReport(Report):
    """What was saved. ``result``: what was found in the file at ``path``; ``output``: where it went; ``written``: keys;
    ``dropped``: left out because they came before; ``target``: the release that it was written for.
    """

    path: str
    output: str
    result: Salvaged
    written: int = 0
    dropped: int = 0
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
    with salvaged(path, partial=partial, progress=progress) as (result, pages):
        report = SalvageRdbReport(path=path, output=output, result=result)
        if not result.runs:
            raise FormatError("no records of an RDB can be found in it", path=path, doing="salvaging")
        if 0 <= max_lost < result.lost_bytes:
            raise UsageError(
                f"{plural(result.lost_bytes, 'byte')} would be lost, more than the {max_lost:,} allowed", path=path
            )
        for finding in salvage_findings(result, path):
            report.findings.add(finding)
        report.loss = not result.whole
        _write(report, pages, options or RdbOptions())
    return report


def _write(report: SalvageRdbReport, pages: Pages, options: RdbOptions) -> None:
    result = report.result
    form = OutputOptions("rdb", rdb=options, verify=result.miscounted > 0)
    told = len(report.findings.items)
    with open_outlet(report.output, form, (report.path,)) as outlet:
        merge = Merge(outlet.exporter, refuse=False)
        merge.next_input(report.path)
        pipeline = Pipeline(Selection(), merge, report.findings, keep_going=True)
        source = RdbSource(result.window(pages), checksum=False)
        pipeline.run(source)
        merge.end()
        if isinstance(outlet.exporter, RdbOut):
            report.target = outlet.exporter.target_name
        report.losses = {**outlet.exporter.losses.counts, **source.lost}
        report.dropped = merge.repeated
        report.written = int(pipeline.written) - merge.repeated
        if merge.repeated:
            what = f"{plural(merge.repeated, 'copy')} of keys that came before left out: the first counts"
            report.findings.add(Finding(Severity.WARNING, "duplicate-key", what, report.path))
        for finding in loss_findings(report.losses, report.output):
            report.findings.add(finding)
        report.loss = report.loss or pipeline.loss or merge.repeated > 0 or bool(report.losses)
        commit_all([outlet.finish()])
    _locate(report, told)


def _locate(report: SalvageRdbReport, told: int) -> None:
    """Turn offsets in the sound RDB into those in the file."""
    items = report.findings.items
    for i in range(told, len(items)):
        finding = items[i]
        if finding.offset >= 0:
            offset = report.result.offset_in_file(finding.offset)
            items[i] = Finding(
                finding.severity, finding.code, finding.message, finding.path, offset, finding.key, finding.db,
                finding.doing,
            )  # fmt: skip


def salvage_findings(result: Salvaged, path: str) -> list[Finding]:
    """What is to be said of a file of which not all can be read."""
    found: list[Finding] = []

    def note(code: str, message: str, offset: int = -1, key: bytes | None = None) -> None:
        found.append(Finding(Severity.WARNING, code, message, path, offset, key))

    if result.line_ends:
        note("line-ends", "LF had become CR LF all over, as in a copy made as text: it is turned back")
    for lost in result.lost:
        size = plural(int(lost.end - lost.start), "byte")
        kept = f"; {plural(int(lost.elements), 'element')} of it kept" if lost.put else ""
        note(lost.code, f"{size} left out: {lost.message}{kept}", int(lost.start), lost.keys[0] if lost.keys else None)
    for run in result.runs:
        if not run.sure_of_db and run.keys:
            note(
                "database-uncertain",
                f"{plural(int(run.keys), 'key')} from here on are taken for keys of database {run.db}: whether another "
                "was chosen in what is lost before them cannot be told",
                int(run.start),
            )
    if not result.complete:
        note("no-end", "the end mark is not there: what stood behind the last record is lost", int(result.size))
    if result.checksum == "bad":
        note(
            "checksum",
            "the checksum differs"
            + ("" if result.lost else ", and every record is in form")
            + f": at most {plural(int(result.plain), 'value')} of plain text may be wrong",
        )
    if result.headless:
        version = f"{('Redis', 'Valkey')[result.dialect]} RDB version {result.version}"
        note("header", f"the header is lost: what is there was read as {version}", 0)
    return found
