"""What a dataset is made of: values by Redis type, and keys with their facts.

A string is ``bytes``; a list is ``deque[bytes]``; a set is ``dict[bytes, None]``, which keeps the
order of the file so that output is the same on every run. The other types have classes here.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias, final

from mypy_extensions import i64

from .errors import shortened
from .findings import plural

NO_PRODUCERS: Final = b"\x40\x64\x40\x64\x00\x00\x00"
"""The state of a stream that never had producers, as it stands in a snapshot."""
NO_EXPIRY: Final = -1
"""In place of a time in ms: never."""
MAX_FIELD_EXPIRY: Final = (1 << 48) - 1
"""The greatest time in ms that a hash field can expire at in Redis (EB_EXPIRE_TIME_MAX of ebuckets.h). Valkey has no
such limit."""
MAX_FIELD_EXPIRY_SET: Final = MAX_FIELD_EXPIRY >> 2
"""The greatest that the commands of Redis accept (HFE_MAX_ABS_TIME_MSEC of t_hash.c); snapshots may hold more."""


class PackedFields:
    """Fields with their values in a form that is opened only when somebody asks for them."""

    __slots__ = ()

    def fields(self) -> dict[bytes, bytes]:
        """The fields, opened."""
        raise NotImplementedError


@final
class Hash:
    """Fields with their values, and the expiry of those fields that have one.

    ``expiries``: field -> absolute time in ms; None while no field has one, which is the usual case. ``packed``
    says the same as ``fields``, where they were not given as a dict.
    """

    __slots__ = ("_fields", "expiries", "packed")

    def __init__(
        self,
        fields: dict[bytes, bytes] | None = None,
        expiries: dict[bytes, int] | None = None,
        packed: PackedFields | None = None,
    ) -> None:
        self._fields: dict[bytes, bytes] | None = {} if fields is None and packed is None else fields
        self.expiries: dict[bytes, int] | None = expiries
        self.packed: PackedFields | None = packed

    def __repr__(self) -> str:
        expiring = f", {len(self.expiries)} with an expiry" if self.expiries else ""
        return f"<Hash of {plural(len(self.fields), 'field')}{expiring}>"

    @property
    def fields(self) -> dict[bytes, bytes]:
        """Field -> value, in order."""
        fields = self._fields
        if fields is None:
            assert self.packed is not None
            fields = self.packed.fields()
            self._fields = fields
        return fields


@final
class SortedSet:
    """Members with their scores. Never NaN."""

    __slots__ = ("scores",)

    def __init__(self, scores: dict[bytes, float] | None = None) -> None:
        self.scores: dict[bytes, float] = {} if scores is None else scores

    def __repr__(self) -> str:
        return f"<SortedSet of {plural(len(self.scores), 'member')}>"


Id: TypeAlias = tuple[int, int]
"""A stream id as (ms, seq). Not for keys of a dict or a set: the hash of integers can be foreseen, and a file could be
made of ids that collide. As bytes (`rdb.layout.stream_node.key_of`) they have a seeded hash.
"""
Entries: TypeAlias = list[tuple[Id, list[bytes]]]
"""Entries of a stream, oldest first: id, then fields and values in turn."""


def stream_id(ms: int, seq: int) -> bytes:
    """A stream id as text."""
    return b"%d-%d" % (ms, seq)


@final
class Pending:
    """An entry delivered and not acknowledged: which, to whom, when (ms), and how often; ``is_released``: nobody has it
    any more, and ``consumer`` means nothing.
    """

    __slots__ = ("consumer", "delivered_ms", "deliveries", "entry", "is_released")

    def __init__(
        self, entry: Id, consumer: bytes, delivered_ms: int, deliveries: int, *, is_released: bool = False
    ) -> None:
        self.entry = entry
        self.consumer = consumer
        self.delivered_ms = delivered_ms
        self.deliveries = deliveries
        self.is_released = is_released

    def __repr__(self) -> str:
        who = shortened(self.consumer)
        return f"<Pending of {who} delivered_ms={self.delivered_ms} deliveries={self.deliveries}>"


@final
class Consumer:
    """A consumer of a group; times in ms, -1 where the file does not say."""

    __slots__ = ("active_ms", "seen_ms")

    def __init__(self, seen_ms: int, active_ms: int) -> None:
        self.seen_ms = seen_ms
        self.active_ms = active_ms

    def __repr__(self) -> str:
        return f"<Consumer seen_ms={self.seen_ms} active_ms={self.active_ms}>"


@final
class Group:
    """A consumer group. ``entries_read`` is -1 where it is not known; ``pending``: least ids first.

    ``released``: pending entries that no consumer has any more (XNACK, Redis 8.8), in the order in which they will be
    delivered again; each stands in ``pending`` too.
    """

    __slots__ = ("consumers", "entries_read", "last_id", "pending", "released")

    def __init__(self, last_id: Id, entries_read: int = -1) -> None:
        self.last_id = last_id
        self.entries_read = entries_read
        self.consumers: dict[bytes, Consumer] = {}
        self.pending: list[Pending] = []
        self.released: list[Id] = []

    def __repr__(self) -> str:
        consumers = plural(len(self.consumers), "consumer")
        return f"<Group last_id={self.last_id} of {consumers}, {len(self.pending)} pending>"


class PackedEntries:
    """Entries of a stream in a form that is opened only when somebody asks for them."""

    __slots__ = ()

    def entries(self) -> Entries:
        """The entries, opened."""
        raise NotImplementedError


@final
class Stream:
    """The entries and counters of a stream.

    ``packed`` holds the entries until somebody asks for them, where they were not given as a list, and is None then.
    ``idmp`` holds what Redis 8.6 keeps of idempotent producers, as it
    stands in the file; b"" elsewhere.
    """

    __slots__ = ("_entries", "entries_added", "groups", "idmp", "last_id", "max_deleted_id", "packed")

    def __init__(self, packed: PackedEntries | None = None) -> None:
        self._entries: Entries = []
        self.packed: PackedEntries | None = packed
        self.last_id: Id = (0, 0)
        self.max_deleted_id: Id = (0, 0)
        self.entries_added = 0
        self.groups: dict[bytes, Group] = {}
        self.idmp = b""

    def __repr__(self) -> str:
        groups = plural(len(self.groups), "group")
        return f"<Stream last_id={self.last_id} of {plural(len(self.entries), 'entry')}, {groups}>"

    @property
    def entries(self) -> Entries:
        """The entries, oldest first."""
        packed = self.packed
        if packed is not None:
            self.entries = packed.entries()
        return self._entries

    @entries.setter
    def entries(self, entries: Entries) -> None:
        self._entries = entries
        self.packed = None


@final
class Module:
    """A module's value: ``name`` and encoding version of its type, and the payload as in the file."""

    __slots__ = ("name", "payload", "version")

    def __init__(self, name: str, version: int, payload: bytes) -> None:
        self.name = name
        self.version = version
        self.payload = payload

    def __repr__(self) -> str:
        return f"<Module {self.name} version={self.version} of {plural(len(self.payload), 'byte')}>"


@final
class Array:
    """Elements by index (0 to 2^64 - 2), in the order of the indexes (Redis 8.8).

    ``cursor``: the index of the last element that was inserted at the end, which the next insert follows; -1 for none.
    """

    __slots__ = ("cursor", "elements")

    def __init__(self, elements: dict[int, bytes] | None = None, cursor: int = -1) -> None:
        self.elements: dict[int, bytes] = {} if elements is None else elements
        self.cursor = cursor

    def __repr__(self) -> str:
        return f"<Array of {plural(len(self.elements), 'element')}>"


@final
class PathHash:
    """Fields with their values by path (Valkey 9.2). It may be without paths; no path is without fields."""

    __slots__ = ("paths",)

    def __init__(self, paths: dict[bytes, dict[bytes, bytes]] | None = None) -> None:
        self.paths: dict[bytes, dict[bytes, bytes]] = {} if paths is None else paths

    def __repr__(self) -> str:
        return f"<PathHash of {plural(len(self.paths), 'path')}>"


Value: TypeAlias = bytes | deque[bytes] | dict[bytes, None] | Hash | SortedSet | Stream | Module | Array | PathHash


@final
class Entry:
    """A key with its decoded value. Times as in `Frame`."""

    __slots__ = ("db", "expire_at_ms", "freq", "idle_s", "key", "value")

    def __init__(
        self, db: int, key: bytes, value: Value, expire_at_ms: int = NO_EXPIRY, idle_s: int = -1, freq: int = -1
    ) -> None:
        self.db = db
        self.key = key
        self.value = value
        self.expire_at_ms: i64 = expire_at_ms
        self.idle_s: i64 = idle_s
        self.freq: i64 = freq

    def __repr__(self) -> str:
        value = self.value
        expiry = "" if self.expire_at_ms < 0 else f" expire_at_ms={self.expire_at_ms}"
        if isinstance(value, bytes):
            shown = f"string {shortened(value)}"
        elif isinstance(value, (deque, dict)):
            shown = f"{type_name(value)} of {plural(len(value), 'element')}"
        else:
            shown = repr(value)
        return f"<Entry db={self.db} key={shortened(self.key)} {shown}{expiry}>"


def type_name(value: Value) -> str:
    """What the TYPE command answers for ``value``."""
    if isinstance(value, bytes):
        return "string"
    if isinstance(value, deque):
        return "list"
    if isinstance(value, dict):
        return "set"
    if isinstance(value, Hash):
        return "hash"
    if isinstance(value, SortedSet):
        return "zset"
    if isinstance(value, Stream):
        return "stream"
    if isinstance(value, Array):
        return "array"
    return "path-hash" if isinstance(value, PathHash) else "module"
