"""Numbers as text: integers in canonical decimal, doubles as the servers print them."""

from __future__ import annotations

import math
import re
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


def natural(text: bytes | str) -> int:
    """The number that ``text`` is, in decimal digits and nothing else; -1 for anything else, and for more than 19
    digits: Python raises `ValueError` for thousands.
    """
    return int(text) if len(text) < 20 and text.isascii() and text.isdigit() else -1


def signed(n: int) -> i64:
    """The 64 bits of an unsigned ``n`` taken as a signed number: counters with -1 for unknown."""
    return n if n < 1 << 63 else n - (1 << 64)


def is_integer(text: bytes) -> bool:
    """Whether ``text`` is a 64-bit signed integer in its one canonical form: what servers keep as a number."""
    return is_integer_at(text, 0, len(text))


def is_integer_at(data: bytes, pos: i64, size: i64) -> bool:
    """Whether ``data[pos:pos + size]`` is such an integer."""
    if size == 0 or size > 20:
        return False
    i = pos
    end = pos + size
    if data[i] == 45:  # -
        i += 1
        if i == end:
            return False
    elif data[i] == 48:  # 0
        return size == 1
    if data[i] == 48:
        return False
    digits = end - i
    while i < end:
        byte: i64 = data[i]
        if byte < 48 or byte > 57:
            return False
        i += 1
    if digits < 19:
        return True
    return -(1 << 63) <= int(data[pos:end]) < 1 << 63


def parse_integer(text: bytes) -> i64:
    """The number of a ``text`` for which `is_integer` holds."""
    return integer_of(text, 0, len(text))


def integer_of(data: bytes, pos: i64, end: i64) -> i64:
    """The number of ``data[pos:end]``, for which `is_integer_at` holds."""
    if end - pos > 18:
        return int(data[pos:end])
    negative = data[pos] == 45
    if negative:
        pos += 1
    value: i64 = 0
    while pos < end:
        value = value * 10 + (data[pos] - 48)
        pos += 1
    return -value if negative else value


_ZEROS: Final[i64] = 0x3030303030303030
_SIXES: Final[i64] = 0x0606060606060606
_LOW: Final[i64] = 0x0F0F0F0F0F0F0F0F


def eight_digits(word: i64) -> i64:
    """The number that eight bytes, the first one lowest, are the digits of; -1 where they are not all digits."""
    word ^= _ZEROS
    if (word | (word + _SIXES)) & ~_LOW != 0:
        return -1
    word = word * 10 + (word >> 8) & 0x00FF00FF00FF00FF
    word = word * 100 + (word >> 16) & 0x0000FFFF0000FFFF
    return word * 10_000 + (word >> 32) & 0xFFFFFFFF


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
    n: i64 = len(text)
    # What float() takes, strtod takes as well, but for underscores and blanks behind; it also takes more.
    try:
        number = float(text) if n > 0 and text[n - 1] > 32 and b"_" not in text else math.nan
    except ValueError:
        number = math.nan
    if math.isnan(number):
        number, end = scan_double(text)
        if end == 0 or end != n:
            raise FormatError("a score that is not a number", doing="decoding a score")
    if math.isnan(number):
        raise FormatError("a score that is NaN", doing="decoding a score")
    return number


_DOUBLE: Final = re.compile(
    rb"\s*([+-]?(?:0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?\d+)?"
    rb"|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan))",
    re.IGNORECASE,
)


def scan_double(text: bytes) -> tuple[float, int]:
    """The number, NaN included, that ``text`` begins with as C's strtod reads it, and where it ends.

    Where it begins with none, it ends at 0.
    """
    found = _DOUBLE.match(text)
    if found is None:
        return 0.0, 0
    digits: bytes = found[1]
    if b"x" in digits or b"X" in digits:
        try:
            return float.fromhex(digits.decode()), found.end()
        except OverflowError:
            return -math.inf if digits.startswith(b"-") else math.inf, found.end()
    return float(digits), found.end()


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
