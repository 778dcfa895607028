"""Intset: a set of integers, sorted, all of one width (intset.c).

Width in bytes (4, little-endian): 2, 4 or 8; number of integers (4); the integers.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i16_le, read_i32_le, read_i64_le
from mypy_extensions import i64

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
