"""``rdbtool dump``."""

import os
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import RdbToolError, UsageError
from rdbtool.exit_codes import ExitCode, of_all, of_error, of_report
from rdbtool.inputs.selection import Selection
from rdbtool.outputs.registry import DUMPED, dumped_by_default, format_of_path, row_of

from .console import remark
from .filters import chosen_keys, hint_at_regex
from .jobs import Jobs, side_by_side
from .live import reads_servers
from .options import AUTO, CsvSafeOption, ReplaceOption, choices, command_names, one_of, takes
from .overwriting import ask_to_overwrite
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
from .remote import located, without_secret
from .render import plural, print_findings, show_path
from .usage import WRITING_PANEL, Usage
from .way_out import print_way_out, print_way_out_of

if TYPE_CHECKING:
    from rdbtool.tasks.dump_files import DumpOptions

NAME = "dump"
USAGE: Final = Usage(
    example="rdbtool dump dump.rdb --key 'user:*' --format jsonl",
    problems="the file is damaged (what can be read comes first), or a named key is missing",
    loss="done, with loss, or damage that was undone, as listed",
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
            help=r"Show only these keys, whole, named as the table shows them (\x00), or 'base64:...'. With -o DIR/: "
            "further PATHs.",
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
    destination: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Write to this file, or, into this directory (DIR/), a file for each PATH. Whole or not at all.",
        ),
    ] = "-",
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            "--yes",
            help="With -o: do not ask before a file is overwritten: for scripts.",
            rich_help_panel=WRITING_PANEL,
        ),
    ] = False,
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
        bool | None,
        typer.Option(
            "--values/--no-values",
            help="With values, or only what kind they are. [values, but for parquet]",
            show_default=False,
        ),
    ] = None,
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
    from rdbtool.io.destination import is_standard_output
    from rdbtool.io.output import Output
    from rdbtool.io.remote import local_path
    from rdbtool.io.sink import open_sink
    from rdbtool.outputs.options import OutputOptions
    from rdbtool.outputs.outlets import shown_safely
    from rdbtool.outputs.registry import make_exporter
    from rdbtool.tasks.dump import dump

    destination = local_path(without_secret(destination))
    first, *more = located([path])
    into_files = not is_standard_output(destination)
    into_directory = into_files and (destination.endswith(os.sep) or os.path.isdir(destination))
    terminal = sys.stdout.isatty()
    name = output
    if output == AUTO:
        if into_files and not into_directory and not keys_only:
            name = format_of_path(destination, dump=True)
        else:
            name = dumped_by_default(terminal=terminal and not into_files, keys_only=keys_only, named=bool(named))
    if values is None:
        values = not row_of(name).by_key
    if nul and not keys_only:
        raise UsageError("-0 belongs to --keys-only")
    if keys_only and output != AUTO:
        raise UsageError("--keys-only has a format of its own")
    if replace and name != "resp":
        raise UsageError("--replace is about commands: --format resp")
    if header and (name != "jsonl" or not values):
        raise UsageError("--header is about JSON lines with values: --format jsonl")
    if csv_safe and name != "csv":
        raise UsageError("--csv-safe is about CSV: --format csv")
    width = shutil.get_terminal_size().columns if terminal else 160
    options = OutputOptions(
        name, mode=mode_of(mode), header=header, values=values, nul=nul, width=width, replace=replace, csv_safe=csv_safe
    )
    server = server_of(names, databases, memory_limit)
    if into_files:
        from rdbtool.tasks.dump_files import DumpOptions

        paths = [first, *more]
        if into_directory:
            paths += located(named or ())
        elif more:
            raise UsageError(f"{len(paths)} files match: -o wants a directory for them, DIR/", path=path)
        elif named:
            name_keys(selection, named)
        wanted = DumpOptions(
            options, selection, keep_going, point, unknown.value, commands=source is From.COMMANDS, server=server
        )
        _write_files(paths, destination, wanted, jobs, directory=into_directory, force=force)
    if jobs.executor:
        raise UsageError("--executor is for files: -o DIR/")
    if more:
        raise UsageError("several files match: write them into a directory, -o DIR/", path=path)
    if named:
        name_keys(selection, named)
    sink = open_sink("-", binary=row_of(name).binary or nul)
    exporter = make_exporter(Output(shown_safely(sink, name)), options)
    count = 1 if terminal else jobs.count([first])
    with Progress() as progress, jobs.workers(count) as executor:
        try:
            report = dump(
                first,
                exporter,
                selection,
                keep_going=keep_going,
                point=point,
                unknown=unknown.value,
                server=server,
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


def _write_files(
    paths: list[str], destination: str, options: "DumpOptions", jobs: Jobs, *, directory: bool, force: bool
) -> NoReturn:
    """Write a file for each of ``paths``, and end."""
    from rdbtool.tasks.dump_files import dump_file, shard_outputs

    paths, destination = jobs.places(paths), *jobs.places([destination])
    outputs = shard_outputs(paths, destination, options.output) if directory else [destination]
    if not force:
        ask_to_overwrite(outputs, paths)
    codes: list[ExitCode] = []
    kept = 0
    write = partial(dump_file, options=options, outputs=dict(zip(paths, outputs, strict=True)))
    for path, report in jobs.each(write, paths):
        if isinstance(report, RdbToolError):
            if len(paths) == 1:
                raise report
            print(f"rdbtool: {report}", file=sys.stderr)
            print_way_out(report)
            codes.append(of_error(report))
            continue
        kept += report.written + report.skipped
        codes.append(of_report(report))
        print_findings(report.findings)
        if report.output:
            skipped = f", {plural(report.skipped, 'damaged key')} left out" if report.skipped else ""
            remark(f"{show_path(path)}: {plural(report.written, 'key')} written to {show_path(report.output)}{skipped}")
        else:
            print_way_out_of(report.findings.items)
            print(f"{show_path(path)}: nothing was written", file=sys.stderr)
    hint_at_regex(options.selection.keys, kept)
    raise typer.Exit(of_all(codes))
