"""A bounded run of each target, on damaged inputs; `python -m tests.fuzz` runs one for as long as it is told."""

from __future__ import annotations

import random
import subprocess
import sys
import time
import tracemalloc

import pytest

from tests.fuzz.targets import TARGETS, run, seeds_of
from tests.rdb.mutation import damaged

SECONDS = 1


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


def answers(name: str, *options: str) -> str:
    words = [sys.executable, *options, "-m", "tests.fuzz", "answers", name, "80", "17"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_answers_are_the_same_without_assertions(name: str) -> None:
    assert answers(name, "-O") == answers(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_an_input_takes_bounded_memory(name: str) -> None:
    rng = random.Random(18)
    seeds = seeds_of(name)
    for _ in range(40):
        data = damaged(rng, rng.choice(seeds), 0)
        tracemalloc.start()
        run(name, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 200 << 20, data.hex()
