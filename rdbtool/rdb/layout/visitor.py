"""What is told of a value, element by element: the one interface between values and whatever writes them.

`rdb.walk` tells it from the bytes of a file, without an object per element; `visit_value` from a decoded
value. An output format is a `Visitor`, and so works on both, in memory that does not depend on the value.

The calls per value, between `begin` and `end`:

| kind | calls |
|---|---|
| STRING | one string |
| LIST, SET | a string each |
| HASH | per field: `expiry` if it has one, the field, its value |
| ZSET | per member: the member, its score |
| STREAM | per entry: `entry`, then fields and values in turn; then `counters`; per group: `group`, `pending` each, \
per consumer: `consumer`, `consumer_pending` each; `released` each; at last `idempotence` where there is that state |
| MODULE | `module` |
| ARRAY | per element: `index`, the element; at last `last_insert` if there was one |
| PATH_HASH | per path: `path`, then fields and values in turn |

A string is told by `text` or, where the file holds it as a number, by `integer`.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final

from mypy_extensions import i64, mypyc_attr

from rdbtool.basics.decimals import double_at
from rdbtool.model import NO_PRODUCERS, Array, Hash, Id, Module, PathHash, SortedSet, Stream, Value
from rdbtool.rdb.layout import facts

STRING: Final[i64] = 0
LIST: Final[i64] = 1
SET: Final[i64] = 2
ZSET: Final[i64] = 3
HASH: Final[i64] = 4
STREAM: Final[i64] = 5
MODULE: Final[i64] = 6
ARRAY: Final[i64] = 7
PATH_HASH: Final[i64] = 8

KIND_NAMES: Final = ("string", "list", "set", "zset", "hash", "stream", "module", "array", "path-hash")
"""What the TYPE command answers, by kind."""

KINDS: Final[dict[str, i64]] = {name: kind for kind, name in enumerate(KIND_NAMES)}


@mypyc_attr(allow_interpreted_subclasses=True)
class Visitor:
    """Takes a value element by element.

    A subclass overrides every call, or names in `IGNORES` the facts whose calls it passes over. What it neither
    handles nor ignores ends in `left_out`, which raises `NotImplementedError`; whoever counts losses overrides that.
    """

    IGNORES: ClassVar[frozenset[str]] = facts.NOTHING

    def left_out(self, fact: str) -> None:
        """A call came for a fact that this visitor does not handle."""
        if fact not in self.IGNORES:
            raise NotImplementedError(f"{type(self).__name__} neither handles nor ignores {fact}")

    def begin(self, kind: i64, expiring: bool) -> None:
        """A value begins; ``expiring``: it is a hash some of whose fields expire, as far as its beginning says."""
        raise NotImplementedError

    def end(self) -> None:
        """The value ends; nothing more is told by that."""

    def text(self, data: bytes, start: i64, end: i64) -> None:
        """The next string is ``data[start:end]``."""
        raise NotImplementedError

    def integer(self, n: i64) -> None:
        """The next string is this number in decimal."""
        data = b"%d" % n
        self.text(data, 0, len(data))

    def score(self, x: float) -> None:
        """The score of the member before."""
        raise NotImplementedError

    def score_integer(self, n: i64) -> None:
        """A score that the file holds as an integer."""
        self.score(float(n))

    def score_text(self, data: bytes, start: i64, end: i64) -> None:
        """A score that the file holds as text. Raises `FormatError` where it is not a number."""
        self.score(double_at(data, start, end))

    def expiry(self, ms: i64) -> None:
        """The next field of the hash expires at ``ms``."""
        self.left_out(facts.FIELD_EXPIRIES)

    def entry(self, ms: int, seq: int) -> None:
        """A stream entry begins."""
        self.left_out(facts.STREAMS)

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        """The stream's entries are over; these are its counters."""
        self.left_out(facts.STREAM_COUNTERS)

    def group(self, name: bytes, last: Id, entries_read: int) -> None:
        """A consumer group begins; ``entries_read`` is -1 where it is not known."""
        self.left_out(facts.GROUPS)

    def pending(self, ms: int, seq: int, delivered_ms: int, deliveries: int) -> None:
        """An entry delivered to some consumer of the group and not acknowledged."""
        self.left_out(facts.PENDING)

    def consumer(self, name: bytes, seen_ms: int, active_ms: int) -> None:
        """A consumer of the group begins; times in ms, -1 where the file does not say."""
        self.left_out(facts.CONSUMERS)

    def consumer_pending(self, ms: int, seq: int) -> None:
        """One of the group's pending entries is this consumer's."""
        self.left_out(facts.PENDING_OWNERS)

    def released(self, ms: int, seq: int) -> None:
        """One of the group's pending entries is nobody's; they are told in the order in which they were released."""
        self.left_out(facts.RELEASED)

    def idempotence(self, raw: bytes) -> None:
        """What Redis 8.6 keeps of idempotent producers, as it stands in the file; it may be `NO_PRODUCERS`."""
        if raw != NO_PRODUCERS:
            self.left_out(facts.IDEMPOTENCE)

    def index(self, index: int) -> None:
        """The next string is the element of an array at this index."""
        self.left_out(facts.ARRAYS)

    def last_insert(self, index: int) -> None:
        """The array's elements are over; this is where the last was inserted."""
        self.left_out(facts.ARRAY_CURSORS)

    def path(self, name: bytes) -> None:
        """The fields and values that follow are those of this path of a path hash."""
        self.left_out(facts.PATH_HASHES)

    def module(self, name: str, version: int, payload: bytes) -> None:
        """A module's value."""
        self.left_out(facts.MODULE_VALUES)


def visit_value(value: Value, v: Visitor) -> None:
    """Tell a decoded value."""
    if isinstance(value, bytes):
        v.begin(STRING, False)
        v.text(value, 0, len(value))
    elif isinstance(value, deque):
        v.begin(LIST, False)
        for item in value:
            v.text(item, 0, len(item))
    elif isinstance(value, dict):
        v.begin(SET, False)
        for item in value:
            v.text(item, 0, len(item))
    elif isinstance(value, Hash):
        v.begin(HASH, bool(value.expiries))
        _visit_hash(value, v)
    elif isinstance(value, SortedSet):
        v.begin(ZSET, False)
        for item, score in value.scores.items():
            v.text(item, 0, len(item))
            v.score(score)
    elif isinstance(value, Stream):
        v.begin(STREAM, False)
        _visit_stream(value, v)
    elif isinstance(value, Array):
        v.begin(ARRAY, False)
        visit_array(value, v)
    elif isinstance(value, PathHash):
        v.begin(PATH_HASH, False)
        for path, fields in value.paths.items():
            v.path(path)
            for field, item in fields.items():
                v.text(field, 0, len(field))
                v.text(item, 0, len(item))
    else:
        assert isinstance(value, Module)
        v.begin(MODULE, False)
        v.module(value.name, value.version, value.payload)
    v.end()


def visit_array(value: Array, v: Visitor) -> None:
    """Tell what is in an array, between `begin` and `end`."""
    for index, item in value.elements.items():
        v.index(index)
        v.text(item, 0, len(item))
    if value.cursor >= 0:
        v.last_insert(value.cursor)


def _visit_hash(value: Hash, v: Visitor) -> None:
    expiries = value.expiries
    for field, item in value.fields.items():
        if expiries is not None:
            at = expiries.get(field)
            if at is not None:
                v.expiry(at)
        v.text(field, 0, len(field))
        v.text(item, 0, len(item))


def _visit_stream(value: Stream, v: Visitor) -> None:
    for id_, fields in value.entries:
        v.entry(id_[0], id_[1])
        for item in fields:
            v.text(item, 0, len(item))
    v.counters(value.last_id, value.max_deleted_id, value.entries_added)
    for name, group in value.groups.items():
        v.group(name, group.last_id, group.entries_read)
        owned: dict[bytes, list[Id]] = {}
        for pending in group.pending:
            id_ = pending.entry
            v.pending(id_[0], id_[1], pending.delivered_ms, pending.deliveries)
            if not pending.is_released:
                owned.setdefault(pending.consumer, []).append(id_)
        for consumer_name, consumer in group.consumers.items():
            v.consumer(consumer_name, consumer.seen_ms, consumer.active_ms)
            for id_ in owned.get(consumer_name, ()):
                v.consumer_pending(id_[0], id_[1])
        for id_ in group.released:
            v.released(id_[0], id_[1])
    if value.idmp:
        v.idempotence(value.idmp)
