"""Compression and checksum: the libraries against plain Python."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbtool.basics import crc64, lzf

SEED = 20260407


def samples(rng: random.Random) -> list[bytes]:
    """Texts that compress well, badly, and not at all."""
    out = [b"", b"a", b"aaaa", b"a" * 300, bytes(range(256)) * 3]
    for _ in range(150):
        words = [rng.randbytes(rng.randint(1, 6)) for _ in range(4)]
        out.append(b"".join(rng.choice(words) for _ in range(rng.randint(1, 120))))
    return out


def test_the_check_value_of_the_polynomial() -> None:
    assert crc64.crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64.crc64_plain()(b"123456789", 0) == 0xE9C6D914C4B8D9CA


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_checksums_of_parts_are_those_of_the_whole_in_both_libraries(parts: list[bytes]) -> None:
    update = crc64.crc64_plain()
    fast = plain = 0
    for part in parts:
        fast = crc64.crc64(part, fast)
        plain = update(part, plain)
    assert fast == plain == crc64.crc64(b"".join(parts))


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from rdbtool.basics.crc64 import crc64

assert sys.argv[1] not in sys.modules
print(crc64(b"123456789"))
"""


@pytest.mark.parametrize("missing", ["anycrc", "crcmod"])
def test_each_library_does_where_the_other_is_missing(missing: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, missing], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{0xE9C6D914C4B8D9CA}\n", "")


def test_what_is_compressed_comes_back_by_every_way() -> None:
    print("seed", SEED)
    for data in samples(random.Random(SEED)):
        for packed in (lzf.compress(data), lzf.compress_plain(data)):
            if packed is None:
                continue
            assert len(packed) <= len(data) - 4
            assert lzf.decompress(packed, len(data)) == data
            assert lzf.decompress_plain(packed, len(data)) == data
            assert lzf.is_valid(packed, 0, len(packed), len(data))
            assert not lzf.is_valid(packed, 0, len(packed), len(data) + 1)
            assert not lzf.is_valid(packed, 0, len(packed), len(data) - 1)


def test_compression_pays_or_is_not_done() -> None:
    assert lzf.compress(b"abcd") is None
    assert lzf.compress(random.Random(SEED).randbytes(200)) is None
    packed = lzf.compress(b"x" * 1000)
    assert packed is not None
    assert len(packed) < 40


def test_damaged_data_is_judged_the_same_by_every_way() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    refused = 0
    for data in samples(rng):
        packed = lzf.compress_plain(data)
        if packed is None:
            continue
        for _ in range(12):
            damaged = bytearray(packed)
            for _ in range(rng.randint(1, 3)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            if rng.random() < 0.3:
                del damaged[rng.randrange(len(damaged)) :]
            broken = bytes(damaged)
            size = rng.choice((len(data), len(data) + rng.randint(-3, 3)))
            if size <= 0:
                continue
            out = lzf.decompress(broken, size)
            assert out == lzf.decompress_plain(broken, size), (broken, size)
            assert (out is not None) == lzf.is_valid(b"xx" + broken + b"x", 2, 2 + len(broken), size), (broken, size)
            refused += out is None
    assert refused > 200


def test_no_memory_is_reserved_for_a_size_that_cannot_be() -> None:
    assert lzf.decompress(b"\x00a", 1 << 60) is None
    assert lzf.decompress(b"\x00a", -1) is None
    assert lzf.decompress(b"", 0) == b""
    assert lzf.decompress(b"", 1) is None
