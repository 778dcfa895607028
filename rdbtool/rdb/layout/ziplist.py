"""Ziplist: the packed form of small values up to Redis 6.2 (ziplist.c).

Total bytes (4, little-endian), offset of the last entry (4), number of entries (2; 65535: not kept),
entries, 0xFF. An entry is the length of the one before it, its encoding, and its data.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter, read_i16_le, read_i32_be, read_i32_le, read_i64_le, write_i32_le, write_i64_le
from mypy_extensions import i64, u8

from rdbtool.basics.numbers import is_integer, parse_integer

from .cursor import INTEGER, STRING, Cursor, corrupt
from .listpack import size32

HEADER: Final[i64] = 10
MANY: Final[i64] = 65535
"""In place of the number of entries: count them."""
WHAT: Final = "ziplist"


@final
class ZiplistCursor(Cursor):
    """The entries of a ziplist. ``announced``: their number by the header, or -1."""

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
        count: i64 = data[8]
        high: i64 = data[9]
        count |= high << 8
        if count == MANY:
            count = -1
        self.announced: i64 = count
        self.passed: i64 = 0
        self.pos = HEADER

    def next(self) -> bool:
        data = self.data
        pos = self.pos
        end = self.end
        if pos >= end:
            if self.announced >= 0 and self.announced != self.passed:
                raise corrupt(WHAT, f"{self.announced} entries announced, {self.passed} there,", 8)
            return False
        before: i64 = data[pos]
        if before >= 254:
            if before == 255:
                raise corrupt(WHAT, "an end mark before the end", pos)
            pos += 4
        pos += 1
        if pos >= end:
            raise corrupt(WHAT, "an entry passes the end", self.pos)
        first: i64 = data[pos]
        size: i64
        if first < 64:
            self.kind = STRING
            self.start = pos + 1
            self.size = first
            pos += 1 + first
        elif first < 128:
            self.kind = STRING
            self.start = pos + 2
            size = (first & 63) << 8 | data[pos + 1]
            self.size = size
            pos += 2 + size
        elif first < 192:
            if end - pos < 5:
                raise corrupt(WHAT, "an entry passes the end", self.pos)
            self.kind = STRING
            self.start = pos + 5
            size = i64(read_i32_be(data, pos + 1))
            size &= 0xFFFFFFFF
            self.size = size
            pos += 5 + size
        else:
            pos += self._integer(data, pos, first)
        if pos > end:
            raise corrupt(WHAT, "an entry passes the end", self.pos)
        self.pos = pos
        self.passed += 1
        return True

    def _integer(self, data: bytes, pos: i64, first: i64) -> i64:
        """An integer's encoding and data; answers the length of both."""
        self.kind = INTEGER
        left = self.end - pos
        if 0xF1 <= first <= 0xFD:
            self.number = first - 0xF1
            return 1
        if first == 0xFE and left >= 2:
            small: i64 = data[pos + 1]
            self.number = small - 256 if small >= 128 else small
            return 2
        if first == 0xC0 and left >= 3:
            self.number = i64(read_i16_le(data, pos + 1))
            return 3
        if first == 0xF0 and left >= 4:
            low: i64 = i64(read_i16_le(data, pos + 1))
            high: i64 = data[pos + 3]
            self.number = (low & 0xFFFF) | (high - 256 if high >= 128 else high) << 16
            return 4
        if first == 0xD0 and left >= 5:
            self.number = i64(read_i32_le(data, pos + 1))
            return 5
        if first == 0xE0 and left >= 9:
            self.number = read_i64_le(data, pos + 1)
            return 9
        if first in {0xFE, 0xC0, 0xF0, 0xD0, 0xE0}:
            raise corrupt(WHAT, "an entry passes the end", self.pos)
        raise corrupt(WHAT, f"unknown encoding 0x{first:02x}", pos)


@final
class ZiplistBuilder:
    """A ziplist under construction, entry by entry, in the encodings a server chooses."""

    def __init__(self) -> None:
        self.count: i64 = 0
        self.entries = BytesWriter()
        self.last: i64 = 0
        """Where the last entry begins, and how long it is."""
        self.length: i64 = 0

    @property
    def size(self) -> i64:
        """Bytes that `finish` would give."""
        return HEADER + len(self.entries) + 1

    def append(self, entry: bytes) -> None:
        """Add an entry: as an integer where it is one in canonical form."""
        out = self.entries
        start: i64 = len(out)
        if self.length < 254:
            out.append(u8(self.length))
        else:
            out.append(254)
            for shift in (0, 8, 16, 24):
                out.append(u8(self.length >> shift & 255))
        size: i64 = len(entry)
        if size <= 20 and is_integer(entry):
            self._integer(out, parse_integer(entry))
        else:
            if size < 64:
                out.append(u8(size))
            elif size < 16384:
                out.append(u8(64 | size >> 8))
                out.append(u8(size & 255))
            else:
                out.append(128)
                for shift in (24, 16, 8, 0):
                    out.append(u8(size >> shift & 255))
            out.write(entry)
        self.last = start
        self.length = len(out) - start
        self.count += 1

    def _integer(self, out: BytesWriter, n: i64) -> None:
        if 0 <= n <= 12:
            out.append(u8(0xF1 + n))
        elif -128 <= n <= 127:
            out.append(0xFE)
            out.append(u8(n & 255))
        elif -32768 <= n <= 32767:
            out.append(0xC0)
            out.append(u8(n & 255))
            out.append(u8(n >> 8 & 255))
        elif -8388608 <= n <= 8388607:
            out.append(0xF0)
            out.append(u8(n & 255))
            out.append(u8(n >> 8 & 255))
            out.append(u8(n >> 16 & 255))
        elif -2147483648 <= n <= 2147483647:
            out.append(0xD0)
            out.append(u8(n & 255))
            out.append(u8(n >> 8 & 255))
            out.append(u8(n >> 16 & 255))
            out.append(u8(n >> 24 & 255))
        else:
            out.append(0xE0)
            write_i64_le(out, n)

    def finish(self) -> bytes:
        """The ziplist."""
        head = BytesWriter()
        write_i32_le(head, size32(self.size))
        write_i32_le(head, size32(HEADER + self.last))
        count = min(self.count, MANY)
        head.append(u8(count & 255))
        head.append(u8(count >> 8))
        head.write(self.entries.getvalue())
        head.append(255)
        return head.getvalue()
