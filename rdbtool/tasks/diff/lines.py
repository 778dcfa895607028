"""Differences as lines for people, and as commands in the form redis-cli takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, final

from rdbtool.aof.resp import Command, CommandReader
from rdbtool.basics.text import to_line
from rdbtool.errors import RdbToolError
from rdbtool.io.output import Writable
from rdbtool.io.window import window_over
from rdbtool.model import NO_EXPIRY

from .details import Change
from .difference import EXPIRY, Difference, Side
from .run import Diff

LONGEST: Final = 100
"""Bytes of a value that a line shows."""
SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
PLAIN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:,/+@%=*$&|<>()[]{}!?^~;")
"""Bytes that need no quotes in a command line."""


def expiry_text(ms: int) -> str:
    """A key's expiry, for reading."""
    if ms == NO_EXPIRY:
        return "none"
    if ms < 0 or ms >= 253402300800000:  # the year 10000
        return f"{ms} ms"
    when = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


@final
class LinesOut:
    """Makes the lines of differences. ``mode`` is that of texts (`basics.text`); ``detail`` shows the inside."""

    def __init__(self, diff: Diff, mode: int, *, detail: bool = False) -> None:
        self.diff = diff
        self.mode = mode
        self.detail = detail

    def lines(self, difference: Difference) -> list[str]:
        """Kind, database, type and key; what differs if that is not clear; with detail, a line per change."""
        left = difference.left
        right = difference.right
        type_ = difference.type
        notes = []
        if left is not None and right is not None:
            if left.type != right.type:
                type_ = f"{left.type}>{right.type}"
            if EXPIRY in difference.differs:
                notes.append(f"expiry {expiry_text(left.expire_at_ms)} -> {expiry_text(right.expire_at_ms)}")
            if "eviction" in difference.differs:
                notes.append(f"{_eviction(left)} -> {_eviction(right)}")
            if "encoding" in difference.differs:
                notes.append(f"{left.encoding} -> {right.encoding}")
        db = "-" if difference.db < 0 else str(difference.db)
        note = f"  ({'; '.join(notes)})" if notes else ""
        head = f"{difference.kind:8} {db:>2} {type_:8} {self._show(difference.key)}{note}"
        return [head, *self._details(difference)] if self.detail else [head]

    def _show(self, data: bytes) -> str:
        return to_line(data, self.mode).decode()

    def _short(self, data: bytes) -> str:
        """A value, cut where it is long."""
        if len(data) <= LONGEST:
            return self._show(data)
        head = data[:LONGEST]
        if self.mode == 0:  # no half character, which would look like binary data
            while head and head[-1] & 0xC0 == 0x80:
                head = head[:-1]
            head = head[:-1] if head and head[-1] >= 0xC0 else head
        return f"{self._show(head)}... ({len(data):,} bytes)"

    def _details(self, difference: Difference) -> list[str]:
        left = difference.left
        right = difference.right
        if not difference.has_details or left is None or right is None:
            return []
        if difference.large:
            return [f"    ({left.size:,} and {right.size:,} bytes: too large to look inside within the memory limit)"]
        try:
            return [line for change in difference.changes() for line in self._change(change)]
        except RdbToolError as e:
            self.diff.damaged(e)
            return ["    (the value cannot be decoded)"]

    def _change(self, change: Change) -> list[str]:
        sign = SIGNS[change.op]
        if change.part == "bytes":
            assert change.left is not None
            assert change.right is not None
            start = max(0, change.index - LONGEST // 4)
            lead = "..." if start else ""
            at = f"    at byte {change.index}:" if start or max(len(change.left), len(change.right)) > LONGEST else ""
            lines = [
                f"    - {lead}{self._short(change.left[start:])}",
                f"    + {lead}{self._short(change.right[start:])}",
            ]
            return [at, *lines] if at else lines
        if change.part in {"item", "line"}:
            value = change.left if change.right is None else change.right
            assert value is not None
            return [f"    {sign} [{change.index}] {self._short(value)}"]
        name = f"{change.part} {self._short(change.name)}" if change.part != "counter" else self._short(change.name)
        if change.left is not None and change.right is not None:
            return [f"    {sign} {name}: {self._short(change.left)} -> {self._short(change.right)}"]
        value = change.left if change.right is None else change.right
        return [f"    {sign} {name}: {self._short(value)}" if value else f"    {sign} {name}"]


def _eviction(side: Side) -> str:
    if side.freq >= 0:
        return f"frequency {side.freq}"
    return f"idle {side.idle_s} s" if side.idle_s >= 0 else "idle unknown"


def quoted(arg: bytes) -> bytes:
    """An argument as redis-cli reads it back: bare where that is safe, else in double quotes."""
    if arg and PLAIN.issuperset(arg):
        return arg
    out = bytearray(b'"')
    for byte in arg:
        if byte in b'"\\':
            out += b"\\" + bytes((byte,))
        elif 32 <= byte < 127:
            out.append(byte)
        else:
            out += b"\\x%02x" % byte
    return bytes(out + b'"')


LONGEST_LINE: Final = 64 << 10
"""Bytes of the longest line that a server takes in place of RESP (PROTO_INLINE_MAX_SIZE), as of redis-cli --pipe."""


@final
class TypedLines:
    """Turns commands in RESP, written in runs of whole commands, into lines for redis-cli. ``long``: how many are
    longer than `LONGEST_LINE`.
    """

    def __init__(self, out: Writable) -> None:
        self._out = out
        self.long = 0

    def write(self, data: bytes, /) -> None:
        """Take some commands."""
        reader = CommandReader(window_over(data))
        while True:
            event = reader.next()
            if event is None:
                return
            assert isinstance(event, Command)
            line = b" ".join(map(quoted, event.args)) + b"\n"
            self.long += len(line) > LONGEST_LINE
            self._out.write(line)
