"""``rdbtool load``."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import UsageError
from rdbtool.exit_codes import of_report
from rdbtool.inputs.selection import Selection
from rdbtool.live.address import Access, Scan, is_url

from .console import console
from .filters import chosen_keys, hint_at_regex
from .live import reached, read_from, refuse_without_server, scanned
from .options import Format, FormatOption, command_names, takes
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
from .usage import CHANGES_PANEL, INTO_PANEL, Usage
from .way_out import print_way_out_of

if TYPE_CHECKING:
    from rdbtool.tasks.load import LoadReport

NAME = "load"
EXAMPLE = ("INPUT", "redis://localhost:1")
"""How it is called with one input, for the tests of all commands."""

USAGE: Final = Usage(
    example="rdbtool load dump.rdb redis://localhost:6379 --dry-run",
    problems="the input is damaged (what stands before that is loaded), or a named key is missing",
    failed="could not do the job: the server cannot be reached or must not be written to, the connection was lost (it "
    "says how to go on), wrong options, unreadable input",
    loss="done, but keys were refused, or there is loss, or undone damage, that is listed",
)


class OnConflict(StrEnum):
    """What about a key that the server has."""

    ERROR = "error"
    SKIP = "skip"
    REPLACE = "replace"


@takes(selection=chosen_keys, point=point_in_time, names=command_names, access=reached, scan=scanned)
def command(
    selection: Selection,
    point: PointInTime,
    names: CommandNames,
    access: Access,
    scan: Scan | None,
    path: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="An RDB or AOF, gzip or zstd too, a manifest, a directory of a set, JSON lines, commands, a server's "
            "URL, or '-'.",
        ),
    ],
    url: Annotated[str, typer.Argument(metavar="URL", help="The server: a redis://, rediss:// or unix:// URL.")],
    into_nonempty: Annotated[
        bool, typer.Option("--into-nonempty", help="Load although the server has keys.", rich_help_panel=INTO_PANEL)
    ] = False,
    on_conflict: Annotated[
        OnConflict,
        typer.Option(
            "--on-conflict",
            help="What about a key that the server has; error: report it, and go on.",
            rich_help_panel=INTO_PANEL,
        ),
    ] = OnConflict.ERROR,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Write nothing: count what would be loaded, and what the server has already.",
            rich_help_panel=INTO_PANEL,
        ),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Then read SRC again, and compare each key by DEBUG DIGEST-VALUE, or by DUMP where the server refuses "
            "DEBUG.",
            rich_help_panel=INTO_PANEL,
        ),
    ] = False,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="URL is a node of a cluster: each key goes to the master of its slot. So is SRC, if it is a server: "
            "all its masters are read.",
            rich_help_panel=INTO_PANEL,
        ),
    ] = False,
    rate: Annotated[
        float,
        typer.Option("--rate", metavar="N", min=0, help="N keys a second at most.", rich_help_panel=INTO_PANEL),
    ] = 0,
    commands: Annotated[
        bool,
        typer.Option(
            "--commands",
            help="Send commands in place of RESTORE, as for a server that does not let us.",
            rich_help_panel=INTO_PANEL,
        ),
    ] = False,
    start_at: Annotated[
        int,
        typer.Option(
            "--start-at",
            metavar="N",
            min=0,
            help="Pass over the first N keys, as a load says that lost its connection.",
            rich_help_panel=INTO_PANEL,
        ),
    ] = 0,
    db_map: Annotated[
        list[str] | None,
        typer.Option(
            "--db-map",
            metavar="OLD=NEW",
            help="Give a database another number: 0=3. Repeatable.",
            rich_help_panel=CHANGES_PANEL,
        ),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix", metavar="TEXT", help="Put this in front of each key's name.", rich_help_panel=CHANGES_PANEL
        ),
    ] = "",
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going",
            help="Check every value, leave out damaged keys, take what can be read of a damaged file; exit with 3.",
        ),
    ] = False,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    source: FromOption = From.AUTO,
    output: FormatOption = Format.TEXT,
) -> None:
    """Load a snapshot, a log or another server's keys into a live server.

    Values go as they stand, by RESTORE, where the server's release takes them; others are encoded for it. It must be a
    master, and have no keys.
    """
    from rdbtool.inputs.filters import database_map
    from rdbtool.live.load import LoadOptions
    from rdbtool.outputs.changing import Changes
    from rdbtool.tasks.load import load

    if not is_url(url):
        raise UsageError("what is loaded into is a server: redis://, rediss:// or unix://", path=url)
    if is_url(path):
        read_from(access, scan, cluster=cluster)
    else:
        refuse_without_server(scan, cluster=False)
    options = LoadOptions(
        on_conflict=on_conflict.value,
        into_nonempty=into_nonempty,
        prefix=prefix.encode("utf-8", "surrogateescape"),
        rate=rate,
        dry_run=dry_run,
        start_at=start_at,
        cluster=cluster,
        commands=commands,
    )
    with Progress() as progress:
        report = load(
            path,
            url,
            options,
            selection,
            verify=verify,
            access=access,
            changes=Changes(database_map(db_map or ())),
            keep_going=keep_going,
            point=point,
            unknown=unknown.value,
            commands=source is From.COMMANDS,
            progress=progress,
            server=server_of(names, databases, memory_limit),
        )
    print_findings(report.findings)
    if report.failed and not keep_going:
        print_way_out_of(report.findings.items)
    if output is Format.JSON:
        print_json(NAME, report.as_json())
    else:
        _print_text(report)
    hint_at_regex(selection.keys, int(selection.kept))
    raise typer.Exit(of_report(report))


def _print_text(report: "LoadReport") -> None:
    if console.quiet and not (report.loss or report.mended or report.failed):
        return
    would = "would be " if report.dry_run else ""
    print(f"{show_path(report.server)}: {plural(report.loaded, 'key')} {would}loaded ({report.release})")
    how = ((report.as_they_stand, "as they stand"), (report.encoded, "encoded anew"), (report.commands, "as commands"))
    sent = ", ".join(f"{number(count)} {words}" for count, words in how if count)
    if sent:
        print(f"  sent       {sent}, {size(report.sent_bytes)}")
    if report.functions:
        print(f"  functions  {plural(report.functions, 'library')}")
    if report.conflicts:
        print(f"  kept       {plural(report.conflicts, 'key')} that the server has")
    if report.failed_keys:
        print(f"  refused    {number(report.failed_keys)}")
    if report.damaged:
        print(f"  left out   {plural(report.damaged, 'damaged key')}")
    if report.verified is not None:
        told = report.verified
        found = f"{plural(told['compared'], 'key')} compared"
        found += f", {number(told['different'])} different, {number(told['missing'])} missing"
        print(f"  verified   {found}")
