"""The hash behind every table of ours, without the int object that compiled code gets from ``hash``."""

from __future__ import annotations

import os
from typing import Final

from librt.strings import read_i64_le
from mypy_extensions import i64

MASK: Final[i64] = 0x3FFFFFFFFFFFFFFF
"""62 bits, the size of a hash. Constants that are larger would be objects to compiled code, and what is cut to them is
the same in compiled code, where numbers wrap at 64 bits, and in interpreted code.
"""
HALF: Final[i64] = 0xFFFFFFFF
ODD: Final[i64] = 0x2545F4914F6CDD1D
"""A multiplier whose bits look random."""


def new_seed() -> int:
    """A seed that no file can know: with it, the keys of none can be made to collide."""
    return int.from_bytes(os.urandom(8), "little") >> 2


def hash_bytes(data: bytes, pos: i64, size: i64, seed: i64) -> i64:
    """The hash of ``data[pos:pos + size]``: 62 bits, each as good as any other."""
    h = seed + size * ODD & MASK
    end = pos + size
    if size >= 8:
        while pos + 8 < end:
            # Halves that depend on the seed are multiplied with each other: what a change of a word does to the product
            # depends on the seed too, so that no change of the next word is sure to make up for it.
            h ^= read_i64_le(data, pos)
            h = (h & HALF) * (h >> 32 & HALF) + h & MASK
            pos += 8
        h ^= read_i64_le(data, end - 8)
    elif pos + 8 <= len(data):
        # mypyc hands 1 << n to C as a shift of 32 bits, so the mask is made the other way round
        h ^= read_i64_le(data, pos) & MASK >> 62 - 8 * size
    else:
        word: i64 = 0
        while end > pos:
            end -= 1
            byte: i64 = data[end]
            word = word << 8 | byte
        h ^= word
    return hash_word(h)


def hash_word(word: i64) -> i64:
    """The hash of 64 bits that depend on a seed."""
    h = (word & HALF) * (word >> 32 & HALF) + word & MASK
    h = (h ^ h >> 32) * ODD & MASK
    return h ^ h >> 31
