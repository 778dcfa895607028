"""Lengths, strings and times into a buffer: the counterpart of `primitives` (rdb.c: rdbSaveLen, rdbSaveRawString)."""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter, write_i64_be, write_i64_le
from mypy_extensions import i64, u8

from rdbtool.basics import lzf
from rdbtool.basics.numbers import U64_MASK, is_integer, parse_integer

INTEGER_TEXT: Final[i64] = 11
"""No text longer than this is stored as an integer: int32 has no more."""
COMPRESSED_FROM: Final[i64] = 21
"""Strings shorter than this are not worth compressing."""


def put_length(out: BytesWriter, n: i64) -> None:
    """A length in its shortest form."""
    if n < 64:
        out.append(u8(n))
    elif n < 1 << 14:
        out.append(u8(64 | n >> 8))
        out.append(u8(n & 255))
    elif n < 1 << 32:
        out.append(0x80)
        out.append(u8(n >> 24))
        out.append(u8(n >> 16 & 255))
        out.append(u8(n >> 8 & 255))
        out.append(u8(n & 255))
    else:
        out.append(0x81)
        write_i64_be(out, n)


def put_u64(out: BytesWriter, n: int) -> None:
    """A number in length form, 0 to 2^64 - 1; a negative one as its 64 bits."""
    if 0 <= n < 1 << 61:  # beyond 62 bits, compiled code compares objects
        put_length(out, n)
    else:
        out.append(0x81)
        out.write((n & U64_MASK).to_bytes(8, "big"))


def put_ms(out: BytesWriter, ms: i64) -> None:
    """A time in ms: 8 bytes, little-endian."""
    write_i64_le(out, ms)


def put_string(out: BytesWriter, data: bytes, compress: bool) -> None:
    """A string in the form a server gives it: integer, compressed, or plain."""
    size: i64 = len(data)
    if size <= INTEGER_TEXT and is_integer(data):
        number = parse_integer(data)
        if -128 <= number < 128:
            out.append(0xC0)
            out.append(u8(number & 255))
            return
        if -32768 <= number < 32768:
            out.append(0xC1)
            out.append(u8(number & 255))
            out.append(u8(number >> 8 & 255))
            return
        if -2147483648 <= number < 2147483648:
            out.append(0xC2)
            out.append(u8(number & 255))
            out.append(u8(number >> 8 & 255))
            out.append(u8(number >> 16 & 255))
            out.append(u8(number >> 24 & 255))
            return
    elif compress and size >= COMPRESSED_FROM:
        packed = lzf.compress(data)
        if packed is not None:
            out.append(0xC3)
            put_length(out, len(packed))
            put_length(out, size)
            out.write(packed)
            return
    put_length(out, size)
    out.write(data)
