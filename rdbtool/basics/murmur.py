"""MurmurHash64A, as HyperLogLogs use it.

64-bit numbers are pairs of 32-bit halves here: sums and products of halves have the same low 32 bits in
compiled code, which wraps at 64 bits, as in interpreted code, which does not.
"""

from __future__ import annotations

from typing import Final

from librt.strings import read_i64_le
from mypy_extensions import i64

MASK: Final = 0xFFFFFFFF
SEED: Final = 0xADC83B19
M_HIGH: Final = 0xC6A4A793
M_LOW: Final = 0x5BD1E995


def hash64(data: bytes) -> tuple[i64, i64]:
    """The hash, as its high and low 32 bits."""
    n: i64 = len(data)
    product = n * M_LOW
    low = (product & MASK) ^ SEED
    high = (((product >> 32) & MASK) + n * M_HIGH) & MASK
    i: i64 = 0
    while i + 8 <= n:
        word = read_i64_le(data, i)
        a = word & MASK
        b = (word >> 32) & MASK
        product = a * M_LOW
        b = (((product >> 32) & MASK) + a * M_HIGH + b * M_LOW) & MASK
        a = product & MASK
        a ^= b >> 15
        product = a * M_LOW
        b = (((product >> 32) & MASK) + a * M_HIGH + b * M_LOW) & MASK
        low ^= product & MASK
        high ^= b
        product = low * M_LOW
        high = (((product >> 32) & MASK) + low * M_HIGH + high * M_LOW) & MASK
        low = product & MASK
        i += 8
    if i < n:
        shift: i64 = 0
        while i < n:
            byte: i64 = data[i]
            if shift < 32:
                low ^= byte << shift
            else:
                high ^= byte << (shift - 32)
            shift += 8
            i += 1
        product = low * M_LOW
        high = (((product >> 32) & MASK) + low * M_HIGH + high * M_LOW) & MASK
        low = product & MASK
    low ^= high >> 15
    product = low * M_LOW
    high = (((product >> 32) & MASK) + low * M_HIGH + high * M_LOW) & MASK
    low = product & MASK
    low ^= high >> 15
    return high, low
