"""`info`, `memory` and `report`, against the reports of redis-rdb-tools (``rdb``) and of HDT3213/rdb.

The program of HDT3213/rdb is called ``rdb`` too: here it is looked for as ``hdt3213-rdb``, which is what
``go build -o hdt3213-rdb .`` in its source makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench import cases, data


def memory_cases(snapshot: Path, label: str) -> Iterator[cases.Case]:
    """Cases on an RDB, whose names end in ``label``."""
    megabytes = cases.megabytes(snapshot)
    yield cases.Case(f"info{label}", megabytes, cases.rdbtool("info", snapshot))
    yield cases.Case(f"memory, by prefix{label}", megabytes, cases.rdbtool("memory", snapshot))
    yield cases.Case(f"memory --patterns{label}", megabytes, cases.rdbtool("memory", snapshot, "--patterns"))
    ours = cases.rdbtool("memory", "--format", "csv")
    hdt = cases.installed("hdt3213-rdb")
    # It writes to a file only, which is as fast to a pipe of nothing as to nothing.
    peer = [hdt, "-c", "memory", "-o", "/dev/stdout", str(snapshot)] if hdt else []
    yield cases.Case(f"memory --format csv{label}", megabytes, [*ours, str(snapshot)], "HDT3213/rdb -c memory", peer)
    other = cases.installed("rdb")
    if other:
        old = data.older(snapshot)
        peer = [other, "-c", "memory", str(old)]
        yield cases.Case(
            f"memory --format csv, RDB 9{label}", cases.megabytes(old), [*ours, str(old)], "rdb -c memory", peer
        )
    # To a pipe: a page is a small file.
    yield cases.Case(f"report{label}", megabytes, cases.rdbtool("report", snapshot, "-o", "-"))
