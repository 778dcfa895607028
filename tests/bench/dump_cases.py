"""`dump` and `convert`, against the tools that write JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.bench import cases, data


def dump_cases(snapshot: Path, label: str) -> Iterator[cases.Case]:
    """Cases on an RDB, whose names end in ``label``; output goes nowhere, or to a file beside it."""
    megabytes = cases.megabytes(snapshot)
    librdb = cases.installed("rdb-cli")
    other = cases.installed("rdb")
    peer = [librdb, str(snapshot), "json"] if librdb else []
    yield cases.Case(f"dump, JSON lines{label}", megabytes, cases.rdbtool("dump", snapshot), "rdb-cli json", peer)
    if other:
        old = data.older(snapshot)
        command = [other, "-c", "json", str(old)]
        yield cases.Case(
            f"dump, JSON lines, RDB 9{label}", cases.megabytes(old), cases.rdbtool("dump", old), "rdb -c json", command
        )
    yield cases.Case(f"dump --format csv{label}", megabytes, cases.rdbtool("dump", snapshot, "--format", "csv"))
    resp = [librdb, str(snapshot), "resp"] if librdb else []
    yield cases.Case(
        f"dump --format resp{label}",
        megabytes,
        cases.rdbtool("dump", snapshot, "--format", "resp"),
        "rdb-cli resp",
        resp,
    )
    yield cases.Case(f"dump --keys-only{label}", megabytes, cases.rdbtool("dump", snapshot, "--keys-only"))
    # To a pipe: how fast the disk takes half a gigabyte is not in question.
    copied = cases.rdbtool("convert", snapshot, "-", "--to", "rdb", "--key", "*1*")
    yield cases.Case(f"convert --key, RDB to RDB{label}", megabytes, copied)
    older = cases.rdbtool("convert", snapshot, "-", "--to", "rdb", "--target", "redis-5.0")
    yield cases.Case(f"convert --target redis-5.0{label}", megabytes, older)
