"""Options that several subcommands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Text for people, or JSON for programs.")]
DatabasesOption = Annotated[
    int, typer.Option("--databases", min=1, help="How many databases the server has; it refuses files with more.")
]
