"""``rdbtool diff``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer

from rdbtool.errors import UsageError

NAME = "diff"

UNITS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class DiffFormat(StrEnum):
    """How differences are written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    COMMANDS = "commands"
    RESP = "resp"


class Ignorable(StrEnum):
    """What can be left out of the comparison."""

    EXPIRY = "expiry"


def parse_size(text: str) -> int:
    """Bytes, from a number with or without a unit of 1024s: ``512MiB``, ``2g``. Raises `UsageError`."""
    digits = text.rstrip("bBiIkKmMgGtT")
    unit = text[len(digits) :].lower().removesuffix("ib")
    unit = unit if unit == "b" else unit.removesuffix("b")
    if not (digits.isascii() and digits.isdigit()) or unit not in UNITS:
        raise UsageError(f"not a size: {text!r} (as in 512MiB)")
    return int(digits) * UNITS[unit]


def command(
    left: Annotated[str, typer.Argument(metavar="A", help="The snapshot before; '-' for standard input.")],
    right: Annotated[str, typer.Argument(metavar="B", help="The snapshot after.")],
    output: Annotated[
        DiffFormat,
        typer.Option(
            "--format",
            "-f",
            help="Lines and a summary; the same as one JSON document; one JSON object per difference; or the commands "
            "that turn A into B, as typed for redis-cli or as RESP for redis-cli --pipe.",
        ),
    ] = DiffFormat.TEXT,
    detail: Annotated[bool, typer.Option("--detail", help="Show what differs inside values.")] = False,
    values: Annotated[bool, typer.Option("--values", help="Put both values into the JSON.")] = False,
    mode: Annotated[
        str, typer.Option("--bytes", help="How bytes become text: auto, utf8, base64, hex or escape.")
    ] = "auto",
    limit: Annotated[
        int | None, typer.Option("--limit", min=0, help="Write this many differences at most; all are counted.")
    ] = None,
    ignore: Annotated[list[Ignorable] | None, typer.Option("--ignore", help="Leave out of the comparison.")] = None,
    ttl_tolerance: Annotated[
        int, typer.Option("--ttl-tolerance", metavar="MS", min=0, help="Expiries this close are the same.")
    ] = 0,
    eviction: Annotated[
        bool, typer.Option("--with-eviction", help="Idle times, access frequencies and consumers' times count.")
    ] = False,
    encodings: Annotated[bool, typer.Option("--encodings", help="How a value is encoded counts.")] = False,
    memory_limit: Annotated[
        str, typer.Option("--memory-limit", metavar="SIZE", help="Read the files more often rather than take more.")
    ] = "512MiB",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Compare what can be read of damaged files, and list the damage.")
    ] = False,
) -> None:
    """Compare two snapshots by meaning, key by key.

    How values are encoded does not matter, nor the order of keys, sets and hashes. Exit code: 0 the same,
    1 different, 2 could not compare (damaged files too, unless told to keep going), 3 no difference in what
    could be read.
    """
    from rdbtool.tasks.diff.run import Diff, DiffOptions
    from rdbtool.tasks.diff.snapshot import Snapshot

    from .diff_output import show

    if left == right == "-":
        raise UsageError("only one of the two can be standard input")
    options = DiffOptions(
        ignore_expiry=Ignorable.EXPIRY in (ignore or ()),
        ttl_tolerance_ms=ttl_tolerance,
        eviction=eviction,
        encodings=encodings,
        memory_limit=parse_size(memory_limit),
        keep_going=keep_going,
    )
    with Snapshot(left) as a, Snapshot(right) as b:
        diff = Diff(a, b, options)
        code = show(diff, output, mode, limit, detail=detail, values=values)
    raise typer.Exit(code)
