"""Random commands of every group for a real server with its log on, and the command line over what it wrote."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.cli.running import run as run_here
from tests.engine.differential import Command, args
from tests.engine.random_commands import bitmaps, geo, hyperloglog, zsets
from tests.engine.random_commands.general import field_expiry, hashes, keys, lists, sets, sorting, strings
from tests.engine.random_commands.streams import streams
from tests.servers.effects import SHORT_LIVED, effects
from tests.servers.harness import Server, ServerKind

TIMES = int(os.environ.get("RDBTOOL_TEST_TIMES", "1"))
BATCH = 500
OPTIONS = ("--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0", "--hz", "500")
"""The log is on, and a server looks often for clients that have waited long enough."""
REWRITE = [b"BGREWRITEAOF"]

Make = Callable[[random.Random, ServerKind], Command]


def rdbtool(*arguments: object, codes: tuple[int, ...] = (0,)) -> str:
    """Run a command that must do its job; its standard output."""
    done = run_here(*arguments)
    assert done.returncode in codes, (arguments, done.returncode, done.stderr, done.stdout)
    return done.stdout


def groups(rng: random.Random, kind: ServerKind) -> list[Make]:
    makers: list[Make] = [strings, keys, lists, sets, hashes, sorting, streams(rng)]
    makers += [zsets.make, zsets.make_lex, bitmaps.make, geo.make, hyperloglog.make, effects]
    if kind.is_valkey and kind.version >= (9, 0):
        makers.append(field_expiry)
    return makers


def script(rng: random.Random, kind: ServerKind, count: int) -> Iterator[Command]:
    """Random commands: each group mostly in a database of its own, some in transactions, two rewrites between."""
    makers = groups(rng, kind)
    rewrites = {count // 3, count * 2 // 3}
    transaction = 0
    for i in range(count):
        if i in rewrites and not transaction:
            yield REWRITE
        at = rng.randrange(len(makers))
        command = makers[at](rng, kind)
        if not kind.is_valkey or kind.version < (9, 0):
            # After a number out of strtod's range, the next SORT may fail: it looks at an old errno.
            command = [b"1e-300" if arg == b"1e-310" else arg for arg in command]
        if transaction:
            yield command
            transaction -= 1
            if not transaction:
                yield [b"EXEC"]
            continue
        yield args("SELECT", at if rng.random() < 0.9 else rng.randrange(len(makers)))
        pick = rng.random()
        if pick < 0.01:
            yield [b"MULTI"]
            transaction = rng.randrange(1, 6)
        elif pick < 0.012:
            yield rng.choice([args("FLUSHDB"), args("SWAPDB", at, rng.randrange(len(makers)))])
        elif pick < 0.0122:
            yield args("FLUSHALL")
        yield command
    if transaction:
        yield [b"EXEC"]


def run(server: Server, commands: list[Command]) -> None:
    """Send commands as they are; errors are part of the game."""
    batch: list[Command] = []
    for command in [*commands, None]:
        if command is None or command == REWRITE or len(batch) >= BATCH:
            server.send(*[tuple(c) for c in batch])
            batch = []
        if command == REWRITE:
            server.execute("BGREWRITEAOF")
            wait_for_rewrite(server)
        elif command is not None:
            batch.append(command)
    let_expire(server)


def let_expire(server: Server) -> None:
    """End a transaction, and have the log say of all keys that live for milliseconds that they are gone."""
    server.send(("EXEC",))  # where a shortened run has a MULTI only
    time.sleep(0.01)
    for db in range(16):
        server.send(("SELECT", db), ("EXISTS", *SHORT_LIVED))
    server.execute("SELECT", 0)


def wait_for_rewrite(server: Server) -> None:
    while True:
        info = server.execute("INFO", "persistence")
        assert isinstance(info, bytes)
        if info == b"QUEUED":  # a shortened run has a MULTI before it only
            return
        if b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info:
            assert b"aof_last_bgrewrite_status:ok" in info
            return
        time.sleep(0.01)


def log_of(kind: ServerKind, directory: Path) -> Path:
    return directory / ("appendonlydir" if kind.version >= (7, 0) else "appendonly.aof")
