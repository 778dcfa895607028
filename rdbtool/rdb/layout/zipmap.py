"""Zipmap: small hashes before Redis 2.6 (zipmap.c). Read only: no server that is a target writes it.

Number of pairs (1 byte; 254 and up: not kept), pairs, 0xFF. A pair is a field and a value, each after
its length (1 byte, or 0xFE and 4 little-endian); between a value's length and the value stands the number
of unused bytes that follow it.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i32_le
from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window

from .cursor import Cursor, corrupt
from .elements import Elements, OneNode
from .inspection import Inspection, open_packed
from .primitives import read_string
from .visit import Visit

END: Final[i64] = 255
BIG: Final[i64] = 254
"""A length of 4 bytes follows; as the count: not counted."""

WHAT: Final = "zipmap"


@final
class ZipmapCursor(Cursor):
    """Fields and values in turn. ``announced``: the number of both, or -1."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        size: i64 = len(data)
        if size < 2:
            raise corrupt(WHAT, "no room for a header", 0)
        self.end: i64 = size - 1
        if data[self.end] != 255:
            raise corrupt(WHAT, "no end mark", self.end)
        pairs: i64 = data[0]
        self.announced: i64 = -1 if pairs >= 254 else 2 * pairs
        self.passed: i64 = 0
        self.pos = 1

    def next(self) -> bool:
        data = self.data
        pos = self.pos
        end = self.end
        if pos >= end:
            if self.passed & 1 or (self.announced >= 0 and self.announced != self.passed):
                raise corrupt(WHAT, f"{self.announced} elements announced, {self.passed} there,", 0)
            return False
        size: i64 = data[pos]
        pos += 1
        if size >= 254:
            if size == 255:
                raise corrupt(WHAT, "an end mark before the end", pos - 1)
            if end - pos < 4:
                raise corrupt(WHAT, "an element passes the end", self.pos)
            size = i64(read_i32_le(data, pos))
            size &= 0xFFFFFFFF
            pos += 4
        unused: i64 = 0
        if self.passed & 1:
            if pos >= end:
                raise corrupt(WHAT, "an element passes the end", self.pos)
            unused = data[pos]
            pos += 1
        if size + unused > end - pos:
            raise corrupt(WHAT, "an element passes the end", self.pos)
        self.start = pos
        self.size = size
        self.pos = pos + size + unused
        self.passed += 1
        return True


def visit_zipmap(visit: Visit) -> None:
    """Fields and values in turn."""
    data = visit.node()
    if data is not None:
        try:
            visit.elements(ZipmapCursor(data), 2)
        except FormatError as e:
            visit.damaged_node(e)


def zipmap_elements(w: Window) -> Elements:
    """Fields and values in turn."""
    return OneNode(ZipmapCursor(read_string(w)), 2)


def check_hash_zipmap(w: Window, ins: Inspection) -> None:
    """A hash in a zipmap."""
    if open_packed(w, ins):
        _check(ins)


def _check(ins: Inspection) -> None:
    """Check the packed value (zipmap.c: zipmapValidateIntegrity)."""
    data = ins.data
    start = ins.start
    last = start + ins.size - 1
    if ins.size < 2:
        ins.report_packed("zipmap", f"{ins.size} bytes cannot be a zipmap", start)
        return
    if data[last] != END:
        ins.report_packed("zipmap", "a zipmap without its end mark", last)
        return
    fields: set[bytes] = set()
    count: i64 = 0
    pos = start + 1
    while pos < last and data[pos] != END:
        entry = pos
        head: i64 = 1 if data[pos] < BIG else 5
        if pos + head > last:
            ins.report_packed("zipmap", "a field reaches beyond the zipmap", entry)
            return
        length = _length(data, pos)
        field = pos + head
        pos = field + length
        if pos > last:
            ins.report_packed("zipmap", "a field reaches beyond the zipmap", entry)
            return
        fields.add(data[field:pos])
        head = 1 if data[pos] < BIG else 5
        if pos + head > last:
            ins.report_packed("zipmap", "a value reaches beyond the zipmap", entry)
            return
        length = _length(data, pos)
        free: i64 = data[pos + head]
        pos += head + 1 + length + free
        if pos > last:
            ins.report_packed("zipmap", "a value reaches beyond the zipmap", entry)
            return
        count += 1
        if len(fields) != count:
            ins.report_packed("zipmap", "a field twice in a zipmap", entry)
            return
    if pos != last:
        ins.report_packed("zipmap", "a zipmap ends before its last byte", pos)
        return
    if count == 0:
        ins.report_packed("zipmap", "a zipmap without fields", start)
        return
    announced: i64 = data[start]
    if announced != BIG:
        if announced != count:
            ins.report_packed("zipmap", f"a zipmap announces {announced} fields and holds {count}", start)


def _length(data: bytes, pos: i64) -> i64:
    first: i64 = data[pos]
    if first < BIG:
        return first
    return i64(read_i32_le(data, pos + 1)) & 0xFFFFFFFF
