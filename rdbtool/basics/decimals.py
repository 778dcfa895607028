"""Doubles as text into a `BytesWriter`: the shortest text that stands for each, as `format_score` has it."""

from __future__ import annotations

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from .numbers import format_score
from .writing import write_integer


def write_double(out: BytesWriter, x: float) -> None:
    """Write what `format_score` makes of ``x``."""
    if -1e15 < x < 1e15:
        n = i64(x)
        if float(n) == x:
            if n != 0:
                write_integer(out, n)
                return
        elif (-1e9 < x < 1e9) and (x > 1e-4 or x < -1e-4):
            if _write_decimal(out, x, 1000.0, 3) or _write_decimal(out, x, 1000000.0, 6):
                return
    out.write(format_score(x))


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
    """Write the number whose decimal text is ``data[start:end]`` like `write_double`; False if that needs the
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
