"""What several workers count is what one process counts, of whatever file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rdbtool.tasks.contents_parts
import rdbtool.tasks.memory
from rdbtool.inputs.detect import CHECKSUM
from rdbtool.inputs.filters import select
from rdbtool.inputs.keys import KeySource
from rdbtool.inputs.opening import OpenedKeys, open_keys
from tests.tasks.answering import counted, rows_of
from tests.tasks.parting import FIXTURES, SNAPSHOTS, some_damaged

HYBRIDS = sorted((FIXTURES / "aof").glob("*preamble*.aof")) + sorted((FIXTURES / "aof").glob("hybrid*"))


def test_what_is_counted_of_each_fixture_is_what_one_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []
    before = rdbtool.tasks.contents_parts.count_ahead

    def noted(source: KeySource, *args: object) -> KeySource:
        rest = before(source, *args)  # type: ignore[arg-type]
        left.append(rest is not source)
        return rest

    monkeypatch.setattr(rdbtool.tasks.contents_parts, "count_ahead", noted)
    for i, path in enumerate([*SNAPSHOTS, *HYBRIDS]):
        workers, portion = ((2, 1), (3, 400))[i % 2]
        assert counted(path, workers, portion) == counted(path, 0, 0), path
    assert left.count(True) > 100


def test_more_prefixes_than_are_kept_are_folded_as_by_one_process() -> None:
    folded = 0
    for path in SNAPSHOTS[::10]:
        one = counted(path, 0, 0, limit=1)
        assert counted(path, 2, 150, limit=1) == one, path
        folded += "'folded': 0" not in str(one)
    assert folded


def test_damaged_files_and_chosen_keys_are_counted_as_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "damaged.rdb"
    for rng in some_damaged(path, 60, 0.7):
        chosen = rng.choice([None, select(keys=["*1*"]), select(types=["hash", "string"]), select(limit=3)])
        assert counted(path, 2, 60, chosen) == counted(path, 0, 0, chosen)


def test_where_no_checksum_tells_of_damage_processes_look_for_it_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again: list[bool] = []

    @contextlib.contextmanager
    def noted(*args: Any, keep_going: bool, **kwargs: Any) -> Iterator[OpenedKeys]:
        again.append(keep_going)
        with open_keys(*args, keep_going=keep_going, **kwargs) as opened:
            yield opened

    monkeypatch.setattr(rdbtool.tasks.memory, "open_keys", noted)
    path = tmp_path / "unsure.rdb"
    for rng in some_damaged(path, 40, 0.5):
        data = path.read_bytes()
        path.write_bytes(data[:-CHECKSUM] + bytes(CHECKSUM))
        assert counted(path, 2, 60) == counted(path, 0, 0), rng
    sound = FIXTURES / "rdb" / "redis-7.0.15" / "lru.rdb"
    path.write_bytes(sound.read_bytes()[:-CHECKSUM] + bytes(CHECKSUM))
    again.clear()
    assert counted(path, 2, 400) == counted(path, 0, 0)
    assert again == [False, False, True]


def test_a_row_for_each_key_is_that_of_one_process_in_its_order() -> None:
    written = 0
    for i, path in enumerate([*SNAPSHOTS, *HYBRIDS]):
        kind = ("csv", "jsonl")[i % 2]
        one = rows_of(path, kind, 0, 0)
        assert rows_of(path, kind, 2, (1, 300, 5000)[i % 3]) == one, path
        written += str(one).count("string")
    assert written > 1000


def test_rows_of_damaged_files_and_chosen_keys_are_those_of_one_process(tmp_path: Path) -> None:
    path = tmp_path / "damaged.rdb"
    for rng in some_damaged(path, 60, 0.7):
        chosen = rng.choice([None, select(keys=["*1*"]), select(types=["hash", "string"]), select(limit=3)])
        kind = rng.choice(["csv", "jsonl"])
        assert rows_of(path, kind, 2, 200, chosen) == rows_of(path, kind, 0, 0, chosen)
