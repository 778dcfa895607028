"""What `diff` shows of the inside of values, and how it writes it down."""

from __future__ import annotations

import random
from collections import deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbtool.aof.command_text import split
from rdbtool.model import Consumer, Group, Hash, Pending, SortedSet, Stream, Value
from rdbtool.rdb.compare import Rules
from rdbtool.tasks.diff.details import Change, changes
from rdbtool.tasks.diff.edits import THOROUGH, edits, overlap, shared_head
from rdbtool.tasks.diff.lines import expiry_text, quoted
from tests.rdb.meanings import facts_of


def changes_between(left: Value, right: Value, rules: Rules | None = None) -> list[Change]:
    before, after = facts_of(left, rules), facts_of(right, rules)
    found = list(changes(before, after))
    assert bool(found) != before.same(after)
    return found


def inside(
    left: Value, right: Value, rules: Rules | None = None
) -> list[tuple[str, str, bytes, bytes | None, bytes | None]]:
    found = changes_between(left, right, rules)
    return [(c.op, c.part, c.name, c.left, c.right) for c in found]


def test_fields_of_hashes() -> None:
    left = Hash({b"a": b"1", b"b": b"2", b"c": b"3"}, {b"c": 50})
    right = Hash({b"a": b"1", b"b": b"x", b"d": b"4"})
    assert inside(left, right) == [
        ("changed", "field", b"b", b"2", b"x"),
        ("removed", "field", b"c", b"3", None),
        ("added", "field", b"d", None, b"4"),
    ]


def test_expiries_of_fields() -> None:
    left = Hash({b"a": b"1", b"b": b"2"}, {b"a": 50})
    right = Hash({b"a": b"1", b"b": b"2"}, {b"a": 60, b"b": 70})
    assert inside(left, right) == [
        ("changed", "field expiry", b"a", b"50", b"60"),
        ("added", "field expiry", b"b", None, b"70"),
    ]
    assert inside(left, right, Rules(10)) == [("added", "field expiry", b"b", None, b"70")]
    assert not inside(left, right, Rules(-1))


def test_members() -> None:
    assert inside({b"a": None, b"b": None}, {b"c": None, b"a": None}) == [
        ("removed", "member", b"b", b"", None),
        ("added", "member", b"c", None, b""),
    ]
    assert inside(SortedSet({b"a": 1.0, b"b": 0.1}), SortedSet({b"b": 0.2, b"c": float("inf")})) == [
        ("removed", "member", b"a", b"1", None),
        ("changed", "member", b"b", b"0.1", b"0.2"),
        ("added", "member", b"c", None, b"inf"),
    ]


def test_items_of_lists_are_those_taken_out_and_put_in() -> None:
    found = changes_between(deque([b"a", b"b", b"c"]), deque([b"b", b"x", b"c"]))
    assert found == [Change("item", left=b"a", index=0), Change("item", right=b"x", index=1)]


def test_lines_of_texts_and_the_first_byte_of_other_strings() -> None:
    found = changes_between(b"one\ntwo\nthree\n", b"one\n2\nthree\n")
    assert found == [Change("line", left=b"two", index=1), Change("line", right=b"2", index=1)]
    assert changes_between(b"\x00abc", b"\x00abd") == [Change("bytes", left=b"\x00abc", right=b"\x00abd", index=3)]


def test_everything_in_a_stream() -> None:
    def stream() -> Stream:
        made = Stream()
        made.entries = [((1, 0), [b"f", b"v"]), ((2, 0), [b"f", b"w"])]
        made.last_id = (2, 0)
        made.entries_added = 2
        group = Group((1, 0), 1)
        group.consumers = {b"c": Consumer(5, 5)}
        group.pending = [Pending((1, 0), b"c", 7, 1)]
        made.groups = {b"g": group}
        return made

    left, right = stream(), stream()
    assert not inside(left, right)
    right.entries = [right.entries[1], ((3, 0), [b"f", b"x"])]
    right.last_id = (3, 0)
    right.max_deleted_id = (1, 0)
    right.entries_added = 3
    right.groups[b"g"].last_id = (3, 0)
    right.groups[b"g"].entries_read = 3
    right.groups[b"g"].consumers[b"d"] = Consumer(6, 6)
    right.groups[b"g"].pending[0].deliveries = 2
    right.groups[b"h"] = Group((0, 0))
    assert inside(left, right) == [
        ("removed", "entry", b"1-0", b"f v", None),
        ("added", "entry", b"3-0", None, b"f x"),
        ("changed", "counter", b"last id", b"2-0", b"3-0"),
        ("changed", "counter", b"greatest deleted id", b"0-0", b"1-0"),
        ("changed", "counter", b"entries added", b"2", b"3"),
        ("changed", "group", b"g", b"1-0", b"3-0"),
        ("changed", "counter", b"g/entries read", b"1", b"3"),
        ("added", "consumer", b"g/d", None, b""),
        ("changed", "pending", b"g/1-0", b"c, delivered at 7, 1 times", b"c, delivered at 7, 2 times"),
        ("added", "group", b"h", None, b"0-0"),
    ]


small_lists = st.lists(st.integers(0, 4), max_size=30)


@given(small_lists, small_lists)
def test_edits_turn_one_list_into_the_other(left: list[int], right: list[int]) -> None:
    found = list(edits(left, right))
    assert rebuilt(left, right) == right
    assert all(e.left_end > e.left_start or e.right_end > e.right_start for e in found)
    for a, b in pairwise(found):
        assert a.left_end <= b.left_start
        assert a.right_end <= b.right_start
    assert bool(found) == (left != right)


def rebuilt(left: list[int], right: list[int]) -> list[int]:
    out: list[int] = []
    at = 0
    for edit in edits(left, right):
        out += left[at : edit.left_start]
        assert len(out) == edit.right_start
        out += right[edit.right_start : edit.right_end]
        at = edit.left_end
    return out + left[at:]


@given(small_lists, small_lists)
def test_overlap_is_the_longest(left: list[int], right: list[int]) -> None:
    longest = max(n for n in range(min(len(left), len(right)) + 1) if left[len(left) - n :] == right[:n])
    assert overlap(left, right) == longest
    assert shared_head(left, right) == next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )


@pytest.mark.parametrize("turned", [False, True])
def test_a_long_queue_that_moved_on_is_told_by_its_ends(turned: bool) -> None:
    left = list(range(20_000))
    right = left[3000:] + list(range(50_000, 52_000))
    if turned:
        left.reverse()
        right.reverse()
    found = [(e.left_end - e.left_start, e.right_end - e.right_start) for e in edits(left, right)]
    assert sorted(found) == [(0, 2000), (3000, 0)]


def test_long_lists_without_much_in_common_are_told_plainly() -> None:
    rng = random.Random(4)
    left = [rng.getrandbits(40) for _ in range(5000)]
    right = [rng.getrandbits(40) for _ in range(5000)]
    assert len(left) * len(right) > THOROUGH
    assert len(list(edits(left, right))) == 1


@given(st.lists(st.binary(max_size=20), min_size=1))
def test_quoted_arguments_are_read_back(args: list[bytes]) -> None:
    line = b" ".join(map(quoted, args))
    assert b"\n" not in line
    assert split(line) == args


def test_expiries_are_shown_as_times() -> None:
    assert expiry_text(-1) == "none"
    assert expiry_text(1_767_225_600_001) == "2026-01-01T00:00:00.001Z"
    assert expiry_text(1 << 60) == f"{1 << 60} ms"
