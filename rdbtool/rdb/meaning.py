"""What a value means, however it is encoded: the facts that two values of one type must share to be the same.

| type | facts |
|---|---|
| string | its bytes |
| list | its items, in order |
| set | its members |
| sorted set | its members with their scores; 0 and -0 are one in a listpack, whose servers drop the sign, and where \
two encodings differ |
| hash | its fields with their values, and the expiry of each field that has one |
| stream | its entries, each with its fields and values in order; its last id, the greatest id deleted, and how many \
entries were added |
| stream | of each group: the last id, how many entries were read, the consumers (and, on request, when they were seen \
and active), the pending entries with their consumer (or place among the released), time and number of deliveries |
| stream | of idempotent producers: the settings, the counters, the messages with their entries' ids |
| module | the name and encoding version of its type, and its payload |
| array | its elements with their indexes, and where the last was inserted |
| path hash | its paths, and their fields with their values |

Nothing else counts: neither the encoding nor the order of what has none in Redis, nor what follows from other facts
(the number of a stream's entries, its first id). `Scope` says which facts count only sometimes.

`Meaning` finds the facts. `Facts` collects them, to compare them one by one; `Fingerprint` digests them, in memory
that does not depend on the size of the value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, TypeAlias, final

from mypy_extensions import i64

from rdbtool.errors import FormatError, RdbToolError
from rdbtool.model import Id

from .compare import Rules
from .frame import Frame
from .layout.visitor import ARRAY, HASH, PATH_HASH, SET, STRING, ZSET, Visitor
from .types import TypeRow
from .values.idempotence import Idempotence
from .values.stream_nodes import pair_of
from .walk import Walker

MEMBER: Final = "member"
SCORE: Final = "score"
FIELD: Final = "field"
FIELD_EXPIRY: Final = "field expiry"
ENTRY: Final = "entry"
COUNTER: Final = "counter"
GROUP: Final = "group"
CONSUMER: Final = "consumer"
SEEN: Final = "seen"
ACTIVE: Final = "active"
PENDING: Final = "pending"
OWNER: Final = "owner"
RELEASED: Final = "released"
PRODUCER: Final = "producer"
MODULE: Final = "module"
ELEMENT: Final = "element"
PATH: Final = "path"

LAST_ID: Final = b"last id"
MAX_DELETED_ID: Final = b"greatest deleted id"
ENTRIES_ADDED: Final = b"entries added"
ENTRIES_READ: Final = b"entries read"
ENCODING_VERSION: Final = b"encoding version"
LAST_INSERT: Final = b"last insert"

_MODULUS: Final = 1 << 256


def stream_version(row: TypeRow) -> int:
    """The version of the stream format (1 to 5) that a type of stream is; 0 for other types."""
    return row.stream_version


def tells_counters(row: TypeRow) -> bool:
    """Whether a type of stream tells how many entries were added and read, and the greatest id deleted.

    Servers that write one that does not (before Redis 7.0) know no commands for them either.
    """
    return stream_version(row) >= 2


def tells_producers(row: TypeRow) -> bool:
    """Whether a type of stream tells what is known of idempotent producers (since Redis 8.6)."""
    return stream_version(row) >= 4


@final
class Scope:
    """Which facts count when values of the types ``left`` and ``right`` are compared.

    The expiries of hash fields and the times of consumers count as ``rules`` say. What one of the two encodings
    cannot tell does not count.
    """

    __slots__ = ("active_times", "counters", "expiries", "producers", "rules", "seen_times", "signs")

    def __init__(self, rules: Rules, left: TypeRow, right: TypeRow) -> None:
        self.rules = rules
        self.expiries = rules.ttl_tolerance >= 0
        self.counters = tells_counters(left) and tells_counters(right)
        self.seen_times = rules.eviction
        self.active_times = rules.eviction and stream_version(left) >= 3 and stream_version(right) >= 3
        self.signs = left is right and left.name != "zset-listpack"
        self.producers = tells_producers(left) and tells_producers(right)


class Meaning(Visitor):
    """Finds the facts of a value that is told, and passes them to `item` and `fact`, which subclasses define."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.kind: i64 = STRING
        self._name: bytes | None = None
        self._expiry: i64 = -1
        self._entry = b""
        self._place = b""
        """The index of an array, or the path of a path hash, that is told."""
        self._fields: dict[bytes, bytes] = {}
        """Of that path."""
        self._strings: list[bytes] = []
        self._consumer = b""
        self._released: i64 = 0
        """How many of the group's released entries were told."""

    def start(self) -> None:
        """A value begins: nothing is known of it."""
        raise NotImplementedError

    def item(self, data: bytes) -> None:
        """An element whose place counts."""
        raise NotImplementedError

    def enter(self, group: bytes | None) -> None:
        """The facts that follow are those of a consumer group; with None, of the value itself again."""
        raise NotImplementedError

    def fact(self, part: str, name: bytes, value: bytes) -> None:
        """A fact whose place does not count; no two have the same group, part and name in a sound value."""
        raise NotImplementedError

    def begin(self, kind: i64, expiring: bool) -> None:
        self.kind = kind
        self._name = None
        self._expiry = -1
        self._strings = []
        self._fields = {}
        self.start()

    def text(self, data: bytes, start: i64, end: i64) -> None:
        kind = self.kind
        element = data if start == 0 and end == len(data) else data[start:end]
        if kind == SET:
            self.fact(MEMBER, element, b"")
        elif kind == ZSET:
            self._name = element
        elif kind == HASH:
            name = self._name
            if name is None:
                self._name = element
                return
            self._name = None
            self.fact(FIELD, name, element)
            if self._expiry != -1:
                self.fact(FIELD_EXPIRY, name, b"%d" % self._expiry)
                self._expiry = -1
        elif kind == ARRAY:
            self.fact(ELEMENT, self._place, element)
        elif kind == PATH_HASH:
            name = self._name
            if name is None:
                self._name = element
                return
            self._name = None
            self._fields[name] = element
        elif self._entry:
            self._strings.append(element)
        else:
            self.item(element)

    def integer(self, n: i64) -> None:
        data = b"%d" % n
        self.text(data, 0, len(data))

    def score(self, x: float) -> None:
        name = self._name
        assert name is not None
        # adding 0 turns -0 into 0
        self.fact(SCORE, name, struct.pack("<d", x if self.scope.signs else x + 0.0))

    def expiry(self, ms: i64) -> None:
        if self.scope.expiries:
            self._expiry = ms

    def entry(self, ms: int, seq: int) -> None:
        self._end_entry()
        self._entry = b"%d-%d" % (ms, seq)

    def _end_entry(self) -> None:
        if self._entry:
            self.fact(ENTRY, self._entry, joined(self._strings))
            self._entry = b""
            self._strings = []

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        self._end_entry()
        self.fact(COUNTER, LAST_ID, b"%d-%d" % last)
        if self.scope.counters:
            self.fact(COUNTER, MAX_DELETED_ID, b"%d-%d" % max_deleted)
            self.fact(COUNTER, ENTRIES_ADDED, b"%d" % added)

    def group(self, name: bytes, last: Id, entries_read: int) -> None:
        self.enter(name)
        self._released = 0
        self.fact(GROUP, LAST_ID, b"%d-%d" % last)
        if self.scope.counters:
            self.fact(COUNTER, ENTRIES_READ, b"%d" % entries_read)

    def pending(self, ms: int, seq: int, delivered_ms: int, deliveries: int) -> None:
        self.fact(PENDING, b"%d-%d" % (ms, seq), b"%d %d" % (delivered_ms, deliveries))

    def consumer(self, name: bytes, seen_ms: int, active_ms: int) -> None:
        self._consumer = name
        self.fact(CONSUMER, name, b"")
        if self.scope.seen_times:
            self.fact(SEEN, name, b"%d" % seen_ms)
        if self.scope.active_times:
            self.fact(ACTIVE, name, b"%d" % active_ms)

    def consumer_pending(self, ms: int, seq: int) -> None:
        self.fact(OWNER, b"%d-%d" % (ms, seq), self._consumer)

    def released(self, ms: int, seq: int) -> None:
        self.fact(RELEASED, b"%d-%d" % (ms, seq), b"%d" % self._released)
        self._released += 1

    def idempotence(self, raw: bytes) -> None:
        if not self.scope.producers:
            return
        self.enter(None)
        state = Idempotence(raw)
        self.fact(COUNTER, b"idempotence/duration", b"%d" % state.duration_s)
        self.fact(COUNTER, b"idempotence/maxsize", b"%d" % state.max_size)
        self.fact(COUNTER, b"idempotence/added", b"%d" % state.added)
        self.fact(COUNTER, b"idempotence/duplicates", b"%d" % state.duplicates)
        for producer, messages in state.producers.items():
            parts: list[bytes] = []
            for message in sorted(messages):
                parts += [message, b"%d-%d" % pair_of(messages[message])]
            self.fact(PRODUCER, producer, joined(parts))

    def index(self, index: int) -> None:
        self._place = b"%d" % index

    def last_insert(self, index: int) -> None:
        self.fact(COUNTER, LAST_INSERT, b"%d" % index)

    def path(self, name: bytes) -> None:
        self._end_path()
        self._place = name

    def _end_path(self) -> None:
        if self._fields:
            self.fact(PATH, self._place, joined([part for pair in sorted(self._fields.items()) for part in pair]))
            self._fields = {}

    def end(self) -> None:
        self._end_path()

    def module(self, name: str, version: int, payload: bytes) -> None:
        self.fact(MODULE, name.encode(), payload)
        self.fact(COUNTER, ENCODING_VERSION, b"%d" % version)


Table: TypeAlias = dict[bytes, bytes]
"""Facts of one part: name -> value."""


@final
class Facts(Meaning):
    """The facts of the value that was told: ``items`` in order, ``own`` by part, and ``groups`` by name and part.

    What values hold, where names do not say it: a ``SCORE`` 8 bytes (`score_of`), an ``ENTRY``, a ``PRODUCER`` and a
    ``PATH`` several strings (`parted`), a ``PENDING`` entry the time (ms) and number of its deliveries, its ``OWNER`` a
    consumer. Being told a fact twice raises `FormatError`, and so does a pending entry without a consumer.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.items: list[bytes] = []
        self.own: dict[str, Table] = {}
        self.groups: dict[bytes, dict[str, Table]] = {}
        self._tables = self.own
        self._part = ""
        self._table: Table = {}

    def start(self) -> None:
        self.items = []
        self.own = {}
        self.groups = {}
        self.enter(None)

    def item(self, data: bytes) -> None:
        self.items.append(data)

    def enter(self, group: bytes | None) -> None:
        self._part = ""
        if group is None:
            self._tables = self.own
            return
        if group in self.groups:
            raise FormatError("a consumer group more than once", doing="comparing a stream")
        self._tables = {}
        self.groups[group] = self._tables

    def fact(self, part: str, name: bytes, value: bytes) -> None:
        if part is not self._part:
            self._part = part
            self._table = self._tables.setdefault(part, {})
        table = self._table
        if name in table:
            raise FormatError(f"a {part} more than once", doing="comparing a value")
        table[name] = value

    def end(self) -> None:
        super().end()
        for group in self.groups.values():
            if group.get(PENDING, {}).keys() != group.get(OWNER, {}).keys() | group.get(RELEASED, {}).keys():
                raise FormatError("a pending entry without a consumer, or without a group", doing="comparing a stream")

    def same(self, other: Facts) -> bool:
        """Whether the two values, of one type, have the same meaning."""
        return self.items == other.items and self.groups == other.groups and self._same_own(other.own)

    def _same_own(self, other: dict[str, Table]) -> bool:
        own = self.own
        if own == other:
            return True
        if own.keys() != other.keys():
            return False
        for part, table in own.items():
            if part == FIELD_EXPIRY:
                if next(self.differing_expiries(table, other[part]), None) is not None:
                    return False
            elif table != other[part]:
                return False
        return True

    def differing_expiries(self, left: Table, right: Table) -> Iterator[Differing]:
        """Those of the fields' expiries that differ by more than is allowed."""
        rules = self.scope.rules
        for differing in differing_facts(left, right):
            _, before, after = differing
            if before is None or after is None or not rules.same_expiry(int(before), int(after)):
                yield differing


Differing: TypeAlias = tuple[bytes, bytes | None, bytes | None]
"""A name, and the values it has on the two sides, None where there is none."""


def differing_facts(left: Mapping[bytes, bytes], right: Mapping[bytes, bytes]) -> Iterator[Differing]:
    """The facts of one part that differ: those of ``left`` in its order, then those that only ``right`` has."""
    for name, value in left.items():
        other = right.get(name)
        if other != value:
            yield name, value, other
    for name, value in right.items():
        if name not in left:
            yield name, None, value


def score_of(value: bytes) -> float:
    """The score that the value of a `SCORE` is."""
    score: float = struct.unpack("<d", value)[0]
    return score


def joined(strings: list[bytes]) -> bytes:
    """Strings as one, from which `parted` gets them back."""
    out: list[bytes] = []
    for string in strings:
        out.append(b"%d:" % len(string))
        out.append(string)
    return b"".join(out)


def parted(value: bytes) -> list[bytes]:
    """The strings that were `joined`."""
    strings: list[bytes] = []
    at = 0
    while at < len(value):
        colon = value.index(b":", at)
        end = colon + 1 + int(value[at:colon])
        strings.append(value[colon + 1 : end])
        at = end
    return strings


@final
class Fingerprint(Meaning):
    """A digest of the facts: `digest`, once the value has been told.

    What has an order is digested in that order; of all other facts the sum of their digests is taken.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self._ordered: Any = sha256()
        self._sum = 0
        self._group = b""
        self._part = ""
        self._prefix = b""

    def digest(self) -> bytes:
        """The digest of the value that was told, 32 bytes."""
        self._ordered.update(self._sum.to_bytes(32, "little"))
        out: bytes = self._ordered.digest()
        return out

    def start(self) -> None:
        self._ordered = sha256(b"%d" % self.kind)
        self._sum = 0
        self.enter(None)

    def item(self, data: bytes) -> None:
        self._ordered.update(b"%d:" % len(data))
        self._ordered.update(data)

    def enter(self, group: bytes | None) -> None:
        self._part = ""
        self._group = b"" if group is None else b"/" + group

    def fact(self, part: str, name: bytes, value: bytes) -> None:
        if part is not self._part:
            self._part = part
            self._prefix = joined([self._group, part.encode()])
        one = sha256(b"%b%d:" % (self._prefix, len(name)))
        one.update(name)
        one.update(value)
        self._sum = (self._sum + int.from_bytes(one.digest(), "little")) % _MODULUS


def facts(frame: Frame, scope: Scope) -> Facts:
    """The facts of the value of ``frame``. Raises what reading raises, and `RdbToolError` for a damaged value."""
    found = Facts(scope)
    _tell(frame, found)
    return found


def fingerprint(frame: Frame, scope: Scope) -> bytes:
    """The digest of the facts of the value of ``frame``. Raises as `facts` does, but for facts that stand twice."""
    visitor = Fingerprint(scope)
    _tell(frame, visitor)
    return visitor.digest()


def _tell(frame: Frame, visitor: Meaning) -> None:
    damage: RdbToolError | None = Walker(visitor).walk(frame)
    if damage is not None:
        raise damage
