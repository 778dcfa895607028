"""`dump` and `convert`, against the tools that write JSON."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import cases, data


def dump_cases(size: int) -> Iterator[cases.Case]:
    """Cases on the RDB of `data.rdb_file`; output goes nowhere, or to a file beside it."""
    snapshot = data.rdb_file(size)
    megabytes = cases.megabytes(snapshot)
    librdb = cases.installed("rdb-cli")
    other = cases.installed("rdb")
    peer = [librdb, str(snapshot), "json"] if librdb else []
    yield cases.Case("dump, JSON lines", megabytes, cases.rdbtool("dump", snapshot), "rdb-cli json", peer)
    if other:
        old = data.older(snapshot)
        command = [other, "-c", "json", str(old)]
        yield cases.Case(
            "dump, JSON lines, RDB 9", cases.megabytes(old), cases.rdbtool("dump", old), "rdb -c json", command
        )
    yield cases.Case("dump --format csv", megabytes, cases.rdbtool("dump", snapshot, "--format", "csv"))
    resp = [librdb, str(snapshot), "resp"] if librdb else []
    yield cases.Case(
        "dump --format resp", megabytes, cases.rdbtool("dump", snapshot, "--format", "resp"), "rdb-cli resp", resp
    )
    yield cases.Case("dump --keys-only", megabytes, cases.rdbtool("dump", snapshot, "--keys-only"))
    # To a pipe: how fast the disk takes half a gigabyte is not in question.
    copied = cases.rdbtool("convert", snapshot, "-", "--to", "rdb", "--key", "*1*")
    yield cases.Case("convert --key, RDB to RDB", megabytes, copied)
    older = cases.rdbtool("convert", snapshot, "-", "--to", "rdb", "--target", "redis-5.0")
    yield cases.Case("convert --target redis-5.0", megabytes, older, codes=(0, 3))
