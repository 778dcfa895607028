"""Negative zeros in packed sorted sets, which servers keep as text until something sets the score anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rdbtool.servers.releases import release_named
from rdbtool.tasks.digest import digest
from tests.aof.craft import command
from tests.rdb.craft import rdb, record, string, ziplist

from .harness import SERVERS, ServerKind, running

MAGIC = b"REDIS0009" + b"\xfa" + string(b"aof-preamble") + string(b"1")
BASE = rdb(record(12, b"z", string(ziplist(b"m", b"-0"))), magic=MAGIC)

TOUCHES = [
    "ZADD z 1 b",
    "ZADD z 0 m",
    "ZADD z -0 k",
    "ZADD z INCR -0 m",
    "ZADD z INCR 1 m",
    "ZINCRBY z 0 a",
    "ZINCRBY z 0 m",
    "ZADD z 1 " + "x" * 100,
    "COPY z y",
    "ZUNIONSTORE y 1 z",
    "ZRANGESTORE y z 0 -1",
    "GEORADIUS z 0 0 1 m STORE k",
    "ZADD w -0 x",
    "ZADD w -0 x 1 " + "y" * 100,
]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_commands_leave_the_sign_as_servers_do(kind: ServerKind, tmp_path: Path) -> None:
    path = tmp_path / "appendonly.aof"
    log = BASE + command("SELECT", "0")
    for touch in TOUCHES:
        path.write_bytes(log + command(*touch.split()) + command("COPY", "z", "copied"))
        found = digest(str(path), release=release_named(kind.name)).digest
        with running(kind, tmp_path, "--appendonly", "yes") as server:
            assert found == server.digest(), touch
        shutil.rmtree(tmp_path / "appendonlydir", ignore_errors=True)
