"""What several workers count is what one process counts, of whatever file."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import rdbtool.tasks.contents_parts
from rdbtool.analysis.contents import Contents, Wanted
from rdbtool.analysis.prefixes import Prefixes
from rdbtool.cli.info_output import facts_of as facts_of_info
from rdbtool.cli.memory import By
from rdbtool.cli.memory_output import facts_of as facts_of_memory
from rdbtool.errors import RdbToolError
from rdbtool.inputs.filters import select
from rdbtool.inputs.keys import KeySource
from rdbtool.inputs.selection import Selection
from rdbtool.tasks.info import info
from rdbtool.tasks.memory import memory
from tests.tasks.parting import FIXTURES, SNAPSHOTS, damaged

HYBRIDS = sorted((FIXTURES / "aof").glob("*preamble*.aof")) + sorted((FIXTURES / "aof").glob("hybrid*"))


def wanted(limit: int = 10_000) -> Wanted:
    return Wanted(top=3, prefixes=Prefixes(depth=2, limit=limit), slots=limit == 1, now_ms=1_700_000_000_000)


def listed(contents: Contents) -> object:
    """All that is counted, in its order."""
    tops = (contents.by_bytes, contents.by_size, contents.by_elements, contents.by_freq, contents.by_idle)
    tallies = [(name, tally.as_json()) for name, tally in [*contents.stored.items(), *contents.dbs.items()]]
    ranked = [[(value, key.db, key.key, key.offset) for value, key in top.ranked()] for top in tops]
    assert contents.prefixes is not None
    tree = contents.prefixes.tree().as_json(bytes)
    return tallies, ranked, tree, int(contents.prefixes.folded), list(contents.slot_keys), int(contents.field_expiries)


def told(path: Path, workers: int, portion: int, selection: Selection | None = None, limit: int = 10_000) -> object:
    """What info and memory tell. ``workers``: 0 for one process."""
    found: list[object] = []
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        executor = pool if workers else None
        try:
            report = info(path, wanted(limit), executor=executor, workers=workers, portion=portion)
            found += [facts_of_info(report), report.findings.items, report.partial, listed(report.contents)]
        except RdbToolError as e:
            found += [str(e), e.code]
        try:
            measured = memory(
                path, wanted(limit), selection=selection, executor=executor, workers=workers, portion=portion
            )
            findings = [finding for finding in measured.findings.items if finding.code != "replayed"]
            found += [facts_of_memory(measured, By.MEMORY), findings, measured.partial, listed(measured.contents)]
        except RdbToolError as e:
            found += [str(e), e.code]

    return found


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
        assert told(path, workers, portion) == told(path, 0, 0), path
    assert left.count(True) > 100


def test_more_prefixes_than_are_kept_are_folded_as_by_one_process() -> None:
    folded = 0
    for path in SNAPSHOTS[::10]:
        one = told(path, 0, 0, limit=1)
        assert told(path, 2, 150, limit=1) == one, path
        folded += "'folded': 0" not in str(one)
    assert folded


def test_damaged_files_and_chosen_keys_are_counted_as_by_one_process(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    path = tmp_path / "damaged.rdb"
    for _ in range(60):
        whole = rng.choice(SNAPSHOTS).read_bytes()
        path.write_bytes(damaged(whole, rng) if rng.random() < 0.7 else whole)
        chosen = rng.choice([None, select(keys=["*1*"]), select(types=["hash", "string"]), select(limit=3)])
        assert told(path, 2, 60, chosen) == told(path, 0, 0, chosen)
