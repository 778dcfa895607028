"""Sums by prefix are right, whatever is folded, and memory is bounded."""

from __future__ import annotations

import random

import pytest

from rdbtool.analysis.prefixes import ROOM, Branch, Prefixes, PrefixTree, pattern_of

SEED = 20260303


def check(branch: Branch) -> int:
    """That the sums of a branch add up; how many prefixes are behind it."""
    assert branch.own_keys >= 0
    assert branch.own_bytes >= 0
    assert branch.keys == branch.own_keys + branch.other_keys + sum(b.keys for b in branch.branches)
    assert branch.bytes == branch.own_bytes + branch.other_bytes + sum(b.bytes for b in branch.branches)
    assert [b.bytes for b in branch.branches] == sorted((b.bytes for b in branch.branches), reverse=True)
    return len(branch.branches) + sum(check(b) for b in branch.branches)


def named(branch: Branch) -> dict[bytes, Branch]:
    found = {branch.name: branch}
    for below in branch.branches:
        found |= named(below)
    return found


def test_keys_count_in_every_prefix_they_have() -> None:
    tree = PrefixTree(Prefixes(b":", 2))
    for key, size in ((b"a:b:c:d", 1), (b"a:b:e", 10), (b"a:x", 100), (b"plain", 1000), (b":", 10000)):
        tree.add(key, size, size)
    found = named(tree.tree())
    assert {name: (b.keys, b.bytes) for name, b in found.items()} == {
        b"": (5, 11111),
        b"a:": (3, 111),
        b"a:b:": (2, 11),
        b":": (1, 10000),
    }
    assert found[b"a:"].own_bytes == 100
    assert found[b""].own_bytes == 1000
    check(tree.tree())


def test_longer_separators_and_no_separator_in_a_key() -> None:
    tree = PrefixTree(Prefixes(b"--", 3))
    for key in (b"a--b--c", b"a-b", b"a--", b"--"):
        tree.add(key, 1, 1)
    assert set(named(tree.tree())) == {b"", b"a--", b"a--b--", b"--"}


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_memory_is_bounded_and_sums_stay_right(limit: int) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    tree = PrefixTree(Prefixes(b":", 3, limit))
    keys = total = 0
    for _ in range(20_000):
        key = b"%s:%d:%d:x" % (rng.choice((b"big", b"small", b"few")), rng.getrandbits(14), rng.getrandbits(3))
        size = rng.randint(1, 500) * (20 if key.startswith(b"big") else 1)
        tree.add(key, size, 1)
        keys += 1
        total += size
        assert len(tree.prefixes) <= ROOM * limit + 3
    root = tree.tree()
    assert (root.keys, root.bytes) == (keys, total)
    assert check(root) <= limit
    assert root.branches[0].name == b"big:"
    assert tree.folded > 0


def test_trees_merge() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    settings = Prefixes(b":", 3, 10_000)
    whole, *parts = (PrefixTree(settings) for _ in range(4))
    for _ in range(2000):
        key = b":".join(b"%d" % rng.getrandbits(2) for _ in range(rng.randint(1, 5)))
        size = rng.randint(1, 100)
        whole.add(key, size, 1)
        rng.choice(parts).add(key, size, 1)
    for part in parts[1:]:
        parts[0].merge(part)
    told = [{n: (b.keys, b.bytes, b.own_bytes) for n, b in named(tree.tree()).items()} for tree in (whole, parts[0])]
    assert told[0] == told[1]


def test_trees_that_were_folded_merge() -> None:
    rng = random.Random(SEED)
    trees = [PrefixTree(Prefixes(b":", 2, 20)) for _ in range(3)]
    total = 0
    for _ in range(5000):
        tree = rng.choice(trees)
        tree.add(b"%d:%d:x" % (rng.getrandbits(6), rng.getrandbits(6)), 7, 1)
        total += 7
    for tree in trees[1:]:
        trees[0].merge(tree)
    root = trees[0].tree()
    assert root.bytes == total
    assert check(root) <= 20


@pytest.mark.parametrize(
    ("key", "pattern"),
    [
        (b"user:1234", b"user:{n}"),
        (b"user:1234:cart", b"user:{n}:cart"),
        (b"session:550e8400-e29b-41d4-a716-446655440000", b"session:{uuid}"),
        (b"550E8400-E29B-41D4-A716-446655440000:x", b"{uuid}:x"),
        (b"a:550e8400-e29b-41d4-a716-4466554400zz", b"a:{hex}-e{n}b-{n}d{n}-a{n}-{n}zz"),
        (b"tok:deadbeef01234567", b"tok:{hex}"),
        (b"tok:deadbeef", b"tok:deadbeef"),
        (b"page12b", b"page{n}b"),
        (b"2026-01-02", b"{n}-{n}-{n}"),
        (b"facade", b"facade"),
        (b"", b""),
        (b"{user1}:x", b"{user{n}}:x"),
        (b"\xff\x001", b"\xff\x00{n}"),
    ],
)
def test_ids_fold_to_patterns(key: bytes, pattern: bytes) -> None:
    assert pattern_of(key) == pattern


def test_with_patterns_whole_names_are_prefixes() -> None:
    tree = PrefixTree(Prefixes(b":", 3, patterns=True))
    for i in range(100):
        tree.add(b"user:%d:cart" % i, 5, 1)
        tree.add(b"user:%d" % i, 1, 1)
    found = named(tree.tree())
    assert found[b"user:{n}:cart"].bytes == 500
    assert found[b"user:{n}"].bytes == 100
    assert found[b"user:{n}:"].bytes == 500
    assert found[b"user:"].bytes == 600
    check(tree.tree())
