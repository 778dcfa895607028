"""Stream ids that collide as keys of a dict."""

from __future__ import annotations

from typing import Final

from rdbtool.model import Id

_ONE: Final = 11400714785074694791
_TWO: Final = 14029467366897019727
_FIVE: Final = 2870177450012600261
_WORD: Final = (1 << 64) - 1


def colliding_ids(count: int) -> list[Id]:
    """Ids in order, of which the pairs of integers have one hash in CPython (tupleobject.c: xxHash, without a seed).

    The second integer makes up for what the first one does to the state of the hash.
    """
    inverse = pow(_TWO, -1, 1 << 64)
    first = _after(1)
    found: list[Id] = []
    ms = 1
    while len(found) < count:
        seq = (first - _after(ms)) * inverse & _WORD
        if seq < (1 << 61) - 1:  # the hash of larger integers is that of the rest
            found.append((ms, seq))
        ms += 1
    return found


def _after(ms: int) -> int:
    state = _FIVE + ms * _TWO & _WORD
    return (state << 31 | state >> 33) * _ONE & _WORD
