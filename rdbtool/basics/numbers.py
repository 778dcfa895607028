"""Numbers as text: integers in canonical decimal, doubles as the servers print them."""

from __future__ import annotations

import math
from typing import Final

from mypy_extensions import i64

from rdbtool.errors import FormatError

from .fpconv import seventeen, shortest

U64_MASK: Final = 0xFFFFFFFFFFFFFFFF

_SMALL: Final[list[bytes]] = [b"%d" % n for n in range(4096)]
_LAST_THREE: Final[list[bytes]] = [b"%03d" % n for n in range(1000)]


def decimal(n: i64) -> bytes:
    """``n`` as decimal text."""
    if 0 <= n < 4096:
        return _SMALL[n]
    if 0 <= n < 4096000:
        return _SMALL[n // 1000] + _LAST_THREE[n % 1000]
    return str(n).encode()


def signed(n: int) -> i64:
    """The 64 bits of an unsigned ``n`` taken as a signed number: counters with -1 for unknown."""
    return n if n < 1 << 63 else n - (1 << 64)


def is_integer(text: bytes) -> bool:
    """Whether ``text`` is a 64-bit signed integer in its one canonical form: what servers keep as a number."""
    n: i64 = len(text)
    if n == 0 or n > 20:
        return False
    i: i64 = 0
    if text[0] == 45:  # -
        i = 1
        if n == 1:
            return False
    elif text[0] == 48:  # 0
        return n == 1
    if text[i] == 48:
        return False
    digits = n - i
    while i < n:
        byte: i64 = text[i]
        if byte < 48 or byte > 57:
            return False
        i += 1
    if digits < 19:
        return True
    return -(1 << 63) <= int(text) < 1 << 63


def parse_integer(text: bytes) -> i64:
    """The number of a ``text`` for which `is_integer` holds."""
    n: i64 = len(text)
    if n > 18:
        return int(text)
    i: i64 = 0
    value: i64 = 0
    if text[0] == 45:
        i = 1
    while i < n:
        value = value * 10 + (text[i] - 48)
        i += 1
    return -value if text[0] == 45 else value


_POWERS: Final[list[float]] = [10.0**n for n in range(23)]


def parse_double(text: bytes) -> float:
    """A score that stands as text. Raises `FormatError` for anything else, NaN included."""
    # Up to 15 digits and a power of ten up to 22 are exact as doubles, so that one division rounds right.
    n: i64 = len(text)
    i: i64 = 1 if n > 0 and text[0] == 45 else 0
    mantissa: i64 = 0
    point: i64 = -1
    if 0 < n - i <= 16:
        while i < n:
            byte: i64 = text[i]
            if 48 <= byte <= 57:
                mantissa = mantissa * 10 + (byte - 48)
            elif byte == 46 and point < 0 and i + 1 < n:
                point = i
            else:
                break
            i += 1
        if i == n and mantissa != 0 and mantissa < 1000000000000000:
            number = float(mantissa)
            if point >= 0:
                number /= _POWERS[n - 1 - point]
            return -number if text[0] == 45 else number
    return _parse_any_double(text)


def _parse_any_double(text: bytes) -> float:
    try:
        # strtod reads what float() reads, but for underscores and surrounding blanks
        if b"_" in text:
            raise ValueError
        number = float(text)
    except ValueError:
        raise FormatError("a score that is not a number", doing="decoding a score") from None
    if math.isnan(number):
        raise FormatError("a score that is NaN", doing="decoding a score")
    return number


def format_double(x: float, *, digits17: bool = False) -> bytes:
    """``x`` as servers print it: as short as their Grisu2 makes it (Redis 7.2 on), or with 17 digits.

    Integers have no point, infinities are ``inf`` and ``-inf``, and zero keeps its sign.
    """
    # double2ll of Redis: beyond half the range of 64 bits whole numbers are printed as doubles
    if -4611686018427387904.0 <= x <= 4611686018427387904.0 and not (digits17 and abs(x) >= 1e17):
        whole: i64 = int(x)
        if float(whole) == x:
            return b"-0" if whole == 0 and math.copysign(1.0, x) < 0 else decimal(whole)
    return seventeen(x) if digits17 else shortest(x)


def format_score(x: float) -> bytes:
    """The shortest text that stands for ``x``; `format_double` is the one that servers print, which is slower."""
    if -9007199254740992.0 < x < 9007199254740992.0:
        n = i64(x)
        if float(n) == x and (n != 0 or str(x)[0] != "-"):
            return b"%d" % n
    text = repr(x)
    return text[:-2].encode() if text.endswith(".0") else text.encode()
