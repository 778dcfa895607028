"""`dump` and `convert`, against the tools that write JSON."""

from __future__ import annotations

from collections.abc import Iterator

from . import cases, data


def dump_cases(size: int) -> Iterator[cases.Case]:
    """Cases on the RDB of `data.rdb_file`; output goes nowhere, or to a file beside it."""
    snapshot = data.rdb_file(size)
    megabytes = cases.megabytes(snapshot)
    librdb = cases.installed("rdb-cli")
    other = cases.installed("rdb")
    peer = [librdb, str(snapshot), "json"] if librdb else []
    yield cases.Case("dump, JSON lines", megabytes, cases.rdbtool("dump", snapshot), "rdb-cli json", peer)
    if other:
        command = [other, "-c", "json", str(snapshot)]
        yield cases.Case("dump, JSON lines", megabytes, cases.rdbtool("dump", snapshot), "rdb -c json", command)
    yield cases.Case("dump --format csv", megabytes, cases.rdbtool("dump", snapshot, "--format", "csv"))
    resp = [librdb, str(snapshot), "resp"] if librdb else []
    yield cases.Case(
        "dump --format resp", megabytes, cases.rdbtool("dump", snapshot, "--format", "resp"), "rdb-cli resp", resp
    )
    yield cases.Case("dump --keys-only", megabytes, cases.rdbtool("dump", snapshot, "--keys-only"))
    out = data.CACHE / "converted.rdb"
    yield cases.Case("convert --key", megabytes, cases.rdbtool("convert", snapshot, out, "--key", "*1*"))
    yield cases.Case(
        "convert --target", megabytes, cases.rdbtool("convert", snapshot, out, "--target", "redis-6.2"), codes=(0, 3)
    )
