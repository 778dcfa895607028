"""A check in parts says what a check from end to end says, of whatever file."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import rdbtool.tasks.check_rdb_parts
from rdbtool.io.source import open_input
from rdbtool.rdb.cutting import Cutter
from rdbtool.rdb.reader import NOWHERE
from rdbtool.tasks.check_rdb import CheckRdbReport, check_rdb
from rdbtool.tasks.check_rdb_parts import check_in_parts
from tests.tasks.parting import FIXTURES, SNAPSHOTS, damaged

NOW_MS = 1_800_000_000_000


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that were checked again from end to end."""
    found: list[str] = []

    def noted(*args: Any, **options: Any) -> object:
        facts = check_in_parts(*args, **options)
        if facts is None:
            found.append(args[1].path)
        return facts

    monkeypatch.setattr(rdbtool.tasks.check_rdb_parts, "check_in_parts", noted)
    return found


def told(report: CheckRdbReport) -> object:
    return report.as_json(), report.findings.alike, report.findings.worst, list(report.findings.counts)


def in_parts(path: Path, portion: int) -> CheckRdbReport:
    with ThreadPoolExecutor(2) as executor:
        return check_rdb(path, now_ms=NOW_MS, executor=executor, workers=2, portion=portion)


@pytest.mark.parametrize("portion", [1, 300])
def test_the_answer_for_each_fixture_is_that_of_one_process(portion: int, again: list[str]) -> None:
    assert len(SNAPSHOTS) > 100
    for path in SNAPSHOTS:
        assert told(in_parts(path, portion)) == told(check_rdb(path, now_ms=NOW_MS)), path
    assert len(again) < len(SNAPSHOTS) / 10, again


def test_a_file_is_cut_between_any_two_keys() -> None:
    path = FIXTURES / "rdb/redis-7.4.1/small-plain.rdb"
    with open_input(str(path)) as source:
        cutter = Cutter(source.window())
        ends = []
        while (part := cutter.next(1)) is not None:
            ends.append(part.end)
    assert len(ends) == 116  # one for each key, and what is behind the last
    assert ends == sorted(ends)
    assert ends[-1] == NOWHERE


def test_the_answer_for_damaged_files_is_that_of_one_process(tmp_path: Path, again: list[str]) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    path = tmp_path / "damaged.rdb"
    for _ in range(600):
        whole = rng.choice(SNAPSHOTS).read_bytes()
        path.write_bytes(damaged(whole, rng))
        assert told(in_parts(path, rng.choice([1, 50, 500]))) == told(check_rdb(path, now_ms=NOW_MS))
    assert len(again) < 150
