"""How much of damaged snapshots comes back: a few random places of each fixture, and with --long very many, and a file
of 100 MB.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.bench import data
from tests.rdb.corpus import BROKEN, FIXTURES

from .harming import KINDS, Outcome, harm, table, whole_of

SEED = 20261127
FEW, MANY = 2, 20
PATHS = [
    path
    for path in sorted(FIXTURES.glob("*/*.rdb"))
    # the module value of redis-4.0-rc1 does not tell its length; what is compressed as a whole cannot be searched
    if path.parent.name not in {*BROKEN, "redis-4.0-rc1"} and path.read_bytes()[:3] != b"VCS"
    # damage to a template costs every hash that names it
    if path.name not in {"hash-templates.rdb", "mixed.rdb"}
]


def measured(paths: list[Path], trials: int, tmp_path: Path) -> dict[str, Outcome]:
    print("seed", SEED)
    rng = random.Random(SEED)
    outcomes = {kind: Outcome() for kind in KINDS}
    for path in paths:
        whole = whole_of(path)
        for kind in KINDS:
            for _ in range(trials):
                seen = harm(rng, whole, kind, tmp_path, outcomes[kind])
                if seen:
                    print(path.parent.name, path.name, seen)
    print(*table(outcomes), sep="\n")
    return outcomes


def test_nearly_all_of_the_fixtures_comes_back(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    is_long = bool(request.config.getoption("--long"))
    outcomes = measured(PATHS, MANY if is_long else FEW, tmp_path)
    assert all(outcome.wrong == 0 for outcome in outcomes.values())
    # Among them are files of three keys with one letter each, and keys that none can tell from the rest of another:
    # of a few thousand keys, two of these are more than one in a thousand; so is a database whose number is changed.
    assert all(outcome.share >= 0.998 for outcome in outcomes.values())
    assert sum(o.back for o in outcomes.values()) >= 0.999 * sum(o.intact for o in outcomes.values())


@pytest.mark.server
def test_of_a_large_file_all_but_the_damaged_record_comes_back(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--long"):
        megabytes, trials = 1, 2
    else:
        megabytes, trials = 100, 20
    outcomes = measured([data.rdb_file(megabytes)], trials, tmp_path)
    assert all(outcome.wrong == 0 for outcome in outcomes.values())
    assert all(outcome.share >= 0.999 for outcome in outcomes.values())
