"""How reports look: words, numbers, colours, tables, and JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final

from rdbtool import findings
from rdbtool.errors import printable, printable_text
from rdbtool.findings import KEPT_PER_CODE, Finding, Findings, Severity

SCHEMA: Final = 1
"""The version of the JSON that reports are written as. Fields may be added to it; none changes its meaning."""

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
SEVERITY_COLOURS: Final = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def paint(text: str, colour: str) -> str:
    """``text`` in a colour, where standard output is a terminal that wants any."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def number(n: int) -> str:
    """A number with its thousands apart."""
    return f"{n:,}"


def size(n: int) -> str:
    """A number of bytes, for reading: ``1.5 GiB``."""
    value = float(n)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{n} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


plural: Final = findings.plural
"""``1 key``, ``2,000 keys``, ``2 entries``."""


def finding_line(finding: Finding) -> str:
    """One line: severity, code, place, key, message."""
    parts = [paint(f"{finding.severity.name.lower():7}", SEVERITY_COLOURS[finding.severity]), finding.code]
    if finding.offset >= 0:
        parts.append(f"at offset {finding.offset}")
    if finding.key is not None:
        where = f" in db {finding.db}" if finding.db > 0 else ""
        parts.append(f"key '{printable(finding.key)}'{where}")
    tail = f" (while {finding.doing})" if finding.doing else ""
    return f"{' '.join(parts)}: {finding.message}{tail}"


def findings_lines(found: Findings) -> list[str]:
    """All findings, the worst first, each kind in the order they were made."""
    lines = []
    for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE):
        lines += [finding_line(finding) for finding in found.of(severity)]
    for code, count in found.counts.items():
        if count > KEPT_PER_CODE:
            lines.append(f"... and {number(count - KEPT_PER_CODE)} more of {code}")
    return lines


def table(rows: list[list[str]]) -> list[str]:
    """Rows as lines with aligned columns; the first row is the heading. Numbers stand to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for i, cell in enumerate(row):
            numeric = all(other[i].replace(",", "").isdigit() or not other[i] for other in rows[1:])
            cells.append(cell.rjust(widths[i]) if numeric else cell.ljust(widths[i]))
        lines.append("  ".join(cells).rstrip())
    return lines


def show_path(path: str) -> str:
    """A path as it may be shown."""
    return "standard input" if path == "-" else printable_text(path)


def print_json(command: str, facts: dict[str, Any]) -> None:
    """Print one JSON document."""
    print(json_text({"schema": SCHEMA, "command": command, **facts}, indent=2))


def json_text(facts: dict[str, Any], *, indent: int | None = None) -> str:
    """JSON that no terminal acts on."""
    text = json.dumps(facts, indent=indent, ensure_ascii=True)
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is
