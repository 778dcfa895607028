"""What several workers convert is what one process converts, byte by byte, of whatever file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rdbtool.tasks.dump_parts
from rdbtool.errors import RdbToolError
from rdbtool.inputs.filters import select
from rdbtool.inputs.selection import Selection
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.tasks.convert import convert
from rdbtool.tasks.sharing import Sharing
from tests.tasks.parting import SNAPSHOTS, some_damaged

OLDEST = OutputOptions("rdb", RdbOptions("redis-4.0"))
OLD = OutputOptions("rdb", RdbOptions("redis-5.0"))
CHECKED = OutputOptions("rdb", RdbOptions(lossless=True))
TEXTS = [OutputOptions("jsonl"), OutputOptions("csv"), OutputOptions("resp")]


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots say when they were made."""
    monkeypatch.setattr("rdbtool.rdb.opening.time.time", lambda: 1_700_000_000)


def converted(
    path: Path, tmp_path: Path, options: OutputOptions, portion: int, selection: Selection | None = None
) -> object:
    """The bytes, and what is told. ``portion``: 0 for one process."""
    output = tmp_path / "out"
    output.unlink(missing_ok=True)
    with ThreadPoolExecutor(2) as executor:
        sharing = Sharing(executor=executor, workers=2, snapshots=True, portion=portion) if portion else Sharing()
        try:
            report = convert(path, output, options, selection, sharing=sharing, check=options is CHECKED)
        except RdbToolError as e:
            return str(e), e.code
    data = output.read_bytes() if output.exists() else b""
    return data, report.as_json(), report.keys, report.failed


KINDS = {"4.0": OLDEST, "5.0": OLD, "checked": CHECKED, **{options.format: options for options in TEXTS}}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_each_fixture_is_converted_as_by_one_process(
    options: OutputOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parted = []
    before = rdbtool.tasks.dump_parts.move_in_parts

    def noted(*args: object) -> bool:
        parted.append(before(*args))  # type: ignore[arg-type]
        return parted[-1]

    monkeypatch.setattr(rdbtool.tasks.dump_parts, "move_in_parts", noted)
    for i, path in enumerate(SNAPSHOTS[len(options.format) % 2 :: 2]):
        portion = (1, 300)[i % 2]
        assert converted(path, tmp_path, options, portion) == converted(path, tmp_path, options, 0), path
    assert parted.count(True) > 30


def test_damaged_files_and_chosen_keys_are_converted_as_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "damaged.rdb"
    for rng in some_damaged(path, 80, 0.6):
        chosen = rng.choice([None, select(keys=["*1*"]), select(types=["hash", "string"]), select(dbs=[9, 15])])
        options = rng.choice([OLDEST, OLD, CHECKED, *TEXTS])
        assert converted(path, tmp_path, options, 60, chosen) == converted(path, tmp_path, options, 0, chosen), chosen


def test_what_is_only_copied_is_left_to_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begun() -> None:
        raise AssertionError("no worker is of use")

    path = next(path for path in SNAPSHOTS if path.match("redis-7.4.1/small-plain.rdb"))
    for options in (OutputOptions("rdb"), OutputOptions("rdb", RdbOptions("redis-7.4"))):
        report = convert(
            path, tmp_path / "out.rdb", options, select(keys=["*1*"]), sharing=Sharing(workers=2, begin=begun)
        )
        assert report.written
