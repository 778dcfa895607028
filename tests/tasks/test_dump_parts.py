"""What several workers write is what one process writes, byte by byte, of whatever file."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

import rdbtool.tasks.dump_parts
from rdbtool.errors import RdbToolError
from rdbtool.inputs.filters import select
from rdbtool.inputs.selection import Selection
from rdbtool.io.output import Output
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.registry import make_exporter
from rdbtool.tasks.dump import dump
from rdbtool.tasks.dump_parts import move_in_parts
from rdbtool.tasks.workers import Workers
from tests.tasks.answering import Kept, dumped
from tests.tasks.parting import SNAPSHOTS, damaged

FORMATS = [OutputOptions("jsonl", header=False), OutputOptions("jsonl"), OutputOptions("csv"), OutputOptions("resp")]


@pytest.mark.parametrize("options", FORMATS, ids=lambda options: f"{options.format}-{options.header}")
def test_the_output_for_each_fixture_is_that_of_one_process(
    options: OutputOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    parted = []

    def noted(*args: object) -> bool:
        done = move_in_parts(*args)  # type: ignore[arg-type]
        parted.append(done)
        return done

    monkeypatch.setattr(rdbtool.tasks.dump_parts, "move_in_parts", noted)
    for path in SNAPSHOTS:
        for portion in (1, 400):
            assert dumped(path, options, Selection(), portion) == dumped(path, options, Selection(), 0), path
    assert parted.count(True) > 150


def test_what_is_too_large_for_a_worker_is_written_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdbtool.tasks.parts.HUGE", 200)
    for path in SNAPSHOTS:
        for options in FORMATS:
            assert dumped(path, options, Selection(), 150) == dumped(path, options, Selection(), 0), path


@pytest.mark.parametrize("options", FORMATS, ids=lambda options: f"{options.format}-{options.header}")
def test_processes_write_what_one_process_writes(options: OutputOptions) -> None:
    with Workers(2) as workers:
        for path in SNAPSHOTS[::4]:
            kept = Kept()
            exporter = make_exporter(Output(kept), options)
            with contextlib.suppress(RdbToolError):
                dump(str(path), exporter, executor=workers, workers=2, portion=120, options=options)
            assert kept.data == dumped(path, options, Selection(), 0)[0], path


def test_the_output_for_damaged_files_is_that_of_one_process(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    path = tmp_path / "damaged.rdb"
    for _ in range(400):
        path.write_bytes(damaged(rng.choice(SNAPSHOTS).read_bytes(), rng))
        options = rng.choice(FORMATS)
        assert dumped(path, options, Selection(), 60) == dumped(path, options, Selection(), 0)


@pytest.mark.parametrize("options", FORMATS, ids=lambda options: f"{options.format}-{options.header}")
def test_a_choice_of_keys_that_begins_in_a_later_part_is_written_as_by_one_process(options: OutputOptions) -> None:
    path = next(path for path in SNAPSHOTS if path.match("redis-7.4.1/small-plain.rdb"))
    for wanted in (select(dbs=[9, 15]), select(types=["stream"]), select(keys=["exp:*"]), select(keys=["nothing"])):
        assert dumped(path, options, wanted, 100) == dumped(path, options, wanted, 0)
