"""What a fleet of shards costs: measured on 1, 2 and 4 files, and what that makes of 1 TB in 500 shards.

``python -m tests.bench.fleet`` prints the table. Each job runs on copies of the bench's snapshot, with one process per
file where there are cores (``--jobs``), the jobs in turn; a figure is the median of the rounds. What is computed is
``ceil(500 / workers)`` shards of 2 GB, one after the other, on each worker: a core to which its files come no slower
than it works.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import rdbtool
from tests.bench import cases, data
from tests.bench.__main__ import timed

SHARDS = 500
BYTES = 1e12
WORKERS = (1, 8, 32, 128)
COUNTS = (1, 2, 4)


def jobs(paths: list[Path], out: Path, processes: int) -> dict[str, list[str]]:
    """The command lines, by what they are for."""
    commands = {
        "check-rdb": ["check-rdb", *paths],
        "verify": ["verify", *paths],
        "digest": ["digest", *paths],
        "info": ["info", *paths],
        "memory": ["memory", *paths],
        "dump -f parquet": ["dump", *paths, "-f", "parquet", "--force", "-o", f"{out}/keys/"],
        "convert --target": ["convert", *paths, "--force", "--target", "redis-5.0", f"{out}/old/{{name}}.rdb"],
    }
    return {name: cases.rdbtool(*words, jobs=processes) for name, words in commands.items()}


def measured(size: int, rounds: int) -> dict[str, dict[int, float]]:
    """Seconds of each job, by the number of files."""
    source = data.rdb_file(size)
    cores = len(os.sched_getaffinity(0))
    taken: dict[str, dict[int, list[float]]] = {}
    with tempfile.TemporaryDirectory(dir=data.CACHE) as name:
        directory = Path(name)
        paths = [directory / f"shard-{i}.rdb" for i in range(max(COUNTS))]
        for path in paths:
            shutil.copy(source, path)
        for _ in range(rounds):
            for count in COUNTS:
                for job, command in jobs(paths[:count], directory / "out", min(count, cores)).items():
                    run = timed(command, directory)
                    if run.code not in {0, 3}:
                        raise SystemExit(f"{' '.join(command)} ended with {run.code}")
                    taken.setdefault(job, {}).setdefault(count, []).append(run.seconds)
    return {job: {count: statistics.median(runs) for count, runs in by.items()} for job, by in taken.items()}


def shown(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fleet", description=__doc__)
    parser.add_argument("--size", type=int, default=520, metavar="MB", help="size of each file")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each command")
    options = parser.parse_args()
    if not rdbtool.is_compiled():
        print("rdbtool is not compiled here: the figures are those of the interpreter", file=sys.stderr)
    times = measured(options.size, options.rounds)
    megabytes = cases.megabytes(data.rdb_file(options.size))
    print("| job | 1 file | 2 files | 4 files | " + " | ".join(f"1 TB, {n} workers" for n in WORKERS) + " |")
    print("|---" * (1 + len(COUNTS) + len(WORKERS)) + "|")
    for job, by_count in times.items():
        speeds = [f"{count * megabytes / by_count[count]:,.0f} MB/s" for count in COUNTS]
        shard = by_count[1] * BYTES / SHARDS / 1e6 / megabytes
        costs = [shown(shard * math.ceil(SHARDS / workers)) for workers in WORKERS]
        print("| " + " | ".join([job, *speeds, *costs]) + " |")


if __name__ == "__main__":
    main()
