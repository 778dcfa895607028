"""``rdbtool dump``."""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from typing import Annotated

import typer

from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import UsageError
from rdbtool.exit_codes import of_report
from rdbtool.inputs.selection import Selection

from .filters import chosen_keys
from .options import takes
from .point_in_time import From, FromOption, Unknown, UnknownOption, point_in_time
from .progress import Progress
from .render import findings_lines, number

NAME = "dump"


class DumpFormat(StrEnum):
    """How keys are written."""

    AUTO = "auto"
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    RESP = "resp"
    TABLE = "table"


@takes(selection=chosen_keys, point=point_in_time)
def command(
    selection: Selection,
    point: PointInTime,
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
        DumpFormat,
        typer.Option("--format", "-f", help="auto: table on a terminal, else jsonl. resp is for redis-cli --pipe."),
    ] = DumpFormat.AUTO,
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
    from rdbtool.outputs.registry import exporter
    from rdbtool.tasks.dump import dump

    if nul and not keys_only:
        raise UsageError("-0 belongs to --keys-only")
    if keys_only and output is not DumpFormat.AUTO:
        raise UsageError("--keys-only has a format of its own")
    terminal = sys.stdout.isatty()
    if keys_only:
        form = "keys"
    elif output is not DumpFormat.AUTO:
        form = output.value
    elif named:
        form = "plain"
    else:
        form = "table" if terminal else "jsonl"
    if named:
        selection.exact = exactly(named)
    sink = open_sink("-", binary=form == "resp" or nul)
    width = shutil.get_terminal_size().columns if terminal else 160
    out = exporter(form, Output(sink), mode_of(mode), values=values, nul=nul, width=width)
    with Progress() as progress:
        try:
            report = dump(
                path,
                out,
                selection,
                keep_going=keep_going,
                point=point,
                unknown=unknown.value,
                commands=source is From.COMMANDS,
                progress=progress,
            )
        finally:
            sink.flush()
    for line in findings_lines(report.findings):
        print(line, file=sys.stderr)
    for kind, n in report.losses.items():
        print(f"rdbtool: {form} cannot say: {kind} ({number(n)})", file=sys.stderr)
    raise typer.Exit(of_report(report, loss=bool(report.losses)))
