"""``rdbtool digest``."""

import sys
from functools import partial
from typing import Annotated, Any, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import RdbToolError, printable
from rdbtool.exit_codes import ExitCode, of_all, of_error, of_report
from rdbtool.inputs.selection import Selection

from .console import remark
from .filters import chosen_keys, hint_at_regex
from .jobs import ONE_JOB, Jobs, side_by_side
from .live import reads_servers
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
from .remote import located
from .render import print_findings, print_json, show_path
from .usage import Usage
from .way_out import print_way_out

NAME = "digest"
USAGE: Final = Usage(
    example="rdbtool digest dump.rdb appendonlydir",
    loss="done; a command of a log had no effect that it should have had",
)


@reads_servers
@takes(selection=chosen_keys, point=point_in_time, names=command_names, jobs=side_by_side)
def command(
    selection: Selection,
    point: PointInTime,
    names: CommandNames,
    jobs: Jobs,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="RDB or AOF files, manifests, directories of a set, or '-'."),
    ],
    keys: Annotated[bool, typer.Option("--keys", help="The digest of every key (DEBUG DIGEST-VALUE) too.")] = False,
    like: Annotated[
        str,
        typer.Option(
            "--as", metavar="RELEASE", help="The server to agree with: redis-6.2, valkey-9.1; else the file's own."
        ),
    ] = "",
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    source: FromOption = From.AUTO,
    output: FormatOption = Format.TEXT,
) -> None:
    """Print what DEBUG DIGEST prints on a server with this data.

    That is 40 hex digits for each file. Two digests are the same where keys, values and who has an expiry are the same:
    proof that a backup holds what the server holds. It says nothing of when keys expire, and of consumer groups.
    Scores are printed one way up to Redis 7.0 and another way since, so the server matters: --as.
    """
    from rdbtool.servers.releases import release_named
    from rdbtool.tasks.digest import DigestReport, digest

    paths = located(paths)
    release = release_named(like) if like else None
    files: list[dict[str, Any]] = []
    codes: list[ExitCode] = []
    releases = set()
    found = 0
    values: dict[str, list[dict[str, Any]]] = {}

    digested = partial(
        digest,
        release=release,
        point=point,
        unknown=unknown.value,
        server=server_of(names, databases, memory_limit),
        source=source.value,
        selection=selection,
    )

    def with_keys(path: str, progress: Progress) -> DigestReport:
        listed = values.setdefault(path, [])

        def show(db: int, key: bytes, value: str) -> None:
            progress.clear()
            print(f"{value}  {db}  {printable(key, 1 << 20)}")

        def keep(db: int, key: bytes, value: str) -> None:
            listed.append({"db": db, "key": printable(key, 1 << 20), "digest": value})

        return digested(path, progress=progress, on_key=show if output is Format.TEXT else keep)

    if keys:
        jobs = ONE_JOB  # what is told of a key comes from where the output is
    for path, report in jobs.each(with_keys if keys else digested, paths, in_parts=True):
        if isinstance(report, RdbToolError):
            print(f"rdbtool: {report}", file=sys.stderr)
            print_way_out(report)
            codes.append(of_error(report))
            continue
        releases.add(report.release)
        found += report.keys
        codes.append(of_report(report))
        if output is Format.TEXT:
            print(f"{report.digest}  {show_path(path)}")
            print_findings(report.findings)
        else:
            files.append({**report.as_json(), **({"values": values.pop(path)} if keys else {})})
    if len(releases) > 1:
        remark(f"the files are of {', '.join(sorted(releases))}: to compare digests, choose one with --as")
    if output is Format.JSON:
        print_json(NAME, {"files": files})
    hint_at_regex(selection.keys, found)
    raise typer.Exit(of_all(codes))
