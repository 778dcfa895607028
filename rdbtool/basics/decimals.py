"""Doubles as text into a `BytesWriter`: the shortest text that stands for each, as `format_score` has it.

A double times a power of ten is computed exactly, as the sum of two doubles. So far, 17 digits of it are known, and
what is left behind them, and with that whether 15 or 16 digits are nearer to the double than to its neighbours. What is
too near to a limit is left to `format_score`.
"""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter, read_i64_le
from mypy_extensions import i64

from .numbers import eight_digits, format_score, parse_double
from .writing import write_integer, write_padded

_HALF_STEP: Final = 1.1102230246251568e-16
"""A little more than 2**-53: a double and this part of it add up to the next double."""
_UNSURE: Final = 1e-6
"""What is as near as this to a limit, in units of the 17th digit, is left to others; errors are a millionth of it."""


def write_double(out: BytesWriter, x: float) -> None:
    """Write what `format_score` makes of ``x``."""
    if -1e15 < x < 1e15:
        n = i64(x)
        if float(n) == x:
            if n != 0:
                write_integer(out, n)
                return
        elif (-1e9 < x < 1e9) and (x > 1e-3 or x < -1e-3) and _write_thousandths(out, x):
            return
        elif x >= 1e-4:
            if _write_shortest(out, x, False):
                return
        elif x <= -1e-4 and _write_shortest(out, -x, True):
            return
    out.write(format_score(x))


def _write_thousandths(out: BytesWriter, x: float) -> bool:
    """Write ``x`` if it is the double of a number with three decimal places and at most 15 digits.

    Both 1000 and the number of thousandths are exact as doubles, so their quotient is the double that the decimal text
    stands for; and of texts of at most 15 digits no two stand for one double.
    """
    n = i64(x * 1000.0 + (0.5 if x > 0 else -0.5))
    if float(n) / 1000.0 != x:
        return False
    if n < 0:
        out.append(45)
        n = -n
    _write_places(out, n, 3)
    return True


def _write_shortest(out: BytesWriter, x: float, negative: bool) -> bool:
    """Write ``x``, which is at least 1e-4 and less than 1e15, if it can be told in what form."""
    places: i64 = 16
    if x < 1.0:
        places = 17 if x >= 0.1 else 18 if x >= 0.01 else 19 if x >= 0.001 else 20
    else:
        power = 10.0
        while x >= power:
            power *= 10.0
            places -= 1
    scale = _power(places)
    product = x * scale
    if product < 1e16 or product >= 1e17:
        return False
    rest = _error(x, scale, product)
    m = i64(product)
    whole = i64(rest + 0.5) if rest >= 0.0 else i64(rest - 0.5)
    m += whole
    rest -= float(whole)
    step = x * _HALF_STEP
    up = (x + step) - x
    if x - (x - step) != up:
        return False  # a power of two, whose neighbours are not equally near
    limit = up * 0.5 * scale

    n = (m + 50) // 100
    distance = abs(float(n * 100 - m) - rest)
    if distance < limit - _UNSURE:
        places -= 2
    elif distance < limit + _UNSURE:
        return False
    else:
        tens = m // 10
        last = float(m - tens * 10) + rest
        if abs(last - 5.0) < _UNSURE or abs(rest) > 0.5 - _UNSURE:
            return False
        n = tens + 1 if last > 5.0 else tens
        distance = abs(float(n * 10 - m) - rest)
        if distance < limit - _UNSURE:
            places -= 1
        elif distance < limit + _UNSURE:
            return False
        else:
            n = m
    if negative:
        out.append(45)
    _write_places(out, n, places)
    return True


def _write_places(out: BytesWriter, n: i64, places: i64) -> None:
    """Write ``n``, positive, in units of the last of ``places`` decimal places, without trailing zeros."""
    while places > 0:
        tenth = n // 10
        if tenth * 10 != n:
            break
        n = tenth
        places -= 1
    if places == 0:
        write_integer(out, n)
        return
    unit: i64 = 1
    if places > 18:  # ten to the 19th does not fit, and n is less
        out.append(48)
    else:
        left = places
        while left >= 4:
            unit *= 10_000
            left -= 4
        while left > 0:
            unit *= 10
            left -= 1
        whole = n // unit
        write_integer(out, whole)
        n -= whole * unit
    out.append(46)
    write_padded(out, n, places)


def write_decimal_text(out: BytesWriter, data: bytes, start: i64, end: i64) -> bool:
    """Write the number whose decimal text is ``data[start:end]`` like `write_double`; False if that needs the
    long way.

    Up to 15 digits, the text without what is superfluous is the shortest. Servers before Redis 7.2 print scores with
    17; most stand for a number of less, as 0.1 for 0.10000000000000001.
    """
    number = _scan(data, start, end)
    if number < 0:
        return False
    negative = data[start] == 45
    m = number >> 5
    places = number & 31
    if m >= 1_000_000_000_000_000:
        x = _nearest(m, places)
        return 1e-4 <= x < 1e15 and float(i64(x)) != x and _write_shortest(out, x, negative)
    if float(m) / _power(places) < 1e-4:
        return False  # takes the form with an exponent
    if negative:
        out.append(45)
    _write_places(out, m, places)
    return True


def double_at(data: bytes, start: i64, end: i64) -> float:
    """The score that stands as the text ``data[start:end]``. Raises `FormatError` for what is none."""
    number = _scan(data, start, end)
    if number >= 0:
        m = number >> 5
        x = float(m) / _power(number & 31) if m < 1_000_000_000_000_000 else _nearest(m, number & 31)
        if x >= 0.0:
            return -x if data[start] == 45 else x
    return parse_double(data[start:end])


def _scan(data: bytes, start: i64, end: i64) -> i64:
    """A decimal text of up to 17 digits and 20 places: its digits as a number, times 32, plus the places; -1 for any
    other, and for zero.
    """
    pos = start
    if pos < end and data[pos] == 45:
        pos += 1
    m: i64 = 0
    point: i64 = -1
    while pos < end:
        c: i64 = data[pos]
        if 48 <= c <= 57 and m < 10_000_000_000_000_000:
            m = m * 10 + (c - 48)
        elif c == 46 and point < 0:
            point = pos
            while m < 1_000_000_000 and end - pos > 8:
                eight = eight_digits(read_i64_le(data, pos + 1))
                if eight < 0:
                    break
                m = m * 100_000_000 + eight
                pos += 8
        else:
            return -1
        pos += 1
    if m == 0:
        return -1
    if point < 0:
        return m << 5
    places = end - point - 1
    return m << 5 | places if places <= 20 else -1


def _nearest(m: i64, places: i64) -> float:
    """The double nearest to ``m`` of 17 digits with so many decimal places, up to 22; -1 if that cannot be told."""
    scale = _power(places)
    x = float(m) / scale
    tries: i64 = 3
    while tries > 0:
        product = x * scale
        units = i64(product)
        distance = float(units - m) + (product - float(units)) + _error(x, scale, product)
        step = x * _HALF_STEP
        up = (x + step) - x
        if x - (x - step) != up:
            return -1.0
        limit = up * 0.5 * scale
        if -limit + _UNSURE < distance < limit - _UNSURE:
            return x
        if -limit - _UNSURE < distance < limit + _UNSURE:
            return -1.0
        if distance > 0.0:
            x -= up
        else:
            x += up
        tries -= 1
    return -1.0


def _power(n: i64) -> float:
    """10 to the ``n``, exact up to 22."""
    x = 1.0
    if n & 1:
        x = 10.0
    if n & 2:
        x *= 1e2
    if n & 4:
        x *= 1e4
    if n & 8:
        x *= 1e8
    if n & 16:
        x *= 1e16
    return x


def _error(x: float, y: float, product: float) -> float:
    """What the ``product`` of two doubles lacks of what it should be, exactly (Dekker)."""
    a = 134217729.0 * x
    x_high = a - (a - x)
    x_low = x - x_high
    b = 134217729.0 * y
    y_high = b - (b - y)
    y_low = y - y_high
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
