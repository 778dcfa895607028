"""The hash of our tables: even, and without keys that collide whatever the seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product
from random import Random

import pytest

from rdbtool.basics.hashing import MASK, hash_bytes, hash_word, new_seed

COUNT = 20_000
SEED = 0x1851F42D4C957F2D


def flipped() -> Iterable[bytes]:
    """Words that differ only in their highest bits, which a product that is cut off loses."""
    return (b"".join(b"1234567%c" % (1 | high << 5) for high in word) for word in product(range(8), repeat=5))


@pytest.mark.parametrize(
    "keys",
    [
        [b"%d" % n for n in range(COUNT)],
        [b"session:%d" % n for n in range(COUNT)],
        [b"user:%012d:profile" % n for n in range(COUNT)],
        [n.to_bytes(8, "big") for n in range(COUNT)],
        [n.to_bytes(24, "little") for n in range(COUNT)],
        [(n << 40).to_bytes(16, "little") for n in range(COUNT)],
        list(flipped()),
    ],
    ids=["digits", "names", "long names", "big-endian", "little-endian", "high bits", "highest bits"],
)
def test_keys_spread_evenly_over_each_part_of_the_hash(keys: list[bytes]) -> None:
    seed = new_seed()
    print(f"seed {seed}")
    hashes = [hash_bytes(key, 0, len(key), seed) for key in keys]
    assert len(set(hashes)) == len(keys)
    assert all(0 <= h <= MASK for h in hashes)
    bits = (len(keys) - 1).bit_length()
    for shift in (0, 20, 62 - bits):
        places = Counter(h >> shift & (1 << bits) - 1 for h in hashes)
        pairs = sum(n * (n - 1) // 2 for n in places.values())
        expected = len(keys) * (len(keys) - 1) / 2 / (1 << bits)
        assert abs(pairs - expected) < expected / 10, shift
        assert max(places.values()) < 16


def test_the_seed_changes_the_order() -> None:
    keys = [b"key:%d" % n for n in range(100)]
    orders = {tuple(sorted(keys, key=lambda k: hash_bytes(k, 0, len(k), seed))) for seed in range(SEED, SEED + 10)}
    assert len(orders) == 10


def test_bytes_have_one_hash_wherever_they_stand() -> None:
    random = Random(7)
    for size in [*range(40), 1000]:
        data = random.randbytes(size)
        found = {
            hash_bytes(before + data + behind, len(before), size, SEED)
            for before in (b"", b"x", bytes(9))
            for behind in (b"", b"y", random.randbytes(20))
        }
        assert len(found) == 1


def test_a_byte_more_or_another_is_another_hash() -> None:
    data = bytes(64)
    found = {hash_bytes(data, 0, size, SEED) for size in range(64)}
    found |= {hash_bytes(data[:at] + b"\1" + data[at + 1 :], 0, 64, SEED) for at in range(64)}
    assert len(found) == 128


def test_words_of_64_bits_are_told_apart() -> None:
    words = [sign * (n + 1) << shift for n in range(50) for shift in (0, 31, 56) for sign in (1, -1)]
    seed = new_seed()
    assert len({hash_word(seed ^ word) for word in words}) == len(set(words))
