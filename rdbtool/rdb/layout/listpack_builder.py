"""Listpacks under construction."""

from __future__ import annotations

from typing import final

from librt.strings import BytesWriter, write_i32_le, write_i64_le
from mypy_extensions import i32, i64, u8

from rdbtool.basics.numbers import is_integer, parse_integer
from rdbtool.errors import UnsupportedError

from .listpack import HEADER, MANY
from .listpack_entry import back_size


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


def put_backlen(out: BytesWriter, size: i64) -> None:
    """The length of an element, readable backwards: 7 bits a byte, the first without the high bit."""
    shift = 7 * (back_size(size) - 1)
    out.append(u8(size >> shift))
    while shift > 0:
        shift -= 7
        out.append(u8((size >> shift & 127) | 128))
