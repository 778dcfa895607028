from __future__ import annotations

from pathlib import Path
from random import Random, randrange

import pytest

from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay.replay import Replay
from rdbtool.servers.releases import release_named
from tests.engine.against import SLACK_MS, differences, same_reply
from tests.engine.differential import Command, answer, args, log_of
from tests.servers.harness import SERVERS, Reply, Server, ServerKind, running


def filled(server: Server, random: Random) -> list[bytes]:
    """Keys of every type and size in the server; their names."""
    commands: list[Command] = []
    for n in (1, 20, 127, 128, 129, 600):
        commands += [
            args("SET", f"string{n}", "x" * n),
            args("RPUSH", f"list{n}", *[f"element{i}" * random.randrange(1, 9) for i in range(n)]),
            args("SADD", f"ints{n}", *range(n)),
            args("SADD", f"set{n}", *[f"m{i}" for i in range(n)]),
            args("HSET", f"hash{n}", *[p for i in range(n) for p in (f"f{i}", i)]),
            args("ZADD", f"zset{n}", *[p for i in range(n) for p in (i / 7, f"m{i}")]),
            args("XADD", f"stream{n}", f"{n}-1", "a", "b"),
        ]
    commands += [
        args("SET", "int", 12345),
        args("SADD", "set1", "x"),
        args("SREM", "set20", *[f"m{i}" for i in range(20)]),
        args("SADD", "mixed", "a", "1", "2"),
        args("SREM", "mixed", "a"),
        args("HSET", "long", "f", "v" * 100),
        args("HSET", "long", "f", "v"),
        args("RPUSH", "big", "y" * 9000, "z"),
        args("XGROUP", "CREATE", "stream20", "g", "0"),
        args("XREADGROUP", "GROUP", "g", "c", "STREAMS", "stream20", ">"),
        args("PFADD", "hll", "a", "b"),
    ]
    for reply in server.send(*[tuple(c) for c in commands]):
        assert not isinstance(reply, Exception), reply
    keys = server.execute("KEYS", "*")
    assert isinstance(keys, list)
    return sorted(key for key in keys if isinstance(key, bytes))


def dumped(server: Server, keys: list[bytes]) -> dict[bytes, bytes]:
    payloads = server.send(*[("DUMP", key) for key in keys])
    return {key: payload for key, payload in zip(keys, payloads, strict=True) if isinstance(payload, bytes)}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_dumps_of_a_server_are_restored_as_it_restores_them(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path, "--appendonly", "yes", "--appendfsync", "no") as server:
        payloads = dumped(server, filled(server, Random(5)))
        server.execute("FLUSHALL")
        dataset = Dataset(release_named(kind.name))
        for i, (key, payload) in enumerate(payloads.items()):
            when = [b"0"] if i % 3 else [b"9999999999999", b"ABSTTL"]
            command = [b"RESTORE", key, when[0], payload, *when[1:]]
            (theirs,) = server.send(tuple(command))
            assert same_reply(command, answer(dataset, command), theirs), key
        assert differences(dataset, server) == []
        replayed = Dataset(release_named(kind.name))
        Replay(replayed).run(log_of(tmp_path))
        assert differences(replayed, server) == []


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_restored_keys_go_on_like_those_of_the_server(kind: ServerKind, tmp_path: Path) -> None:
    seed = randrange(1 << 30)
    print(f"seed {seed}")
    random = Random(seed)
    with running(kind, tmp_path) as server:
        payloads = dumped(server, filled(server, random))
        server.execute("FLUSHALL")
        dataset = Dataset(release_named(kind.name))
        commands: list[Command] = [[b"RESTORE", key, b"0", payload] for key, payload in payloads.items()]
        for key in payloads:
            name = key.decode().rstrip("0123456789")
            changes = {
                "string": [args("APPEND", key, "y")],
                "list": [
                    args("LPOP", key),
                    args("RPUSH", key, "z" * 5000),
                    args("RPOP", key),
                    args("LTRIM", key, 0, 5),
                ],
                "ints": [args("SADD", key, 100000), args("SADD", key, "word"), args("SREM", key, "word")],
                "set": [args("SADD", key, "q" * 65), args("SREM", key, "m1")],
                "hash": [args("HSET", key, "g", "w"), args("HDEL", key, "f0", "g")],
                "zset": [args("ZADD", key, 5, "w"), args("ZREM", key, "m0")],
                "stream": [args("XADD", key, "999999-1", "c", "d"), args("XTRIM", key, "MAXLEN", 1)],
                "mixed": [args("SADD", key, 7)],
            }
            commands += changes.get(name, [])
        replies = server.send(*[tuple(c) for c in commands])
        for command, theirs in zip(commands, replies, strict=True):
            assert same_reply(command, answer(dataset, command), theirs), command[:2]
        assert differences(dataset, server) == []


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_what_restore_refuses_is_refused_with_the_text_of_the_server(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        server.execute("SET", "k", "value")
        payload = server.execute("DUMP", "k")
        assert isinstance(payload, bytes)
        dataset = Dataset(release_named(kind.name))
        calls: list[Command] = [
            args("SET", "k", "value"),
            args("RESTORE", "k", 0, payload),
            args("RESTORE", "k", 0, payload, "REPLACE"),
            args("RESTORE", "n", -1, payload),
            args("RESTORE", "n", "x", payload),
            args("RESTORE", "n", 0, payload, "IDLETIME", -1),
            args("RESTORE", "n", 0, payload, "FREQ", 256),
            args("RESTORE", "n", 0, payload, "FREQ", 1, "IDLETIME", 1),
            args("RESTORE", "n", 0, payload, "NONSENSE"),
            args("RESTORE", "n", 0, payload[:-1] + b"!"),
            args("RESTORE", "n", 0, b"short"),
            args("RESTORE", "n", 0, b""),
            args("RESTORE", "n", 0, payload, "IDLETIME", 7),
            args("RESTORE", "e", 90000, payload, "FREQ", 7),
        ]
        theirs: list[Reply] = server.send(*[tuple(c) for c in calls])
        for call, reply in zip(calls, theirs, strict=True):
            assert same_reply(call, answer(dataset, call), reply), (call, answer(dataset, call), reply)
        assert differences(dataset, server, slack_ms=SLACK_MS) == []
