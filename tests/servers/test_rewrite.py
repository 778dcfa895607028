"""`rewrite --resp` against what BGREWRITEAOF writes with aof-use-rdb-preamble no: the same commands."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rdbtool.aof.resp import Command, CommandReader
from rdbtool.io.window import window_over
from tests.servers.harness import SERVERS, ServerKind, running
from tests.servers.loading import load
from tests.servers.workload import OPTIONS, log_of, rdbtool, run, script

Written = dict[tuple[int, bytes], list[object]]
UNORDERED = {b"SADD": 1, b"HMSET": 2, b"ZADD": 2}
"""Commands whose elements come in the order of a hash table, with the arguments that belong together."""


def written(data: bytes) -> Written:
    """What a log of commands says of each key, so that only what servers leave open does not matter."""
    reader = CommandReader(window_over(data))
    found: Written = {}
    db = 0
    anew = False
    while (event := reader.next()) is not None:
        if not isinstance(event, Command):
            continue
        name = event.args[0].upper()
        args = event.args[1:]
        if name == b"SELECT":
            db = int(args[0])
            continue
        if name == b"ZREM" or anew:  # what servers lose: the sign of -0, for which a member is added anew
            anew = name == b"ZREM"
            continue
        if name == b"XGROUP":
            name, args = b"XGROUP " + args[0], args[1:]
        if name == b"FUNCTION":
            found.setdefault((-1, args[-1]), []).append(name)
            continue
        found.setdefault((db, args[0]), []).append((name, args[1:]))
    return {name: summary(commands) for name, commands in found.items()}


def summary(commands: list[object]) -> list[object]:
    """Sizes of the batches and the sorted elements; those of groups and producers in any order; all else as it is."""
    plain: list[object] = []
    sizes: list[int] = []
    elements: list[tuple[object, ...]] = []
    groups: list[object] = []
    for command in commands:
        if not isinstance(command, tuple):
            plain.append(command)
            continue
        name, args = command
        if name in UNORDERED:
            step = UNORDERED[name]
            sizes.append(len(args) // step)
            rows = [tuple(args[i : i + step]) for i in range(0, len(args), step)]
            elements += [(name, float(row[0]), row[1]) if name == b"ZADD" else (name, *row) for row in rows]
        elif name == b"HSETEX":  # Valkey's one command for what takes Redis two: PXAT ms FIELDS 1 field value
            sizes.append(1)
            elements += [(b"HMSET", *args[4:]), (b"HPEXPIREAT", args[1], b"FIELDS", b"1", args[4])]
        elif name == b"HPEXPIREAT":
            elements.append((name, *args))
        elif name.startswith((b"XGROUP", b"XCLAIM", b"XIDMPRECORD")):
            groups.append((name, args))
        else:
            plain.append((name, args))
    if any(row[0] == b"HPEXPIREAT" for row in elements):
        sizes = []  # Redis writes a command for each field of such a hash, Valkey for each that expires
    return [*plain, sizes, sorted(elements, key=repr), sorted(groups, key=repr)]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_the_commands_are_those_of_the_server(kind: ServerKind, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    ours = tmp_path / "ours.aof"
    with running(kind, tmp_path, *OPTIONS, "--aof-use-rdb-preamble", "no") as server:
        commands = [c for c in script(rng, kind, 2500) if c != [b"BGREWRITEAOF"]]
        for n in (1, 63, 64, 65, 200):  # batches
            elements = [b"e%d" % i for i in range(n)]
            commands += [[b"RPUSH", b"l%d" % n, *elements], [b"SADD", b"s%d" % n, *elements]]
            scored = [word for i in range(n) for word in (b"%d.5" % i, b"m%d" % i)]
            commands.append([b"ZADD", b"z%d" % n, *scored])
            commands.append([b"HSET", b"h%d" % n, *scored])
        run(server, commands)
        server.execute("DEBUG", "LOADAOF")  # what is written is what the log says
        options = ("--resp", "--target", kind.name)
        rdbtool("rewrite", log_of(kind, tmp_path), "-o", ours, *options, codes=(0, 3))
        run(server, [[b"BGREWRITEAOF"]])
        (base,) = [*tmp_path.glob("appendonlydir/*.base.aof"), *tmp_path.glob("appendonly.aof")]
        theirs = written(base.read_bytes())
    mine = written(ours.read_bytes())
    assert mine.keys() == theirs.keys()
    for key, told in theirs.items():
        assert mine[key] == told, key


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_commands_keep_the_sign_of_zero_wherever_a_snapshot_does(kind: ServerKind, tmp_path: Path) -> None:
    """Small sets are packed, and lose it from 7.0 on; larger ones begin small, and would lose it on the way."""
    scored = [part for i in range(200) for part in ("-0" if i < 70 else -i, f"m{i}")]
    commands: list[tuple[bytes | str | int, ...]] = [
        ("ZADD", "small", "-0", "a", "1", "b"),
        ("ZADD", "long", "-1", "x" * 65, "-0", "a", "1", "z"),
        ("ZADD", "alone", "-0", "x" * 65),
        ("ZADD", "many", *scored),
    ]
    (tmp_path / "a").mkdir()
    with running(kind, tmp_path / "a") as server:
        server.send(*commands)
        server.execute("ZADD", "long", "-0", "b")
        server.execute("SAVE")
    snapshot = tmp_path / "a" / "dump.rdb"
    rdbtool("rewrite", snapshot, "--resp", "-o", tmp_path / "log.aof")
    as_snapshot = load(kind, tmp_path / "b", snapshot)
    assert load(kind, tmp_path / "c", tmp_path / "log.aof").digest == as_snapshot.digest
