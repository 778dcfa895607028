"""``rdbtool diff``."""

import copy
import functools
import inspect
import operator
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final, get_args

import typer

from rdbtool.analysis.prefixes import Prefixes
from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import FormatError, RdbToolError, UsageError, printable_text
from rdbtool.exit_codes import of_comparison, of_error
from rdbtool.inputs.filters import BIGGEST, parse_size
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import Server
from rdbtool.servers.releases import Release

from .diff_output import DiffFormat, show
from .filters import chosen_keys, hint_at_regex
from .jobs import WORTH_COUNTING, Jobs, ProcessesOption
from .live import reads_servers
from .options import command_names, takes
from .point_in_time import From, ServerDatabasesOption, Unknown, UnknownOption, point_in_time, server_of
from .prefixes import prefixes as prefix_options
from .progress import Progress
from .remote import one_located
from .usage import COUNTS_PANEL, REPLAY_PANEL, TIME_PANEL, WRITING_PANEL, Usage
from .way_out import print_way_out

NAME = "diff"
EXAMPLE: Final = ("INPUT", "INPUT")
USAGE: Final = Usage(
    example="rdbtool diff dump.rdb appendonlydir --detail",
    fine="the same",
    problems="different",
    failed="could not compare: damaged files too, unless told to keep going",
    loss="no difference in what could be read or said",
)


class Ignorable(StrEnum):
    """What can be left out of the comparison."""

    EXPIRY = "expiry"


FromAOption = Annotated[
    From,
    typer.Option(
        "--from-a", help="'commands': A is a text of commands, as for redis-cli.", rich_help_panel=REPLAY_PANEL
    ),
]
FromBOption = Annotated[
    From,
    typer.Option(
        "--from-b", help="'commands': B is a text of commands, as for redis-cli.", rich_help_panel=REPLAY_PANEL
    ),
]


def point_of(side: str) -> Callable[..., PointInTime]:
    """What makes the point in time of one side: `point_in_time` with options of that side, ``--until-a`` for A."""

    def make(**options: Any) -> PointInTime:  # noqa: ANN401 - what typer made of the options
        return point_in_time(**{name.removesuffix(f"_{side}"): value for name, value in options.items()})

    parameters = []
    for parameter in inspect.signature(point_in_time, eval_str=True).parameters.values():
        kind, option = get_args(parameter.annotation)
        own = copy.copy(option)
        own.default = f"{option.default}-{side}"  # with a type beside it, typer has the option's name there
        own.help = f"The same of {side.upper()} alone."
        own.rich_help_panel = f"{TIME_PANEL} of {side.upper()}"
        annotation = operator.getitem(Annotated, (kind, own))
        parameters.append(parameter.replace(name=f"{parameter.name}_{side}", annotation=annotation))
    make.__dict__["__signature__"] = inspect.Signature(parameters)
    return make


@reads_servers
@takes(
    selection=chosen_keys,
    point=point_in_time,
    point_a=point_of("a"),
    point_b=point_of("b"),
    names=command_names,
    prefixes=prefix_options,
)
def command(
    selection: Selection,
    prefixes: Prefixes,
    point: PointInTime,
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
        str,
        typer.Option(
            "--bytes",
            metavar="MODE",
            help="How bytes become text: auto, utf8, base64, hex or escape.",
            rich_help_panel=WRITING_PANEL,
        ),
    ] = "auto",
    ignore: Annotated[
        list[Ignorable] | None,
        typer.Option("--ignore", help="Leave out of the comparison.", rich_help_panel=COUNTS_PANEL),
    ] = None,
    ttl_tolerance: Annotated[
        int,
        typer.Option(
            "--ttl-tolerance",
            metavar="MS",
            min=0,
            help="Expiries this close are the same.",
            rich_help_panel=COUNTS_PANEL,
        ),
    ] = 0,
    eviction: Annotated[
        bool,
        typer.Option(
            "--with-eviction",
            help="Idle times, access frequencies and consumers' times count.",
            rich_help_panel=COUNTS_PANEL,
        ),
    ] = False,
    encodings: Annotated[
        bool, typer.Option("--encodings", help="How a value is encoded counts.", rich_help_panel=COUNTS_PANEL)
    ] = False,
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Compare what keys take on a server, by prefix: which grew. For text and json."),
    ] = False,
    memory_limit: Annotated[
        str,
        typer.Option(
            "--memory-limit",
            metavar="SIZE",
            help="Read the files more often rather than take more (512MiB). Logs are replayed in memory all the same.",
        ),
    ] = "",
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
        ),
    ] = None,
    from_a: FromAOption = From.AUTO,
    from_b: FromBOption = From.AUTO,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    processes: ProcessesOption = None,
) -> None:
    """Compare two snapshots, or logs, by meaning, key by key.

    How values are encoded does not matter, nor the order of keys, sets and hashes. Keys are chosen on each side by
    itself. A point in time is that of both, if both are logs, or else of the one that is.
    """
    from rdbtool.tasks.diff.run import Diff, DiffOptions
    from rdbtool.tasks.diff.snapshot import open_snapshot

    if left == right == "-":
        raise UsageError("only one of the two can be standard input")
    left, right = one_located(left), one_located(right)
    points = _points(point, (left, point_a, from_a), (right, point_b, from_b))
    now_ms = int(selection.now_ms)
    server = server_of(names, databases, memory_limit)
    jobs = Jobs(processes)
    if memory:
        if output not in {DiffFormat.TEXT, DiffFormat.JSON}:
            raise UsageError("--memory is about sums: --format text or json")
        froms = (from_a is From.COMMANDS, from_b is From.COMMANDS)
        same, partial = _compare_memory(
            (left, right), points, froms, unknown.value, server, selection, prefixes, limit, output, jobs
        )
        raise typer.Exit(of_comparison(same=same, loss=same and partial))
    options = DiffOptions(
        ignore_expiry=Ignorable.EXPIRY in (ignore or ()),
        ttl_tolerance_ms=ttl_tolerance,
        eviction=eviction,
        encodings=encodings,
        memory_limit=min(parse_size(memory_limit or "512MiB"), BIGGEST),
        keep_going=keep_going,
        selection=selection,
    )
    count = jobs.count([left, right])
    with (
        jobs.workers(count) as workers,
        Progress() as progress,
        open_snapshot(
            left,
            point=points[0],
            unknown=unknown.value,
            server=server,
            now_ms=now_ms,
            progress=progress,
            commands=from_a is From.COMMANDS,
        ) as a,
        open_snapshot(
            right,
            point=points[1],
            unknown=unknown.value,
            server=server,
            now_ms=now_ms,
            progress=progress,
            commands=from_b is From.COMMANDS,
        ) as b,
    ):
        for snapshot in (a, b):
            if memory_limit and snapshot.replayed:
                note = "--memory-limit does not hold for the replay of a log, which takes memory for all its data"
                print(f"note    {printable_text(snapshot.name)}: {note}", file=sys.stderr)
        diff = Diff(a, b, options, executor=workers, workers=count)
        diff.progress = progress
        try:
            loss = show(diff, output, mode, limit, progress.clear, detail=detail, values=values)
        except FormatError as e:
            if keep_going:
                raise
            print(f"rdbtool: {e}\nto compare what can be read: --keep-going", file=sys.stderr)
            print_way_out(e)
            raise typer.Exit(of_error(e)) from None
    hint_at_regex(selection.keys, int(selection.kept))
    raise typer.Exit(of_comparison(same=diff.report.same, loss=loss))


def _compare_memory(
    paths: tuple[str, str],
    points: list[PointInTime],
    commands: tuple[bool, bool],
    unknown: str,
    server: Server,
    selection: Selection,
    prefixes: Prefixes,
    limit: int | None,
    output: DiffFormat,
    jobs: Jobs,
) -> tuple[bool, bool]:
    """Show which prefixes grew. Returns whether none changed, and whether not all of both sides was counted."""
    from rdbtool.analysis.contents import Wanted
    from rdbtool.tasks.memory import ContentsReport, Reading, memory

    from .diff_memory import show_growth

    wanted = Wanted(top=0, prefixes=prefixes, now_ms=int(selection.now_ms))
    release: Release | None = None  # of the one after: what is compared must be counted alike
    reports: list[ContentsReport] = []
    for side in (1, 0):
        selection.kept = 0
        reading = Reading(points[side], unknown, commands[side], server)
        measured = functools.partial(memory, wanted=wanted, release=release, selection=selection, reading=reading)
        ((_, report),) = jobs.each(measured, [paths[side]], in_parts=True, worth=WORTH_COUNTING)
        if isinstance(report, RdbToolError):
            raise report
        release = report.files[0].release
        reports.insert(0, report)
    same = show_growth(reports[0], reports[1], limit, as_json=output is DiffFormat.JSON)
    hint_at_regex(selection.keys, sum(report.contents.total.keys for report in reports))
    return same, any(report.partial or report.loss for report in reports)


def _points(common: PointInTime, *sides: tuple[str, PointInTime, From]) -> list[PointInTime]:
    """The point in time of each side: its own, or the common one where it is a log. Raises `UsageError`."""
    from rdbtool.inputs.detect import JSON_LINES, SNAPSHOT, open_detected

    points = [own if own.asked else common for _, own, _ in sides]
    if not common.asked:
        return points
    logs = []
    for path, own, source in sides:
        if path == "-" or source is From.COMMANDS or own.asked:
            logs.append(True)
        else:
            with open_detected(path) as opened:
                logs.append(opened.kind not in {SNAPSHOT, JSON_LINES})
    if not any(logs):
        raise UsageError("neither of the two is a log: a snapshot holds one point in time only")
    return [point if is_log else WHOLE for point, is_log in zip(points, logs, strict=True)]
