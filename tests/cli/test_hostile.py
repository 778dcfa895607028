"""Files that were made to cost much time."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from rdbtool.model import Consumer, Entry, Group, Id, Pending, Stream
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.rdb.values.stream_nodes import of_pair
from tests.rdb.colliding import colliding_ids
from tests.rdb.craft import encode_length, listpack, lzf, rdb, record, string
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


HOSTILE: Final = {
    "a string of 2^63 bytes": (0, b"\x81" + (1 << 63).to_bytes(8, "big") + b"x"),
    "a list of 2^63 elements": (1, b"\x81" + (1 << 63).to_bytes(8, "big") + b"\x01x"),
    "a hash of 2^63 fields": (4, b"\x81" + (1 << 63).to_bytes(8, "big") + b"\x01x\x01y"),
    "a stream of 2^63 nodes": (15, b"\x81" + (1 << 63).to_bytes(8, "big")),
    "a compressed string of 2^62 bytes": (0, b"\xc3" + encode_length(5) + encode_length(1 << 62) + b"\0a\xe0\x15\0"),
    "a compressed string of 1 GiB": (0, lzf(b"\0a\xe0\x15\0", 1 << 30)),
    "a listpack that claims 65,534 elements": (16, string(listpack(b"f", b"v", count=65534))),
    "a module that has no end": (7, b"\x81" + bytes(8) + b"\x02\x01" * 1000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_sizes_that_are_not_there_are_refused_and_take_no_memory(name: str, tmp_path: Path) -> None:
    type_byte, value = HOSTILE[name]
    path = tmp_path / "dump.rdb"
    path.write_bytes(rdb(record(type_byte, b"k", value)))
    for words in (["check-rdb", path], ["digest", path], ["convert", path, tmp_path / "out.jsonl"], ["dump", path]):
        tracemalloc.start()
        try:
            done = run(*words)
            assert tracemalloc.get_traced_memory()[1] < 64 << 20
        finally:
            tracemalloc.stop()
        assert done.returncode in {1, 2}, (words, done)
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.jsonl").exists()
