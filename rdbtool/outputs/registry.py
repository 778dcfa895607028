"""The output formats by name."""

from __future__ import annotations

from typing import Final

from rdbtool.basics.text import AUTO
from rdbtool.errors import UsageError
from rdbtool.io.output import Output

from .csv import Csv
from .exporter import Exporter
from .json_document import JsonDocument
from .jsonl import JsonLines
from .keys import Keys
from .resp import Resp
from .summary import SummaryLines, SummaryRows
from .table import Plain, Table

FORMATS: Final = ("jsonl", "json", "csv", "resp", "table", "keys")


def exporter(
    name: str, output: Output, mode: int = AUTO, *, values: bool = True, nul: bool = False, width: int = 120
) -> Exporter:
    """An exporter of that format.

    ``mode``: how bytes become text; ``values``: whether values are written; ``nul``: keys end in NUL instead of
    LF; ``width``: characters of a line of the table. ``plain`` is for people, and whole. Raises `UsageError`.
    """
    if name == "jsonl":
        return JsonLines(output, mode) if values else SummaryLines(output, mode)
    if name == "csv":
        return Csv(output, mode) if values else SummaryRows(output, mode)
    if name == "table":
        return Table(output, mode, width=width, values=values)
    if name == "plain":
        return Plain(output, mode)
    if name == "keys":
        return Keys(output, mode, nul=nul)
    if not values:
        raise UsageError(f"{name} without values is not to be had: take jsonl, csv, table, or keys only")
    if name == "json":
        return JsonDocument(output, mode)
    if name == "resp":
        return Resp(output)
    raise UsageError(f"unknown format '{name}'; known are {', '.join(FORMATS)}")
