"""Intset: a set of integers, sorted, all of one width (intset.c).

Width in bytes (4, little-endian): 2, 4 or 8; number of integers (4); the integers.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter, read_i16_le, read_i32_le, read_i64_le, write_i32_le, write_i64_le
from mypy_extensions import i32, i64, u8

from .cursor import INTEGER, Cursor, corrupt

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
        width = self.width
        if width == 2:
            self.number = i64(read_i16_le(self.data, pos))
        elif width == 4:
            self.number = i64(read_i32_le(self.data, pos))
        else:
            self.number = read_i64_le(self.data, pos)
        self.pos = pos + width
        return True


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
