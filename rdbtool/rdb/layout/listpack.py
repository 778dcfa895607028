"""Listpack: the packed form of small values since Redis 7.0, and of streams since 5.0 (listpack.c).

Total bytes (4, little-endian), number of elements (2; 65535: not kept), elements, 0xFF. An element is
its encoding byte or bytes, its data, and the length of both in a form that can be read backwards.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter, read_i16_le, read_i32_le, read_i64_le, write_i32_le, write_i64_le
from mypy_extensions import i32, i64, u8

from rdbtool.basics.numbers import is_integer, parse_integer
from rdbtool.errors import UnsupportedError

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


@final
class ListpackBuilder:
    """A listpack under construction, element by element, in the encodings a server chooses.

    ``size``: bytes so far, header and end mark included; ``count``: elements.
    """

    def __init__(self) -> None:
        self.count: i64 = 0
        self.elements = BytesWriter()

    @property
    def size(self) -> i64:
        """Bytes that `finish` would give."""
        return HEADER + len(self.elements) + 1

    def restart(self) -> BytesWriter:
        """Begin again; the place where the elements go."""
        self.count = 0
        self.elements.truncate(0)
        return self.elements

    def encoded(self, element: bytes) -> bytes:
        """``element`` as it stands in a listpack; what was built before is forgotten."""
        self.restart()
        self.append(element)
        return self.elements.getvalue()

    def append(self, element: bytes) -> None:
        """Add an element: as an integer where it is one in canonical form."""
        size: i64 = len(element)
        if size <= 20 and is_integer(element):
            self.append_integer(parse_integer(element))
            return
        self.append_string(element)

    def append_string(self, element: bytes) -> None:
        """Add an element as it is."""
        size: i64 = len(element)
        out = self.elements
        if size < 64:
            out.append(u8(0x80 | size))
            out.write(element)
            out.append(u8(size + 1))
        else:
            if size < 4096:
                out.append(u8(0xE0 | size >> 8))
                out.append(u8(size & 255))
                size += 2
            else:
                out.append(0xF0)
                for shift in (0, 8, 16, 24):
                    out.append(u8(size >> shift & 255))
                size += 5
            out.write(element)
            put_backlen(out, size)
        self.count += 1

    def append_integer(self, n: i64) -> None:
        """Add an integer."""
        out = self.elements
        if 0 <= n <= 127:
            out.append(u8(n))
            out.append(1)
        elif -4096 <= n <= 4095:
            out.append(u8(0xC0 | (n >> 8 & 31)))
            out.append(u8(n & 255))
            out.append(2)
        elif -32768 <= n <= 32767:
            out.append(0xF1)
            out.append(u8(n & 255))
            out.append(u8(n >> 8 & 255))
            out.append(3)
        elif -8388608 <= n <= 8388607:
            out.append(0xF2)
            out.append(u8(n & 255))
            out.append(u8(n >> 8 & 255))
            out.append(u8(n >> 16 & 255))
            out.append(4)
        elif -2147483648 <= n <= 2147483647:
            out.append(0xF3)
            out.append(u8(n & 255))
            out.append(u8(n >> 8 & 255))
            out.append(u8(n >> 16 & 255))
            out.append(u8(n >> 24 & 255))
            out.append(5)
        else:
            out.append(0xF4)
            write_i64_le(out, n)
            out.append(9)
        self.count += 1

    def extend(self, elements: bytes, count: i64) -> None:
        """Add ``count`` encoded elements, back to back."""
        self.elements.write(elements)
        self.count += count

    def finish(self) -> bytes:
        """The listpack."""
        return listpack_of(self.elements.getvalue(), self.count)


def listpack_of(elements: bytes, count: i64) -> bytes:
    """The listpack of ``count`` encoded elements, back to back."""
    out = BytesWriter()
    write_i32_le(out, size32(len(elements) + HEADER + 1))
    count = min(count, MANY)
    out.append(u8(count & 255))
    out.append(u8(count >> 8))
    out.write(elements)
    out.append(255)
    return out.getvalue()


def size32(size: i64) -> i32:
    """A length as 32 bits. Raises `UnsupportedError` for what does not fit."""
    if size > 0xFFFFFFFF:
        raise UnsupportedError(f"a packed value of {size} bytes; 32 bits is what the format has")
    return i32(size if size < 1 << 31 else size - (1 << 32))


def back_size(size: i64) -> i64:
    """Bytes that the length of an element takes, where it stands to be read backwards."""
    if size < 128:
        return 1
    # limits as in lpEncodeBacklen: one less than the bits could hold
    if size < 16383:
        return 2
    if size < 2097151:
        return 3
    if size < 268435455:
        return 4
    return 5


def put_backlen(out: BytesWriter, size: i64) -> None:
    """The length of an element, readable backwards: 7 bits a byte, the first without the high bit."""
    shift = 7 * (back_size(size) - 1)
    out.append(u8(size >> shift))
    while shift > 0:
        shift -= 7
        out.append(u8((size >> shift & 127) | 128))
