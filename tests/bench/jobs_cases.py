"""Several processes against one: the ratio is what two cores bring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench import cases, data
from tests.bench.diff_cases import changed_rdb_file


def jobs_cases(size: int) -> Iterator[cases.Case]:
    """Cases on the files of `data`; output goes nowhere."""
    snapshot, log = data.rdb_file(size), data.aof_file(size)
    for name, path, arguments in (
        ("check-rdb", snapshot, ()),
        ("check-aof", log, ()),
        ("dump", snapshot, ()),
        ("dump --format csv", snapshot, ("--format", "csv")),
        ("dump --format resp", snapshot, ("--format", "resp")),
        ("info", snapshot, ()),
        ("memory", snapshot, ()),
        ("convert to redis-5.0", snapshot, ("-", "--to", "rdb", "--target", "redis-5.0")),
    ):
        command = (name.partition(" ")[0], path, *arguments)
        yield cases.Case(
            f"{name} --jobs 2",
            cases.megabytes(path),
            cases.rdbtool(*command, jobs=2),
            "rdbtool --jobs 1",
            cases.rdbtool(*command),
        )
    changed = changed_rdb_file(size)
    yield cases.Case(
        "diff --jobs 2",
        cases.megabytes(snapshot) + cases.megabytes(changed),
        cases.rdbtool("diff", snapshot, changed, jobs=2),
        "rdbtool --jobs 1",
        cases.rdbtool("diff", snapshot, changed),
        codes=(1,),
    )
    yield from partition_cases(log)


def partition_cases(log: Path) -> Iterator[cases.Case]:
    """A log by partitions of its keys, side by side, or one after the other in little memory."""
    size = cases.megabytes(log)
    outputs = [data.CACHE / "parts.aof", data.CACHE / "out.aof"]
    parts, whole = [("rewrite", log, "-o", output, "--force") for output in outputs]
    yield cases.Case("rewrite --jobs 2", size, cases.rdbtool(*parts, jobs=2), "rdbtool --jobs 1", cases.rdbtool(*whole))
    yield cases.Case(
        "digest of a log --jobs 2",
        size,
        cases.rdbtool("digest", log, jobs=2),
        "rdbtool --jobs 1",
        cases.rdbtool("digest", log),
    )
    yield cases.Case(
        "rewrite within 64 MiB",
        size,
        cases.rdbtool(*parts, "--memory-limit", "64MiB"),
        "rdbtool without a limit",
        cases.rdbtool(*whole),
    )
