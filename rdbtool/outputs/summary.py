"""Keys without their values: what kind, how large, how many elements; and the beginning of a value."""

from __future__ import annotations

from typing import ClassVar, Final, final

from mypy_extensions import i64

from rdbtool.basics.numbers import format_score
from rdbtool.basics.text import AUTO, to_people
from rdbtool.basics.writing import write_integer
from rdbtool.inputs.keys import Facts
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY, Id, stream_id
from rdbtool.rdb.layout import facts
from rdbtool.rdb.layout.facts import Losses
from rdbtool.rdb.layout.visitor import HASH, PATH_HASH, STREAM, STRING, ZSET, Visitor

from .csv import write_cell, write_safe_cell
from .exporter import KeyFacts, ValueExporter
from .jsonl import write_head

CSV_HEADER: Final = b"db,key,type,encoding,size,elements,expire_at_ms\n"


@final
class Counter(Visitor):
    """Counts elements: bytes of a string, items, fields, members, entries.

    ``preview``: the first parts of the value as text, up to about ``width`` bytes.
    """

    IGNORES: ClassVar[frozenset[str]] = frozenset(
        {
            facts.FIELD_EXPIRIES,
            facts.GROUPS,
            facts.PENDING,
            facts.CONSUMERS,
            facts.PENDING_OWNERS,
            facts.RELEASED,
            facts.IDEMPOTENCE,
            facts.ARRAY_CURSORS,
        }
    )

    def __init__(self, width: i64 = 0, mode: i64 = AUTO) -> None:
        self.width: i64 = width
        self.mode: i64 = mode
        self.elements: i64 = 0
        self.preview = b""
        self._kind: i64 = STRING
        self._parts: i64 = 0

    def begin(self, kind: i64, expiring: bool) -> None:
        self._kind = kind
        self.elements = 0
        self._parts = 0
        self.preview = b""

    def end(self) -> None:
        if self._kind in (HASH, PATH_HASH):
            self.elements //= 2

    def text(self, data: bytes, start: i64, end: i64) -> None:
        if self._kind == STRING:
            self.elements = end - start
        elif self._kind != STREAM:
            self.elements += 1
        if len(self.preview) < self.width:
            stop = min(end, start + self.width)
            while start < stop < end and data[stop] & 0xC0 == 0x80:
                stop -= 1  # not within a character
            self._show(to_people(data[start:stop], self.mode), stop < end)

    def score(self, x: float) -> None:
        if len(self.preview) < self.width:
            self._show(format_score(x), False)

    def score_text(self, data: bytes, start: i64, end: i64) -> None:
        if len(self.preview) < self.width:
            super().score_text(data, start, end)

    def _show(self, text: bytes, cut: bool) -> None:
        paired = self._kind in (HASH, ZSET, STREAM, PATH_HASH)
        if self._parts > 0 or self._kind == STREAM:
            text = (b"=" if paired and self._parts & 1 else b" ") + text
        self._parts += 1
        self.preview += text + (b"..." if cut else b"")

    def entry(self, ms: int, seq: int) -> None:
        self.elements += 1
        if len(self.preview) < self.width:
            self.preview += (b" " if self.preview else b"") + stream_id(ms, seq)
            self._parts += self._parts & 1

    def index(self, index: int) -> None:
        if len(self.preview) < self.width:
            self._show(b"%d:" % index, False)

    def path(self, name: bytes) -> None:
        if len(self.preview) < self.width:
            self.preview += (b" " if self.preview else b"") + to_people(name[: self.width], self.mode) + b":"

    def module(self, name: str, version: int, payload: bytes) -> None:
        self.elements = 1
        if self.width > 0:
            self.preview = b"%b %d" % (to_people(name.encode(), AUTO), version)

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        self._parts = 0


def encoding_of(k: KeyFacts) -> str:
    """The encoding in the file, without the type it belongs to."""
    name = k.encoding.removeprefix(k.type).lstrip("-")
    return name if name and not name.isdigit() else k.encoding


@final
class SummaryLines(ValueExporter):
    """JSON lines without values."""

    def __init__(self, output: Output, losses: Losses, mode: i64) -> None:
        self.counter = Counter()
        super().__init__(output, losses, self.counter)
        self.mode: i64 = mode
        self._numbered = False

    def head(self, k: KeyFacts) -> None:
        write_head(self.output, k, self.mode, numbered=not self._numbered)

    def tail(self, k: KeyFacts) -> None:
        out = self.output.buffer
        if k.encoding:
            out.write(b',"encoding":"%b","size":' % k.encoding.encode())
            write_integer(out, k.size)
        out.write(b',"elements":')
        write_integer(out, self.counter.elements)
        out.write(b"}\n")
        self._numbered = True


@final
class SummaryRows(ValueExporter):
    """CSV without values, one row per key. ``safe``: no cell is a formula."""

    def __init__(self, output: Output, losses: Losses, mode: i64, *, safe: bool = False) -> None:
        self.safe = safe
        self.counter = Counter()
        super().__init__(output, losses, self.counter)
        self.mode: i64 = mode

    def begin(self, facts: Facts) -> None:
        self.output.buffer.write(CSV_HEADER)

    def tail(self, k: KeyFacts) -> None:
        out = self.output.buffer
        write_integer(out, k.db)
        out.append(44)
        if self.safe:
            write_safe_cell(out, k.key, 0, len(k.key), self.mode)
        else:
            write_cell(out, k.key, 0, len(k.key), self.mode)
        out.write(b",%b,%b," % (k.type.encode(), k.encoding.encode()))
        if k.size >= 0:
            write_integer(out, k.size)
        out.append(44)
        write_integer(out, self.counter.elements)
        out.append(44)
        if k.expire_at_ms != NO_EXPIRY:
            write_integer(out, k.expire_at_ms)
        out.append(10)
