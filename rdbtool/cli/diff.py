"""``rdbtool diff``."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from rdbtool.errors import UsageError
from rdbtool.export.text import mode_of
from rdbtool.rdb.output import Output
from rdbtool.sink import Sink, open_sink
from rdbtool.tasks.diff.commands import CommandsOut
from rdbtool.tasks.diff.difference import KINDS, SAME
from rdbtool.tasks.diff.lines import LinesOut, TypedLines
from rdbtool.tasks.diff.records import RecordsOut
from rdbtool.tasks.diff.run import MEMORY_LIMIT, Diff, DiffOptions, DiffReport
from rdbtool.tasks.diff.snapshot import Snapshot

from .render import SCHEMA, findings_lines, number, paint, plural, show_path, table

NAME = "diff"

COLOURS: Final = {"added": "green", "removed": "red"}
UNITS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class DiffFormat(StrEnum):
    """How differences are written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    COMMANDS = "commands"
    RESP = "resp"


class Ignorable(StrEnum):
    """What can be left out of the comparison."""

    EXPIRY = "expiry"


def parse_size(text: str) -> int:
    """Bytes, from a number with or without a unit of 1024s: ``512MiB``, ``2g``. Raises `UsageError`."""
    digits = text.rstrip("bBiIkKmMgGtT")
    unit = text[len(digits) :].lower().removesuffix("ib")
    unit = unit if unit == "b" else unit.removesuffix("b")
    if not (digits.isascii() and digits.isdigit()) or unit not in UNITS:
        raise UsageError(f"not a size: {text!r} (as in 512MiB)")
    return int(digits) * UNITS[unit]


def command(
    left: Annotated[str, typer.Argument(metavar="A", help="The snapshot before; '-' for standard input.")],
    right: Annotated[str, typer.Argument(metavar="B", help="The snapshot after.")],
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
        str, typer.Option("--bytes", help="How bytes become text: auto, utf8, base64, hex or escape.")
    ] = "auto",
    limit: Annotated[
        int | None, typer.Option("--limit", min=0, help="Write this many differences at most; all are counted.")
    ] = None,
    ignore: Annotated[list[Ignorable] | None, typer.Option("--ignore", help="Leave out of the comparison.")] = None,
    ttl_tolerance: Annotated[
        int, typer.Option("--ttl-tolerance", metavar="MS", min=0, help="Expiries this close are the same.")
    ] = 0,
    eviction: Annotated[
        bool, typer.Option("--with-eviction", help="Idle times, access frequencies and consumers' times count.")
    ] = False,
    encodings: Annotated[bool, typer.Option("--encodings", help="How a value is encoded counts.")] = False,
    memory_limit: Annotated[
        str, typer.Option("--memory-limit", metavar="SIZE", help="Read the files more often rather than take more.")
    ] = f"{MEMORY_LIMIT >> 20}MiB",
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Compare what can be read of damaged files, and list the damage.")
    ] = False,
) -> None:
    """Compare two snapshots by meaning, key by key.

    How values are encoded does not matter, nor the order of keys, sets and hashes. Exit code: 0 the same,
    1 different, 2 could not compare (damaged files too, unless told to keep going), 3 no difference in what
    could be read.
    """
    if left == right == "-":
        raise UsageError("only one of the two can be standard input")
    options = DiffOptions(
        ignore_expiry=Ignorable.EXPIRY in (ignore or ()),
        ttl_tolerance_ms=ttl_tolerance,
        eviction=eviction,
        encodings=encodings,
        memory_limit=parse_size(memory_limit),
        keep_going=keep_going,
    )
    sink = open_sink("-", binary=output is DiffFormat.RESP)
    with Snapshot(left) as a, Snapshot(right) as b:
        diff = Diff(a, b, options)
        try:
            losses = _write(diff, sink, output, mode_of(mode), limit, detail=detail, values=values)
        finally:
            sink.flush()
    if output is not DiffFormat.JSON:
        for line in findings_lines(diff.report.findings):
            print(line, file=sys.stderr)
    for kind, n in losses.items():
        print(f"rdbtool: no command can say this: {kind} ({number(n)})", file=sys.stderr)
    raise typer.Exit(3 if losses or (diff.report.same and diff.report.loss) else 0 if diff.report.same else 1)


def _write(
    diff: Diff, sink: Sink, output: DiffFormat, mode: int, limit: int | None, *, detail: bool, values: bool
) -> dict[str, int]:
    """Write all differences; what the format could not say is returned."""
    if output in {DiffFormat.COMMANDS, DiffFormat.RESP}:
        out = Output(TypedLines(sink) if output is DiffFormat.COMMANDS else sink)
        return _write_commands(diff, out, limit)
    if output is DiffFormat.TEXT:
        _write_text(diff, sink, LinesOut(diff, mode, detail=detail), limit)
    else:
        _write_json(diff, Output(sink), mode, limit, detail=detail, values=values, lines=output is DiffFormat.JSONL)
    return {}


def _write_commands(diff: Diff, out: Output, limit: int | None) -> dict[str, int]:
    commands = CommandsOut(out, diff.rules)
    written = 0
    for difference in diff:
        if limit is None or written < limit:
            written += 1
            commands.version = diff.right.version
            commands.add(difference)
    commands.end()
    return commands.losses


def _write_json(diff: Diff, out: Output, mode: int, limit: int | None, *, detail: bool, values: bool, lines: bool) -> None:
    records = RecordsOut(diff, out, mode, values=values, detail=detail)
    if not lines:
        out.buffer.write(b'{"schema":%d,"command":"diff","differences":[' % SCHEMA)
    written = 0
    for difference in diff:
        if limit is None or written < limit:
            if not lines:
                out.buffer.write(b",\n" if written else b"\n")
            written += 1
            records.add(difference)
            if lines:
                out.buffer.append(10)
    if not lines:
        import json

        facts = {"left": diff.left.name, "right": diff.right.name, **diff.report.as_json()}
        out.buffer.write(b"],\n" + json.dumps(facts)[1:].encode() + b"\n")
    out.flush()


def _write_text(diff: Diff, sink: Sink, out: LinesOut, limit: int | None) -> None:
    written = 0
    for difference in diff:
        if limit is None or written < limit:
            head, *rest = out.lines(difference)
            head = paint(head, COLOURS.get(difference.kind, "yellow"))
            sink.write("".join(f"{line}\n" for line in (head, *rest)).encode())
        written += 1
    if limit is not None and limit < written:
        sink.write(f"... and {number(written - limit)} more\n".encode())
    if written:
        sink.write(b"\n")
    for line in _summary(diff, diff.report):
        sink.write(line.encode() + b"\n")


def _summary(diff: Diff, report: DiffReport) -> list[str]:
    names = f"{show_path(diff.left.name)} and {show_path(diff.right.name)}"
    if report.same:
        return [f"{names}: {paint('the same', 'green')}, {plural(report.total(SAME), 'key')}"]
    kinds = [kind for kind in KINDS if report.total(kind)]
    rows = [["db", "type", *kinds, SAME]]
    for (db, type_), row in sorted(report.counts.items()):
        counts = [number(row.get(kind, 0)) for kind in (*kinds, SAME)]
        rows.append(["-" if db < 0 else str(db), type_, *counts])
    if len(rows) > 2:
        rows.append(["", "all", *(number(report.total(kind)) for kind in (*kinds, SAME))])
    return [*table(rows), f"{names}: {paint('different', 'red')}"]
