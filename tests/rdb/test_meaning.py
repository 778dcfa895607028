"""The meaning of values: every fact counts, and equality, digest and details agree."""

from __future__ import annotations

import random
from typing import Final

import pytest

from rdbtool.errors import FormatError, RdbToolError
from rdbtool.model import Hash, Module, Value
from rdbtool.rdb import meaning
from rdbtool.rdb.compare import Rules
from rdbtool.rdb.dump_payload import dump
from rdbtool.rdb.frame import frame_of
from rdbtool.rdb.layout.visitor import Visitor, visit_value
from rdbtool.rdb.meaning import Facts, Fingerprint, Meaning, Scope, facts, fingerprint, joined, parted
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.targets import target
from rdbtool.rdb.types import TABLE, TypeRow, row_of
from rdbtool.tasks.diff.details import changes
from tests.rdb.craft import counted, encode_length, string, strings
from tests.rdb.meanings import facts_of, fingerprint_of
from tests.rdb.one_fact import MODEL, PAIRS, Pair, attributes, differing_attributes, plain, stream_value
from tests.rdb.values_strategies import KINDS, any_value

EVERYTHING: Final = Rules(eviction=True)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.label)
def test_a_fact_counts_for_equality_digest_and_details_alike(pair: Pair) -> None:
    for rules in (Rules(), EVERYTHING):
        left, right = facts_of(pair.left, rules), facts_of(pair.right, rules)
        same = not pair.part or (pair.eviction and not rules.eviction)
        assert left.same(right) is same
        assert right.same(left) is same
        assert (fingerprint_of(pair.left, rules) == fingerprint_of(pair.right, rules)) is same
        for found in (list(changes(left, right)), list(changes(right, left))):
            assert {(change.part, change.name) for change in found} == (set() if same else {(pair.part, pair.name)})


def test_every_attribute_of_the_model_is_a_fact() -> None:
    """A pair of values differs in it: a new attribute fails here until somebody says what it means."""
    found = {place for pair in PAIRS for place in differing_attributes(pair.left, pair.right)}
    instances = {type(thing).__name__: thing for pair in PAIRS for thing in inside(pair.left)}
    assert {kind.__name__ for kind in MODEL} == set(instances)
    assert found == {(kind, name) for kind, thing in instances.items() for name in attributes(thing)} - {
        ("Module", "name"),  # encoded in an id, of another type
        ("Stream", "producers"),  # what is in it counts
    }


def inside(thing: object) -> list[object]:
    """The objects of the model in a value."""
    if isinstance(thing, MODEL):
        return [thing, *(part for value in attributes(thing).values() for part in inside(value))]
    if isinstance(thing, dict):
        return [part for value in thing.values() for part in inside(value)]
    return []


def test_every_part_of_a_value_is_shown_when_it_differs() -> None:
    """No part of `rdb.meaning` is without a pair of values that differ in it."""
    parts = {value for name, value in vars(meaning).items() if name.isupper() and isinstance(value, str)}
    found = set()
    for pair in PAIRS:
        for value in (facts_of(pair.left, EVERYTHING), facts_of(pair.right, EVERYTHING)):
            found |= {*value.own, *(part for group in value.groups.values() for part in group)}
    assert found == parts


def test_meaning_takes_all_that_a_visitor_is_told() -> None:
    told = {name for name in vars(Visitor) if not name.startswith("_")} - {"IGNORES", "left_out"}
    assert not Meaning.IGNORES
    assert told - set(vars(Meaning)) == {"score_integer", "score_text"}  # these tell `score`


def test_all_parts_of_the_name_of_a_module_count() -> None:
    left, right = Module("hellotype", 1, b"\x00"), Module("otherdata", 1, b"\x00")
    assert not facts_of(left).same(facts_of(right))
    assert fingerprint_of(left) != fingerprint_of(right)


def variant(rng: random.Random, value: Value) -> Value:
    """A value that is nearly ``value``: one payload, with some bytes changed, decoded."""
    payload, row = encoded(value)
    for _ in range(20):
        data = bytearray(payload)
        for _ in range(rng.randint(1, 2)):
            data[rng.randrange(len(data))] = rng.getrandbits(8)
        try:
            other = frame_of(0, b"k", row, bytes(data)).value()
        except RdbToolError:
            continue
        return other
    return value


def encoded(value: Value, name: str = "redis-8.6") -> tuple[bytes, TypeRow]:
    """The payload of a value, and its type."""
    data = dump(value, target(name))
    row = TABLE[REDIS][data[0]]
    assert row is not None
    return data[1:-10], row


@pytest.mark.parametrize("kind", KINDS)
def test_digests_are_equal_where_values_are(kind: str) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    different = 0
    for _ in range(60):
        left = any_value(rng, kind)
        right = variant(rng, left)
        before, after = facts_of(left, EVERYTHING), facts_of(right, EVERYTHING)
        same = before.same(after)
        assert same == (fingerprint_of(left, EVERYTHING) == fingerprint_of(right, EVERYTHING))
        assert same == (not list(changes(before, after)))
        assert same == (plain(left) == plain(right))
        different += not same
    assert different > 20


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_of_a_value_tell_what_the_decoded_value_tells(kind: str) -> None:
    seed = random.getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(30):
        value = any_value(rng, kind)
        for name in ("redis-6.2", "redis-7.0", "redis-8.6"):
            if isinstance(value, Hash) and value.expiries and name != "redis-8.6":
                continue
            payload, row = encoded(value, name)
            frame = frame_of(0, b"k", row, payload)
            scope = Scope(Rules(), row, row)
            expected, digest = Facts(scope), Fingerprint(scope)
            visit_value(frame.value(), expected)
            visit_value(frame.value(), digest)
            assert facts(frame_of(0, b"k", row, payload), scope).same(expected)
            assert fingerprint(frame_of(0, b"k", row, payload), scope) == digest.digest()


def test_a_tolerance_for_expiries_holds_for_fields() -> None:
    left, right = Hash({b"f": b"v", b"g": b"w"}, {b"f": 1000}), Hash({b"f": b"v", b"g": b"w"}, {b"f": 1010})
    for tolerance, same in ((0, False), (9, False), (10, True), (-1, True)):
        assert facts_of(left, Rules(tolerance)).same(facts_of(right, Rules(tolerance))) is same
    assert fingerprint_of(left, Rules(-1)) == fingerprint_of(right, Rules(-1))
    right.expiries = {b"g": 1000}
    assert not facts_of(left, Rules(10)).same(facts_of(right, Rules(10)))


@pytest.mark.parametrize("name", ["stream-listpacks", "stream-listpacks2", "stream-listpacks3", "stream-listpacks4"])
def test_what_one_encoding_cannot_tell_does_not_count(name: str) -> None:
    version = int(name.removeprefix("stream-listpacks") or 1)
    for rows in ((row_of(REDIS, name), row_of(REDIS, "stream-listpacks5")), (row_of(REDIS, name),) * 2):
        scope = Scope(EVERYTHING, *rows)
        assert (scope.counters, scope.active_times, scope.producers) == (version >= 2, version >= 3, version >= 4)
        found = Facts(scope)
        visit_value(stream_value(), found)
        assert ("producer" in found.own) is (version >= 4)
        assert ("active" in found.groups[b"g"]) is (version >= 3)
        assert (b"entries added" in found.own["counter"]) is (version >= 2)


@pytest.mark.parametrize(
    ("type_byte", "payload"),
    [
        (2, counted(b"a", b"b", b"a")),
        (4, encode_length(2) + strings(b"a", b"1", b"a", b"2")),
        (5, encode_length(2) + 2 * (string(b"a") + bytes(8))),
    ],
    ids=["set", "hash", "zset"],
)
def test_what_stands_twice_is_damage(type_byte: int, payload: bytes) -> None:
    row = TABLE[REDIS][type_byte]
    assert row is not None
    with pytest.raises(FormatError, match="more than once"):
        facts(frame_of(0, b"k", row, payload), Scope(Rules(), row, row))


@pytest.mark.parametrize("parts", [[], [b""], [b"", b""], [b"1:a", b":"], [b"12", b"3:"]])
def test_joined_strings_come_apart_as_they_were(parts: list[bytes]) -> None:
    assert parted(joined(parts)) == parts
