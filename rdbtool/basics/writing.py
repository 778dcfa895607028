"""Integers and parts of bytes into a `BytesWriter`, without an object on the way."""

from __future__ import annotations

from typing import Final

from librt.strings import (
    BytesWriter,
    read_i16_le,
    read_i32_le,
    read_i64_le,
    write_i16_le,
    write_i32_le,
    write_i64_le,
)
from mypy_extensions import i16, i32, i64, u8

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
    if left >= 4:
        write_i32_le(out, read_i32_le(data, start))
        start += 4
        left -= 4
    if left >= 2:
        write_i16_le(out, read_i16_le(data, start))
        start += 2
        left -= 2
    if left > 0:
        out.append(u8(data[start]))


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
        write_i16_le(out, i16(_two(n)))
    elif n < 10_000:
        _write_first(out, n)
    elif n < 100_000_000:
        high = n // 10_000
        _write_first(out, high)
        write_i32_le(out, i32(_four(n - high * 10_000)))
    else:
        high = n // 100_000_000
        write_integer(out, high)
        n -= high * 100_000_000
        high = n // 10_000
        write_i64_le(out, _four(high) | _four(n - high * 10_000) << 32)


def _write_first(out: BytesWriter, n: i64) -> None:
    """Write a number below 10,000."""
    high = n // 100
    if high == 0:
        if n < 10:
            out.append(u8(48 + n))
        else:
            write_i16_le(out, i16(_two(n)))
        return
    if high < 10:
        out.append(u8(48 + high))
    else:
        write_i16_le(out, i16(_two(high)))
    write_i16_le(out, i16(_two(n - high * 100)))


def _two(n: i64) -> i64:
    """The two digits of a number below 100, the first one lowest: 48 + tens, and 48 + ones in the next byte."""
    tens = n // 10
    return 12336 + tens + ((n - tens * 10) << 8)


def _four(n: i64) -> i64:
    """The four digits of a number below 10,000, the first one lowest."""
    high = n // 100
    return _two(high) | _two(n - high * 100) << 16


def decimal_size(n: i64) -> i64:
    """Bytes of a number in decimal."""
    size: i64 = 1
    if n < 0:
        if n < -999_999_999_999_999_999:
            return 20
        n = -n
        size = 2
    while n >= 10_000:
        n //= 10_000
        size += 4
    if n >= 100:
        return size + 3 if n >= 1000 else size + 2
    return size + 1 if n >= 10 else size
