"""XXH3 with 64 bits, seed 0 and the default secret: what DIGEST and IFDEQ of Redis 8.4 compute of a string.

After the specification of xxHash (doc/xxhash_spec.md).
"""

from __future__ import annotations

from struct import unpack_from
from typing import Final

SECRET: Final = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
M64: Final = (1 << 64) - 1
P32: Final = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64: Final = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
MX1: Final = 0x165667919E3779F9
MX2: Final = 0x9FB21C651E98DF25
STRIPE: Final = 64
STRIPES: Final = (len(SECRET) - STRIPE) // 8
"""Stripes after which the lanes are scrambled."""


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _swap(value: int, size: int) -> int:
    return int.from_bytes(value.to_bytes(size, "little"))


def _fold(a: int, b: int) -> int:
    product = a * b
    return (product & M64) ^ (product >> 64)


def _avalanche(value: int) -> int:
    value ^= value >> 37
    value = value * MX1 & M64
    return value ^ (value >> 32)


def _avalanche_xxh64(value: int) -> int:
    value = (value ^ (value >> 33)) * P64[1] & M64
    value = (value ^ (value >> 29)) * P64[2] & M64
    return value ^ (value >> 32)


def _upto16(data: bytes) -> int:
    n = len(data)
    if n > 8:
        low = _u64(data, 0) ^ _u64(SECRET, 24) ^ _u64(SECRET, 32)
        high = _u64(data, n - 8) ^ _u64(SECRET, 40) ^ _u64(SECRET, 48)
        return _avalanche((n + _swap(low, 8) + high + _fold(low, high)) & M64)
    if n >= 4:
        value = _u32(data, n - 4) + (_u32(data, 0) << 32) ^ _u64(SECRET, 8) ^ _u64(SECRET, 16)
        value ^= (value << 49 | value >> 15) & M64 ^ (value << 24 | value >> 40) & M64
        value = value * MX2 & M64
        value ^= (value >> 35) + n
        value = value * MX2 & M64
        return value ^ (value >> 28)
    if n:
        combined = data[0] << 16 | data[n >> 1] << 24 | data[-1] | n << 8
        return _avalanche_xxh64(combined ^ _u32(SECRET, 0) ^ _u32(SECRET, 4))
    return _avalanche_xxh64(_u64(SECRET, 56) ^ _u64(SECRET, 64))


def _mix(data: bytes, at: int, secret: int) -> int:
    return _fold(_u64(data, at) ^ _u64(SECRET, secret), _u64(data, at + 8) ^ _u64(SECRET, secret + 8))


def _upto128(data: bytes) -> int:
    n = len(data)
    total = n * P64[0]
    for i in range((n - 1) // 32, -1, -1):
        total += _mix(data, 16 * i, 32 * i) + _mix(data, n - 16 * (i + 1), 32 * i + 16)
    return _avalanche(total & M64)


def _upto240(data: bytes) -> int:
    n = len(data)
    total = n * P64[0]
    for i in range(8):
        total += _mix(data, 16 * i, 16 * i)
    total = _avalanche(total & M64)
    for i in range(8, n // 16):
        total += _mix(data, 16 * i, 16 * (i - 8) + 3)
    total += _mix(data, n - 16, 136 - 17)
    return _avalanche(total & M64)


def _accumulate(lanes: list[int], data: bytes, at: int, secret: int) -> None:
    words = unpack_from("<8Q", data, at)
    keys = unpack_from("<8Q", SECRET, secret)
    for i in range(8):
        keyed = words[i] ^ keys[i]
        lanes[i ^ 1] = lanes[i ^ 1] + words[i] & M64
        lanes[i] = lanes[i] + (keyed & 0xFFFFFFFF) * (keyed >> 32) & M64


def _long(data: bytes) -> int:
    lanes = [P32[2], *P64[:4], P32[1], P64[4], P32[0]]
    n = len(data)
    full = (n - 1) // STRIPE
    for stripe in range(full):
        _accumulate(lanes, data, stripe * STRIPE, stripe % STRIPES * 8)
        if stripe % STRIPES == STRIPES - 1:
            keys = unpack_from("<8Q", SECRET, len(SECRET) - STRIPE)
            for i in range(8):
                lane = lanes[i]
                lanes[i] = (lane ^ (lane >> 47) ^ keys[i]) * P32[0] & M64
    _accumulate(lanes, data, n - STRIPE, len(SECRET) - STRIPE - 7)
    total = n * P64[0]
    for i in range(4):
        total += _fold(lanes[2 * i] ^ _u64(SECRET, 11 + 16 * i), lanes[2 * i + 1] ^ _u64(SECRET, 19 + 16 * i))
    return _avalanche(total & M64)


def xxh3_64(data: bytes) -> int:
    """The hash of ``data``."""
    n = len(data)
    if n <= 16:
        return _upto16(data)
    if n <= 128:
        return _upto128(data)
    return _upto240(data) if n <= 240 else _long(data)
