"""JSON strings and numbers, written from bytes."""

from __future__ import annotations

import binascii
from typing import Final

from librt.strings import BytesWriter, read_i64_le, write_i64_le
from mypy_extensions import i64, u8

from rdbtool.basics.text import AUTO, BASE64, is_marked, is_plain, to_text, utf8_length
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
        if end - pos >= 8:
            # Eight bytes at once, where each is ASCII, at least a space, no quote and no backslash: no term may
            # have the highest bit of any byte set.
            word = read_i64_le(data, pos)
            if (
                word | (word - _SPACES) | ((word ^ _QUOTES) - _ONES) | ((word ^ _NOT_BACKSLASHES) + _ONES)
            ) >> 7 & _ONES == 0:
                write_i64_le(out, word)
                pos += 8
                continue
        stop = end if end - pos < 8 else pos + 8
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
    elif n < 100_000_000:
        # Digits from the last to the first, each pushing the others up: the first ends up lowest.
        digits: i64 = 0
        size: i64 = 0
        while n > 0:
            rest = n // 10
            digits = digits << 8 | (48 + n - rest * 10)
            n = rest
            size += 1
        while size > 0:
            out.append(u8(digits & 255))
            digits >>= 8
            size -= 1
    else:
        out.write(b"%d" % n)


def write_number(out: BytesWriter, x: float) -> None:
    """Write a double in its shortest form; infinities and NaN, which JSON lacks, as strings."""
    if -1e15 < x < 1e15:
        n = i64(x)
        if float(n) == x and (n != 0 or str(x)[0] != "-"):
            write_integer(out, n)
            return
        if (-1e9 < x < 1e9) and (x > 1e-4 or x < -1e-4):
            if _write_decimal(out, x, 1000.0, 3) or _write_decimal(out, x, 1000000.0, 6):
                return
    elif x - x != 0.0:
        out.write(b'"%b"' % str(x).encode())
        return
    text = repr(x)
    # "-0" would be read back as an integer, which has no sign at zero
    out.write(text[:-2].encode() if text.endswith(".0") and x != 0.0 else text.encode())


def _write_decimal(out: BytesWriter, x: float, scale: float, places: i64) -> bool:
    """Write ``x`` if it is the double of a number with so many decimal places and at most 15 digits.

    Both ``scale`` and the number in its units are exact as doubles, so their quotient is the double that
    the decimal text stands for; and of texts of at most 15 digits no two stand for one double.
    """
    n = i64(x * scale + (0.5 if x > 0 else -0.5))
    if float(n) / scale != x:
        return False
    if n < 0:
        out.append(45)
        n = -n
    _write_places(out, n, places)
    return True


def _write_places(out: BytesWriter, n: i64, places: i64) -> None:
    """Write ``n``, positive, in units of the last of ``places`` decimal places, without trailing zeros."""
    while places > 0 and n % 10 == 0:
        n //= 10
        places -= 1
    unit: i64 = 1
    left = places
    while left > 0:
        unit *= 10
        left -= 1
    whole = n // unit
    write_integer(out, whole)
    if places > 0:
        out.append(46)
    n -= whole * unit
    while places > 0:
        unit //= 10
        digit = n // unit
        out.append(u8(48 + digit))
        n -= digit * unit
        places -= 1


def write_decimal_text(out: BytesWriter, data: bytes, start: i64, end: i64) -> bool:
    """Write the number whose decimal text is ``data[start:end]`` like `write_number`; False if that needs the
    long way.

    Up to 15 digits, the text without what is superfluous is the shortest. Servers before Redis 7.2 print
    scores with 17; most stand for a number of 15, as 0.1 for 0.10000000000000001. Whether they do is told
    exactly: the quotient below is the double of the short text, and the long one stands for the same double
    if it is nearer to it than half its last bit.
    """
    pos = start
    if pos < end and data[pos] == 45:
        pos += 1
    m: i64 = 0
    digits: i64 = 0
    places: i64 = -1
    while pos < end:
        c: i64 = data[pos]
        if c == 46 and places < 0:
            places = 0
        elif c < 48 or c > 57 or digits == 17:
            return False
        else:
            m = m * 10 + (c - 48)
            if m > 0:
                digits += 1
            if places >= 0:
                places += 1
        pos += 1
    places = max(places, 0)
    if m == 0 or places > 20:
        return False
    n = m
    if digits > 15:
        unit: i64 = 10 if digits == 16 else 100
        n = (m + unit // 2) // unit
        places -= 2 if digits == 17 else 1
        if places < 0:
            return False
        short = float(n) / _power(places)
        if not _stands_for(m, _power(places) * float(unit), short):
            return False
        if short < 1e-4:
            return False
    elif float(n) / _power(places) < 1e-4:
        return False  # takes the form with an exponent
    if data[start] == 45:
        out.append(45)
    _write_places(out, n, places)
    return True


def _power(n: i64) -> float:
    """10 to the ``n``, exact up to 22."""
    x = 1.0
    while n > 0:
        x *= 10.0
        n -= 1
    return x


def _stands_for(m: i64, scale: float, x: float) -> bool:
    """Whether ``m / scale`` is nearer to ``x`` than half the last bit of ``x``.

    The product ``x * scale`` is computed exactly, as the sum of two doubles (Dekker).
    """
    product = x * scale
    a = 134217729.0 * x
    x_high = a - (a - x)
    x_low = x - x_high
    b = 134217729.0 * scale
    scale_high = b - (b - scale)
    scale_low = scale - scale_high
    low = ((x_high * scale_high - product) + x_high * scale_low + x_low * scale_high) + x_low * scale_low
    units = i64(product)
    distance = float(units - m) + (product - float(units)) + low
    limit = product * 5.5e-17  # a little less than 2**-54
    return -limit < distance < limit
