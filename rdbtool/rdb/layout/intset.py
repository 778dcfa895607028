"""Intset: a set of integers, sorted, all of one width (intset.c).

Width in bytes (4, little-endian): 2, 4 or 8; number of integers (4); the integers.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter, read_i16_le, read_i32_le, read_i64_le, write_i32_le, write_i64_le
from mypy_extensions import i32, i64, u8

from rdbtool.errors import FormatError
from rdbtool.io.window import Window

from .cursor import INTEGER, Cursor, corrupt
from .elements import Elements, OneNode
from .inspection import Inspection, open_packed
from .primitives import read_string
from .visit import Visit
from .visitor import Visitor

HEADER: Final[i64] = 8
WHAT: Final = "intset"


@final
class IntsetCursor(Cursor):
    """The members of an intset. ``announced``: their number."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        size: i64 = len(data)
        if size < HEADER:
            raise corrupt(WHAT, "no room for a header", 0)
        width: i64 = i64(read_i32_le(data, 0))
        if width not in {2, 4, 8}:
            raise corrupt(WHAT, f"a width of {width & 0xFFFFFFFF} bytes", 0)
        count: i64 = i64(read_i32_le(data, 4))
        count &= 0xFFFFFFFF
        if count * width != size - HEADER:
            raise corrupt(WHAT, f"{count} members announced, {size - HEADER} bytes there,", 4)
        self.width: i64 = width
        self.announced: i64 = count
        self.end: i64 = size
        self.pos = HEADER
        self.kind = INTEGER

    def next(self) -> bool:
        pos = self.pos
        if pos >= self.end:
            return False
        self.number = _integer_at(self.data, pos, self.width)
        self.pos = pos + self.width
        return True

    def tell(self, v: Visitor) -> i64:
        data = self.data
        pos = self.pos
        end = self.end
        width = self.width
        while pos < end:
            v.integer(_integer_at(data, pos, width))
            pos += width
        return self.announced


def visit_intset(visit: Visit) -> None:
    """The members of a set."""
    data = visit.node()
    if data is not None:
        try:
            visit.elements(IntsetCursor(data), 1)
        except FormatError as e:
            visit.damaged_node(e)


def intset_elements(w: Window) -> Elements:
    """The members of a set."""
    return OneNode(IntsetCursor(read_string(w)), 1)


def check_set_intset(w: Window, ins: Inspection) -> None:
    """A set of integers."""
    if open_packed(w, ins):
        _check(ins)


def _check(ins: Inspection) -> None:
    """Check the packed value (intset.c: intsetValidateIntegrity).

    Empty ones are damaged: servers skip other empty collections, not these.
    """
    data = ins.data
    pos = ins.start
    if ins.size < HEADER:
        ins.report_packed("intset", f"{ins.size} bytes cannot be an intset", pos)
        return
    width: i64 = i64(read_i32_le(data, pos)) & 0xFFFFFFFF
    count: i64 = i64(read_i32_le(data, pos + 4)) & 0xFFFFFFFF
    if width not in (2, 4, 8):
        ins.report_packed("intset", f"an intset with integers of {width} bytes", pos)
        return
    if HEADER + count * width != ins.size:
        ins.report_packed("intset", f"an intset of {ins.size} bytes announces {count} integers of {width}", pos + 4)
        return
    if count == 0:
        ins.report_packed("intset", "an intset without integers", pos + 4)
        return
    end = pos + ins.size
    pos += HEADER
    previous = _integer_at(data, pos, width)
    pos += width
    while pos < end:
        if width == 2:
            value: i64 = i64(read_i16_le(data, pos))
        elif width == 4:
            value = i64(read_i32_le(data, pos))
        else:
            value = read_i64_le(data, pos)
        if value <= previous:
            what = "twice" if value == previous else "out of order"
            ins.report_packed("intset-order", f"integer {value} {what} in an intset", pos)
            return
        previous = value
        pos += width


def _integer_at(data: bytes, pos: i64, width: i64) -> i64:
    if width == 2:
        return i64(read_i16_le(data, pos))
    if width == 4:
        return i64(read_i32_le(data, pos))
    return read_i64_le(data, pos)


def pack_intset(members: list[i64]) -> bytes:
    """The intset of these integers, each of them once."""
    members = sorted(members)
    width: i64 = 2
    for n in members:
        if not -2147483648 <= n <= 2147483647:
            width = 8
            break
        if not -32768 <= n <= 32767:
            width = 4
    out = BytesWriter()
    write_i32_le(out, 2 if width == 2 else 4 if width == 4 else 8)
    write_i32_le(out, i32(len(members)))
    for n in members:
        if width == 8:
            write_i64_le(out, n)
        else:
            out.append(u8(n & 255))
            out.append(u8(n >> 8 & 255))
            if width == 4:
                out.append(u8(n >> 16 & 255))
                out.append(u8(n >> 24 & 255))
    return out.getvalue()
