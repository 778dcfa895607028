"""Ziplists under construction."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter, write_i16_le, write_i32_le, write_i64_le
from mypy_extensions import i16, i32, i64, u8

from rdbtool.basics.numbers import integer_of, is_integer_at
from rdbtool.basics.writing import write_part

from .listpack_builder import size32
from .ziplist import BIG, END, HEADER, MANY


@final
class ZiplistBuilder:
    """A ziplist under construction, entry by entry, in the encodings a server chooses."""

    def __init__(self) -> None:
        self.out = BytesWriter()
        self.count: i64 = 0
        self.last: i64 = HEADER
        """Where the last entry begins, and how long it is."""
        self.length: i64 = 0
        self.restart()

    def restart(self) -> None:
        """Begin again."""
        self.count = 0
        self.last = HEADER
        self.length = 0
        self.out.truncate(0)
        self.out.write(_NO_HEADER)

    @property
    def size(self) -> i64:
        """Bytes that `finish` would give."""
        return len(self.out) + 1

    def append(self, entry: bytes) -> None:
        """Add an entry: as an integer where it is one in canonical form."""
        self.append_part(entry, 0, len(entry))

    def append_part(self, data: bytes, start: i64, end: i64) -> None:
        """`append` of ``data[start:end]``."""
        size = end - start
        if 0 < size <= 20 and data[start] < 58 and is_integer_at(data, start, size):
            self.append_integer(integer_of(data, start, end))
            return
        out = self.out
        at = self._begin(out)
        if size < 64:
            out.append(u8(size))
        elif size < 16384:
            out.append(u8(64 | size >> 8))
            out.append(u8(size & 255))
        else:
            out.append(128)
            for shift in (24, 16, 8, 0):
                out.append(u8(size >> shift & 255))
        write_part(out, data, start, end)
        self._end(at, len(out))

    def append_integer(self, n: i64) -> None:
        """Add an integer."""
        out = self.out
        at = self._begin(out)
        if 0 <= n <= 12:
            out.append(u8(0xF1 + n))
        elif -128 <= n <= 127:
            out.append(0xFE)
            out.append(u8(n & 255))
        elif -32768 <= n <= 32767:
            out.append(0xC0)
            write_i16_le(out, i16(n))
        elif -8388608 <= n <= 8388607:
            out.append(0xF0)
            write_i16_le(out, i16((n & 0xFFFF) - ((n & 0x8000) << 1)))
            out.append(u8(n >> 16 & 255))
        elif -2147483648 <= n <= 2147483647:
            out.append(0xD0)
            write_i32_le(out, i32(n))
        else:
            out.append(0xE0)
            write_i64_le(out, n)
        self._end(at, len(out))

    def _begin(self, out: BytesWriter) -> i64:
        """Write the length of the entry before the next one; where the next one begins."""
        at: i64 = len(out)
        if self.length < BIG:
            out.append(u8(self.length))
        else:
            out.append(BIG)
            write_i32_le(out, size32(self.length))
        return at

    def _end(self, at: i64, end: i64) -> None:
        self.last = at
        self.length = end - at
        self.count += 1

    def finish(self) -> bytes:
        """The ziplist."""
        out = self.out
        out.append(END)
        _put_i32(out, 0, size32(len(out)))
        _put_i32(out, 4, size32(self.last))
        count = min(self.count, MANY)
        out[8] = u8(count & 255)
        out[9] = u8(count >> 8)
        made = out.getvalue()
        out.truncate(len(made) - 1)
        return made


_NO_HEADER: Final = bytes(10)


def _put_i32(out: BytesWriter, at: i64, n: i32) -> None:
    """Put 4 bytes, little-endian, in the place of others."""
    word = i64(n)
    out[at] = u8(word & 255)
    out[at + 1] = u8(word >> 8 & 255)
    out[at + 2] = u8(word >> 16 & 255)
    out[at + 3] = u8(word >> 24 & 255)
