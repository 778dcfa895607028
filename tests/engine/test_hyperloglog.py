from __future__ import annotations

import pytest

from rdbtool.basics.murmur import hash64
from tests.engine.commanding import Engine

EMPTY = b"HYLL\x01" + bytes(11) + b"\x7f\xff"
STALE = b"\x80"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0xD8DFEA6585BC9732),
        (b"a", 0x53D2470A9B43B1A7),
        (b"12345678", 0x95EBB86389132953),
        (b"\xff" * 13, 0x7FD43CF3A9DDCCF4),
        (b"x" * 100, 0x2C4D1FDDABBFFBB8),
    ],
)
def test_the_hash_is_murmur(data: bytes, expected: int) -> None:
    high, low = hash64(data)
    assert high << 32 | low == expected


def test_pfadd_without_elements_creates_an_empty_one() -> None:
    e = Engine()
    assert e.all("PFADD h", "PFADD h") == [1, 0]
    assert e.string("h") == EMPTY[:15] + STALE + EMPTY[16:]


def test_pfcount_caches_what_it_counted() -> None:
    e = Engine()
    e.run("PFADD h a b c")
    assert e.string("h")[8:16] == bytes(7) + STALE
    assert e.run("PFCOUNT h") == 3
    assert e.string("h")[8:16] == b"\x03" + bytes(7)
    assert e.run("PFADD h a") == 0
    assert e.string("h")[8:16] == b"\x03" + bytes(7)
    assert e.run("PFADD h d") == 1
    assert e.string("h")[8:16] == b"\x03" + bytes(6) + STALE


def test_it_becomes_dense_when_the_sparse_form_grows_too_large() -> None:
    e = Engine()
    sizes = []
    for i in range(3000):
        e.run(f"PFADD h element-{i}")
        sizes.append(len(e.string("h")))
    assert max(size for size in sizes if size != 12304) <= 3000
    assert sizes[-1] == 12304
    assert e.string("h")[4] == 0
    count = e.run("PFCOUNT h")
    assert isinstance(count, int)
    assert abs(count - 3000) < 100


def test_dense_and_sparse_count_the_same() -> None:
    e = Engine()
    e.run("PFADD h " + " ".join(f"x{i}" for i in range(300)))
    before = e.run("PFCOUNT h")
    assert e.all("PFDEBUG TODENSE h", "PFDEBUG TODENSE h", "PFDEBUG ENCODING h") == [1, 0, b"dense"]
    e.run("PFADD h x1 one-more")
    e.run("PFMERGE copy h")
    assert before == 300 or isinstance(before, int)
    assert e.run("PFCOUNT copy") == e.run("PFCOUNT h") == e.run("PFCOUNT h copy none")


def test_pfmerge_takes_the_highest_registers() -> None:
    e = Engine()
    e.all("PFADD a 1 2 3", "PFADD b 3 4 5", "PFADD all 1 2 3 4 5", "PFMERGE m a b none")
    assert e.string("m") == e.string("all")


@pytest.mark.parametrize("data", [b"x", b"HYLL", b"HYLL\x02" + bytes(20), b"HYLL\x00" + bytes(20), b"12345"])
def test_other_strings_are_refused(data: bytes) -> None:
    e = Engine()
    e.run("SET h", data)
    for command in ("PFADD h a", "PFCOUNT h", "PFMERGE h h", "PFDEBUG TODENSE h"):
        assert e.run(command) == "WRONGTYPE Key is not a valid HyperLogLog string value."
    assert e.string("h") == data


@pytest.mark.parametrize("runs", [b"", b"\x7f", b"\x7f\xfe", b"\x7f\xff\x00", b"\x80" * 5])
def test_corrupt_runs_are_found(runs: bytes) -> None:
    e = Engine()
    e.run("SET h", EMPTY[:15] + STALE + runs)
    for command in ("PFCOUNT h", "PFMERGE m h", "PFDEBUG TODENSE h"):
        assert e.run(command) == "INVALIDOBJ Corrupted HLL object detected", command
    assert b"m" not in e.dataset.keys
