"""Scores as text, the way the servers print them into DEBUG DIGEST.

From 7.0 on they use Grisu2 by Florian Loitsch (deps/fpconv), which is nearly always, but not always, the
shortest text that reads back the same: so it is followed step by step here.
"""

from __future__ import annotations

import struct
from typing import Final

FIRST_POWER: Final = -348
STEP: Final = 8
POWERS: Final = 87
LOG10_2: Final = 0.30102999566398114
M64: Final = (1 << 64) - 1
HIDDEN: Final = 1 << 52


def _rounded_quotient(number: int, divisor: int, shift: int) -> int:
    """``number / (divisor * 2 ** shift)``; it is never half way between two integers here."""
    if shift < 0:
        number <<= -shift
    else:
        divisor <<= shift
    return (2 * number + divisor) // (2 * divisor)


def _power(exponent: int) -> tuple[int, int]:
    """10 ** exponent as a rounded significand of 64 bits and a binary exponent."""
    number, divisor = (10**exponent, 1) if exponent >= 0 else (1, 10**-exponent)
    shift = number.bit_length() - divisor.bit_length() - 64
    significand = _rounded_quotient(number, divisor, shift)
    if significand >> 64:
        shift += 1
        significand = _rounded_quotient(number, divisor, shift)
    return significand, shift


_powers: Final[dict[int, tuple[int, int]]] = {}
"""Index -> power of ten; made when first needed."""


def _cached_power(exponent: int) -> tuple[int, int, int]:
    """A power of ten that brings a number of this binary exponent between 2**-60 and 2**-32; its decimal exponent."""
    index = (int(-(exponent + POWERS) * LOG10_2) - FIRST_POWER) // STEP
    while True:
        if index not in _powers:
            _powers[index] = _power(FIRST_POWER + index * STEP)
        significand, binary = _powers[index]
        current = exponent + binary + 64
        if current < -60:
            index += 1
        elif current > -32:
            index -= 1
        else:
            return significand, binary, FIRST_POWER + index * STEP


def _multiply(a: int, b: int) -> int:
    """The high 64 bits of a product, rounded as Grisu rounds."""
    ah, al = a >> 32, a & 0xFFFFFFFF
    bh, bl = b >> 32, b & 0xFFFFFFFF
    middle = (ah * bl & 0xFFFFFFFF) + (al * bh & 0xFFFFFFFF) + (al * bl >> 32) + (1 << 31)
    return ah * bh + (ah * bl >> 32) + (al * bh >> 32) + (middle >> 32)


def _digits(number: float) -> tuple[list[int], int]:
    """Decimal digits of a positive number, and the power of ten of the last one."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", number))
    fraction = bits & (HIDDEN - 1)
    exponent = bits >> 52 & 0x7FF
    if exponent:
        fraction += HIDDEN
        exponent -= 1075
    else:
        exponent = -1074
    # The neighbours half way to the next doubles, all at the same binary exponent.
    upper = (fraction << 1) + 1
    top = exponent - 1
    lift = 64 - upper.bit_length()
    upper <<= lift
    top -= lift
    closer = 2 if fraction == HIDDEN else 1
    lower = ((fraction << closer) - 1) << (exponent - closer - top)
    lift = 64 - fraction.bit_length()
    power, binary, decimal = _cached_power(top)
    middle = _multiply(fraction << lift, power)
    upper = _multiply(upper, power) - 1
    lower = _multiply(lower, power) + 1
    return _generate(middle, upper, lower, -(top + binary + 64), -decimal)


def _generate(middle: int, upper: int, lower: int, point: int, decimal: int) -> tuple[list[int], int]:
    distance = upper - middle
    delta = upper - lower
    whole = upper >> point
    part = upper & ((1 << point) - 1)
    digits: list[int] = []
    for kappa in range(9, -1, -1):
        unit = 10**kappa
        digit, whole = divmod(whole, unit)
        if digit or digits:
            digits.append(digit)
        rest = (whole << point) + part
        if rest <= delta:
            _round(digits, delta, rest, unit << point, distance)
            return digits, decimal + kappa
    scale = 1
    kappa = 0
    while True:
        part = part * 10 & M64
        delta = delta * 10 & M64
        scale *= 10
        kappa -= 1
        digit = part >> point
        if digit or digits:
            digits.append(digit)
        part &= (1 << point) - 1
        if part < delta:
            _round(digits, delta, part, 1 << point, distance * scale & M64)
            return digits, decimal + kappa


def _round(digits: list[int], delta: int, rest: int, unit: int, distance: int) -> None:
    while (
        rest < distance
        and delta - rest >= unit
        and (rest + unit < distance or distance - rest > rest + unit - distance)
    ):
        digits[-1] -= 1
        rest += unit


def _layout(digits: list[int], power: int, negative: bool) -> str:
    text = "".join(map(str, digits))
    n = len(text)
    exponent = power + n - 1
    if power >= 0 and abs(exponent) < n + 7:
        return text + "0" * power
    if power < 0 and (power > -7 or abs(exponent) < 4):
        whole = n + power
        return f"{text[:whole]}.{text[whole:]}" if whole > 0 else f"0.{'0' * -whole}{text}"
    text = text[: 18 - negative]
    mantissa = f"{text[0]}.{text[1:]}" if len(text) > 1 else text
    return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent)}"


def shortest(score: float) -> bytes:
    """The score as servers from 7.0 on print it."""
    sign = "-" if struct.pack(">d", score)[0] & 0x80 else ""
    if score == 0.0:
        return f"{sign}0".encode()
    if score in {float("inf"), float("-inf")}:
        return f"{sign}inf".encode()
    digits, power = _digits(abs(score))
    return (sign + _layout(digits, power, bool(sign))).encode()


def seventeen(score: float) -> bytes:
    """The score as servers up to 6.2 print it, and as every server writes it into a rewritten log."""
    return b"%.17g" % score
