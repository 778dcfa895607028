"""Options that say what a prefix of names is, the same on every subcommand that counts by them."""

from typing import Annotated

import typer

from rdbtool.analysis.prefixes import Prefixes
from rdbtool.errors import UsageError

from .usage import PREFIXES_PANEL


def prefixes(
    prefix_sep: Annotated[
        str,
        typer.Option(
            "--prefix-sep",
            metavar="TEXT",
            help="What stands between the parts of names; '' for no prefixes.",
            rich_help_panel=PREFIXES_PANEL,
        ),
    ] = ":",
    depth: Annotated[
        int,
        typer.Option(
            "--depth", metavar="N", min=1, max=64, help="Parts in a prefix, at most.", rich_help_panel=PREFIXES_PANEL
        ),
    ] = 2,
    max_prefixes: Annotated[
        int,
        typer.Option(
            "--max-prefixes",
            metavar="N",
            min=1,
            max=1_000_000,
            help="Prefixes to keep apart; the least of more are '(other)'.",
            rich_help_panel=PREFIXES_PANEL,
        ),
    ] = 10_000,
    patterns: Annotated[
        bool,
        typer.Option(
            "--patterns",
            help="Take numbers, UUIDs and hexadecimal ids in names for the same, and whole names for prefixes too.",
            rich_help_panel=PREFIXES_PANEL,
        ),
    ] = False,
) -> Prefixes:
    """What to count by; for `takes`. Raises `UsageError`."""
    if patterns and not prefix_sep:
        raise UsageError("--patterns are a kind of prefixes, and --prefix-sep '' wants none")
    return Prefixes(
        prefix_sep.encode("utf-8", "surrogateescape"), depth if prefix_sep else 0, max_prefixes, patterns=patterns
    )
