"""The same random commands for a real server and for the engine: replies, values and encodings must agree."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from random import Random

from rdbtool.engine.cells.cell import SKIPLIST, Cell, StringCell, cell_of_held
from rdbtool.engine.cells.stream import StreamCell, id_of
from rdbtool.engine.cells.zset import SortedSetCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay.replay import Replay
from rdbtool.engine.replies import CommandError, Status
from rdbtool.engine.stream_ids import text_of
from rdbtool.engine.table import execute
from rdbtool.servers.features import LISTPACKS
from rdbtool.servers.releases import Release, release_named
from tests.engine.digests import digest_of_dataset
from tests.engine.object_encoding import encoding_name
from tests.servers.harness import Reply, Server, ServerError, ServerKind, running

Command = list[bytes]
Maker = Callable[[Random, ServerKind], Command]


def args(*parts: bytes | str | float) -> Command:
    """A command of mixed parts."""
    return [p if isinstance(p, bytes) else str(p).encode() for p in parts]


def answer(dataset: Dataset, command: Command) -> object:
    """The engine's reply; an error as its text."""
    try:
        return execute(dataset, command)
    except CommandError as error:
        return f"error {error.text}"


def agree(ours: object, theirs: Reply) -> bool:
    """Whether a reply of ours is that of a server."""
    if isinstance(theirs, ServerError):
        return ours == f"error {theirs}"
    if isinstance(ours, Status):
        return ours.text == theirs
    if isinstance(ours, float):
        return isinstance(theirs, bytes) and _same(ours, float(theirs))
    if isinstance(ours, list):
        return isinstance(theirs, list) and len(ours) == len(theirs) and all(map(agree, ours, theirs))
    return ours == theirs


def _same(one: float, other: float) -> bool:
    return one == other and math.copysign(1, one) == math.copysign(1, other)


def log_of(directory: Path) -> list[tuple[int, Command]]:
    """The commands of a server's log, without a base, with their offsets."""
    paths = sorted(directory.glob("appendonlydir/*.incr.aof")) or [directory / "appendonly.aof"]
    data = paths[-1].read_bytes()
    commands = []
    at = 0

    def number() -> int:
        nonlocal at
        end = data.index(b"\r\n", at)
        value = int(data[at + 1 : end])
        at = end + 2
        return value

    while at < len(data):
        start = at
        parts = []
        for _ in range(number()):
            size = number()
            parts.append(data[at : at + size])
            at += size + 2
        commands.append((start, parts))
    return commands


def compare(
    kind: ServerKind,
    directory: Path,
    make: Maker,
    *,
    seed: int,
    count: int,
    batch: int = 100,
    setup: tuple[Command, ...] = (),
    options: tuple[str, ...] = (),
    ignore_reply: Callable[[Command], bool] = lambda _: False,
) -> None:
    """Run ``count`` commands of ``make`` on both sides, then replay the server's log too, and compare."""
    print(f"seed {seed} on {kind.name}")
    random = Random(seed)
    release = release_named(kind.name)
    live = Dataset(release)
    with running(kind, directory, "--appendonly", "yes", "--appendfsync", "no", *options) as server:
        for command in setup:
            server.execute(*command)
            execute(live, command)
        done: list[Command] = []
        while len(done) < count:
            commands = [make(random, kind) for _ in range(batch)]
            for command, theirs in zip(commands, server.send(*[tuple(c) for c in commands]), strict=True):
                ours = answer(live, command)
                done.append(command)
                assert agree(ours, theirs) or ignore_reply(command), (len(done), command, ours, theirs)
            same_state(live, server, f"after {len(done)} commands, last {done[-batch:]}")
        server.execute("DEBUG", "LOADAOF")
        replayed = Dataset(release)
        replay = Replay(replayed)
        replay.run(log_of(directory))
        assert not replay.failed, replay.findings.items
        same_state(replayed, server, "after replaying the log")


def same_state(dataset: Dataset, server: Server, when: str) -> None:
    """Every key of the selected database has the same type, encoding and value on both sides."""
    keys = server.execute("KEYS", "*")
    assert isinstance(keys, list)
    assert {k for k in keys if isinstance(k, bytes)} == set(dataset.keys), when
    for key, held in dataset.keys.items():
        _same_cell(key, cell_of_held(held), dataset.release, server, when)
    if not any(_has_negative_zero(cell_of_held(held)) for _, held in dataset.keys.items()):
        assert digest_of_dataset(dataset) == server.digest(), when


def _has_negative_zero(cell: Cell) -> bool:
    """Whether a restart may change the digest: a listpack, which a small set becomes, has no negative zero."""
    return isinstance(cell, SortedSetCell) and any(_same(score, -0.0) for score in cell.scores.values())


def _same_cell(key: bytes, cell: Cell, release: Release, server: Server, when: str) -> None:
    encoding = server.execute("OBJECT", "ENCODING", key)
    if isinstance(cell, SortedSetCell):
        packed = b"listpack" if release.has(LISTPACKS) else b"ziplist"
        assert encoding == (b"skiplist" if cell.encoding == SKIPLIST else packed), (key, encoding, len(cell), when)
        theirs = server.execute("ZRANGE", key, 0, -1, "WITHSCORES")
        assert isinstance(theirs, list)
        members = cell.order().slice(0, len(cell.scores))
        assert members == theirs[::2], (key, when)
        for member, score in zip(members, theirs[1::2], strict=True):
            assert isinstance(score, bytes)
            assert _same(cell.scores[member], float(score)), (key, member, cell.scores[member], score, when)
    elif isinstance(cell, StringCell):
        theirs = server.execute("GET", key)
        assert cell.get() == theirs, (key, cell.get(), theirs, when)
        assert encoding == encoding_name(release, key, cell).encode(), (key, encoding, when)
    elif isinstance(cell, StreamCell):
        _same_stream(key, cell, server, when)


def _same_stream(key: bytes, cell: StreamCell, server: Server, when: str) -> None:
    theirs = server.execute("XRANGE", key, "-", "+")
    ours = [[text_of(entry), items] for entry, items in cell.after(-1, 0)]
    assert ours == theirs, (key, when)
    facts = _pairs(server.execute("XINFO", "STREAM", key, "FULL", "COUNT", "0"))
    assert facts[b"length"] == cell.length, (key, when)
    assert facts[b"last-generated-id"] == text_of(cell.last_id), (key, when)
    assert facts[b"radix-tree-keys"] == len(cell.nodes), (key, when, facts, [n.count for n in cell.nodes])
    if b"entries-added" in facts:
        assert facts[b"entries-added"] == cell.entries_added, (key, when)
        assert facts[b"max-deleted-entry-id"] == text_of(cell.max_deleted_id), (key, when)
    groups = facts[b"groups"]
    assert isinstance(groups, list)
    assert len(groups) == len(cell.groups), (key, when)
    for group in map(_pairs, groups):
        name = group[b"name"]
        assert isinstance(name, bytes)
        own = cell.groups[name]
        assert group[b"last-delivered-id"] == text_of(own.last_id), (key, name, when)
        if b"entries-read" in group:
            assert group[b"entries-read"] == (None if own.entries_read < 0 else own.entries_read), (key, name, when)
        pending = group.get(b"pending", group.get(b"pel"))
        assert isinstance(pending, list)
        known = [[text_of(id_of(e)), c.consumer.name, c.deliveries] for e, c in sorted(own.pending.items())]
        assert [[p[0], p[1], p[3]] for p in pending if isinstance(p, list)] == known, (key, name, when)
        if "log" in when:
            times = [c.delivered_ms for _, c in sorted(own.pending.items())]
            assert [p[2] for p in pending if isinstance(p, list)] == times, (key, name, when)
        consumers = group[b"consumers"]
        assert isinstance(consumers, list)
        counts = {c[b"name"]: c[b"pel-count"] for c in map(_pairs, consumers)}
        assert counts == {consumer.name: consumer.count for consumer in own.consumers.values()}, (key, name, when)


def _pairs(reply: Reply) -> dict[bytes, Reply]:
    assert isinstance(reply, list)
    return {name: reply[i + 1] for i, name in enumerate(reply) if i % 2 == 0 and isinstance(name, bytes)}
