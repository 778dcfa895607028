"""Listpack: the packed form of small values since Redis 7.0, and of streams since 5.0 (listpack.c).

Total bytes (4, little-endian), number of elements (2; 65535: not kept), elements, 0xFF. An element is
its encoding byte or bytes, its data, and the length of both in a form that can be read backwards.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i16_le, read_i32_le, read_i64_le
from mypy_extensions import i64

from .cursor import INTEGER, STRING, Cursor, corrupt

HEADER: Final[i64] = 6
MANY: Final[i64] = 65535
"""In place of the number of elements: count them."""
WHAT: Final = "listpack"


@final
class ListpackCursor(Cursor):
    """The elements of a listpack. ``announced``: their number by the header, or -1."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        size: i64 = len(data)
        if size < HEADER + 1:
            raise corrupt(WHAT, "no room for a header", 0)
        total: i64 = i64(read_i32_le(data, 0))
        if total != size:
            raise corrupt(WHAT, f"{total & 0xFFFFFFFF} bytes announced, {size} there,", 0)
        self.end: i64 = size - 1
        if data[self.end] != 255:
            raise corrupt(WHAT, "no end mark", self.end)
        count: i64 = data[4]
        high: i64 = data[5]
        count |= high << 8
        self.announced: i64 = -1 if count == MANY else count
        self.passed: i64 = 0
        self.pos = HEADER

    def next(self) -> bool:
        data = self.data
        pos = self.pos
        end = self.end
        if pos >= end:
            if self.announced >= 0 and self.announced != self.passed:
                raise corrupt(WHAT, f"{self.announced} elements announced, {self.passed} there,", 4)
            return False
        first: i64 = data[pos]
        length: i64
        if first < 128:
            self.kind = INTEGER
            self.number = first
            length = 1
        elif first < 192:
            self.kind = STRING
            self.start = pos + 1
            length = first & 63
            self.size = length
            length += 1
        elif first < 224:
            self.kind = INTEGER
            number: i64 = (first & 31) << 8 | data[pos + 1]
            self.number = number - 8192 if number >= 4096 else number
            length = 2
        elif first < 240:
            self.kind = STRING
            self.start = pos + 2
            length = (first & 15) << 8 | data[pos + 1]
            self.size = length
            length += 2
        else:
            length = self._wide(data, pos, first)
        # an element's length is kept in 7 bits per byte
        pos += length + 1
        if length > 127:
            pos += 1
            if length >= 16383:
                pos += 1
                if length >= 2097151:
                    pos += 1
                    if length >= 268435455:
                        pos += 1
        if pos > end:
            raise corrupt(WHAT, "an element passes the end", self.pos)
        self.pos = pos
        self.passed += 1
        return True

    def _wide(self, data: bytes, pos: i64, first: i64) -> i64:
        """Elements with a whole byte for the encoding; answers their length."""
        left = self.end - pos
        if first == 0xF0 and left >= 5:
            size: i64 = i64(read_i32_le(data, pos + 1))
            size &= 0xFFFFFFFF
            self.kind = STRING
            self.start = pos + 5
            self.size = size
            return size + 5
        self.kind = INTEGER
        if first == 0xF1 and left >= 3:
            self.number = i64(read_i16_le(data, pos + 1))
            return 3
        if first == 0xF2 and left >= 4:
            low: i64 = i64(read_i16_le(data, pos + 1))
            high: i64 = data[pos + 3]
            self.number = (low & 0xFFFF) | (high - 256 if high >= 128 else high) << 16
            return 4
        if first == 0xF3 and left >= 5:
            self.number = i64(read_i32_le(data, pos + 1))
            return 5
        if first == 0xF4 and left >= 9:
            self.number = read_i64_le(data, pos + 1)
            return 9
        if first > 0xF4:
            raise corrupt(WHAT, f"unknown encoding 0x{first:02x}", pos)
        raise corrupt(WHAT, "an element passes the end", pos)
