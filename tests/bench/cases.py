"""What is measured, and against what."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import data


@dataclass
class Case:
    """A job: our command, the peer's command ([] if there is none here), and the size of the input.

    ``prepare``: is called before each run; ``server_seconds``: of CPU that a server has taken so far, which does its
    part of the job.
    """

    name: str
    megabytes: float
    ours: list[str]
    peer_name: str = ""
    peer: list[str] = field(default_factory=list)
    codes: tuple[int, ...] = (0, 3)
    directory: Path = data.CACHE
    prepare: Callable[[], object] | None = None
    server_seconds: Callable[[], float] | None = None


WITH_JOBS = ("check-aof", "check-rdb", "convert", "diff", "digest", "dump", "info", "memory", "rewrite", "verify")
"""Subcommands that use several processes where they are not told otherwise."""


SMALL = ", small keys"
"""Behind the names of cases on a file of `small_data`."""


def rdbtool(*arguments: object, jobs: int = 1) -> list[str]:
    """The command line of rdbtool as it is installed for this Python; where it is not, of the tree that runs."""
    script = Path(sys.executable).with_name("rdbtool")
    start = [str(script)] if script.exists() else [sys.executable, "-m", "rdbtool"]
    side_by_side = ["--jobs", str(jobs)] if arguments[0] in WITH_JOBS else []
    return [*start, *map(str, arguments), *side_by_side]


def megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def all_cases(size: int) -> Iterator[Case]:
    """The cases, each with its input made when it is asked for."""
    from tests.bench.diff_cases import diff_cases
    from tests.bench.dump_cases import dump_cases
    from tests.bench.jobs_cases import jobs_cases
    from tests.bench.live_cases import live_cases
    from tests.bench.memory_cases import memory_cases
    from tests.bench.replay_cases import replay_cases
    from tests.bench.small_data import small_rdb_file

    yield from log_cases(size)
    for snapshot, label in (
        (data.rdb_file(size), ""),
        (small_rdb_file(size), SMALL),
        (small_rdb_file(size, compressed=False), f"{SMALL}, no LZF"),
    ):
        yield from check_cases(snapshot, label)
        yield from dump_cases(snapshot, label)
        yield from memory_cases(snapshot, label)
    yield from replay_cases(size)
    yield from diff_cases(size)
    yield from live_cases(size)
    yield from jobs_cases(size)


def log_cases(size: int) -> Iterator[Case]:
    server = data.bench_server()
    log = data.aof_file(size)
    yield Case(
        "check-aof", megabytes(log), rdbtool("check-aof", log), "redis-check-aof", [*server.tool("check-aof"), str(log)]
    )


def check_cases(snapshot: Path, label: str) -> Iterator[Case]:
    """``label``: what stands behind the names of the cases of this snapshot."""
    server = data.bench_server()
    yield Case(
        f"check-rdb{label}",
        megabytes(snapshot),
        rdbtool("check-rdb", snapshot),
        "redis-check-rdb",
        [*server.tool("check-rdb"), str(snapshot)],
    )


def installed(program: str) -> str | None:
    """Where a peer's program is, if it is installed."""
    return shutil.which(program)
