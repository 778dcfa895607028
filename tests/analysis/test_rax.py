"""The nodes of a radix tree, against one that is built."""

from __future__ import annotations

import random
import struct

from rdbtool.analysis.rax import Rax
from rdbtool.servers.memory import LIBC, Allocator

SEED = 20260302


def nodes_of(keys: list[bytes]) -> list[tuple[int, bool]]:
    """Nodes as (bytes or children, compressed) of the tree that rax.c builds; a leaf is (0, False)."""
    if len(keys) == 1:
        rest = keys[0]
        return ([(len(rest), True)] if rest else []) + [(0, False)]
    common = 0
    while all(key[common] == keys[0][common] for key in keys):
        common += 1
    nodes = [(common, True)] if common else []
    branches: dict[int, list[bytes]] = {}
    for key in keys:
        branches.setdefault(key[common], []).append(key[common + 1 :])
    nodes.append((len(branches), False))
    for below in branches.values():
        nodes += nodes_of(below)
    return nodes


def size_of(node: tuple[int, bool], allocator: Allocator) -> int:
    width, compressed = node
    if width == 0:
        return allocator.size(16)
    return allocator.size((4 + width + 7) // 8 * 8 + 8 * (1 if compressed else width))


def test_nodes_and_bytes_are_those_of_the_tree() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    allocator = Allocator(LIBC)
    rax = Rax(allocator)
    for _ in range(300):
        step = rng.choice((1, 3, 300, 70_000, 1 << 40))
        ms = rng.getrandbits(41)
        ids = set()
        for _ in range(rng.randint(1, 60)):
            ms += rng.randint(0, step)
            ids.add(struct.pack(">QQ", ms, rng.randint(0, 3)))
        keys = sorted(ids)
        rax.begin()
        for key in keys:
            rax.add(key)
        rax.finish()
        nodes = nodes_of(keys)
        assert rax.nodes == len(nodes)
        assert rax.bytes == sum(size_of(node, allocator) for node in nodes)
        assert rax.keys == len(keys)


def test_an_empty_tree_is_one_node() -> None:
    rax = Rax(Allocator(LIBC))
    rax.begin()
    rax.finish()
    assert (rax.keys, rax.nodes) == (0, 1)
