"""C's long double on x86-64, exactly: what INCRBYFLOAT and HINCRBYFLOAT compute with and print.

Its significand has 64 bits. Numbers are kept as fractions that such a long double can hold.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from .numbers import C_FLOAT
from .replies import NOT_A_FLOAT, CommandError

SIGNIFICAND: Final = 64
LOWEST_EXPONENT: Final = -16445
"""2 ** this is the smallest subnormal."""
HIGHEST_EXPONENT: Final = 16384
"""2 ** this is too large."""
EXPONENT_DIGITS: Final = 6
"""Digits of a decimal exponent that is worth computing: beyond, it is out of range anyway."""
FARTHEST: Final = 5000
"""Decimal exponents beyond this are out of range whatever the digits."""
DECIMALS: Final = 17
"""Digits after the point that the server prints, before it drops zeros (util.c, ld2string)."""
NOT_FINITE: Final = "ERR increment would produce NaN or Infinity"


def rounded(number: Fraction) -> Fraction | None:
    """The nearest long double, ties to even; None if it is too large."""
    if not number:
        return number
    exponent = number.numerator.bit_length() - number.denominator.bit_length() - SIGNIFICAND
    size = abs(number)
    scale = max(exponent, LOWEST_EXPONENT)
    result = Fraction(round(size / Fraction(2) ** scale))
    if result.numerator.bit_length() > SIGNIFICAND:  # the estimate can be one too small
        scale += 1
        result = Fraction(round(size / Fraction(2) ** scale))
    result *= Fraction(2) ** scale
    if result >= Fraction(2) ** HIGHEST_EXPONENT:
        return None
    return result if number > 0 else -result


def parse(text: bytes, error: str = NOT_A_FLOAT) -> Fraction | None:
    """What C's strtold makes of the whole ``text``; None for an infinity. Raises `CommandError` with ``error``."""
    if not C_FLOAT.fullmatch(text) or len(text) > 5 * 1024:
        raise CommandError(error)
    lower = text.lower()
    if b"n" in lower:
        return None
    mantissa, _, exponent = lower.partition(b"p" if b"x" in lower else b"e")
    if not mantissa.replace(b"x", b"").strip(b"+-0."):
        return Fraction(0)
    if len(exponent.lstrip(b"+-0")) > EXPONENT_DIGITS:
        raise CommandError(error)
    if b"x" in lower:
        sign = -1 if mantissa[:1] == b"-" else 1
        whole, _, part = mantissa.lstrip(b"+-")[2:].partition(b".")
        number = sign * Fraction(int(whole + part, 16)) * Fraction(2) ** (int(exponent or b"0") - 4 * len(part))
    else:
        decimal = Decimal(lower.decode())
        if abs(decimal.adjusted()) > FARTHEST:
            raise CommandError(error)
        number = Fraction(decimal)
    value = rounded(number)
    if value is None or not value:
        raise CommandError(error)  # ERANGE
    return value


def add(a: Fraction | None, b: Fraction | None) -> Fraction:
    """The sum. Raises `CommandError` if it is not finite."""
    total = None if a is None or b is None else rounded(a + b)
    if total is None:
        raise CommandError(NOT_FINITE)
    return total


def text_of(number: Fraction) -> bytes:
    """What the server prints: 17 decimals, rounded half to even on the exact value, without trailing zeros."""
    units = round(abs(number) * 10**DECIMALS)
    whole, part = divmod(units, 10**DECIMALS)
    sign = "-" if number < 0 and units else ""
    decimals = str(part).rjust(DECIMALS, "0").rstrip("0")
    # Through Decimal, because Python refuses to print an int of more than 4300 digits.
    return f"{sign}{Decimal(whole):f}.{decimals}".rstrip(".").encode()
