"""``rdbtool diff``."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import FormatError, UsageError
from rdbtool.exit_codes import of_comparison, of_error
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import Server

from .diff_output import DiffFormat, show
from .filters import PANEL, chosen_keys
from .options import command_names, takes
from .point_in_time import PANEL as POINT_PANEL
from .point_in_time import From, ServerDatabasesOption, Unknown, UnknownOption, point_in_time
from .progress import Progress

NAME = "diff"
EXAMPLE: Final = ("INPUT", "INPUT")

UNITS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class Ignorable(StrEnum):
    """What can be left out of the comparison."""

    EXPIRY = "expiry"


FromAOption = Annotated[From, typer.Option("--from-a", help="'commands': A is a text of commands, as for redis-cli.")]
FromBOption = Annotated[From, typer.Option("--from-b", help="'commands': B is a text of commands, as for redis-cli.")]


def point_of_a(
    until_a: Annotated[
        str,
        typer.Option(
            "--until-a",
            metavar="TIME",
            help="Leave out what A's log says is later: Unix time or ISO 8601.",
            rich_help_panel=POINT_PANEL,
        ),
    ] = "",
    until_offset_a: Annotated[
        str,
        typer.Option(
            "--until-offset-a",
            metavar="[FILE:]OFFSET",
            help="Leave out A's commands that begin there or later.",
            rich_help_panel=POINT_PANEL,
        ),
    ] = "",
    until_command_a: Annotated[
        int | None,
        typer.Option(
            "--until-command-a",
            metavar="N",
            min=0,
            help="Apply N commands of A.",
            rich_help_panel=POINT_PANEL,
        ),
    ] = None,
    before_command_a: Annotated[
        str,
        typer.Option(
            "--before-command-a",
            metavar="NAME",
            help="Stop before the first command of that name in A.",
            rich_help_panel=POINT_PANEL,
        ),
    ] = "",
) -> PointInTime:
    """How far to replay A. Raises `UsageError`."""
    return point_in_time(until_a, until_offset_a, until_command_a, before_command_a)


def point_of_b(
    until_b: Annotated[
        str,
        typer.Option(
            "--until-b",
            metavar="TIME",
            help="Leave out what B's log says is later: Unix time or ISO 8601.",
            rich_help_panel=POINT_PANEL,
        ),
    ] = "",
    until_offset_b: Annotated[
        str,
        typer.Option(
            "--until-offset-b",
            metavar="[FILE:]OFFSET",
            help="Leave out B's commands that begin there or later.",
            rich_help_panel=POINT_PANEL,
        ),
    ] = "",
    until_command_b: Annotated[
        int | None,
        typer.Option(
            "--until-command-b",
            metavar="N",
            min=0,
            help="Apply N commands of B.",
            rich_help_panel=POINT_PANEL,
        ),
    ] = None,
    before_command_b: Annotated[
        str,
        typer.Option(
            "--before-command-b",
            metavar="NAME",
            help="Stop before the first command of that name in B.",
            rich_help_panel=POINT_PANEL,
        ),
    ] = "",
) -> PointInTime:
    """How far to replay B. Raises `UsageError`."""
    return point_in_time(until_b, until_offset_b, until_command_b, before_command_b)


def parse_size(text: str) -> int:
    """Bytes, from a number with or without a unit of 1024s: ``512MiB``, ``2g``. Raises `UsageError`."""
    digits = text.rstrip("bBiIkKmMgGtT")
    unit = text[len(digits) :].lower().removesuffix("ib")
    unit = unit if unit == "b" else unit.removesuffix("b")
    if not (digits.isascii() and digits.isdigit()) or unit not in UNITS:
        raise UsageError(f"not a size: {text!r} (as in 512MiB)")
    return min(int(digits) * UNITS[unit], 1 << 62)


@takes(selection=chosen_keys, point_a=point_of_a, point_b=point_of_b, names=command_names)
def command(
    selection: Selection,
    point_a: PointInTime,
    point_b: PointInTime,
    names: CommandNames,
    left: Annotated[
        str,
        typer.Argument(
            metavar="A", help="Before: an RDB or AOF, gzip or zstd too, a manifest, a directory of a set, or '-'."
        ),
    ],
    right: Annotated[str, typer.Argument(metavar="B", help="After: the same.")],
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
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            min=0,
            help="Show N differences at most; all are counted.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    from_a: FromAOption = From.AUTO,
    from_b: FromBOption = From.AUTO,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
) -> None:
    """Compare two snapshots, or logs, by meaning, key by key.

    How values are encoded does not matter, nor the order of keys, sets and hashes. Keys are chosen on each side by
    itself. Exit code: 0 the same, 1 different, 2 could not compare (damaged files too, unless told to keep going),
    3 no difference in what could be read.
    """
    from rdbtool.tasks.diff.run import Diff, DiffOptions
    from rdbtool.tasks.diff.snapshot import open_snapshot

    if left == right == "-":
        raise UsageError("only one of the two can be standard input")
    now_ms = int(selection.now_ms)
    server = Server(names, databases)
    options = DiffOptions(
        ignore_expiry=Ignorable.EXPIRY in (ignore or ()),
        ttl_tolerance_ms=ttl_tolerance,
        eviction=eviction,
        encodings=encodings,
        memory_limit=parse_size(memory_limit),
        keep_going=keep_going,
        selection=selection,
    )
    with (
        Progress() as progress,
        open_snapshot(
            left,
            point=point_a,
            unknown=unknown.value,
            server=server,
            now_ms=now_ms,
            progress=progress,
            commands=from_a is From.COMMANDS,
        ) as a,
        open_snapshot(
            right,
            point=point_b,
            unknown=unknown.value,
            server=server,
            now_ms=now_ms,
            progress=progress,
            commands=from_b is From.COMMANDS,
        ) as b,
    ):
        diff = Diff(a, b, options)
        diff.progress = progress
        try:
            loss = show(diff, output, mode, limit, progress.clear, detail=detail, values=values)
        except FormatError as e:
            if keep_going:
                raise
            print(f"rdbtool: {e}\nto compare what can be read: --keep-going", file=sys.stderr)
            raise typer.Exit(of_error(e)) from None
    raise typer.Exit(of_comparison(same=diff.report.same, loss=loss))
