"""How much memory `info`, `memory` and `report` take does not depend on how many keys there are."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import timed
from tests.rdb import craft

SEED = 20261128
MOST = 150
"""MiB."""
COMMANDS = (
    ("info", "{}"),
    ("memory", "{}", "--max-prefixes", "300", "--depth", "4", "--slots", "--patterns"),
    ("memory", "{}", "--format", "csv"),
    ("report", "{}", "-o", "-"),
)


def snapshot(path: Path, keys: int) -> None:
    """Keys of which no two have a prefix in common."""
    rng = random.Random(SEED)
    names = (b"%x:%d:%x" % (rng.getrandbits(64), i, rng.getrandbits(200)) for i in range(keys))
    path.write_bytes(craft.rdb(*(craft.record(0, name, b"\x05value") for name in names)))


def peak(command: tuple[str, ...], path: Path) -> float:
    """Of a process of its own, in MiB."""
    run = timed([sys.executable, "-m", "rdbtool", *(part.format(path) for part in command)], path.parent)
    assert run.code == 0
    return run.peak_mib


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command).replace("{} ", ""))
def test_ten_times_the_keys_take_hardly_more(
    command: tuple[str, ...], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    print("seed", SEED)
    few, many = tmp_path / "few.rdb", tmp_path / "many.rdb"
    count = 100_000 if request.config.getoption("--long") else 3000
    snapshot(few, count)
    snapshot(many, 10 * count)
    peaks = [peak(command, path) for path in (few, many)]
    print(peaks)
    assert max(peaks) < MOST
    assert peaks[1] - peaks[0] < 8
