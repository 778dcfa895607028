"""How `diff` shows what it found."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from rdbtool.basics.text import mode_of
from rdbtool.io.output import Output
from rdbtool.io.sink import Sink, open_sink
from rdbtool.io.terminal import ForTerminal, escaped_text
from rdbtool.tasks.diff.commands import CommandsOut
from rdbtool.tasks.diff.difference import KINDS, SAME
from rdbtool.tasks.diff.lines import LinesOut, TypedLines
from rdbtool.tasks.diff.records import RecordsOut
from rdbtool.tasks.diff.run import Diff, DiffReport

from .render import SCHEMA, number, paint, plural, print_findings, show_path, table


class DiffFormat(StrEnum):
    """How differences are written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    COMMANDS = "commands"
    RESP = "resp"


COLOURS: Final = {"added": "green", "removed": "red"}


def show(
    diff: Diff,
    output: DiffFormat,
    mode: str,
    limit: int | None,
    before: Callable[[], None],
    *,
    detail: bool,
    values: bool,
) -> bool:
    """Write all differences to standard output, and what else is to be told to stderr.

    ``before`` is called before the latter. Returns whether the answer is about less than all there is: a difference
    that cannot be written, or damage behind which more may differ.
    """
    texts = mode_of(mode)
    sink = open_sink("-", binary=output is DiffFormat.RESP)
    try:
        losses = _write(diff, sink, output, texts, limit, detail=detail, values=values)
    finally:
        sink.flush()
    before()
    if output is not DiffFormat.JSON:
        print_findings(diff.report.findings)
    for kind, n in losses.items():
        print(f"rdbtool: no command can say this: {kind} ({number(n)})", file=sys.stderr)
    return bool(losses) or (diff.report.same and diff.report.loss)


def _write(
    diff: Diff, sink: Sink, output: DiffFormat, mode: int, limit: int | None, *, detail: bool, values: bool
) -> dict[str, int]:
    """Write all differences; what the format could not say is returned."""
    if output in {DiffFormat.COMMANDS, DiffFormat.RESP}:
        if output is DiffFormat.RESP:
            return _write_commands(diff, Output(sink), limit)
        lines = TypedLines(sink)
        losses = _write_commands(diff, Output(lines), limit)
        if lines.long:
            told = f"{plural(lines.long, 'line')} of more than 64 KiB, which servers refuse of redis-cli --pipe"
            print(f"rdbtool: warning: {told}: take --format resp for that", file=sys.stderr)
        return losses
    if output is DiffFormat.TEXT:
        _write_text(diff, sink, LinesOut(diff, mode, detail=detail), limit)
    else:
        out = Output(ForTerminal(sink, as_json=True) if sink.is_terminal else sink)
        _write_json(diff, out, mode, limit, detail=detail, values=values, lines=output is DiffFormat.JSONL)
    return {}


def _write_commands(diff: Diff, out: Output, limit: int | None) -> dict[str, int]:
    commands = CommandsOut(out, diff.rules)
    written = 0
    for difference in diff:
        if limit is None or written < limit:
            written += 1
            commands.add(difference)
    commands.end()
    return commands.losses


def _write_json(
    diff: Diff, out: Output, mode: int, limit: int | None, *, detail: bool, values: bool, lines: bool
) -> None:
    records = RecordsOut(diff, out, mode, values=values, detail=detail, schema=SCHEMA if lines else 0)
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
        facts = {"left": diff.left.name, "right": diff.right.name, **diff.report.as_json()}
        out.buffer.write(b"],\n" + json.dumps(facts)[1:].encode() + b"\n")
    out.flush()


def _write_text(diff: Diff, sink: Sink, out: LinesOut, limit: int | None) -> None:
    written = 0
    for difference in diff:
        if limit is None or written < limit:
            head, *rest = out.lines(difference)
            if sink.is_terminal:
                head, *rest = [escaped_text(line) for line in (head, *rest)]
            head = paint(head, COLOURS.get(difference.kind, "yellow"))
            sink.write("".join(f"{line}\n" for line in (head, *rest)).encode())
        written += 1
    if limit is not None and limit < written:
        sink.write(f"... and {number(written - limit)} more\n".encode())
    if written:
        sink.write(b"\n")
    for line in _summary(diff, diff.report):
        sink.write(line.encode() + b"\n")


def _same(report: DiffReport) -> str:
    """How many keys are the same, and what else: ``12 keys, 1 function``."""
    keys = 0
    others: list[str] = []
    for (db, type_), row in sorted(report.counts.items()):
        if db >= 0:
            keys += row.get(SAME, 0)
        else:
            others.append(plural(row.get(SAME, 0), type_))
    return ", ".join([plural(keys, "key"), *others])


def _summary(diff: Diff, report: DiffReport) -> list[str]:
    names = f"{show_path(diff.left.name)} and {show_path(diff.right.name)}"
    if report.same:
        return [f"{names}: {paint('the same', 'green')}, {_same(report)}"]
    kinds = [kind for kind in KINDS if report.total(kind)]
    rows = [["db", "type", *kinds, SAME]]
    for (db, type_), row in sorted(report.counts.items()):
        counts = [number(row.get(kind, 0)) for kind in (*kinds, SAME)]
        rows.append(["-" if db < 0 else str(db), type_, *counts])
    if len(rows) > 2:
        rows.append(["", "all", *(number(report.total(kind)) for kind in (*kinds, SAME))])
    return [*table(rows), f"{names}: {paint('different', 'red')}"]
