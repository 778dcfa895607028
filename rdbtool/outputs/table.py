"""Keys for people: a table of them, or a key with all that is in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, final

from mypy_extensions import i64

from rdbtool.basics.numbers import format_score
from rdbtool.basics.text import AT_ONCE, AUTO, people_parts, to_people
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY, Id, stream_id
from rdbtool.rdb.layout.facts import IDEMPOTENCE, Losses
from rdbtool.rdb.layout.visitor import ARRAY, HASH, LIST, PATH_HASH, STREAM, STRING, ZSET, Visitor

from .exporter import KeyFacts, ValueExporter
from .summary import Counter, encoding_of

ROWS_TO_MEASURE: Final = 500
"""Rows that decide how wide the columns are."""
WIDEST_KEY: Final = 48

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOUNS: Final = {
    "string": "byte",
    "list": "element",
    "set": "member",
    "zset": "member",
    "hash": "field",
    "stream": "entry",
    "module": "value",
    "array": "element",
    "path-hash": "field",
}


def time_text(ms: int) -> str:
    """A time as ``2026-01-01 00:00:00`` in UTC; ms where no calendar reaches."""
    try:
        return (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):
        return f"{ms} ms"


def shortened(text: str, width: int) -> str:
    """``text`` in at most ``width`` characters."""
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."


def counted(n: int, noun: str) -> str:
    """``1 entry``, ``2,000 entries``."""
    if n == 1:
        return f"1 {noun}"
    return f"{n:,} {noun.removesuffix('y') + 'ies' if noun.endswith('y') else noun + 's'}"


@final
class Table(ValueExporter):
    """One line per key, ``width`` characters at most: key, type, encoding, size, elements, expiry, value."""

    def __init__(self, output: Output, losses: Losses, mode: i64, *, width: int, values: bool) -> None:
        self.counter = Counter(width if values else 0, mode)
        super().__init__(output, losses, self.counter)
        self.mode: i64 = mode
        self.width = width
        self.values = values
        self._rows: list[list[str]] = []
        self._widths: list[int] = []

    def tail(self, k: KeyFacts) -> None:
        row = [
            str(k.db),
            shortened(to_people(k.key, self.mode).decode(), min(WIDEST_KEY, max(self.width // 3, 12))),
            k.type,
            encoding_of(k),
            f"{k.size:,}" if k.size >= 0 else "",
            f"{self.counter.elements:,}",
            "" if k.expire_at_ms == NO_EXPIRY else time_text(k.expire_at_ms),
        ]
        if self.values:
            row.append(self.counter.preview.decode("utf-8", "replace"))
        if self._widths:
            self._write(row)
            return
        self._rows.append(row)
        if len(self._rows) == ROWS_TO_MEASURE:
            self._measure()

    def _measure(self) -> None:
        heading = ["db", "key", "type", "encoding", "size", "elements", "expires"]
        if self.values:
            heading.append("value")
        rows = [heading, *self._rows]
        self._widths = [max(len(row[i]) for row in rows) for i in range(7)]
        for row in rows:
            self._write(row)
        self._rows = []

    def _write(self, row: list[str]) -> None:
        cells = []
        for i, width in enumerate(self._widths):
            if width > 0:
                cells.append(row[i].rjust(width) if i in {0, 4, 5} else row[i].ljust(width))
        line = "  ".join(cells)
        if self.values:
            line += "  " + row[7]
        self.output.buffer.write(shortened(line.rstrip(), max(self.width, len("  ".join(cells)))).encode() + b"\n")

    def end(self) -> None:
        if self._rows:
            self._measure()
        self.output.flush()


@final
class PlainValues(Visitor):
    """Writes values line by line."""

    IGNORES: ClassVar[frozenset[str]] = frozenset({IDEMPOTENCE})

    def __init__(self, output: Output, mode: i64) -> None:
        self.output = output
        self.mode: i64 = mode
        self.elements: i64 = 0
        self._kind: i64 = STRING
        self._parts: i64 = 0
        self._line = b""
        self._note = b""
        self._index = b""

    def begin(self, kind: i64, expiring: bool) -> None:
        self._kind = kind
        self._parts = 0
        self.elements = 0
        self._line = b""
        self._note = b""

    def end(self) -> None:
        self._end_entry()

    def text(self, data: bytes, start: i64, end: i64) -> None:
        kind = self._kind
        if kind == STRING and end - start > AT_ONCE and self.mode == AUTO:
            self._long(data, start, end)
            return
        text = to_people(data[start:end], self.mode)
        self._parts += 1
        if kind in (HASH, ZSET, STREAM, PATH_HASH) and self._parts & 1:
            self._line += (b"  " if kind != STREAM else b" ") + text
            return
        if kind == STREAM:
            self._line += b"=" + text
            return
        if kind in (HASH, PATH_HASH):
            line = self._line + b" = " + text + self._note
        elif kind == LIST:
            line = b"  %d) " % self.elements + text
        elif kind == ARRAY:
            line = b"  [%b] " % self._index + text
        else:
            line = b"  " + text
        self.elements = end - start if kind == STRING else self.elements + 1
        self._write(line)
        self._note = b""

    def _long(self, data: bytes, start: i64, end: i64) -> None:
        """A string that is held no second time."""
        self.output.buffer.write(b"  ")
        for part in people_parts(data, start, end):
            self.output.buffer.write(part)
            self.output.room()
        self.elements = end - start
        self._write(b"")

    def _write(self, line: bytes) -> None:
        self.output.buffer.write(line + b"\n")
        self.output.room()
        self._line = b""

    def score(self, x: float) -> None:
        self.elements += 1
        self._parts += 1
        self._write(self._line + b" = " + format_score(x))

    def expiry(self, ms: i64) -> None:
        self._note = b" (expires " + time_text(ms).encode() + b")"

    def entry(self, ms: int, seq: int) -> None:
        self._end_entry()
        self.elements += 1
        self._line = b"  " + stream_id(ms, seq)

    def _end_entry(self) -> None:
        if self._line:
            self._write(self._line)

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        self._end_entry()
        deleted = b"" if max_deleted == (0, 0) else b", last deleted " + stream_id(max_deleted[0], max_deleted[1])
        self._write(b"  last id %b, %d entries added" % (stream_id(last[0], last[1]), added) + deleted)

    def group(self, name: bytes, last: Id, entries_read: int) -> None:
        read = b"" if entries_read < 0 else b", %d entries read" % entries_read
        self._write(b"  group %b: last id %b" % (to_people(name, self.mode), stream_id(last[0], last[1])) + read)

    def pending(self, ms: int, seq: int, delivered_ms: int, deliveries: int) -> None:
        when = time_text(delivered_ms).encode()
        self._write(b"    pending %b: delivered %d times, last %b" % (stream_id(ms, seq), deliveries, when))

    def consumer(self, name: bytes, seen_ms: int, active_ms: int) -> None:
        active = b"" if active_ms < 0 else b", active " + time_text(active_ms).encode()
        seen = time_text(seen_ms).encode()
        self._write(b"    consumer %b: seen %b" % (to_people(name, self.mode), seen) + active)

    def consumer_pending(self, ms: int, seq: int) -> None:
        self._write(b"      has pending %b" % stream_id(ms, seq))

    def released(self, ms: int, seq: int) -> None:
        self._write(b"    released %b: nobody's" % stream_id(ms, seq))

    def index(self, index: int) -> None:
        self._index = b"%d" % index

    def last_insert(self, index: int) -> None:
        self._write(b"  last inserted at %d" % index)

    def path(self, name: bytes) -> None:
        self._write(b"  path " + to_people(name, self.mode))

    def module(self, name: str, version: int, payload: bytes) -> None:
        self.elements = 1
        self._write(b"  data of module type %b, version %d: %d bytes" % (name.encode(), version, len(payload)))


@final
class Plain(ValueExporter):
    """Keys with all that is in them."""

    def __init__(self, output: Output, losses: Losses, mode: i64) -> None:
        self.lines = PlainValues(output, mode)
        super().__init__(output, losses, self.lines)
        self.mode: i64 = mode

    def head(self, k: KeyFacts) -> None:
        facts = [f"db {k.db}", k.type if not k.encoding or k.encoding == k.type else k.encoding]
        if k.expire_at_ms != NO_EXPIRY:
            facts.append(f"expires {time_text(k.expire_at_ms)} UTC")
        if k.idle_s >= 0:
            facts.append(f"idle {k.idle_s} s")
        if k.freq >= 0:
            facts.append(f"access frequency {k.freq}")
        self.output.buffer.write(to_people(k.key, self.mode) + f" ({', '.join(facts)})\n".encode())

    def tail(self, k: KeyFacts) -> None:
        size = f", {k.size:,} bytes in the file" if k.size >= 0 else ""
        self.output.buffer.write(f"  -- {counted(self.lines.elements, _NOUNS[k.type])}{size}\n\n".encode())
