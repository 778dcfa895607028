"""What a key and an element cost, by type and encoding, in nanoseconds of CPU: ``python -m tests.bench.elements``.

Each encoding has two files that a real server made: many keys of two elements, and few keys of many. Two equations with
two unknowns. What starting takes is measured on a file with one key, and taken off.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import rdbtool
from tests.bench import cases
from tests.bench.data import CACHE
from tests.bench.small_data import KINDS, Kind

FEW = 2
"""Elements of a key of which there are many."""

JOBS = {
    "check-rdb": ("check-rdb", "{}"),
    "jsonl": ("dump", "{}"),
    "csv": ("dump", "{}", "--format", "csv"),
    "resp": ("dump", "{}", "--format", "resp"),
    "copy, filtered": ("convert", "{}", "-", "--to", "rdb", "--key", "*e*"),
    "for redis-6.2": ("convert", "{}", "-", "--to", "rdb", "--target", "redis-6.2"),
    "memory": ("memory", "{}", "--format", "csv"),
}


def seconds(job: tuple[str, ...], path: Path, rounds: int) -> float:
    """The least CPU that the job took; its output and its remarks go nowhere."""
    command = cases.rdbtool(*(part.format(path) for part in job))
    return min(_seconds(command) for _ in range(rounds))


def _seconds(command: list[str]) -> float:
    nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=nowhere)
    _, status, usage = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status) not in {0, 3}:
        raise SystemExit(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime


def costs(kind: Kind, job: tuple[str, ...], start: float, keys: int, rounds: int) -> tuple[float, float | None]:
    """Nanoseconds of a key, and of an element where keys have some."""
    if not kind.most:
        return (seconds(job, kind.file(keys, 1), rounds) - start) / keys * 1e9, None
    few = seconds(job, kind.file(keys, FEW), rounds) - start
    long_keys = max(10 * keys // kind.most, 1)
    many = seconds(job, kind.file(long_keys, kind.most), rounds) - start
    # keys * key + keys * FEW * element = few; long_keys * key + long_keys * most * element = many
    element = (many - few * long_keys / keys) / (long_keys * (kind.most - FEW))
    return (few / keys - FEW * element) * 1e9, element * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.elements", description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000, metavar="N", help="keys where there are many")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each command, of which the fastest counts")
    parser.add_argument("--only", action="append", metavar="TEXT", help="encodings whose name holds TEXT")
    options = parser.parse_args()
    if not rdbtool.is_compiled():
        print("rdbtool is not compiled here: the figures are those of the interpreter", file=sys.stderr)
    CACHE.mkdir(exist_ok=True)
    one = KINDS[0].file(1, 1)
    starts = {name: seconds(job, one, options.rounds) for name, job in JOBS.items()}
    print("| ns per key + per element | " + " | ".join(JOBS) + " |")
    print("|---" * (1 + len(JOBS)) + "|")
    for kind in KINDS:
        if options.only and not any(text in kind.name for text in options.only):
            continue
        cells = []
        for name, job in JOBS.items():
            key, element = costs(kind, job, starts[name], options.keys, options.rounds)
            cells.append(f"{key:,.0f}" if element is None else f"{key:,.0f} + {element:,.1f}")
        print("| " + " | ".join([kind.name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
