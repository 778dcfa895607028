"""What ``rdbtool check-rdb --salvage`` prints."""

from __future__ import annotations

from typing import Final, TextIO

from rdbtool.errors import printable
from rdbtool.rdb.salvage.salvaged import IN_A_ROW, IN_STEP, TO_THE_END, Lost, Run
from rdbtool.tasks.salvage_rdb import SalvageRdbReport

from .render import finding_line, number, paint, plural, show_path, size

SHOWN: Final = 20
"""Runs, and lost ranges, that are shown."""
SHOWN_NAMES: Final = 5
"""Names of lost keys that are shown of a range."""
_SURE: Final = {
    IN_STEP: "in step from the header on",
    TO_THE_END: "found behind damage, and led to the end mark",
    IN_A_ROW: "found behind damage, by the number of records that follow each other",
}


def print_salvaged(report: SalvageRdbReport, stream: TextIO) -> None:
    """What was read, what is lost, and where the rest went."""
    result = report.result
    lines: list[str] = []
    lines.append("read")
    lines += [f"  {_run_line(run)}" for run in result.runs[:SHOWN]]
    if len(result.runs) > SHOWN:
        lines.append(f"  ... and {plural(len(result.runs) - SHOWN, 'run')} more")
    if result.lost:
        bytes_lost = sum(int(lost.end - lost.start) for lost in result.lost)
        label = "lost     " if result.lacking else "left out "
        lines.append(f"{label} {number(bytes_lost)} bytes of {number(int(result.size))}{_rounded(bytes_lost)}")
        lines += [f"  {line}" for lost in result.lost[:SHOWN] for line in _lost_lines(lost, int(result.size))]
        if len(result.lost) > SHOWN:
            lines.append(f"  ... and {plural(len(result.lost) - SHOWN, 'range')} more")
    shown = {lost.code for lost in result.lost}
    lines += [finding_line(*one) for one in report.findings.condensed() if one[0].code not in shown]
    where = "standard output" if report.output == "-" else show_path(report.output)
    behind = f", {number(result.behind)} of them from behind the damage" if result.behind else ""
    lines.append(f"{_head(report)}: {plural(report.written, 'key')}{behind}, to {where} for {report.target}")
    for line in lines:
        print(line, file=stream)


def _head(report: SalvageRdbReport) -> str:
    if report.in_doubt:
        return paint("saved, and not all of it is certain", "yellow")
    if report.loss:
        return paint("saved with loss", "yellow")
    return paint("saved, and nothing is lost" if report.mended else "saved", "green")


def _rounded(n: int) -> str:
    return f" ({size(n)})" if n >= 1024 else ""


def _run_line(run: Run) -> str:
    db = f" from database {run.db} on" if run.db else ""
    return f"{number(int(run.start))} to {number(int(run.end))}: {plural(int(run.keys), 'key')}{db}, {_SURE[run.sure]}"


def _lost_lines(lost: Lost, total: int) -> list[str]:
    reaches = "the end" if int(lost.end) == total else number(int(lost.end))
    kept = f"; {plural(int(lost.elements), 'element')} kept" if lost.put else ""
    lines = [
        f"{number(int(lost.start))} to {reaches}: {plural(int(lost.end - lost.start), 'byte')} ({lost.message}){kept}"
    ]
    lines += [f"  {printable(key)}" for key in lost.keys[:SHOWN_NAMES]]
    if len(lost.keys) > SHOWN_NAMES:
        lines.append(f"  ... and {plural(len(lost.keys) - SHOWN_NAMES, 'key')} more")
    return lines
