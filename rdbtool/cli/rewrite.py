"""``rdbtool rewrite``."""

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import UsageError
from rdbtool.exit_codes import of_report
from rdbtool.inputs.selection import Selection

from .filters import chosen_keys, hint_at_regex
from .jobs import Jobs, ProcessesOption
from .options import Format, FormatOption, command_names, takes
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
from .render import number, plural, print_findings, print_json, show_path, size
from .usage import Usage

if TYPE_CHECKING:
    from rdbtool.tasks.rewrite import RewriteReport

NAME = "rewrite"
USAGE: Final = Usage(
    example="rdbtool rewrite appendonlydir -o compact",
    problems="the log is damaged, and nothing was written",
    loss="done, with loss, or damage that was undone, as listed",
    verdict=True,
)
EXAMPLE = ("INPUT", "-o", "-", "--resp")


@takes(selection=chosen_keys, point=point_in_time, names=command_names)
def command(
    selection: Selection,
    point: PointInTime,
    names: CommandNames,
    path: Annotated[str, typer.Argument(metavar="AOF", help="An AOF, a manifest, a directory of a set, or '-'.")],
    output_path: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="A new directory, which becomes a multi-part set; or a file, if the name ends in .aof, or '-'.",
        ),
    ] = "",
    resp: Annotated[
        bool, typer.Option("--resp", help="Commands only, as with aof-use-rdb-preamble no: they cannot say everything.")
    ] = False,
    to: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="RELEASE",
            help="The server that is to load it: redis-7.0, valkey-9.1; else the file's own.",
        ),
    ] = "",
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Compact the set where it stands, while no server runs; old files are kept."),
    ] = False,
    purge_history: Annotated[
        bool, typer.Option("--purge-history", help="With --in-place: remove the old files at the end.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Do not ask before a file is overwritten; with --in-place, go on although a process has the log open "
            "for writing.",
        ),
    ] = False,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going", help="Take what can be read of a damaged base, and exit with 3. Not with --in-place."
        ),
    ] = False,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    processes: ProcessesOption = None,
    source: FromOption = From.AUTO,
    output: FormatOption = Format.TEXT,
) -> None:
    """Compact a log as BGREWRITEAOF does, without a server.

    The result is a snapshot of what the log amounts to and an empty log behind it, in a directory that is ready to
    be a server's appendonlydir: nothing is lost. Commands that no server has, kept with --unknown carry, stand in
    that log. With the options for a point in time, the state of then.
    """
    from rdbtool.io.destination import is_standard_output
    from rdbtool.rdb.targets import target
    from rdbtool.tasks.rewrite import RewriteForm, rewrite, rewrite_in_place

    if is_standard_output(output_path):
        output_path = "-"
    if bool(output_path) == in_place:
        raise UsageError("say where to: -o OUT, or --in-place")
    if keep_going and in_place:
        raise UsageError("--keep-going writes a new log, not in place: check-aof --fix --salvage mends the set itself")
    if purge_history and not in_place:
        raise UsageError("--purge-history is about --in-place: a new output has no history")
    if in_place and source is not From.AUTO:
        raise UsageError("--in-place is about a multi-part set, not a text of commands")
    if not in_place and not force:
        ask_to_overwrite([output_path], [path])
    form = RewriteForm(resp=resp, to=target(to) if to else None)
    server = server_of(names, databases, memory_limit)
    jobs = Jobs(processes)
    with Progress() as progress, jobs.sharing(jobs.count([path]), server.memory_limit) as sharing:
        if in_place:
            report = rewrite_in_place(
                path,
                form=form,
                point=point,
                selection=selection,
                unknown=unknown.value,
                purge_history=purge_history,
                force=force,
                server=server,
                progress=progress,
                sharing=sharing,
            )
        else:
            report = rewrite(
                path,
                output_path,
                form=form,
                point=point,
                selection=selection,
                unknown=unknown.value,
                source=source.value,
                server=server,
                keep_going=keep_going,
                progress=progress,
                sharing=sharing,
            )
    # Where the result itself goes to standard output, the report must not.
    stream = sys.stderr if output_path == "-" else sys.stdout
    if output is Format.TEXT:
        for line in _lines(report):
            print(line, file=stream)
    elif stream is sys.stdout:
        print_json(NAME, report.as_json())
    print_findings(report.findings)
    hint_at_regex(selection.keys, int(selection.kept))
    raise typer.Exit(of_report(report))


def _lines(report: "RewriteReport") -> list[str]:
    before = f"{size(report.before_bytes)}, {plural(report.before_commands, 'command')}"
    after = f"{size(report.after_bytes)}, {plural(report.after_commands, 'command')}"
    share = f" ({100 * report.after_bytes / report.before_bytes:.1f} %)" if report.before_bytes else ""
    lines = [
        f"before  {before}",
        f"after   {after}{share}",
        f"keys    {number(report.keys)}" + (f", {number(report.left_out)} left out" if report.left_out else ""),
    ]
    if report.target:
        lines.append(f"for     {report.target}")
    if report.stopped:
        lines.append(f"until   {report.stopped}")
    lines.append(f"into    {'standard output' if report.output == '-' else show_path(report.output)}")
    lines += [f"kept    {show_path(path)}, as history" for path in report.history]
    lines += [f"removed {show_path(path)}" for path in report.removed]
    return lines
