"""What is told and written of a snapshot, by one process and by parts, to be compared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rdbtool.analysis.contents import Contents, Wanted
from rdbtool.analysis.prefixes import Prefixes
from rdbtool.basics.text import mode_of
from rdbtool.cli.info_output import facts_of as facts_of_info
from rdbtool.cli.memory import By
from rdbtool.cli.memory_output import facts_of as facts_of_memory
from rdbtool.errors import RdbToolError
from rdbtool.inputs.selection import Selection
from rdbtool.io.output import Output
from rdbtool.outputs.key_rows import CsvRows, JsonRows
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.registry import make_exporter
from rdbtool.tasks.digest import digest
from rdbtool.tasks.dump import dump
from rdbtool.tasks.info import info
from rdbtool.tasks.memory import memory


def wanted(limit: int = 10_000) -> Wanted:
    return Wanted(top=3, prefixes=Prefixes(depth=2, limit=limit), slots=limit == 1, now_ms=1_700_000_000_000)


def listed(contents: Contents) -> object:
    """All that is counted, in its order."""
    tops = (contents.by_bytes, contents.by_size, contents.by_elements, contents.by_freq, contents.by_idle)
    tallies = [(name, tally.as_json()) for name, tally in [*contents.stored.items(), *contents.dbs.items()]]
    ranked = [[(value, key.db, key.key, key.offset) for value, key in top.ranked()] for top in tops]
    assert contents.prefixes is not None
    tree = contents.prefixes.tree().as_json(bytes)
    return tallies, ranked, tree, int(contents.prefixes.folded), list(contents.slot_keys), int(contents.field_expiries)


def counted(path: Path, workers: int, portion: int, selection: Selection | None = None, limit: int = 10_000) -> object:
    """What info and memory tell. ``workers``: 0 for one process."""
    found: list[object] = []
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        executor = pool if workers else None
        try:
            report = info(path, wanted(limit), executor=executor, workers=workers, portion=portion)
            found += [facts_of_info(report), report.findings.items, report.partial, listed(report.contents)]
        except RdbToolError as e:
            found += [str(e), e.code]
        try:
            measured = memory(
                path, wanted(limit), selection=selection, executor=executor, workers=workers, portion=portion
            )
            findings = [finding for finding in measured.findings.items if finding.code != "replayed"]
            found += [facts_of_memory(measured, By.MEMORY), findings, measured.partial, listed(measured.contents)]
        except RdbToolError as e:
            found += [str(e), e.code]

    return found


def digested(path: Path, portion: int, selection: Selection | None = None) -> object:
    """``portion``: 0 for one process."""
    try:
        if not portion:
            report = digest(path, selection=selection)
        else:
            with ThreadPoolExecutor(2) as executor:
                report = digest(path, selection=selection, executor=executor, workers=2, portion=portion)
    except RdbToolError as e:
        return str(e), e.code
    return report.as_json(), report.keys, report.left_out, report.loss


class Kept:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def rows_of(path: Path, kind: str, workers: int, portion: int, selection: Selection | None = None) -> object:
    """A line for each measured key, and what is told. ``workers``: 0 for one process."""
    kept = Kept()
    rows = (
        CsvRows(Output(kept), mode_of("auto"), safe=True)
        if kind == "csv"
        else JsonRows(Output(kept), mode_of("hex"), 1)
    )
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        try:
            report = memory(
                path,
                rows=rows,
                selection=selection,
                largest=True,
                executor=pool if workers else None,
                workers=workers,
                portion=portion,
            )
        except RdbToolError as e:
            return kept.data, str(e)
    findings = [finding for finding in report.findings.items if finding.code != "replayed"]
    return kept.data, findings, report.partial, report.contents.total.as_json()


def dumped(path: Path, options: OutputOptions, selection: Selection, portion: int) -> tuple[bytes, object]:
    """The bytes, and what is told. ``portion``: 0 for one process."""
    kept = Kept()
    exporter = make_exporter(Output(kept), options)
    try:
        if portion:
            with ThreadPoolExecutor(2) as executor:
                report = dump(
                    str(path), exporter, selection, executor=executor, workers=2, portion=portion, options=options
                )
        else:
            report = dump(str(path), exporter, selection)
    except RdbToolError as e:
        return kept.data, (str(e), e.code)
    facts = (report.keys, report.written, report.skipped, report.losses, report.loss, report.failed)
    return kept.data, (facts, report.findings.items, report.findings.counts)
