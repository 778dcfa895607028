"""Options that several subcommands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

BIGGEST: Final = (1 << 63) - 1
"""The largest number an option takes: compiled code counts in 64 bits."""


class Format(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Text for people, or JSON for programs.")]
DatabasesOption = Annotated[
    int,
    typer.Option(
        "--databases", min=1, max=BIGGEST, help="How many databases the server has; it refuses files with more."
    ),
]
