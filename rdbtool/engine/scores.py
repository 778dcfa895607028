"""Doubles among arguments and in replies."""

from __future__ import annotations

import math
from typing import Final

from rdbtool.basics import fpconv
from rdbtool.basics.numbers import parse_double
from rdbtool.servers.features import FAST_FLOAT
from rdbtool.servers.releases import Release

from .numbers import double, has_x, is_plain
from .replies import NOT_A_FLOAT, CommandError

WHOLE: Final = 4611686018427387904.0
"""2 ** 62: whole numbers up to here are printed as integers (util.c, double2ll)."""


def score_text(score: float, digits17: bool) -> bytes:
    """What a reply shows for a double; ``digits17``: as servers before 7.2 print it."""
    if -WHOLE <= score <= WHOLE and score.is_integer() and score != 0.0:
        return str(int(score)).encode()
    if digits17 and not math.isinf(score):
        return fpconv.seventeen(score)
    return fpconv.shortest(score)


def double_of(release: Release, text: bytes, error: str = NOT_A_FLOAT) -> float:
    """A score, weight or coordinate. Raises `CommandError` with ``error``."""
    if is_plain(text):
        return parse_double(text)
    value = double(text, error)
    if has_x(text) and release.valkey and release.has(FAST_FLOAT):
        raise CommandError(error)  # Redis asks strtod what fast_float does not understand
    return value
