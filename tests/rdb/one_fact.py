"""Pairs of values that differ in one fact, for every fact of every type."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from rdbtool.model import Array, Consumer, Group, Hash, Module, PathHash, Pending, SortedSet, Stream, Value
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.rdb.values.stream_nodes import of_pair

MODULE_NAME: Final = "hellotype"


@dataclass(frozen=True)
class Pair:
    """Two values. ``part`` and ``name`` are those of the one `Change` between them; an empty ``part``: they mean the
    same. ``eviction``: the fact counts only where idle times do.
    """

    label: str
    left: Value
    right: Value
    part: str = ""
    name: bytes = b""
    eviction: bool = False


def hash_value() -> Hash:
    return Hash({b"a": b"1", b"b": b"2", b"c": b"3"}, {b"b": 4_000_000_000_000})


def zset_value() -> SortedSet:
    return SortedSet({b"a": 1.0, b"b": 0.0})


def module_value() -> Module:
    return Module(MODULE_NAME, 1, b"\x02\x07\x00")  # an unsigned integer, 7, and the end


def producers() -> Idempotence:
    state = Idempotence()
    state.producers = {b"p": {b"m": of_pair((1, 0)), b"n": of_pair((2, 0))}, b"q": {b"m": of_pair((2, 0))}}
    state.added = 3
    state.duplicates = 1
    return state


def stream_value() -> Stream:
    value = Stream()
    value.entries = [((1, 0), [b"f", b"v", b"g", b"w"]), ((2, 0), [b"f", b"x"])]
    value.last_id = (5, 0)
    value.max_deleted_id = (3, 0)
    value.entries_added = 7
    group = Group((2, 0), 2)
    group.consumers = {b"c": Consumer(50, 40), b"d": Consumer(60, 60)}
    group.pending = [Pending((1, 0), b"c", 70, 1), Pending((2, 0), b"c", 71, 2)]
    value.groups = {b"g": group, b"h": Group((0, 0), 0)}
    value.idmp = producers().encoded()
    return value


def release(stream: Stream) -> None:
    """Make one of the entries that are pending nobody's."""
    group = stream.groups[b"g"]
    group.pending[1].is_released = True
    group.released = [group.pending[1].entry]


STREAM_EDITS: Final[list[tuple[str, Callable[[Stream], object], str, bytes]]] = [
    ("value of a field", lambda s: s.entries.__setitem__(0, ((1, 0), [b"f", b"v", b"g", b"W"])), "entry", b"1-0"),
    ("border of two strings", lambda s: s.entries.__setitem__(1, ((2, 0), [b"fx", b""])), "entry", b"2-0"),
    ("order of fields", lambda s: s.entries.__setitem__(0, ((1, 0), [b"g", b"w", b"f", b"v"])), "entry", b"1-0"),
    ("another entry", lambda s: s.entries.append(((4, 0), [b"f", b"y"])), "entry", b"4-0"),
    ("last id", lambda s: setattr(s, "last_id", (6, 0)), "counter", b"last id"),
    ("greatest deleted id", lambda s: setattr(s, "max_deleted_id", (3, 1)), "counter", b"greatest deleted id"),
    ("entries added", lambda s: setattr(s, "entries_added", 8), "counter", b"entries added"),
    ("another group", lambda s: s.groups.update({b"i": Group((0, 0), 0)}), "group", b"i"),
    ("last id of a group", lambda s: setattr(s.groups[b"h"], "last_id", (1, 0)), "group", b"h"),
    ("entries a group read", lambda s: setattr(s.groups[b"h"], "entries_read", -1), "counter", b"h/entries read"),
    ("another consumer", lambda s: s.groups[b"g"].consumers.update({b"e": Consumer(1, 1)}), "consumer", b"g/e"),
    ("another pending entry", lambda s: s.groups[b"g"].pending.pop(1), "pending", b"g/2-0"),
    ("consumer of it", lambda s: setattr(s.groups[b"g"].pending[1], "consumer", b"d"), "pending", b"g/2-0"),
    ("time of it", lambda s: setattr(s.groups[b"g"].pending[1], "delivered_ms", 72), "pending", b"g/2-0"),
    ("deliveries of it", lambda s: setattr(s.groups[b"g"].pending[1], "deliveries", 3), "pending", b"g/2-0"),
    ("nobody's", release, "pending", b"g/2-0"),
]

PRODUCER_EDITS: Final[list[tuple[str, Callable[[Idempotence], object], str, bytes]]] = [
    ("duration", lambda i: setattr(i, "duration_s", 99), "counter", b"idempotence/duration"),
    ("messages kept", lambda i: setattr(i, "max_size", 99), "counter", b"idempotence/maxsize"),
    ("messages added", lambda i: setattr(i, "added", 4), "counter", b"idempotence/added"),
    ("duplicates seen", lambda i: setattr(i, "duplicates", 2), "counter", b"idempotence/duplicates"),
    ("another producer", lambda i: i.producers.update({b"r": {}}), "producer", b"r"),
    ("another message", lambda i: i.producers[b"p"].update({b"o": of_pair((2, 0))}), "producer", b"p"),
    ("entry of a message", lambda i: i.producers[b"p"].update({b"m": of_pair((2, 0))}), "producer", b"p"),
]


def stream_pairs() -> Iterator[Pair]:
    for label, edit, part, name in STREAM_EDITS:
        right = stream_value()
        edit(right)
        yield Pair(f"stream: {label}", stream_value(), right, part, name)
    for label, edit_state, part, name in PRODUCER_EDITS:
        right = stream_value()
        state = producers()
        edit_state(state)
        right.idmp = state.encoded()
        yield Pair(f"stream: {label}", stream_value(), right, part, name)
    for name, attribute in ((b"g/c/seen", "seen_ms"), (b"g/c/active", "active_ms")):
        right = stream_value()
        setattr(right.groups[b"g"].consumers[b"c"], attribute, 55)
        yield Pair(f"stream: {name.decode()}", stream_value(), right, "counter", name, eviction=True)
    right = stream_value()
    right.groups = dict(reversed(right.groups.items()))
    state = producers()
    state.producers = {name: dict(reversed(kept.items())) for name, kept in reversed(state.producers.items())}
    right.idmp = state.encoded()
    yield Pair("stream: order of groups, producers and messages", stream_value(), right)


def pairs() -> Iterator[Pair]:
    yield Pair("string", b"one", b"onE", "bytes")
    yield Pair("string: a line", b"one\ntwo", b"one\n2", "line")
    yield Pair("list: an item", deque([b"a", b"b"]), deque([b"a", b"c"]), "item")
    yield Pair("list: border of two items", deque([b"a", b"bc"]), deque([b"ab", b"c"]), "item")
    yield Pair("list: order", deque([b"a", b"b"]), deque([b"b", b"a"]), "item")
    yield Pair("list: how often", deque([b"a"]), deque([b"a", b"a"]), "item")
    yield Pair("set: a member", dict.fromkeys([b"a", b"b"]), dict.fromkeys([b"a"]), "member", b"b")
    yield Pair("set: order", dict.fromkeys([b"a", b"b"]), dict.fromkeys([b"b", b"a"]))
    yield Pair("zset: a member", zset_value(), SortedSet({b"a": 1.0, b"b": 0.0, b"c": 2.0}), "member", b"c")
    yield Pair("zset: a score", zset_value(), SortedSet({b"a": 1.5, b"b": 0.0}), "member", b"a")
    yield Pair("zset: order", zset_value(), SortedSet({b"b": 0.0, b"a": 1.0}))
    long = b"b" * 100  # servers keep the sign where no listpack holds the set
    yield Pair("zset: sign of 0", SortedSet({long: 0.0}), SortedSet({long: -0.0}), "member", long)
    fields = hash_value().fields
    yield Pair("hash: a field", hash_value(), Hash({**fields, b"d": b"4"}, hash_value().expiries), "field", b"d")
    yield Pair("hash: a value", hash_value(), Hash({**fields, b"a": b"x"}, hash_value().expiries), "field", b"a")
    turned = dict(reversed(fields.items()))
    yield Pair("hash: order", hash_value(), Hash(turned, hash_value().expiries))
    for label, expiries in (
        ("time", {b"b": 4_000_000_000_001}),
        ("none", None),
        ("another", {b"b": 4_000_000_000_000, b"c": 4_000_000_000_000}),
    ):
        name = b"c" if label == "another" else b"b"
        yield Pair(f"hash: expiry, {label}", hash_value(), Hash(dict(fields), expiries), "field expiry", name)
    yield from stream_pairs()
    array = {0: b"a", 7: b"b"}
    yield Pair("array: an element", Array(dict(array), 7), Array({**array, 7: b"c"}, 7), "element", b"7")
    yield Pair("array: an index", Array({0: b"a"}), Array(dict(array)), "element", b"7")
    yield Pair("array: last insert", Array(dict(array), 7), Array(dict(array), 6), "counter", b"last insert")
    paths = {b"a": {b"f": b"v"}}
    yield Pair("path hash: a path", PathHash(paths), PathHash({**paths, b"b": {b"f": b"v"}}), "path", b"b")
    yield Pair("path hash: a value", PathHash(paths), PathHash({b"a": {b"f": b"w"}}), "path", b"a")
    yield Pair("path hash: none", PathHash({}), PathHash(paths), "path", b"a")
    yield Pair("module: payload", module_value(), Module(MODULE_NAME, 1, b"\x02\x08\x00"), "module", b"hellotype")
    yield Pair(
        "module: version", module_value(), Module(MODULE_NAME, 2, b"\x02\x07\x00"), "counter", b"encoding version"
    )


PAIRS: Final = list(pairs())

DERIVED: Final = {"packed", "is_configured", "idmp", "entry"}
"""Attributes that say what others do too. The state of producers is looked into; pending entries stand by their id."""


def attributes(thing: object) -> dict[str, Any]:
    """What an object of the model holds, by name."""
    names = [name for name in dir(thing) if not name.startswith("_") and name not in DERIVED]
    found = {name: getattr(thing, name) for name in names}
    found = {name: value for name, value in found.items() if not callable(value)}
    if isinstance(thing, Stream):
        found["producers"] = Idempotence(thing.idmp)
    if isinstance(thing, Group):
        found["pending"] = {pending.entry: pending for pending in thing.pending}
    return found


MODEL: Final = (Hash, SortedSet, Stream, Group, Consumer, Pending, Module, Idempotence, Array, PathHash)


def plain(thing: Any) -> Any:
    """A value as dicts and tuples, which compare as Redis does: by all that the model holds."""
    if isinstance(thing, MODEL):
        return {name: plain(value) for name, value in attributes(thing).items()}
    if isinstance(thing, dict):
        return {key: plain(value) for key, value in thing.items()}
    return tuple(thing) if isinstance(thing, (list, deque)) else thing


def differing_attributes(left: Any, right: Any) -> set[tuple[str, str]]:
    """In which attributes of which classes of the model two values differ."""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return {place for key in left for place in differing_attributes(left[key], right[key])}
    if not isinstance(left, MODEL):
        return set()
    mine, others = attributes(left), attributes(right)
    found: set[tuple[str, str]] = set()
    for name in mine:
        if plain(mine[name]) != plain(others[name]):
            inner = differing_attributes(mine[name], others[name])
            found |= inner or {(type(left).__name__, name)}
    return found
