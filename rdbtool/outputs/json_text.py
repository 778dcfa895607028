"""JSON strings and numbers, written from bytes."""

from __future__ import annotations

import binascii
from typing import Final

from librt.strings import BytesWriter, read_i64_le, write_i64_le
from mypy_extensions import i64, u8

from rdbtool.basics.decimals import write_double
from rdbtool.basics.text import AUTO, BASE64, is_marked, is_plain, to_text, utf8_length
from rdbtool.basics.writing import write_lowest
from rdbtool.io.output import FLUSH, Output

QUOTE: Final = 34
BACKSLASH: Final = 92

_ONES: Final[i64] = 0x0101010101010101
_SPACES: Final[i64] = 0x2020202020202020
_QUOTES: Final[i64] = 0x2222222222222222
_NOT_BACKSLASHES: Final[i64] = 0x2323232323232323
"""Makes 0x7F of a backslash, so that one more sets the highest bit. (Constants beyond 62 bits are slow.)"""

_HEX_DIGITS: Final = b"0123456789abcdef"
_SHORT: Final = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}


def write_string(o: Output, data: bytes, pos: i64, end: i64, mode: i64) -> None:
    """Write ``data[pos:end]`` as a JSON string, by the rule of ``mode``."""
    if end - pos > FLUSH:
        _write_long(o, data, pos, end, mode)
        return
    out = o.buffer
    if mode == AUTO:
        mark: i64 = len(out)
        out.append(QUOTE)
        if is_marked(data, pos, end) or not _write_utf8(out, data, pos, end):
            out.truncate(mark)
            out.write(b'"base64:')
            out.write(binascii.b2a_base64(data[pos:end], newline=False))
    else:
        text = to_text(data[pos:end], mode)
        out.append(QUOTE)
        _write_utf8(out, text, 0, len(text))
    out.append(QUOTE)


def _write_utf8(out: BytesWriter, data: bytes, pos: i64, end: i64) -> bool:
    """Write what stands between the quotes of a JSON string; False at the first byte that is not UTF-8."""
    while pos < end:
        left = end - pos
        stop = pos + 8
        if left >= 8:
            word = read_i64_le(data, pos)
            if _is_clean(word):
                write_i64_le(out, word)
                pos = stop
                continue
        else:
            stop = end
            if end >= 8:
                word = read_i64_le(data, end - 8) >> 8 * (8 - left)
                if _is_clean(word | _SPACES << 8 * left):
                    write_lowest(out, word, left)
                    return True
        while pos < stop:
            c: i64 = data[pos]
            if c >= 0x80:
                n = utf8_length(data, pos, end)
                if n == 0:
                    return False
                while n > 0:
                    out.append(u8(data[pos]))
                    pos += 1
                    n -= 1
                continue
            if c >= 32 and c not in (QUOTE, BACKSLASH):
                out.append(u8(c))
            else:
                _write_escape(out, c)
            pos += 1
    return True


def _is_clean(word: i64) -> bool:
    """Whether each of eight bytes is ASCII, at least a space, no quote and no backslash: no term may have the highest
    bit of any byte set.
    """
    return (
        word | (word - _SPACES) | ((word ^ _QUOTES) - _ONES) | ((word ^ _NOT_BACKSLASHES) + _ONES)
    ) >> 7 & _ONES == 0


def _write_escape(out: BytesWriter, c: i64) -> None:
    short = _SHORT.get(c)
    if short is not None:
        out.write(short)
        return
    out.write(b"\\u00")
    out.append(u8(_HEX_DIGITS[c >> 4]))
    out.append(u8(_HEX_DIGITS[c & 15]))


def _write_long(o: Output, data: bytes, pos: i64, end: i64, mode: i64) -> None:
    """`write_string` in pieces, so that a huge string is not held a second time."""
    o.buffer.append(QUOTE)
    piece: i64 = FLUSH // 3 * 3  # base64 joins at multiples of three
    plain = mode == AUTO and is_plain(data, pos, end)
    if mode == AUTO and not plain:
        o.buffer.write(b"base64:")
        mode = BASE64
    if mode == 1:  # U+FFFD for a character that a piece would cut is wrong: as a whole
        data = to_text(data[pos:end], mode)
        pos = 0
        end = len(data)
        plain = True
    while pos < end:
        stop = min(pos + piece, end)
        if plain:
            while stop < end and data[stop] & 0xC0 == 0x80:
                stop -= 1
            _write_utf8(o.buffer, data, pos, stop)
        else:
            text = to_text(data[pos:stop], mode)
            _write_utf8(o.buffer, text, 0, len(text))
        pos = stop
        o.room()
    o.buffer.append(QUOTE)


def write_number(out: BytesWriter, x: float) -> None:
    """Write a double in its shortest form; infinities and NaN, which JSON lacks, as strings."""
    if x - x != 0.0:
        out.write(b'"%b"' % str(x).encode())
    elif x == 0.0:
        # "-0" would be read back as an integer, which has no sign at zero
        out.write(b"0" if str(x)[0] != "-" else b"-0.0")
    else:
        write_double(out, x)
