"""``rdbtool history``."""

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import PointInTime
from rdbtool.errors import UsageError, printable, printable_text
from rdbtool.exit_codes import of_report
from rdbtool.inputs.filters import database_numbers

from .console import remark
from .filters import hint_at_regex
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
from .remote import one_located
from .render import SCHEMA, json_text, number, plural, print_findings, print_json, show_path, size, table
from .usage import Usage

if TYPE_CHECKING:
    from rdbtool.engine.replay.key_history import Touch
    from rdbtool.tasks.stats import StatsReport

NAME = "history"
USAGE: Final = Usage(
    example="rdbtool history appendonlydir --key 'cart:*'",
    problems="the log is damaged",
    loss="done; a command of the log had no effect that it should have had",
)
EXAMPLE = ("INPUT", "--key", "a")

ARGUMENT = 40
"""Bytes of an argument that are shown."""
ARGUMENTS = 12


@takes(point=point_in_time, names=command_names)
def command(
    point: PointInTime,
    names: CommandNames,
    path: Annotated[str, typer.Argument(metavar="AOF", help="An AOF, a manifest, a directory of a set, or '-'.")],
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", "-k", metavar="KEY", help="A key, or a glob as KEYS takes it. May be repeated."),
    ] = None,
    db: Annotated[
        list[str] | None, typer.Option("--db", metavar="N,...", help="In these databases only. Repeatable.")
    ] = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="Instead: commands by name, bytes, errors, hottest keys, over time.")
    ] = False,
    replaying: Annotated[
        bool,
        typer.Option("--replay/--no-replay", help="With --stats: carry the commands out too, which tells errors."),
    ] = True,
    unknown: UnknownOption = Unknown.STOP,
    databases: ServerDatabasesOption = None,
    memory_limit: MemoryLimitOption = "",
    source: FromOption = From.AUTO,
    output: FormatOption = Format.TEXT,
) -> None:
    r"""Tell every command that touched a key: who deleted it, and when.

    The whole log is replayed, so a command that failed, or found nothing to do, is told as such, and FLUSHALL,
    SWAPDB and scripts count as well. --format json writes one JSON object per line. Keys may hold escapes: \xff.
    """
    path = one_located(path)
    server = server_of(names, databases, memory_limit)
    if stats:
        from rdbtool.tasks.stats import stats as count

        if keys:
            raise UsageError("--stats is about all keys: leave out --key")
        with Progress() as progress:
            result = count(
                path,
                point=point,
                unknown=unknown.value,
                source=source.value,
                replaying=replaying,
                server=server,
                progress=progress,
            )
        if output is Format.JSON:
            print_json(NAME, result.as_json())
        else:
            _print_stats(result)
        raise typer.Exit(of_report(result))
    from rdbtool.tasks.history import history

    show = _print_line if output is Format.JSON else _print_touch
    with Progress() as progress:

        def tell(touch: "Touch") -> None:
            progress.clear()
            show(touch)

        report = history(
            path,
            [unescape(key) for key in keys or ()],
            tell,
            db=database_numbers([text for text in db or () if text != "-1"]),
            point=point,
            unknown=unknown.value,
            source=source.value,
            server=server,
            progress=progress,
        )
    sys.stdout.flush()  # the summary comes last, also where both go to one place
    print_findings(report.findings)
    hint_at_regex([os.fsencode(key) for key in keys or ()], report.touches)
    if output is Format.TEXT:
        remark(
            f"{plural(report.touches, 'command')} on {plural(report.keys, 'key')}, of {number(report.commands)}"
            + (f"; ended early: {report.stopped}" if report.stopped else "")
        )
    raise typer.Exit(of_report(report))


def unescape(text: str) -> bytes:
    r"""The bytes that an argument means: ``\xHH`` is a byte, all else is itself."""
    data = os.fsencode(text)
    out = bytearray()
    i = 0
    while i < len(data):
        if data[i : i + 2] == b"\\x":
            digits = data[i + 2 : i + 4]
            if len(digits) == 2 and all(c in b"0123456789abcdefABCDEF" for c in digits):
                out.append(int(digits, 16))
                i += 4
                continue
        out.append(data[i])
        i += 1
    return bytes(out)


def _shown(args: list[bytes]) -> list[str]:
    shown = [printable(arg, ARGUMENT) for arg in args[:ARGUMENTS]]
    if len(args) > ARGUMENTS:
        shown.append(f"... ({len(args)} arguments)")
    return shown


def _when(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if 0 <= time_s < 253402300800 else "-"


def _effect(touch: "Touch") -> str:
    parts = [touch.effect]
    if touch.other_key is not None:
        parts.append(f"'{printable(touch.other_key)}'")
    if touch.other_db >= 0 and touch.other_db != touch.db:
        parts.append(f"db {touch.other_db}")
    return " ".join(parts) + (f" ({touch.detail})" if touch.detail else "")


def _print_touch(touch: "Touch") -> None:
    place = f"{printable_text(os.path.basename(touch.path))}:{touch.offset}"
    words = " ".join(word if word and " " not in word else f'"{word}"' for word in _shown(touch.command))
    print(f"{place}  {_when(touch.time_s)}  db {touch.db}  {printable(touch.key)}  {_effect(touch)}  {words}".rstrip())


def _print_line(touch: "Touch") -> None:
    facts: dict[str, Any] = {"schema": SCHEMA, "file": printable_text(touch.path), "offset": touch.offset}
    if touch.time_s >= 0:
        facts["time_s"] = touch.time_s
    facts["db"] = touch.db
    facts["key"] = printable(touch.key, 4096)
    facts["effect"] = touch.effect
    if touch.detail:
        facts["detail"] = touch.detail
    if touch.other_key is not None:
        facts["other_key"] = printable(touch.other_key, 4096)
    if touch.other_db >= 0:
        facts["other_db"] = touch.other_db
    facts["command"] = _shown(touch.command)
    print(json_text(facts))


def _print_stats(report: "StatsReport") -> None:
    t = report.traffic
    print(f"{show_path(report.path)}: {plural(t.commands, 'command')}, {size(t.bytes)}")
    if report.keys is not None:
        print(f"  {plural(report.keys, 'key')} at the end" + (f" ({report.stopped})" if report.stopped else ""))
    heading = ["command", "count", "bytes", "bytes each", "largest", "errors"]
    if report.keys is None:
        heading.pop()
    rows = [heading]
    for name, tally in sorted(t.names.items(), key=lambda item: (-item[1].count, item[0])):
        row = [printable(name), number(tally.count), number(tally.bytes)]
        row += [number(tally.bytes // max(tally.count, 1)), number(tally.largest)]
        rows.append(row if report.keys is None else [*row, number(tally.errors)])
    print()
    for line in table(rows):
        print(line)
    hottest = t.hottest.top(20)
    if hottest:
        print()
        rows = [["db", "key", "commands"], *([str(db), printable(key), number(n)] for db, key, n in hottest)]
        for line in table(rows):
            print(line)
        if t.hottest.slack:
            print(f"(each up to {number(t.hottest.slack)} more)")
    if t.first_s >= 0:
        print(f"\nfrom {_when(t.first_s)} to {_when(t.last_s)}, commands per {plural(t.timeline.width, 'second')}:")
        most = max(t.timeline.counts.values(), default=1) or 1
        for slot, count in sorted(t.timeline.counts.items()):
            print(f"{_when(slot * t.timeline.width)}  {number(count):>12}  {'#' * (count * 40 // most)}")
    print_findings(report.findings)
