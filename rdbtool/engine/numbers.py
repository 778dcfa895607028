"""Numbers as the server reads and prints them."""

from __future__ import annotations

import math
import re
from typing import Final

from mypy_extensions import i64

from rdbtool.basics.numbers import is_integer, parse_double

from .replies import NOT_A_FLOAT, NOT_AN_INTEGER, CommandError

I64_MAX: Final = 0x7FFFFFFFFFFFFFFF
I64_MIN: Final = -0x7FFFFFFFFFFFFFFF - 1
OUT_OF_POSITIVE: Final = "ERR value is out of range, must be positive"


def integer(text: bytes, error: str = NOT_AN_INTEGER) -> i64:
    """The 64-bit integer that ``text`` is the canonical form of; raises `CommandError` with ``error``."""
    n: i64 = len(text)
    if n == 0 or n > 18:
        if not is_integer(text):
            raise CommandError(error)
        return int(text)
    first: i64 = text[0]
    i: i64 = 1
    value: i64 = first - 48
    if first == 45:  # -
        value = 0
        if n == 1 or text[1] == 48:
            raise CommandError(error)
    elif value < 0 or value > 9 or (value == 0 and n > 1):
        raise CommandError(error)
    while i < n:
        digit: i64 = i64(text[i]) - 48
        if digit < 0 or digit > 9:
            raise CommandError(error)
        value = value * 10 + digit
        i += 1
    return -value if first == 45 else value


def integer_between(text: bytes, low: i64, high: i64, error: str) -> i64:
    """An integer in a range; raises `CommandError` with ``error`` for one outside, and for no integer."""
    value = integer(text, error)
    if value < low or value > high:
        raise CommandError(error)
    return value


def i32_of(text: bytes, error: str = NOT_AN_INTEGER) -> i64:
    """A C int."""
    return integer_between(text, -(1 << 31), (1 << 31) - 1, error)


def positive(text: bytes) -> i64:
    """An integer from 0 on."""
    value = integer(text, OUT_OF_POSITIVE)
    if value < 0:
        raise CommandError(OUT_OF_POSITIVE)
    return value


C_FLOAT: Final = re.compile(
    rb"[+-]?(?:inf(?:inity)?|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?"
    rb"|0x(?:[0-9a-f]+(?:\.[0-9a-f]*)?|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?)",
    re.IGNORECASE,
)
"""What C's strtod reads to the end, without NaN, which no caller takes, and without leading space."""


def has_x(text: bytes) -> bool:
    """Whether a number, if it is one, is hexadecimal."""
    return b"x" in text or b"X" in text


def is_plain(text: bytes) -> bool:
    """Whether ``text`` is a short decimal that starts with a digit: surely a number, and in range."""
    n: i64 = len(text)
    if n == 0 or n > 32:
        return False
    i: i64 = 1 if text[0] == 45 and n > 1 else 0
    if text[i] < 48 or text[i] > 57:
        return False
    points = 0
    while i < n:
        if text[i] < 48 or text[i] > 57:
            if text[i] != 46:
                return False
            points += 1
        i += 1
    return points <= 1


def float_or_none(text: bytes) -> float | None:
    """The double that C's strtod makes of the whole ``text``; None if it is no number, NaN, or out of range."""
    if is_plain(text):
        return parse_double(text)
    if not C_FLOAT.fullmatch(text):
        return None
    if has_x(text):
        try:
            value = float.fromhex(text.decode())
        except OverflowError:
            return None
        digits = text.lower().partition(b"p")[0].replace(b"x", b"")
    else:
        value = float(text)
        digits = text.lower().partition(b"e")[0]
    if math.isinf(value):
        return value if b"n" in text.lower() else None
    if value == 0.0 and digits.strip(b"+-0."):
        return None  # ERANGE: too small
    return value


def double(text: bytes, error: str = NOT_A_FLOAT) -> float:
    """A double; raises `CommandError` with ``error``."""
    value = float_or_none(text)
    if value is None:
        raise CommandError(error)
    return value
