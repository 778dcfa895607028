"""A node of a stream against a plain list of its entries, and its listpack against one made by other hands."""

from __future__ import annotations

import os
import random

from rdbtool.basics.numbers import is_integer
from rdbtool.io.window import window_over
from rdbtool.model import Stream
from rdbtool.rdb.encode import encode
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.stream_node import node_entries
from rdbtool.rdb.targets import target
from rdbtool.rdb.values.stream_nodes import (
    NODE_BYTES,
    NODE_ENTRIES,
    Node,
    PackedNodes,
    add_entry,
    pair_of,
)
from rdbtool.servers.limits import Limits
from tests.rdb.craft import listpack
from tests.rdb.values_strategies import element

TIMES = int(os.environ.get("RDBTOOL_TEST_TIMES", "1"))
U64 = (1 << 64) - 1
MASTERS = (1, 5 << 64, (1_700_000_000_000 << 64) + 3, (1 << 127) + (1 << 63), (U64 - 5) << 64 | (U64 - 3))


def signed(n: int) -> int:
    return (n + (1 << 63)) % (1 << 64) - (1 << 63)


def packed(item: bytes) -> bytes | int:
    return int(item) if is_integer(item) else item


class Plain:
    """The entries of a node, deleted ones too: id, whether it is deleted, fields and values."""

    def __init__(self, first: int, fields: list[bytes]) -> None:
        self.first = first
        self.fields = fields
        self.all: list[tuple[int, bool, list[bytes]]] = []

    def live(self) -> list[tuple[int, list[bytes]]]:
        return [(entry, items) for entry, deleted, items in self.all if not deleted]

    def listpack(self, *, deleted_too: bool) -> bytes:
        kept = [e for e in self.all if deleted_too or not e[1]]
        dead = sum(deleted for _, deleted, _ in kept)
        parts: list[bytes | int] = [len(kept) - dead, dead, len(self.fields), *map(packed, self.fields), 0]
        for entry, deleted, items in kept:
            same = items[::2] == self.fields
            own: list[bytes | int] = [
                deleted | same << 1,
                signed((entry >> 64) - (self.first >> 64)),
                signed((entry & U64) - (self.first & U64)),
            ]
            own += map(packed, items[1::2]) if same else [len(items) // 2, *map(packed, items)]
            parts += [*own, len(own)]
        return listpack(*parts)


def next_id(rng: random.Random, after: int) -> int:
    """A greater id: often the next, sometimes far away, its sequence number anything."""
    ms, seq = after >> 64, after & U64
    step = rng.random()
    if step < 0.4 and seq < U64:
        return ms << 64 | rng.choice((seq + 1, min(seq + (1 << rng.randrange(64)), U64)))
    ms += 1 if step < 0.8 else 1 << rng.randrange(63)
    return min(ms, U64) << 64 | rng.choice((0, rng.getrandbits(64), U64)) if ms <= U64 else 0


def items_of(rng: random.Random, fields: list[bytes]) -> list[bytes]:
    if rng.random() < 0.2:
        fields = [element(rng) for _ in range(rng.choice((1, 2, 3, 90)))]
    long = rng.random() < 0.02
    return [x for field in fields for x in (field, bytes(rng.randint(4000, 20000)) if long else element(rng))]


def test_a_node_is_what_a_plain_list_of_entries_is() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    scratch = ListpackBuilder()
    for _ in range(5 * TIMES):
        first = rng.choice(MASTERS)
        fields = [element(rng) for _ in range(rng.choice((1, 2, 3, 90)))]
        node = Node(first, fields, scratch)
        plain = Plain(first, fields)
        entry = first
        for _ in range(rng.choice((1, 5, 100))):
            node.append(entry, items := items_of(rng, fields), scratch)
            plain.all.append((entry, False, items))
            while rng.random() < 0.4 and (live := plain.live()):
                gone = live[0 if rng.random() < 0.6 else rng.randrange(len(live))][0]
                at = node.remove(node.find(gone))
                plain.all = [(e, deleted or e == gone, x) for e, deleted, x in plain.all]
                after = [e for e, _ in live if e > gone]
                assert [node.id_at(at)] == after[:1] if after else at == len(node.run)
            check(rng, node, plain)
            entry = next_id(rng, entry)
            if not entry:
                break
        assert node_entries(pair_of(first), node.listpack()) == [(pair_of(e), items) for e, items in plain.live()]
        assert node.listpack() == plain.listpack(deleted_too=False)


def check(rng: random.Random, node: Node, plain: Plain) -> None:
    live = plain.live()
    assert (node.count, node.dead, node.last) == (len(live), len(plain.all) - len(live), plain.all[-1][0])
    assert node.size == len(plain.listpack(deleted_too=True))
    for entry, deleted, items in rng.choices(plain.all, k=3):
        at = node.find(entry)
        assert (at < 0) == deleted
        if not deleted:
            assert (node.id_at(at), node.items_at(at)) == (entry, items)
        for near in (entry - 1, entry, entry + 1):
            beyond = node.beyond(near)
            found = [e for e, _ in live if e > near]
            assert node.id_at(beyond) == found[0] if found else beyond == len(node.run)
    if live:
        assert node.top() == live[-1][0]
        assert node.id_at(node.start) == live[0][0]


def test_packed_entries_are_written_as_they_stand_and_read_back() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    scratch = ListpackBuilder()
    to = target("redis-7.2")
    for _ in range(10):
        nodes: list[Node] = []
        expected: dict[int, list[bytes]] = {}
        fields = [b"f", b"7"]
        entry = rng.choice(MASTERS)
        while entry and len(expected) < 250:
            expected[entry] = items_of(rng, fields)
            add_entry(nodes, entry, expected[entry], NODE_BYTES, NODE_ENTRIES, scratch)
            entry = next_id(rng, entry)
        for node in nodes:
            while node.count and rng.random() < 0.7:
                at = node.find(gone := rng.choice([e for e in expected if node.first <= e <= node.last]))
                del expected[gone]
                node.remove(at)
        pairs = [(pair_of(e), items) for e, items in expected.items()]
        row, payload = encode(Stream(PackedNodes(nodes)), to, compress=False)
        for node in nodes:
            assert (node.listpack() in payload) == (node.count > 0)
        assert row.value(window_over(payload)).entries == pairs  # type: ignore[union-attr]
        # once opened, or within other limits, they are built anew
        opened = Stream(PackedNodes(nodes))
        assert opened.entries == pairs
        assert opened.packed is None
        small = Limits(stream_node_entries=3)
        for stream in (opened, Stream(PackedNodes(nodes))):
            _, payload = encode(stream, to, limits=small, compress=False)
            assert payload[0] >= len(pairs) / 3 or payload[0] >= 0x40
            assert row.value(window_over(payload)).entries == pairs  # type: ignore[union-attr]
