"""The program and its subcommands as typer has them, with help of our own, which is made when it is asked for."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup


class _OwnHelp:
    """Help and usage as `Page` has them, in place of typer's."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - of typer's own
        """Write the help."""
        from .console import colours_wanted
        from .pages import page_of, terminal_width, text_of
        from .render import paint

        ctx.color = colours_wanted(sys.stdout)
        formatter.write(text_of(page_of(self, ctx), terminal_width(), lambda text: paint(text, "bold")))

    def format_usage(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - of typer's own
        """Write the line that stands above an error."""
        from .pages import page_of

        page = page_of(self, ctx)
        formatter.write_usage(page.name, page.words)


class Command(_OwnHelp, TyperCommand):
    """A subcommand."""


class Program(_OwnHelp, TyperGroup):
    """The program."""
