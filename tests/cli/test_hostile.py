"""Files that were made to cost much time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from rdbtool.model import Consumer, Entry, Group, Id, Pending, Stream
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.rdb.values.stream_nodes import of_pair
from tests.rdb.colliding import colliding_ids
from tests.rdb.writing import written

from .running import run

COUNT: Final = 10_000


def stream_of(ids: list[Id]) -> Stream:
    """A stream of these entries, all of them pending, and recorded for a producer."""
    stream = Stream()
    stream.entries = [(entry, [b"f", b"v"]) for entry in ids]
    stream.last_id = ids[-1]
    stream.entries_added = len(ids)
    group = Group(ids[-1], len(ids))
    group.consumers[b"c"] = Consumer(1, 1)
    group.pending = [Pending(entry, b"c", 1, 1) for entry in ids]
    stream.groups[b"g"] = group
    state = Idempotence()
    state.configure(100, len(ids))
    for n, entry in enumerate(ids):
        state.remember(b"p", b"%d" % n, of_pair(entry))
    stream.idmp = state.encoded()
    return stream


def took(path: Path, folder: Path) -> dict[str, float]:
    """Seconds of CPU that each way through the program takes."""
    log = folder / "log.aof"
    lines = folder / "lines.jsonl"
    runs: list[tuple[int, list[object]]] = [
        (0, ["check-rdb", path]),
        (0, ["digest", path]),
        (0, ["diff", path, path]),
        (0, ["convert", path, lines]),
        (0, ["convert", lines, folder / "again.rdb", "--target", "redis-8.6"]),
        (3, ["convert", path, folder / "old.rdb", "--target", "redis-5.0"]),
        (0, ["convert", path, log, "--target", "redis-8.6"]),
        (0, ["digest", log]),
        (0, ["diff", log, lines]),
        (0, ["dump", path, "-f", "csv"]),
    ]
    seconds = {}
    for wanted, arguments in runs:
        start = time.process_time()
        done = run(*arguments)
        assert done.returncode in {wanted, 3}, (arguments, done)
        seconds[" ".join(map(str, arguments))] = time.process_time() - start
    return seconds


@pytest.mark.slow
def test_stream_ids_that_collide_take_no_longer(tmp_path: Path) -> None:
    """With pairs of integers as keys of a dict, each of these takes 10 seconds and more, and for twice the entries four
    times that.
    """
    crafted = colliding_ids(COUNT)
    assert len({hash(entry) for entry in crafted}) == 1
    usual = [(ms, 0) for ms in range(1, COUNT + 1)]
    seconds = []
    for name, ids in ("usual", usual), ("crafted", crafted):
        folder = tmp_path / name
        folder.mkdir()
        path = folder / "dump.rdb"
        path.write_bytes(written("redis-8.6", Entry(0, b"s", stream_of(ids)))[0])
        seconds.append(took(path, folder))
    for one, other in zip(*(part.values() for part in seconds), strict=True):
        assert other < 3 * one + 1, seconds
