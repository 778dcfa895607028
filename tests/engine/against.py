"""Random commands for a real server and for the engine, compared as wholes; a failure is cut down to few commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay.replay import Replay
from rdbtool.servers.releases import release_named
from tests.engine.differential import Command, agree, answer, log_of
from tests.engine.digests import digest_of_cell, digest_of_dataset
from tests.engine.object_encoding import encoding_name
from tests.servers.harness import Reply, Server, ServerKind, running

Make = Callable[[Random, ServerKind], Command]
UNORDERED = {b"SINTER", b"SUNION", b"SDIFF", b"SMEMBERS", b"HGETALL", b"HKEYS", b"HVALS"}
SLACK_MS = 60_000
"""How far expiries may be apart that both sides counted from their own clock."""


def differences(dataset: Dataset, server: Server, *, slack_ms: int = 0) -> list[str]:
    """What OBJECT ENCODING, DEBUG DIGEST-VALUE and the expiry of any key say that the engine does not."""
    found = []
    numbers = sorted(db for db, keys in dataset.dbs.items() if keys)
    info = server.execute("INFO", "keyspace")
    assert isinstance(info, bytes)
    theirs = sorted(int(row[2:].split(b":")[0]) for row in info.split() if row.startswith(b"db"))
    if theirs != numbers:
        found.append(f"databases {numbers}, the server has {theirs}")
    for db in set(numbers) & set(theirs):
        server.execute("SELECT", db)
        found += _of_db(dataset, db, server, slack_ms)
    server.execute("SELECT", int(dataset.db))
    return found


def _of_db(dataset: Dataset, db: int, server: Server, slack_ms: int) -> list[str]:
    ours = dataset.dbs[db]
    keys = server.execute("KEYS", "*")
    assert isinstance(keys, list)
    found = [f"db {db}: only here: {k!r}" for k in set(ours) - set(keys)]
    names = [k for k in keys if isinstance(k, bytes)]
    found += [f"db {db}: only in the server: {k!r}" for k in set(names) - set(ours)]
    names = [k for k in names if k in ours]
    encodings = server.send(*[("OBJECT", "ENCODING", k) for k in names])
    digests = server.send(*[("DEBUG", "DIGEST-VALUE", k) for k in names])
    left = server.send(*[("PTTL", k) for k in names])
    now = server.execute("TIME")
    assert isinstance(now, list)
    now_ms = int(str(now[0], "ascii")) * 1000 if isinstance(now[0], bytes) else 0
    for key, encoding, digest, ttl in zip(names, encodings, digests, left, strict=True):
        cell = dataset.decoded(ours[key])
        mine = encoding_name(dataset.release, key, cell)
        assert isinstance(encoding, bytes)
        if mine != encoding.decode():
            found.append(f"db {db}: {key!r} is {mine}, in the server {encoding.decode()}")
        value = digest_of_cell(dataset, cell)
        if [value.encode()] != digest:
            found.append(f"db {db}: {key!r} holds {str(cell.value())[:200]}, the server has {_show(server, key)}")
        expiry = -1 if cell.expire_at_ms == -1 else int(cell.expire_at_ms) - now_ms
        assert isinstance(ttl, int)
        if (expiry == -1) != (ttl == -1) or abs(expiry - ttl) > max(slack_ms, 2000):
            found.append(f"db {db}: {key!r} expires in {expiry} ms, in the server in {ttl}")
    return found


def _show(server: Server, key: bytes) -> str:
    kind = server.execute("TYPE", key)
    assert isinstance(kind, bytes)
    show: dict[bytes, tuple[str | bytes | int, ...]] = {
        b"string": ("GET", key),
        b"list": ("LRANGE", key, 0, -1),
        b"set": ("SMEMBERS", key),
        b"hash": ("HGETALL", key),
        b"zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
        b"stream": ("XRANGE", key, "-", "+"),
    }
    return f"{kind.decode()} {str(server.execute(*show[kind]))[:300]}"


def same_reply(command: Command, ours: object, theirs: Reply) -> bool:
    """Whether the replies agree, in any order where there is none."""
    if command[0].upper() in UNORDERED and isinstance(ours, list) and isinstance(theirs, list):
        return sorted(map(repr, ours)) == sorted(map(repr, theirs))
    return agree(ours, theirs)


def try_both(
    commands: Sequence[Command], kind: ServerKind, server: Server, replies: Callable[[Command], bool]
) -> tuple[Dataset, str]:
    """Run the commands on both sides from nothing; the engine's dataset and what differs, or ""."""
    server.send(("FLUSHALL",), ("SELECT", 0))
    if kind.version >= (7, 0):
        server.send(("FUNCTION", "FLUSH"))
    dataset = Dataset(release_named(kind.name))
    theirs = server.send(*[tuple(c) for c in commands])
    for command, reply in zip(commands, theirs, strict=True):
        ours = answer(dataset, command)
        if replies(command) and not same_reply(command, ours, reply):
            return dataset, f"{command} answers {str(ours)[:300]}, in the server {str(reply)[:300]}"
    return dataset, "; ".join(differences(dataset, server, slack_ms=SLACK_MS))


def shrink(commands: list[Command], fails: Callable[[list[Command]], bool], tries: int = 400) -> list[Command]:
    """Leave out commands, in smaller and smaller runs, as long as it fails."""
    size = len(commands) // 2
    while size and tries:
        at = 0
        while at < len(commands) and tries:
            tries -= 1
            fewer = commands[:at] + commands[at + size :]
            if fewer and fails(fewer):
                commands = fewer
            else:
                at += size
        size //= 2
    return commands


def check_against(
    kind: ServerKind,
    directory: Path,
    make: Make,
    *,
    seed: int,
    rounds: int,
    commands: int,
    replies: Callable[[Command], bool] = lambda _: True,
) -> None:
    """Rounds of random commands on both sides: equal replies and datasets. Then the server's log replayed."""
    print(f"seed {seed} on {kind.name}")
    random = Random(seed)
    with running(kind, directory, "--appendonly", "yes", "--appendfsync", "no") as server:
        for _ in range(rounds):
            script = [make(random, kind) for _ in range(commands)]
            _, wrong = try_both(script, kind, server, replies)
            if wrong:
                few = shrink(script, lambda some: bool(try_both(some, kind, server, replies)[1]))
                raise AssertionError(f"{try_both(few, kind, server, replies)[1]} after {few}")
        digest = server.digest()
        replayed = Dataset(release_named(kind.name))
        replay = Replay(replayed)
        replay.run(log_of(directory))
        assert not replay.failed, "; ".join(f.message for f in replay.findings.items[:3])
        assert not replay.stopped
        server.execute("DEBUG", "LOADAOF")
        assert server.digest() == digest
        assert digest_of_dataset(replayed) == digest
        assert not differences(replayed, server)
