"""`python -m tests.fuzz TARGET [MINUTES] [SEED]`: damaged inputs, and damage on damage where that reached new code.

It prints the first input whose answer is an error that is none of rdbtool's, in hexadecimal digits, and ends; and one
that takes 10 seconds, or more than 200 MiB.

`python -m tests.fuzz answers TARGET COUNT SEED` prints the answer to each of so many inputs: what it prints is the same
compiled and interpreted, and under `python -O`.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.targets import answer, run, seeds_of
from tests.rdb.mutation import damaged

MOST_KIB = 200 << 10
KEPT = 2000
"""Inputs that reached new code are damaged further, so many of them."""


class Coverage:
    """Lines of rdbtool that have been run; compiled code has none that Python sees."""

    def __init__(self) -> None:
        self.lines: set[tuple[CodeType, int]] = set()

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        """For `sys.settrace`."""
        if event == "call" and "rdbtool" not in frame.f_code.co_filename:
            return None
        self.lines.add((frame.f_code, frame.f_lineno))
        return self.trace


def main(name: str, minutes: float = 30, seed: int = 0) -> int:
    """Fuzz one target."""
    seed = seed or random.randrange(1, 1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    seeds = seeds_of(name)
    coverage = Coverage()
    end = time.monotonic() + minutes * 60
    runs = 0
    while time.monotonic() < end:
        data = damaged(rng, rng.choice(seeds), 0)
        before = len(coverage.lines)
        guided = runs % 4 == 0  # looking costs a lot: most runs go blind
        start = time.monotonic()
        try:
            sys.settrace(coverage.trace if guided else None)
            run(name, data)
        except Exception:
            print(data.hex())
            raise
        finally:
            sys.settrace(None)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST_KIB:
            print(f"takes much memory: {data.hex()}")
            return 1
        if time.monotonic() - start > 10:
            print(f"took {time.monotonic() - start:.0f} s: {data.hex()}")
            return 1
        if guided and len(coverage.lines) > before and len(seeds) < KEPT:
            seeds.append(data)
        runs += 1
    print(f"{name}: {runs} inputs, {len(seeds)} kept, {len(coverage.lines)} lines reached, all answered")
    return 0


def answers(name: str, count: int, seed: int) -> int:
    """Print the answers to damaged inputs."""
    rng = random.Random(seed)
    seeds = seeds_of(name)
    for _ in range(count):
        data = damaged(rng, rng.choice(seeds), 0)
        print(f"{answer(name, data)} {data.hex()[:60]}")
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "answers":
        sys.exit(answers(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    words = [*sys.argv[1:], *("30", "0")[len(sys.argv) - 2 :]]
    sys.exit(main(words[0], float(words[1]), int(words[2])))
