"""Integers and parts of bytes into a `BytesWriter`, without an object on the way."""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter, read_i64_le, write_i16_le, write_i64_le
from mypy_extensions import i16, i64, u8

SHORT: Final[i64] = 256
"""Up to so many bytes, copying word by word costs less than an object."""


def write_part(out: BytesWriter, data: bytes, start: i64, end: i64) -> None:
    """Write ``data[start:end]``, which must be there."""
    if end - start > SHORT:
        out.write(data[start:end])
        return
    while end - start >= 8:
        write_i64_le(out, read_i64_le(data, start))
        start += 8
    left = end - start
    if left > 0:
        if end >= 8:
            write_lowest(out, read_i64_le(data, end - 8) >> 8 * (8 - left), left)
            return
        while start < end:
            byte: i64 = data[start]
            out.append(u8(byte))
            start += 1


def write_integer(out: BytesWriter, n: i64) -> None:
    """Write a number in decimal."""
    if n < 0:
        if n < -999_999_999_999_999_999:
            out.write(b"%d" % n)
            return
        out.append(45)
        n = -n
    if n < 10:
        out.append(u8(48 + n))
    elif n < 100:
        tens = n * 103 >> 10
        write_i16_le(out, i16(0x3030 | tens | (n - tens * 10) << 8))
    else:
        write_padded(out, n, decimal_size(n))


def write_id(out: BytesWriter, ms: int, seq: int) -> None:
    """Write the id of a stream's entry."""
    if ms < 1 << 61 and seq < 1 << 61:  # beyond 62 bits, compiled code compares objects
        write_integer(out, ms)
        out.append(45)
        write_integer(out, seq)
    else:
        out.write(b"%d-%d" % (ms, seq))


def write_padded(out: BytesWriter, n: i64, size: i64) -> None:
    """Write a number that is not negative with leading zeros, in ``size`` digits, which it must not exceed."""
    if size > 8:
        high = n // 100_000_000
        write_padded(out, high, size - 8)
        n -= high * 100_000_000
        size = 8
    if size == 8:
        write_i64_le(out, _eight(n))
    else:
        write_lowest(out, _eight(n) >> 8 * (8 - size), size)


def _eight(n: i64) -> i64:
    """The eight digits of a number below 100,000,000, the first one lowest.

    It is cut in halves until each byte has a digit; a product and a shift, exact in that range, are the quotient by
    10,000, by 100 and by 10.
    """
    high = n * 109951163 >> 40
    word = high | (n - high * 10_000) << 32
    hundreds = word * 10486 >> 20 & 0x7F_0000_007F
    word = hundreds | (word - hundreds * 100) << 16
    tens = word * 103 >> 10 & 0xF_000F_000F_000F
    return (tens | (word - tens * 10) << 8) + 0x3030_3030_3030_3030


def write_lowest(out: BytesWriter, word: i64, size: i64) -> None:
    """Write the ``size`` lowest bytes of a word, the lowest first."""
    # All are written, and those that are too much are taken back: that needs no branch that depends on the size.
    write_i64_le(out, word)
    out.truncate(len(out) - 8 + size)


def decimal_size(n: i64) -> i64:
    """Bytes of a number in decimal."""
    size: i64 = 1
    if n < 0:
        if n < -999_999_999_999_999_999:
            return 20
        n = -n
        size = 2
    while n >= 100_000_000:
        n //= 100_000_000
        size += 8
    if n >= 10_000:
        if n >= 1_000_000:
            return size + 7 if n >= 10_000_000 else size + 6
        return size + 5 if n >= 100_000 else size + 4
    if n >= 100:
        return size + 3 if n >= 1000 else size + 2
    return size + 1 if n >= 10 else size
