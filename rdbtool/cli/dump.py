"""``rdbtool dump``."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import UsageError
from rdbtool.exit_codes import of_report
from rdbtool.inputs.selection import Selection
from rdbtool.outputs.registry import DUMPED, dumped_by_default, row_of

from .filters import chosen_keys, hint_at_regex
from .jobs import Jobs, side_by_side
from .live import reads_servers
from .options import AUTO, CsvSafeOption, ReplaceOption, choices, command_names, one_of, takes
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
from .render import print_findings
from .usage import WRITING_PANEL, Usage
from .way_out import print_way_out_of

NAME = "dump"
USAGE: Final = Usage(
    example="rdbtool dump dump.rdb --key 'user:*' --format jsonl",
    problems="the file is damaged (what can be read comes first), or a named key is missing",
    loss="done, with loss that is listed",
)


@reads_servers
@takes(selection=chosen_keys, point=point_in_time, names=command_names, jobs=side_by_side)
def command(
    selection: Selection,
    point: PointInTime,
    names: CommandNames,
    jobs: Jobs,
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="An RDB or AOF, gzip or zstd too, a manifest, a directory of a set, JSON lines, commands, or '-'.",
        ),
    ],
    named: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY]...",
            help=r"Show only these keys, whole, named as the table shows them (\x00), or 'base64:...'.",
        ),
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
    header: Annotated[
        bool,
        typer.Option(
            "--header",
            help="With jsonl: first a line that says where the keys come from, as convert does.",
            rich_help_panel=WRITING_PANEL,
        ),
    ] = False,
    keys_only: Annotated[bool, typer.Option("--keys-only", help="One key per line, no values.")] = False,
    nul: Annotated[
        bool,
        typer.Option(
            "--null", "-0", help="With --keys-only: raw keys, a NUL behind each.", rich_help_panel=WRITING_PANEL
        ),
    ] = False,
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
            rich_help_panel=WRITING_PANEL,
        ),
    ] = "auto",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out keys whose bytes are damaged, list them, and exit with 3.")
    ] = False,
    replace: ReplaceOption = False,
    csv_safe: CsvSafeOption = False,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    source: FromOption = From.AUTO,
) -> None:
    """Show the keys of a snapshot or a log, and their values."""
    from rdbtool.basics.text import mode_of
    from rdbtool.inputs.filters import name_keys
    from rdbtool.io.output import Output
    from rdbtool.io.sink import open_sink
    from rdbtool.outputs.options import OutputOptions
    from rdbtool.outputs.outlets import shown_safely
    from rdbtool.outputs.registry import make_exporter
    from rdbtool.tasks.dump import dump

    if nul and not keys_only:
        raise UsageError("-0 belongs to --keys-only")
    if keys_only and output != AUTO:
        raise UsageError("--keys-only has a format of its own")
    if replace and output != "resp":
        raise UsageError("--replace is about commands: --format resp")
    if header and (output != "jsonl" or not values):
        raise UsageError("--header is about JSON lines with values: --format jsonl")
    if csv_safe and output != "csv":
        raise UsageError("--csv-safe is about CSV: --format csv")
    terminal = sys.stdout.isatty()
    name = output
    if output == AUTO:
        name = dumped_by_default(terminal=terminal, keys_only=keys_only, named=bool(named))
    if named:
        name_keys(selection, named)
    sink = open_sink("-", binary=row_of(name).binary or nul)
    width = shutil.get_terminal_size().columns if terminal else 160
    options = OutputOptions(
        name, mode=mode_of(mode), header=header, values=values, nul=nul, width=width, replace=replace, csv_safe=csv_safe
    )
    exporter = make_exporter(Output(shown_safely(sink, name)), options)
    count = 1 if terminal else jobs.count([path])
    with Progress() as progress, jobs.workers(count) as executor:
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
                executor=executor,
                workers=count,
                options=options,
            )
        finally:
            sink.flush()
    print_findings(report.findings)
    if report.failed and not keep_going:
        print_way_out_of(report.findings.items)
    hint_at_regex(selection.keys, report.written + report.skipped)
    raise typer.Exit(of_report(report))
