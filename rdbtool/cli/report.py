"""``rdbtool report``."""

from typing import Annotated, Final

import typer

from rdbtool.analysis.prefixes import Prefixes
from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.exit_codes import of_report
from rdbtool.inputs.selection import Selection
from rdbtool.servers.memory import JEMALLOC

from .console import remark
from .filters import chosen_keys, hint_at_regex
from .live import reads_servers
from .memory import AllocatorOption, ListDepthOption, ReleaseOption, refuse_unknown_allocator
from .options import command_names, takes
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
from .prefixes import prefixes as prefix_options
from .progress import Progress
from .remote import one_located
from .render import plural, print_findings, show_path, size
from .usage import PREFIXES_PANEL, Usage
from .way_out import print_way_out_of

USAGE: Final = Usage(
    example="rdbtool report dump.rdb -o report.html",
    fine="written, and the input is sound",
    problems="written; the input is damaged, and the page tells what could be read",
    loss="written; a command of a log had no effect that it should have had",
)

EXAMPLE: Final = ("INPUT", "-o", "-")


@reads_servers
@takes(selection=chosen_keys, prefixes=prefix_options, point=point_in_time, names=command_names)
def command(
    selection: Selection,
    prefixes: Prefixes,
    point: PointInTime,
    names: CommandNames,
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="An RDB or AOF file, manifest, directory of a set, JSON lines, or '-'."),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The page, or '-'.")],
    force: Annotated[
        bool, typer.Option("--force", "--yes", help="Do not ask before a file is overwritten: for scripts.")
    ] = False,
    release: ReleaseOption = "",
    allocator: AllocatorOption = JEMALLOC,
    list_depth: ListDepthOption = 0,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, max=1000, help="N keys by memory, and N by elements.")
    ] = 500,
    depth: Annotated[
        int,
        typer.Option(
            "--depth", metavar="N", min=1, max=64, help="Parts in a prefix, at most.", rich_help_panel=PREFIXES_PANEL
        ),
    ] = 5,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    source: FromOption = From.AUTO,
) -> None:
    """Write a page for a browser: where memory goes, and what is wrong.

    It is one file that needs no network: prefixes as a map that zooms, types, encodings, sizes, elements, expiries,
    slots, the biggest keys, and what the check finds.
    """
    from rdbtool.io.remote import is_remote
    from rdbtool.io.sink import open_sink
    from rdbtool.live.address import is_url
    from rdbtool.tasks.memory import Reading
    from rdbtool.tasks.report.run import report

    from .report_page import page_of

    path = one_located(path)
    refuse_unknown_allocator(allocator)
    if prefixes.depth:
        prefixes.depth = depth
    if not force:
        ask_to_overwrite([output], [path])
    with open_sink(output, inputs=() if is_url(path) or is_remote(path) else (path,)) as sink:
        with Progress() as progress:
            told = report(
                path,
                prefixes=prefixes,
                top=top,
                release=release or None,
                allocator=allocator,
                list_depth=list_depth,
                selection=selection,
                reading=Reading(
                    point, unknown.value, source is From.COMMANDS, server_of(names, databases, memory_limit)
                ),
                now_ms=int(selection.now_ms),
                progress=progress,
            )
        sink.write(page_of(told))
    print_findings(told.findings)
    print_way_out_of(told.findings.items)
    name = "standard output" if output == "-" else show_path(output)
    remark(f"{size(sink.written)} about {plural(told.measured.contents.total.keys, 'key')} written to {name}")
    hint_at_regex(selection.keys, told.measured.contents.total.keys)
    raise typer.Exit(of_report(told, problems=told.partial))
