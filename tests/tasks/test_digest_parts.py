"""The digest that several workers add up is that of one process, of whatever file."""

from __future__ import annotations

from pathlib import Path

import pytest

import rdbtool.tasks.digest_parts
from rdbtool.inputs.filters import select
from rdbtool.tasks.digest_parts import digest_in_parts
from tests.tasks.answering import digested
from tests.tasks.parting import SNAPSHOTS, some_damaged


def test_the_digest_of_each_fixture_is_that_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    parted: list[bool] = []

    def noted(*args: object) -> object:
        found = digest_in_parts(*args)  # type: ignore[arg-type]
        parted.append(found is not None)
        return found

    monkeypatch.setattr(rdbtool.tasks.digest_parts, "digest_in_parts", noted)
    for path in SNAPSHOTS:
        for portion in (1, 400):
            assert digested(path, portion) == digested(path, 0), path
    assert parted.count(True) > 100


def test_the_digest_of_damaged_files_and_of_chosen_keys_is_that_of_one_process(tmp_path: Path) -> None:
    path = tmp_path / "damaged.rdb"
    for rng in some_damaged(path, 200, 0.7):
        chosen = rng.choice([None, select(keys=["*1*"]), select(types=["hash", "string"])])
        assert digested(path, 60, chosen) == digested(path, 0, chosen)
