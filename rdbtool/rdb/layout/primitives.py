"""Lengths, strings and doubles: what every payload is made of (rdb.c of Redis: rdbLoadLen, rdbLoadString).

All functions read at a window's position and pass what they read. They raise `TruncatedError` where
the input ends and `FormatError` where the bytes cannot be what is asked for; in both cases the
stream is out of step.
"""

from __future__ import annotations

import re
from typing import Final

from librt.strings import read_f64_le, read_i16_le, read_i32_le, read_i64_be, read_i64_le
from mypy_extensions import i64

from rdbtool.basics import lzf
from rdbtool.basics.numbers import scan_double
from rdbtool.errors import FormatError
from rdbtool.io.window import Window

INT8: Final[i64] = -1
INT16: Final[i64] = -2
INT32: Final[i64] = -3
LZF: Final[i64] = -4
"""What `read_length_or_encoding` answers for strings that are not plain: -1 minus the encoding."""


def read_length_or_encoding(w: Window) -> i64:
    """A length (0 and up), or INT8, INT16, INT32 or LZF.

    Lengths of 2^63 and more cannot be met by any input and raise `FormatError`.
    """
    pos = w.pos
    if pos < w.end:
        first: i64 = w.data[pos]
        w.pos = pos + 1
    else:
        first = w.u8()
    if first < 64:
        return first
    if first < 128:
        return (first & 63) << 8 | w.u8()
    if first >= 192:
        return -1 - (first & 63)
    if first == 0x80:
        raw = w.take(4)
        return read_i32_be_unsigned(raw)
    if first == 0x81:
        length: i64 = read_i64_be(w.take(8), 0)
        if length < 0:
            raise FormatError("a length of 2^63 or more", path=w.path, offset=w.offset() - 9, doing="reading a length")
        return length
    raise FormatError(
        f"unknown length encoding 0x{first:02x}", path=w.path, offset=w.offset() - 1, doing="reading a length"
    )


def read_i32_be_unsigned(raw: bytes) -> i64:
    """Four big-endian bytes as a number."""
    a: i64 = raw[0]
    b: i64 = raw[1]
    c: i64 = raw[2]
    d: i64 = raw[3]
    return a << 24 | b << 16 | c << 8 | d


def read_length(w: Window) -> i64:
    """A length that is not of a string.

    A string encoding in its place counts as its number, 0 to 63, as the servers take it.
    """
    length = read_length_or_encoding(w)
    return length if length >= 0 else -1 - length


def read_u64(w: Window) -> int:
    """A number in length form, up to 2^64 - 1: counters, times, stream ids, module integers."""
    if w.need(1):
        if w.data[w.pos] == 0x81:
            w.skip(1)
            return int.from_bytes(w.take(8), "big")
    return read_length(w)


def read_count(w: Window, least: i64) -> i64:
    """A number of items that take at least ``least`` bytes each: checked against what is left.

    Where the size of the input is not known, any count passes; the items then run out by themselves.
    """
    at = w.offset()
    count = read_length(w)
    if w.size >= 0 and count > (w.size - w.base - w.pos) // least:
        raise FormatError(
            f"{count} items announced, more than the {w.size - w.offset()} bytes that are left can hold",
            path=w.path,
            offset=at,
            doing="reading a count",
        )
    return count


def is_compressed(w: Window) -> bool:
    """Whether the string at the window's position is compressed."""
    return w.need(1) and w.data[w.pos] == 192 - 1 - LZF


def skip_string(w: Window) -> None:
    """Pass a string in any encoding, without decoding it."""
    pos = w.pos
    if pos < w.end:
        short: i64 = w.data[pos]
        if short < 64 and short < w.end - pos:  # most strings are short, and here as a whole
            w.pos = pos + 1 + short
            return
    length = read_length_or_encoding(w)
    if length >= 0:
        if length <= w.end - w.pos:
            w.pos += length
        else:
            w.skip(length)
    elif length == INT8:
        w.skip(1)
    elif length == INT16:
        w.skip(2)
    elif length == INT32:
        w.skip(4)
    elif length == LZF:
        compressed = read_length(w)
        read_length(w)
        w.skip(compressed)
    else:
        raise unknown_encoding(w, length)


def unknown_encoding(w: Window, encoding: i64) -> FormatError:
    """The error for a string encoding that does not exist; the window has just passed it."""
    return FormatError(
        f"unknown string encoding {-1 - encoding}", path=w.path, offset=w.offset() - 1, doing="reading a string"
    )


def read_string(w: Window) -> bytes:
    """A string, decoded: integers as decimal text, LZF decompressed."""
    at = w.offset()
    length = read_length_or_encoding(w)
    if length >= 0:
        pos = w.pos
        if length <= w.end - pos:
            w.pos = pos + length
            return w.data[pos : pos + length]
        return w.take(length)
    if length == LZF:
        return read_lzf(w, at)
    return b"%d" % read_encoded_integer(w, length)


def read_encoded_integer(w: Window, encoding: i64) -> i64:
    """The integer of a string encoded as INT8, INT16 or INT32: little-endian, signed."""
    if encoding < INT32:
        raise unknown_encoding(w, encoding)
    if encoding == INT8:
        small = w.u8()
        return small if small < 128 else small - 256
    if encoding == INT16:
        at = w.place_of(2)
        return i64(read_i16_le(w.data, at))
    at = w.place_of(4)
    return i64(read_i32_le(w.data, at))


def read_lzf(w: Window, at: i64) -> bytes:
    """The rest of an LZF string that began at offset ``at``: both lengths, then the data."""
    compressed = read_length(w)
    size = read_length(w)
    data = w.take(compressed)
    out = lzf.decompress(data, size)
    if out is None:
        raise _not_lzf(w, at)
    return out


def pass_compressed(w: Window) -> None:
    """Pass a compressed string, and see that it can be decompressed."""
    at = w.offset()
    w.skip(1)
    compressed = read_length(w)
    size = read_length(w)
    start = w.place_of(compressed)
    if not lzf.is_valid(w.data, start, start + compressed, size):
        raise _not_lzf(w, at)


def _not_lzf(w: Window, at: i64) -> FormatError:
    return FormatError("invalid LZF data", path=w.path, offset=at, doing="decompressing a string")


def skip_double(w: Window) -> None:
    """Pass a score in the old text form."""
    length = w.u8()
    if length < 253:
        w.skip(length)


_GIVEN_UP: Final = re.compile(rb"\s*[+-]?(?:0x(?![0-9a-f.])|infi(?!nity))", re.IGNORECASE)
"""Where sscanf of glibc, unlike strtod, makes nothing of what begins a longer form, and does not end it."""


def scan_score(text: bytes) -> tuple[float, int]:
    """`scan_double` of a score in the old text form, as servers built with glibc read it."""
    return (0.0, 0) if _GIVEN_UP.match(text) else scan_double(text)


def read_double(w: Window) -> float:
    """A score in the old text form: a length byte and text; 253 is nan, 254 inf, 255 -inf.

    As in the servers (sscanf), what stands behind the number does not matter. Raises `FormatError` where
    there is none, and is in step then.
    """
    at = w.offset()
    length = w.u8()
    if length == 255:
        return -float("inf")
    if length == 254:
        return float("inf")
    if length == 253:
        return float("nan")
    number, end = scan_score(w.take(length))
    if end == 0:
        raise FormatError("a score that is not a number", path=w.path, offset=at, doing="reading a score")
    return number


def read_binary_double(w: Window) -> float:
    """A score as 8 bytes, little-endian."""
    at = w.place_of(8)
    return read_f64_le(w.data, at)


def read_ms(w: Window) -> i64:
    """A time in ms as 8 bytes, little-endian, signed."""
    at = w.place_of(8)
    return read_i64_le(w.data, at)


def read_seconds(w: Window) -> i64:
    """A time in s as 4 bytes, little-endian, signed."""
    at = w.place_of(4)
    return i64(read_i32_le(w.data, at))
