"""Small damage is undone where the checksum gives it away."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rdbtool.io.random_access import Pages
from rdbtool.rdb.salvage.salvaged import Salvaged
from rdbtool.rdb.salvage.salvager import Salvager
from tests.aof.craft import sets
from tests.cli.running import run
from tests.rdb.corpus import FIXTURES

PLAIN = FIXTURES / "redis-7.4.1" / "small-plain.rdb"
SEED = 20261128


def undone(data: bytes, tmp_path: Path) -> tuple[Salvaged, bytes]:
    """What is found in ``data``, and the bytes that it is read as."""
    path = tmp_path / "damaged.rdb"
    path.write_bytes(data)
    with Pages(str(path)) as pages:
        result = Salvager(pages).run()
        return result, pages.take(0, pages.size)


def test_a_flipped_bit_is_turned_back_wherever_it_is(tmp_path: Path) -> None:
    whole = (FIXTURES / "redis-7.0.15" / "lru.rdb").read_bytes()
    for at in range(len(whole)):
        data = whole[:at] + bytes((whole[at] ^ 1 << at % 8,)) + whole[at + 1 :]
        result, seen = undone(data, tmp_path)
        assert seen == whole, (at, result.as_json())
        assert result.undone is not None
        assert (result.undone.start <= at < result.undone.end, result.lossy, result.whole) == (True, False, False)


@pytest.mark.parametrize("what", ["changed", "put in", "missing"])
def test_a_few_bytes_are_put_right(what: str, tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    whole = PLAIN.read_bytes()
    for _ in range(20):
        at = rng.randrange(500, len(whole) - 100)
        size = rng.randint(1, 300 if what == "put in" else 4)
        put = b"" if what == "missing" else rng.randbytes(size)
        data = whole[:at] + put + whole[at + (0 if what == "put in" else size) :]
        result, seen = undone(data, tmp_path)
        if result.undone is None:
            assert result.checksum == "bad"  # all is in form, and nothing tells where to look
        else:
            assert seen == whole
            assert result.undone.offset_in_file(len(whole)) == len(data)


def test_what_the_checksum_does_not_give_away_is_left_as_it_is(tmp_path: Path) -> None:
    whole = PLAIN.read_bytes()
    for data in (
        whole[:5000] + bytes(512) + whole[5512:],
        whole[:4000] + b"\xff" + whole[4001:7000] + b"in" + whole[7000:],
        whole[:5000] + b"in" + whole[5000:-8] + bytes(8),
    ):
        result, seen = undone(data, tmp_path)
        assert result.undone is None
        assert result.lossy
        assert seen == data


def test_it_says_so_and_loses_nothing(tmp_path: Path) -> None:
    whole = PLAIN.read_bytes()
    damaged, out = tmp_path / "damaged.rdb", tmp_path / "out.rdb"
    damaged.write_bytes(whole[:5000] + b"in" + whole[5000:])
    done = run("check-rdb", damaged, "--salvage", "-o", out)
    assert done.returncode == 3
    assert "undone at offset 5000: 2 bytes had been put in" in done.stdout
    assert run("diff", PLAIN, out).returncode == 0
    going = run("digest", damaged)
    assert going.returncode == 2
    kept = run("dump", damaged, "--keep-going")
    assert (kept.returncode, kept.stdout) == (3, run("dump", PLAIN).stdout)


def test_a_log_behind_a_snapshot_goes_on_as_before(tmp_path: Path) -> None:
    whole = PLAIN.read_bytes()
    log, damaged, copy = tmp_path / "log.aof", tmp_path / "damaged.aof", tmp_path / "copy.aof"
    log.write_bytes(whole + sets(3))
    for data in (whole[:5000] + whole[5003:], whole[:5000] + b"in" + whole[5000:]):
        damaged.write_bytes(data + sets(3))
        assert run("check-aof", damaged, "--salvage", "-o", copy, "--force").returncode == 0
        assert copy.read_bytes() == log.read_bytes()
