"""`info` and `memory`, against redis-rdb-tools' report."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import cases, data


def memory_cases(size: int) -> Iterator[cases.Case]:
    """Cases on the RDB of `data.rdb_file`."""
    snapshot = data.rdb_file(size)
    megabytes = cases.megabytes(snapshot)
    yield cases.Case("info", megabytes, cases.rdbtool("info", snapshot))
    yield cases.Case("memory, by prefix", megabytes, cases.rdbtool("memory", snapshot))
    yield cases.Case("memory --patterns", megabytes, cases.rdbtool("memory", snapshot, "--patterns"))
    ours = cases.rdbtool("memory", "--format", "csv")
    yield cases.Case("memory --format csv", megabytes, [*ours, str(snapshot)])
    other = cases.installed("rdb")
    if other:
        old = data.older(snapshot)
        peer = [other, "-c", "memory", str(old)]
        yield cases.Case("memory --format csv, RDB 9", cases.megabytes(old), [*ours, str(old)], "rdb -c memory", peer)
