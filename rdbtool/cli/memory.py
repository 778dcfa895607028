"""``rdbtool memory``."""

import sys
from enum import StrEnum
from functools import partial
from typing import Annotated, Final

import typer

from rdbtool.analysis.prefixes import Prefixes
from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import UsageError
from rdbtool.exit_codes import of_report
from rdbtool.inputs.selection import Selection
from rdbtool.servers.memory import ALLOCATORS, JEMALLOC

from .filters import chosen_keys, hint_at_regex
from .jobs import WORTH_COUNTING, Jobs, side_by_side
from .live import reads_servers
from .options import CsvSafeOption, command_names, takes
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
from .prefixes import prefixes as prefix_options
from .progress import Progress
from .remote import located
from .render import SCHEMA, findings_lines, print_json
from .usage import SERVER_PANEL, Usage
from .way_out import print_way_out_of

NAME = "memory"
USAGE: Final = Usage(
    example="rdbtool memory dump.rdb --top 20 --depth 1",
    problems="a file is damaged: what can be read is counted",
    loss="done; a command of a log had no effect that it should have had",
)


ReleaseOption = Annotated[
    str,
    typer.Option("--for", metavar="RELEASE", help="On this server: redis-7.0, valkey-9.1; else the file's writer."),
]
AllocatorOption = Annotated[
    str,
    typer.Option(
        "--allocator",
        metavar=f"[{'|'.join(ALLOCATORS)}]",
        help="The server's, as INFO memory names it: what Redis and Valkey bring, what distributions link, libc.",
        rich_help_panel=SERVER_PANEL,
    ),
]
ListDepthOption = Annotated[
    int,
    typer.Option(
        "--list-compress-depth",
        metavar="N",
        min=0,
        help="The server's setting of that name.",
        rich_help_panel=SERVER_PANEL,
    ),
]


def refuse_unknown_allocator(allocator: str) -> None:
    """Raise `UsageError` for what is none."""
    if allocator not in ALLOCATORS:
        raise UsageError(f"unknown allocator {allocator!r}; known are {', '.join(ALLOCATORS)}")


class MemoryFormat(StrEnum):
    """How it is written."""

    TEXT = "text"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


class By(StrEnum):
    """What the first keys have most of."""

    MEMORY = "memory"
    ELEMENTS = "elements"
    FREQ = "freq"
    IDLE = "idle"


@reads_servers
@takes(selection=chosen_keys, prefixes=prefix_options, point=point_in_time, names=command_names, jobs=side_by_side)
def command(
    selection: Selection,
    prefixes: Prefixes,
    point: PointInTime,
    names: CommandNames,
    jobs: Jobs,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="RDB or AOF files, manifests, directories of a set, JSON lines, or '-'."
        ),
    ],
    release: ReleaseOption = "",
    allocator: AllocatorOption = JEMALLOC,
    reported: Annotated[
        bool,
        typer.Option("--as-reported", help="Count as MEMORY USAGE of that release does, which leaves some things out."),
    ] = False,
    list_depth: ListDepthOption = 0,
    top: Annotated[
        int | None, typer.Option("--top", metavar="N", min=0, help="Show N keys; with csv and jsonl only those. [10]")
    ] = None,
    by: Annotated[
        By, typer.Option("--by", help="Which keys are first; freq and idle where the file has them.")
    ] = By.MEMORY,
    slots: Annotated[bool, typer.Option("--slots", help="By hash slot as well.")] = False,
    output: Annotated[
        MemoryFormat, typer.Option("--format", "-f", help="csv and jsonl: a line for each key, for scripts.")
    ] = MemoryFormat.TEXT,
    mode: Annotated[
        str, typer.Option("--bytes", metavar="MODE", help="With csv and jsonl: how bytes become text, as for dump.")
    ] = "auto",
    csv_safe: CsvSafeOption = False,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    source: FromOption = From.AUTO,
) -> None:
    """Show what keys take in a server's memory, by type and by prefix.

    Values are not decoded for it: the structures of the release are computed from lengths.
    """
    from rdbtool.analysis.collecting import KeyRows
    from rdbtool.analysis.contents import FEW, Wanted
    from rdbtool.tasks.memory import Reading, memory, of_all_inputs

    from .memory_output import facts_of, first_keys, partial_text, print_memory

    paths = located(paths)
    refuse_unknown_allocator(allocator)
    if csv_safe and output is not MemoryFormat.CSV:
        raise UsageError("--csv-safe is about CSV: --format csv")
    lines = output in {MemoryFormat.CSV, MemoryFormat.JSONL}
    wanted = Wanted(
        top=FEW if top is None else top,
        prefixes=None if lines else prefixes,
        slots=slots and not lines,
        now_ms=int(selection.now_ms),
    )
    rows: KeyRows | None = None
    if lines:
        from rdbtool.basics.text import mode_of
        from rdbtool.io.output import Output
        from rdbtool.io.sink import open_sink
        from rdbtool.outputs.key_rows import CsvRows, JsonRows
        from rdbtool.outputs.outlets import shown_safely

        sink = open_sink("-", binary=False)
        out = Output(shown_safely(sink, output.value))
        rows = (
            CsvRows(out, mode_of(mode), safe=csv_safe)
            if output is MemoryFormat.CSV
            else JsonRows(out, mode_of(mode), SCHEMA)
        )
    measured = partial(
        memory,
        wanted=wanted,
        release=release or None,
        allocator=allocator,
        reported=reported,
        list_depth=list_depth,
        selection=selection,
        largest=lines,
        reading=Reading(point, unknown.value, source is From.COMMANDS, server_of(names, databases, memory_limit)),
    )
    if rows is not None and top is None:
        if jobs.executor:
            raise UsageError("--executor is for sums and first keys: --format text or json, or --top")
        count = jobs.count(paths)
        with Progress() as progress, jobs.workers(count) as executor:
            try:
                report = measured(paths, rows=rows, progress=progress, executor=executor, workers=count)
            finally:
                sink.flush()
    else:
        report = of_all_inputs(jobs.each(measured, paths, in_parts=True, worth=WORTH_COUNTING), wanted, allocator)
    if rows is not None and top is not None:
        try:
            rows.begin()
            for _, key in first_keys(report.contents, by):
                rows.write(key)
            rows.end()
        finally:
            sink.flush()
    if output is MemoryFormat.JSON:
        print_json(NAME, facts_of(report, by))
    elif output is MemoryFormat.TEXT:
        print_memory(report, by, few=wanted.top)
    elif report.partial:
        print(f"PARTIAL: {partial_text(report)}", file=sys.stderr)  # a line among the rows would be a key to scripts
    for line in findings_lines(report.findings):
        print(line, file=sys.stderr)
    print_way_out_of(report.findings.items)
    if by in {By.FREQ, By.IDLE} and report.contents.total.keys and not first_keys(report.contents, by):
        what = "access frequencies, which servers save" if by is By.FREQ else "idle times, which servers save"
        kind = "LFU" if by is By.FREQ else "LRU"
        print(f"rdbtool: there are no {what} under a maxmemory-policy of {kind}", file=sys.stderr)
    hint_at_regex(selection.keys, report.contents.total.keys)
    raise typer.Exit(of_report(report, problems=report.partial))
