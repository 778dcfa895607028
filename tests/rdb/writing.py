"""RDBs written into memory, and what is in them."""

from __future__ import annotations

from collections import deque
from typing import Any

from rdbtool.io.window import window_over
from rdbtool.model import Entry, Hash, SortedSet, Stream, Value
from rdbtool.rdb.events import End, Event
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.writer import RdbWriter
from tests.outputs.collected import Collected


def events(data: bytes) -> list[Event]:
    """Events of an RDB in memory; frames keep their bytes."""
    out = []
    for event in RdbReader(window_over(data)):
        if isinstance(event, Frame):
            event.raw()
        out.append(event)
    assert isinstance(out[-1], End)
    return out


def written(name: str, *entries: Entry, **options: Any) -> tuple[bytes, RdbWriter]:
    sink = Collected()
    writer = open_rdb_writer(sink, name, **options)
    for entry in entries:
        writer.entry(entry)
    size = writer.close()
    data = sink.getvalue()
    assert size == len(data)
    return data, writer


def big_values() -> list[tuple[str, Value]]:
    items = [b"element %d" % n for n in range(10000)]
    out = Stream()
    for n in range(8000):
        out.entries.append(((n + 1, 0), [b"field", b"%d" % n]))
    return [
        ("list", deque(items)),
        ("hash", Hash(dict.fromkeys(items, b"v"), dict.fromkeys(items[::2], 1 << 41))),
        ("stream", out),
        ("zset", SortedSet(dict.fromkeys(items, 1.5))),
        ("set", dict.fromkeys(items)),
        ("string", b"%d" * 2000000),
    ]
