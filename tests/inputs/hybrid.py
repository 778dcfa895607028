"""A log behind a snapshot: a base with values of every type, and commands that reach some of its keys."""

from __future__ import annotations

from pathlib import Path

from rdbtool.io.source import open_input
from rdbtool.model import Entry
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from tests.aof.craft import command
from tests.rdb.writing import big_values, written

BASE = "appendonly.aof.1.base.aof"
LOG = [
    command("PEXPIREAT", "k2", "99999999999999"),
    command("COPY", "k1", "copy of k1"),
    command("PEXPIREAT", "copy of k1", "88888888888888"),
    command("COPY", "k2", "copy of k2"),
    command("PERSIST", "copy of k2"),
    command("COPY", "with expiry", "timeless"),
    command("PERSIST", "timeless"),
    command("COPY", "timeless", "k1", "DB", "5"),
    command("RENAME", "k3", "k4"),
    command("RENAME", "k5", "new name"),
    command("MOVE", "k6", "3"),
    command("DEL", "k7"),
    command("APPEND", "k8", "!"),
    command("COPY", "list", "other list"),
    command("RPUSH", "list", "more"),
    command("HSET", "hash", "f", "v"),
    command("SADD", "set", "another"),
    command("SELECT", "1"),
    command("ZADD", "zset", "7", "another"),
    command("SWAPDB", "1", "7"),  # so that all keys are loaded
]


def base() -> bytes:
    entries = [Entry(0, b"k%d" % n, b"value %d of some length" % n) for n in range(400)]
    for n, (kind, value) in enumerate(big_values()):
        entries.append(Entry(1 if kind == "zset" else 0, kind.encode(), value))
        entries.append(Entry(0, b"between %d" % n, b"x" * n * 1000))
    entries.append(Entry(0, b"with expiry", b"v", 77777777777777))
    return written("redis-8.6", *sorted(entries, key=lambda e: e.db), aof=True)[0]


def keys_in(path: Path) -> list[tuple[int, bytes, int, bytes]]:
    with open_input(str(path)) as opened:
        reader = RdbReader(opened.window())
        return [(f.db, f.key, f.expire_at_ms, f.raw()) for f in reader if isinstance(f, Frame)]
