"""Several processes against one: the ratio is what two cores bring."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench import cases, data


def jobs_cases(size: int) -> Iterator[cases.Case]:
    """Cases on the files of `data`; output goes nowhere."""
    snapshot, log = data.rdb_file(size), data.aof_file(size)
    for name, path, arguments in (
        ("check-rdb", snapshot, ()),
        ("check-aof", log, ()),
        ("dump", snapshot, ()),
        ("dump --format csv", snapshot, ("--format", "csv")),
        ("dump --format resp", snapshot, ("--format", "resp")),
    ):
        command = (name.partition(" ")[0], path, *arguments)
        yield cases.Case(
            f"{name} --jobs 2",
            cases.megabytes(path),
            cases.rdbtool(*command, jobs=2),
            "rdbtool --jobs 1",
            cases.rdbtool(*command),
        )
