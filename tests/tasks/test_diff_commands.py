"""The commands of `diff` are true: replayed on the first snapshot, they give the second."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rdbtool.io.output import Output
from rdbtool.io.sink import Sink, open_sink
from rdbtool.io.source import open_input
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.releases import release_named
from rdbtool.tasks.diff.commands import CommandsOut
from rdbtool.tasks.diff.run import Diff, DiffOptions
from rdbtool.tasks.diff.snapshot import open_snapshot
from rdbtool.tasks.digest import digest
from tests.rdb.corpus import numbered
from tests.rdb.expected import corpus_files, label

UNREADABLE = {"redis-4.0-rc1/module-hellotype"}
"""Module data that does not tell its length."""
FILES = [path for path in corpus_files() if label(path) not in UNREADABLE and path.stat().st_size < 1 << 20]
RELEASE = release_named("redis-8.6")


def write_copy(path: Path, sink: Sink) -> None:
    """The snapshot as the preamble of a log."""
    with open_input(str(path)) as source:
        writer = open_rdb_writer(sink, "redis-8.6", aof=True)
        for event in RdbReader(source.window()):
            writer.event(event)
        writer.close()


def partner(number: int) -> Path:
    """Another file: for the most part one with the same name, and so with many of the same keys."""
    path = FILES[number]
    rng = random.Random(number)
    alike = [other for other in FILES if other.name == path.name and other != path]
    return rng.choice(alike) if alike and rng.random() < 0.8 else rng.choice(FILES)


def digests(path: str) -> dict[tuple[int, bytes], str]:
    """DEBUG DIGEST-VALUE of every key, but for those with a score of -0, which diff takes for 0."""
    found: dict[tuple[int, bytes], str] = {}
    digest(path, release=RELEASE, on_key=lambda db, key, text: found.update({(db, key): text}))
    return {place: text for place, text in found.items() if place[1] not in {b"L:zset400", b"zset:small"}}


@pytest.mark.parametrize("number", numbered(FILES))
def test_replaying_them_on_one_file_gives_the_other(number: int, tmp_path: Path) -> None:
    left, right = FILES[number], partner(number)
    log = str(tmp_path / "left-and-commands.aof")
    with open_snapshot(str(left)) as a, open_snapshot(str(right)) as b, open_sink(log) as sink:
        write_copy(left, sink)
        diff = Diff(a, b)
        out = CommandsOut(Output(sink), diff.rules)
        for difference in diff:
            out.add(difference)
        out.end()
    with open_snapshot(log) as result, open_snapshot(str(right)) as b:
        left_over = Diff(result, b, DiffOptions())
        assert [(d.kind, d.db, d.key) for d in left_over if d.other != "module-aux"] == []
    assert digests(log) == digests(str(right))
