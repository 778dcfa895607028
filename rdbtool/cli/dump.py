"""``rdbtool dump``."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import UsageError
from rdbtool.exit_codes import of_report
from rdbtool.inputs.selection import Selection
from rdbtool.outputs.registry import DUMPED, dumped_by_default, row_of

from .filters import chosen_keys
from .options import AUTO, choices, command_names, one_of, takes
from .point_in_time import (
    From,
    FromOption,
    MemoryLimitOption,
    ServerDatabasesOption,
    Unknown,
    UnknownOption,
    point_in_time,
    server_of,
)
from .progress import Progress
from .render import findings_lines

NAME = "dump"


@takes(selection=chosen_keys, point=point_in_time, names=command_names)
def command(
    selection: Selection,
    point: PointInTime,
    names: CommandNames,
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="An RDB or AOF, gzip or zstd too, a manifest, a directory of a set, JSON lines, commands, or '-'.",
        ),
    ],
    named: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY]...", help="Show only these keys, whole; 'base64:...' for a binary one."),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            parser=one_of(DUMPED),
            metavar=choices(DUMPED),
            help="auto: table on a terminal, else jsonl. resp is for redis-cli --pipe.",
        ),
    ] = AUTO,
    keys_only: Annotated[bool, typer.Option("--keys-only", "-k", help="One key per line, no values.")] = False,
    nul: Annotated[bool, typer.Option("--null", "-0", help="With --keys-only: raw keys, a NUL behind each.")] = False,
    values: Annotated[
        bool, typer.Option("--values/--no-values", help="With values, or only what kind they are.")
    ] = True,
    mode: Annotated[
        str,
        typer.Option(
            "--bytes",
            metavar="MODE",
            help="How bytes become text. auto: UTF-8 as it is, else 'base64:...'; utf8 (cannot be read back), base64, "
            "hex, escape.",
        ),
    ] = "auto",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out keys whose bytes are damaged, list them, and exit with 3.")
    ] = False,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    source: FromOption = From.AUTO,
) -> None:
    """Show the keys of a snapshot or a log, with or without their values.

    Exit code: 0 done, 1 the file is damaged (what can be read comes first) or a named key is missing, 2 could not
    read it, 3 done with loss.
    """
    from rdbtool.basics.text import mode_of
    from rdbtool.inputs.filters import exactly
    from rdbtool.io.output import Output
    from rdbtool.io.sink import open_sink
    from rdbtool.outputs.options import OutputOptions
    from rdbtool.outputs.registry import make_exporter
    from rdbtool.tasks.dump import dump

    if nul and not keys_only:
        raise UsageError("-0 belongs to --keys-only")
    if keys_only and output != AUTO:
        raise UsageError("--keys-only has a format of its own")
    terminal = sys.stdout.isatty()
    name = output
    if output == AUTO:
        name = dumped_by_default(terminal=terminal, keys_only=keys_only, named=bool(named))
    if named:
        selection.exact = exactly(named)
    sink = open_sink("-", binary=row_of(name).binary or nul)
    width = shutil.get_terminal_size().columns if terminal else 160
    options = OutputOptions(name, mode=mode_of(mode), header=False, values=values, nul=nul, width=width)
    exporter = make_exporter(Output(sink), options)
    with Progress() as progress:
        try:
            report = dump(
                path,
                exporter,
                selection,
                keep_going=keep_going,
                point=point,
                unknown=unknown.value,
                server=server_of(names, databases, memory_limit),
                commands=source is From.COMMANDS,
                progress=progress,
            )
        finally:
            sink.flush()
    for line in findings_lines(report.findings):
        print(line, file=sys.stderr)
    raise typer.Exit(of_report(report))
