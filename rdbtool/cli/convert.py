"""``rdbtool convert``."""

import sys
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import RdbToolError, UsageError
from rdbtool.exit_codes import ExitCode, of_all, of_error, of_report
from rdbtool.inputs.selection import Selection
from rdbtool.outputs.registry import CONVERTED, FORMATS, format_of_path
from rdbtool.servers.releases import written_span

from .console import remark
from .filters import chosen_keys, hint_at_regex
from .jobs import Jobs, side_by_side
from .live import reads_servers
from .options import AUTO, CsvSafeOption, Format, FormatOption, ReplaceOption, choices, command_names, one_of, takes
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
from .render import plural, print_findings, print_json, show_path
from .usage import CHANGES_PANEL, WRITING_PANEL, Usage
from .way_out import print_way_out, print_way_out_of

if TYPE_CHECKING:
    from rdbtool.tasks.convert import ConvertReport

NAME = "convert"
EXAMPLE = ("INPUT", "-", "--to", "jsonl")
"""How it is called with one input, for the tests of all commands."""

USAGE: Final = Usage(
    example="rdbtool convert appendonlydir backup.rdb --target redis-6.2",
    problems="an input is damaged, and nothing was written",
    loss="done, with loss, or damage that was undone, as listed",
)

_ENDINGS: Final = " ".join(row.endings[0] for row in FORMATS if row.convert and row.endings)


class Compression(StrEnum):
    """How an RDB is compressed."""

    LZF = "lzf"
    VCS = "vcs"
    NONE = "none"


class Base(StrEnum):
    """What an append-only file begins with."""

    AUTO = "auto"
    RDB = "rdb"
    RESP = "resp"


_BASES: Final[dict[Base, Literal["", "rdb", "resp"]]] = {Base.AUTO: "", Base.RDB: "rdb", Base.RESP: "resp"}


class OnConflict(StrEnum):
    """Which input a key is taken from that several have."""

    ERROR = "error"
    FIRST = "first"
    LAST = "last"
    MERGE = "merge"


@reads_servers
@takes(selection=chosen_keys, point=point_in_time, names=command_names, jobs=side_by_side)
def command(
    selection: Selection,
    point: PointInTime,
    names: CommandNames,
    jobs: Jobs,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="SRC... DST",
            help="Inputs: RDB or AOF, gzip or zstd too, a manifest, a directory of a set, JSON lines, "
            "commands, or '-'. Then the output, or '-'; with {name} in it, each input has an output of that name.",
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            parser=one_of(CONVERTED),
            metavar=choices(CONVERTED),
            help=f"What to write; auto: by the name of DST ({_ENDINGS}, 'DIR/' for a multi-part set). resp is for "
            "redis-cli --pipe; jsonl can be read back without loss.",
        ),
    ] = AUTO,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="RELEASE",
            help=f"The server that is to load it: {written_span()}, or rdb-N. By default the one that wrote SRC.",
        ),
    ] = "",
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Refuse what cannot be kept, instead of listing it.")
    ] = False,
    on_conflict: Annotated[
        OnConflict,
        typer.Option(
            "--on-conflict",
            help="Which input counts for a key that several have; merge: hashes, sets and sorted sets get the elements "
            "of all.",
        ),
    ] = OnConflict.ERROR,
    split: Annotated[
        str,
        typer.Option(
            "--split",
            metavar="N|slots=A-B,...",
            help="Several outputs by hash slot: N equal parts, or these. DST 'out.rdb' becomes 'out-0-5460.rdb'; '{}' "
            "in it is replaced.",
        ),
    ] = "",
    db_map: Annotated[
        list[str] | None,
        typer.Option(
            "--db-map",
            metavar="OLD=NEW",
            help="Give a database another number: 0=3. Repeatable.",
            rich_help_panel=CHANGES_PANEL,
        ),
    ] = None,
    drop_expiry: Annotated[
        bool, typer.Option("--drop-expiry", help="Keys and fields live for ever.", rich_help_panel=CHANGES_PANEL)
    ] = False,
    expire_shift: Annotated[
        str,
        typer.Option(
            "--expire-shift",
            metavar="[+|-]DURATION",
            help="Let keys and fields expire so much later: 30d, 12h, -1w. It brings back what has expired since.",
            rich_help_panel=CHANGES_PANEL,
        ),
    ] = "",
    replace: ReplaceOption = False,
    csv_safe: CsvSafeOption = False,
    force: Annotated[
        bool, typer.Option("--force", "--yes", help="Do not ask before a file is overwritten: for scripts.")
    ] = False,
    base: Annotated[
        Base,
        typer.Option(
            "--base",
            help="What an AOF begins with; auto: a set with an RDB, a single file with commands.",
            rich_help_panel=WRITING_PANEL,
        ),
    ] = Base.AUTO,
    mode: Annotated[
        str,
        typer.Option(
            "--bytes",
            metavar="MODE",
            help="How bytes become text, and in JSON lines without a header were: see dump.",
            rich_help_panel=WRITING_PANEL,
        ),
    ] = "auto",
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going",
            help="Check every value, leave out damaged keys, take what can be read of a damaged file; exit with 3.",
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Verify every value, also where a checksum vouches for the file, from which values are then copied.",
            rich_help_panel=WRITING_PANEL,
        ),
    ] = False,
    compress: Annotated[
        Compression,
        typer.Option(
            "--compress",
            help="How an RDB is compressed: its strings, as servers do (lzf), or as a whole, as Valkey 9.2 can (vcs).",
            rich_help_panel=WRITING_PANEL,
        ),
    ] = Compression.LZF,
    no_compress: Annotated[
        bool, typer.Option("--no-compress", help="The same as --compress none.", rich_help_panel=WRITING_PANEL)
    ] = False,
    checksum: Annotated[
        bool, typer.Option("--checksum/--no-checksum", help="A checksum at the end.", rich_help_panel=WRITING_PANEL)
    ] = True,
    drop_modules: Annotated[
        bool, typer.Option("--drop-modules", help="Leave out what modules own.", rich_help_panel=CHANGES_PANEL)
    ] = False,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--pack",
            metavar="LIMIT=N",
            help="Up to where a value that is built anew is packed, in place of the server's default: hash-entries, "
            "hash-value, zset-entries, zset-value, set-intset-entries, set-entries, set-value, list-node, "
            "stream-node-bytes, stream-node-entries.",
            rich_help_panel=WRITING_PANEL,
        ),
    ] = None,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    source: FromOption = From.AUTO,
    output: FormatOption = Format.TEXT,
) -> None:
    """Write snapshots and logs in another form, or for another server.

    Keys whose type the target knows are copied as they are; others are built anew, as the target's server would
    have done it. Nothing shows under the name of DST before it is whole.
    """
    from rdbtool.basics.text import mode_of
    from rdbtool.inputs.filters import database_map, parse_limits, shift_ms
    from rdbtool.io.destination import is_standard_output
    from rdbtool.io.remote import local_path
    from rdbtool.outputs.changing import Changes
    from rdbtool.outputs.options import OutputOptions, RdbOptions
    from rdbtool.rdb.targets import target as target_of
    from rdbtool.tasks.convert import convert, output_paths
    from rdbtool.tasks.convert_each import NAME as NAME_OF_INPUT
    from rdbtool.tasks.sharing import Sharing

    if len(paths) < 2:
        raise UsageError("SRC and DST are needed: what to read, and what to write")
    *sources, destination = paths
    sources = located(sources)
    destination = local_path(without_secret(destination))
    if is_standard_output(destination):
        destination = "-"
    if sources.count("-") > 1:
        raise UsageError("only one of the inputs can be standard input")
    text_mode = mode_of(mode)
    options = OutputOptions(
        format_of_path(destination) if to == AUTO else to,
        rdb=RdbOptions(
            target_of(target) if target else None,
            compress=compress is Compression.LZF and not no_compress,
            envelope=compress is Compression.VCS,
            checksum=checksum,
            lossless=lossless,
            limits=parse_limits(limits or ()),
        ),
        base=_BASES[base],
        mode=text_mode,
        lossless=lossless,
        replace=replace,
        csv_safe=csv_safe,
    )
    if replace and options.format != "resp":
        raise UsageError("--replace is about commands for a server that has data: --to resp")
    if csv_safe and options.format != "csv":
        raise UsageError("--csv-safe is about CSV: --to csv")
    if drop_expiry and expire_shift:
        raise UsageError("--drop-expiry and --expire-shift contradict each other")
    changes = Changes(
        database_map(db_map or ()), drop_expiry, shift_ms(expire_shift) if expire_shift else 0, drop_modules
    )
    arguments: dict[str, Any] = {
        "options": options,
        "selection": selection,
        "split": split,
        "on_conflict": on_conflict.value,
        "changes": changes,
        "keep_going": keep_going,
        "check": check,
        "point": point,
        "unknown": unknown.value,
        "server": server_of(names, databases, memory_limit),
        "commands": source is From.COMMANDS,
        "source_mode": text_mode,
    }
    limit = arguments["server"].memory_limit
    arguments["sharing"] = Sharing(memory=limit)
    if NAME_OF_INPUT in destination:
        if output is Format.JSON:
            raise UsageError("--format json tells of one output")
        _convert_each(sources, destination, arguments, jobs, force=force)
    if jobs.executor:
        raise UsageError(f"--executor is for inputs with an output each: a name with {NAME_OF_INPUT} in it")
    if not force:
        ask_to_overwrite(output_paths(destination, split), sources)
    sharing = jobs.sharing(jobs.count(sources), limit, snapshots=options.format != "rdb")
    with Progress() as progress, sharing as arguments["sharing"]:
        report = convert(sources, destination, progress=progress, **arguments)
    if output is Format.JSON and destination != "-":
        print_json(NAME, report.as_json())
    else:
        _print_text(report)
    hint_at_regex(selection.keys, int(selection.kept))
    raise typer.Exit(of_report(report))


def _convert_each(
    sources: list[str], destination: str, arguments: dict[str, Any], jobs: Jobs, *, force: bool
) -> NoReturn:
    """Convert each input to an output of its own, and end."""
    from rdbtool.tasks.convert import output_paths
    from rdbtool.tasks.convert_each import convert_each, outputs_by_name

    sources, destination = jobs.places(sources), *jobs.places([destination])
    outputs = outputs_by_name(sources, destination)
    if not force:
        ask_to_overwrite(
            [path for each in outputs.values() for path in output_paths(each, arguments["split"])], sources
        )
    codes: list[ExitCode] = []
    kept = 0
    for path, report in jobs.each(partial(convert_each, outputs=outputs, arguments=arguments), sources):
        if isinstance(report, RdbToolError):
            print(f"rdbtool: {report}", file=sys.stderr)
            print_way_out(report)
            codes.append(of_error(report))
            continue
        if not report.outputs:
            print(f"{show_path(path)}:", file=sys.stderr)
        _print_text(report)
        kept += report.written
        codes.append(of_report(report))
    hint_at_regex(arguments["selection"].keys, kept)
    raise typer.Exit(of_all(codes))


def _print_text(report: "ConvertReport") -> None:
    """All of it goes to stderr: standard output may be the output."""
    print_findings(report.findings)
    if not report.outputs:
        print_way_out_of(report.findings.items)
        print("nothing was written", file=sys.stderr)
        return
    target = f" for {report.target}" if report.target else ""
    skipped = f", {plural(report.skipped, 'damaged key')} left out" if report.skipped else ""
    dropped = f", {plural(report.dropped, 'key')} left out that another input has" if report.dropped else ""
    merged = f", {plural(report.merged, 'key')} merged into another" if report.merged else ""
    names = ", ".join("standard output" if path == "-" else show_path(path) for path in report.outputs)
    remark(f"{plural(report.written, 'key')} written to {names}{target}{skipped}{dropped}{merged}")
