"""How reports look: words, numbers, colours, tables, and JSON."""

from __future__ import annotations

import sys
from typing import Any, Final, TextIO

from rdbtool import findings
from rdbtool.errors import printable, printable_text
from rdbtool.findings import Alike, Finding, Findings, Severity

from .console import colours_wanted, console

SCHEMA: Final = 1
"""The version of the JSON that reports are written as. Fields may be added to it; none changes its meaning."""

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
SEVERITY_COLOURS: Final = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """``text`` in a colour, where ``stream`` (standard output by default) wants any."""
    if not colours_wanted(stream or sys.stdout):
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


def finding_line(finding: Finding, alike: Alike | None = None, stream: TextIO | None = None) -> str:
    """One line for ``stream``: severity, code, place, key, message; ``alike``: how many more are like it."""
    parts = [paint(f"{finding.severity.name.lower():7}", SEVERITY_COLOURS[finding.severity], stream), finding.code]
    if finding.offset >= 0:
        parts.append(f"at offset {finding.offset}")
    if finding.key is not None:
        where = f" in db {finding.db}" if finding.db > 0 else ""
        parts.append(f"key '{printable(finding.key)}'{where}")
    tail = f" (while {finding.doing})" if finding.doing else ""
    if alike is not None:
        until = f", the last at offset {alike.last.offset}" if alike.last.offset >= 0 else ""
        tail += f" ({number(alike.count)} like this{until})"
    return f"{' '.join(parts)}: {finding.message}{tail}"


def findings_lines(found: Findings, *, all_of_them: bool = False, stream: TextIO | None = None) -> list[str]:
    """The findings for ``stream``, the worst first, each kind in the order they were made, many of one kind as one line
    unless ``all_of_them``.
    """
    shown = [(finding, None) for finding in found.items] if all_of_them else found.condensed()
    lines = []
    for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE):
        lines += [finding_line(finding, alike, stream) for finding, alike in shown if finding.severity is severity]
    return lines + (unkept_lines(found) if all_of_them else [])


def print_findings(found: Findings) -> None:
    """Print the findings to standard error; where all is to be quiet, those that tell of a problem."""
    if console.quiet and found.worst is Severity.NOTE:
        return
    for line in findings_lines(found, stream=sys.stderr):
        print(line, file=sys.stderr)


def unkept_lines(found: Findings) -> list[str]:
    """How many findings there are that are not kept, a line for each code."""
    return [
        f"... and {number(count - found.kept)} more of {code}"
        for code, count in found.counts.items()
        if count > found.kept
    ]


def table(rows: list[list[str]]) -> list[str]:
    """Rows as lines with aligned columns; the first row is the heading. Numbers stand to the right."""
    columns = range(len(rows[0]))
    widths = [max(len(row[i]) for row in rows) for i in columns]
    numeric = [all(row[i].replace(",", "").isdigit() or not row[i] for row in rows[1:]) for i in columns]
    lines = []
    for row in rows:
        cells = [row[i].rjust(widths[i]) if numeric[i] else row[i].ljust(widths[i]) for i in range(len(row))]
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
    import json  # only those who ask for it wait for it

    text = json.dumps(facts, indent=indent, ensure_ascii=True)
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is
