"""A bounded run of each target, on damaged inputs; `python -m tests.fuzz` runs one for as long as it is told."""

from __future__ import annotations

import random
import time

import pytest

from tests.fuzz.targets import TARGETS, run, seeds_of
from tests.rdb.mutation import damaged

SECONDS = 1.5


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_give_an_answer_or_one_error(name: str) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    seeds = seeds_of(name)
    assert seeds
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        data = damaged(rng, rng.choice(seeds), 0)
        print(data.hex())
        run(name, data)
