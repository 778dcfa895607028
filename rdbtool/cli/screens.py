"""Screens of tables: with bars and colours on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Final

from rdbtool.outputs.table import shortened

from .render import paint, table

BAR: Final = 20
"""Characters of a bar that stands for all."""
SHARE: Final = 7
"""Characters of a share."""
NARROW: Final = 12
"""Characters that are left of a name where there is no room."""
EIGHTHS: Final = ("", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589")


@dataclass(slots=True)
class Block:
    """A table under a title. ``rows``: cells as text, the first row the heading; ``shares``: of each further row, 0 to
    1, where they are to be shown.
    """

    title: str
    rows: list[list[str]]
    shares: list[float] | None = None


@dataclass(slots=True)
class Screen:
    """What a command shows: ``head``, then ``facts`` as names and texts, then tables.

    ``partial`` says why the figures are of a part only; it stands above everything and in each title.
    """

    head: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    partial: str = ""

    def add(self, title: str, rows: list[list[str]], shares: list[float] | None = None) -> None:
        """Add a table, unless it has no rows but its heading."""
        if len(rows) > 1:
            self.blocks.append(Block(title, rows, shares))


def share_text(part: float) -> str:
    """``12.3 %``."""
    return f"{100 * part:.1f} %"


def show(screen: Screen) -> None:
    """Print it."""
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        _show_rich(screen)
        return
    if screen.partial:
        print(f"PARTIAL: {screen.partial}")
    print(screen.head)
    width = max((len(name) for name, _ in screen.facts), default=0)
    for name, text in screen.facts:
        print(f"  {name:{width}}  {text}")
    for block in screen.blocks:
        print(f"\n{_title(screen, block)}")
        for line in table(_with_shares(block)):
            print(f"  {line}")


def _title(screen: Screen, block: Block) -> str:
    return f"{block.title} (partial)" if screen.partial else block.title


def _with_shares(block: Block) -> list[list[str]]:
    shares = block.shares
    if shares is None:
        return block.rows
    heading, *rows = block.rows
    return [[*heading[:1], "share", *heading[1:]]] + [
        [row[0], share_text(share).rjust(7), *row[1:]] for row, share in zip(rows, shares, strict=True)
    ]


def _show_rich(screen: Screen) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    if screen.partial:
        print(paint(f"PARTIAL: {screen.partial}", "red"))
    print(paint(screen.head, "bold"))
    width = max((len(name) for name, _ in screen.facts), default=0)
    for name, text in screen.facts:
        print(f"  {paint(f'{name:{width}}', 'dim')}  {text}")
    for block in screen.blocks:
        heading, *rows = block.rows
        shown = Table(title=Text(_title(screen, block), "bold"), title_justify="left", box=None, padding=(0, 1))
        numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(heading))]
        widths = [max(len(row[i]) for row in block.rows) for i in range(len(heading))]
        # Where there is no room for all, it is the names that are cut.
        longest = widths.index(max(widths))
        taken = sum(widths) - widths[longest] + 2 * len(widths) + (0 if block.shares is None else BAR + SHARE + 4)
        rows = [
            [*row[:longest], shortened(row[longest], max(console.width - taken, NARROW)), *row[longest + 1 :]]
            for row in rows
        ]
        for i, cell in enumerate(heading):
            shown.add_column(Text(cell, "dim"), justify="right" if numeric[i] else "left", no_wrap=True)
            if i == 0 and block.shares is not None:
                shown.add_column(Text("share", "dim"), justify="right", no_wrap=True)
                shown.add_column("", width=BAR, no_wrap=True)
        for n, row in enumerate(rows):
            cells = [Text(cell) for cell in row]
            if block.shares is not None:
                share = block.shares[n]
                cells[1:1] = [Text(share_text(share)), Text(bar(share), "cyan")]
            shown.add_row(*cells)
        console.print()
        console.print(shown)


def _is_number(cell: str) -> bool:
    return not cell or cell[0].isdigit()


def bar(share: float) -> str:
    """A bar of `BAR` characters at most, in eighths of one."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR * 8)
    return "\u2588" * (eighths // 8) + EIGHTHS[eighths % 8]
