"""`python -m tests.fuzz TARGET [MINUTES] [SEED]`: damaged inputs, and damage on damage where that reached new code.

It prints the first input whose answer is an error that is none of rdbtool's, in hexadecimal digits, and ends; and one
that takes more than 200 MiB, or more time than its size explains, or whose time more than doubles with it.

`python -m tests.fuzz answers TARGET COUNT SEED` prints the answer to each of so many inputs: what it prints is the same
compiled and interpreted, and under `python -O`.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.targets import answer, run, seeds_of
from tests.rdb.mutation import damaged

MOST_KIB = 200 << 10
SECONDS = 2
"""Of CPU that any input may take, and so many for each of its bytes: interpreted code takes some microseconds."""
PER_BYTE = 1e-3
ENDLESS = 300
"""Seconds of CPU after which nobody waits for an answer any longer."""
GROWN = 1 << 15
"""Bytes to which a piece of some inputs is repeated, and then to twice as many."""
ONE_IN = 50
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
    end = cpu_time() + minutes * 60
    runs = 0
    while cpu_time() < end:
        data = damaged(rng, rng.choice(seeds), 0)
        before = len(coverage.lines)
        guided = runs % 4 == 0  # looking costs a lot: most runs go blind
        try:
            sys.settrace(coverage.trace if guided else None)
            taken = seconds(name, data)
        finally:
            sys.settrace(None)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MOST_KIB:
            print(f"takes much memory: {data.hex()}")
            return 1
        if taken > SECONDS + PER_BYTE * len(data) * (1 + 20 * guided):
            print(f"took {taken:.0f} s: {data.hex()}")
            return 1
        if runs % ONE_IN == 0 and not is_linear(name, rng, data):
            return 1
        if guided and len(coverage.lines) > before and len(seeds) < KEPT:
            seeds.append(data)
        runs += 1
    print(f"{name}: {runs} inputs, {len(seeds)} kept, {len(coverage.lines)} lines reached, all answered")
    return 0


def cpu_time() -> float:
    """Seconds of CPU of this process and of those of scripts."""
    return sum(os.times()[:4])


def seconds(name: str, data: bytes) -> float:
    """How long the target's answer takes, in CPU time. What is no answer is raised, and the input printed."""
    start = cpu_time()
    signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, ENDLESS)
    try:
        run(name, data)
    except Exception:
        print(data.hex())
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return cpu_time() - start


def _give_up(_number: int, _frame: object) -> None:
    raise RuntimeError(f"no answer within {ENDLESS} s of CPU")


def is_linear(name: str, rng: random.Random, data: bytes) -> bool:
    """Whether twice as many bytes take not much more than twice the time; else the repeated piece is printed."""
    begin = rng.randrange(len(data) + 1)
    piece = data[begin : begin + rng.choice((1, 2, 4, 8, 16, 64))]
    if not piece:
        return True

    def repeated(size: int) -> bytes:
        return data[:begin] + piece * (size // len(piece)) + data[begin:]

    once, twice = seconds(name, repeated(GROWN)), seconds(name, repeated(2 * GROWN))
    if twice <= 3 * once + 1:
        return True
    print(f"{GROWN} bytes take {once:.1f} s, and twice as many {twice:.1f} s: {piece.hex()} at {begin} of {data.hex()}")
    return False


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
