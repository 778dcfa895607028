"""A snapshot is the same as itself, written for any server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.io.sink import open_sink
from rdbtool.io.source import open_input
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.targets import target_names
from rdbtool.tasks.diff.run import Diff
from rdbtool.tasks.diff.snapshot import open_snapshot
from tests.rdb.corpus import numbered
from tests.rdb.expected import corpus_files, label

UNREADABLE = {"redis-4.0-rc1/module-hellotype"}
"""Module data that does not tell its length."""
FILES = [path for path in corpus_files() if label(path) not in UNREADABLE and path.stat().st_size < 1 << 20]
FILES = [path for path in FILES if path.name != "key-metadata.rdb"]  # what is lost there is no part of a value
TARGETS = target_names()


def between(path: Path, copy: str, *, large: int | None = None) -> list[tuple[str, int, bytes, str]]:
    """The differences; ``large`` is how large values may be to be held for it."""
    with open_snapshot(str(path)) as left, open_snapshot(copy) as right:
        diff = Diff(left, right)
        diff.large = diff.large if large is None else large
        return [(d.kind, d.db, d.key, d.type) for d in diff]


@pytest.mark.parametrize("number", numbered(FILES))
def test_a_file_and_its_copies_for_other_servers_are_the_same(number: int, tmp_path: Path) -> None:
    path = FILES[number]
    copy = str(tmp_path / "copy.rdb")
    for target in TARGETS[number % 3 :: 3]:  # every target sees a third of the files
        with open_input(str(path)) as source, open_sink(copy) as sink:
            writer = open_rdb_writer(sink, target)
            for event in RdbReader(source.window()):
                writer.event(event)
            writer.close()
        differences = between(path, copy)
        assert between(path, copy, large=-1) == differences
        if not writer.losses.counts:
            assert not differences, target
        else:
            # what could not be kept is told by the writer: nothing but that may differ
            assert {kind for kind, *_ in differences} <= {"changed", "removed"}, target
            assert {type_ for *_, type_ in differences} <= {
                "stream",
                "hash",
                "module",
                "function",
                "module-aux",
                "array",
                "path-hash",
            }, target
