"""A table of hashes: open addressing in one run of memory, without an object per entry."""

from __future__ import annotations

from typing import Final, final

from librt.vecs import append, vec
from mypy_extensions import i64

from .hashing import MASK

ROUNDS: Final[i64] = 1 << 16
"""Beginnings before the table has to be wiped."""


@final
class HashTable:
    """Hashes and where what they stand for is found. `begin`, then `put` each.

    A slot is two words side by side: a hash, and a reference times ROUNDS plus the round it was put in. Slots of other
    rounds are free, so that a new round costs nothing.
    """

    def __init__(self) -> None:
        self.words = vec[i64](capacity=0)
        self.bits: i64 = 2
        self.round: i64 = 0

    def begin(self, count: i64) -> None:
        """Forget all, and expect ``count`` hashes."""
        bits: i64 = 2
        size: i64 = 4
        while size < 2 * count:
            size *= 2
            bits += 1
        self.bits = bits
        words = self.words
        have: i64 = len(words)
        if have < 2 * size:
            zero: i64 = 0
            while have < 2 * size:
                words = append(words, zero)
                have += 1
            self.words = words
        self.round += 1
        if self.round == ROUNDS:
            self.round = 1
            i: i64 = 1
            while i < have:
                words[i] = 0
                i += 2

    def put(self, value: i64, reference: i64) -> i64:
        """Note a hash of 62 bits and a reference of 46; -1, or the reference of an earlier hash that is the same."""
        words = self.words
        last = 2 * (MASK >> 62 - self.bits)
        at = 2 * (value >> 62 - self.bits)
        while True:
            slot = words[at + 1]
            if slot & ROUNDS - 1 != self.round:
                words[at] = value
                words[at + 1] = reference << 16 | self.round
                return -1
            if words[at] == value:
                return slot >> 16
            at = at + 2 & last


ROUND: Final[i64] = ROUNDS - 1
MOST_DISTINCT: Final[i64] = 1 << 12


@final
class Distinct:
    """A table that a loop has inside of it, to see that all of a few hashes are different.

    A slot is one word: a hash whose low bits, those of ROUND, are the round it was put in. Slots of other rounds are
    free. A loop takes ``words`` and ``round``, behind `begin`, and looks for a free slot from the one on that the low
    bits of a hash say.
    """

    def __init__(self) -> None:
        self.words = vec[i64](capacity=0)
        self.round: i64 = 0

    def begin(self, count: i64) -> i64:
        """Forget all, and expect ``count`` hashes, MOST_DISTINCT at most: the mask of their slots."""
        if not self.words or self.round == ROUND:
            self.words = vec[i64]([0] * (2 * MOST_DISTINCT))
            self.round = 0
        self.round += 1
        size: i64 = 4
        while size < 2 * count:
            size *= 2
        return size - 1
