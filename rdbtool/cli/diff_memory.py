"""What ``rdbtool diff --memory`` prints, and its JSON."""

from __future__ import annotations

import sys
from typing import Any, Final

from rdbtool.tasks.memory import ContentsReport, Growth, growth

from .memory_output import ALL, key_text, partial_text, text_of
from .render import findings_lines, number, print_json, show_path, size
from .screens import Screen, show

LINES: Final = 40
"""Prefixes that are shown where nobody asks for more."""


def show_growth(before: ContentsReport, after: ContentsReport, limit: int | None, *, as_json: bool) -> bool:
    """Print which prefixes grew and which shrank. Returns whether none did."""
    changes = growth(before.contents, after.contents)
    sums, *changed = changes
    shown = changed[: LINES if limit is None and not as_json else limit]
    if as_json:
        print_json("diff", _json(before, after, sums, shown))
    else:
        _print(before, after, sums, shown, len(changed))
    for report in (before, after):
        for line in findings_lines(report.findings):
            print(line, file=sys.stderr)
    return not changed and sums.grown == 0 and sums.keys_before == sums.keys_after


def _print(before: ContentsReport, after: ContentsReport, sums: Growth, shown: list[Growth], changed: int) -> None:
    names = [show_path(report.files[0].path) for report in (before, after)]
    screen = Screen(f"memory of {names[0]} and {names[1]} on {after.files[0].release.name}")
    screen.partial = "; ".join(text for text in (partial_text(before), partial_text(after)) if text)
    rows = [["prefix", "keys before", "keys after", "before", "after", "grown by"]]
    rows += [_row(one) for one in (sums, *shown)]
    more = f": the first {len(shown)} of {number(changed)}" if changed > len(shown) else ""
    screen.add(f"prefixes that changed{more}", rows)
    show(screen)


def _row(one: Growth) -> list[str]:
    sign = "-" if one.grown < 0 else "+" if one.grown else ""
    return [
        key_text(one.name) if one.name else ALL,
        number(one.keys_before),
        number(one.keys_after),
        size(one.bytes_before),
        size(one.bytes_after),
        sign + size(abs(one.grown)),
    ]


def _json(before: ContentsReport, after: ContentsReport, sums: Growth, shown: list[Growth]) -> dict[str, Any]:
    return {
        "left": before.files[0].path,
        "right": after.files[0].path,
        "partial": before.partial or after.partial,
        "release": after.files[0].release.name,
        "total": _growth_json(sums),
        "prefixes": [_growth_json(one) for one in shown],
        "findings": [f.as_json() for report in (before, after) for f in report.findings.items],
    }


def _growth_json(one: Growth) -> dict[str, Any]:
    return {
        "prefix": text_of(one.name),
        "keys": [one.keys_before, one.keys_after],
        "bytes": [one.bytes_before, one.bytes_after],
        "grown": one.grown,
    }
