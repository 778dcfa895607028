"""Streams (t_stream.c).

Entries stand in listpacks, each under the id of its first entry, the master entry. A listpack begins with
the number of entries, the number of deleted ones, the fields of the master entry and a 0; an entry is its
flags, its id as difference to the master's, its fields unless they are the master's, its values, and the
number of its elements.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.model import Consumer, Group, Id, Pending, Stream
from rdbtool.rdb.packed.listpack import ListpackCursor
from rdbtool.rdb.primitives import read_count, read_ms, read_string, read_u64
from rdbtool.rdb.skip import skip_idempotence
from rdbtool.source import Window

from .elements import missing
from .numbers import U64_MASK, signed

DELETED: Final[i64] = 1
SAME_FIELDS: Final[i64] = 2
"""Flags of an entry."""


@final
class StreamReader:
    """A stream from a window: first its nodes, then, by `tail`, the rest."""

    def __init__(self, w: Window, version: i64) -> None:
        self.window = w
        self.version: i64 = version
        self.left: i64 = read_count(w, 2)
        self.read: i64 = 0

    def next_node(self) -> list[tuple[Id, list[bytes]]] | None:
        """The entries of the next listpack that are not deleted, or None: id, then fields and values in turn."""
        if self.left == 0:
            return None
        self.left -= 1
        at = self.window.offset()
        key = read_string(self.window)
        if len(key) != 16:
            raise FormatError("a node's key that is not a stream id", offset=at, doing="decoding a stream")
        entries = node_entries(id_of(key), read_string(self.window))
        self.read += len(entries)
        return entries

    def tail(self) -> Stream:
        """Counters and groups, after the last node; ``entries`` is empty."""
        w = self.window
        version = self.version
        stream = Stream()
        length = read_u64(w)
        stream.last_id = _read_id(w)
        if version >= 2:
            _read_id(w)  # of the first entry
            stream.max_deleted_id = _read_id(w)
            stream.entries_added = read_u64(w)
        else:
            stream.entries_added = length
        groups = read_count(w, 5)
        while groups > 0:
            name = read_string(w)
            if name in stream.groups:
                raise FormatError("a consumer group more than once", doing="decoding a stream")
            stream.groups[name] = _read_group(w, version)
            groups -= 1
        if version >= 4:
            w.pin = w.pos
            try:
                skip_idempotence(w)
            except BaseException:
                w.pin = -1
                raise
            stream.idmp = w.unpin()
        return stream


def id_of(key: bytes) -> Id:
    """The id that 16 big-endian bytes are."""
    return (int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big"))


def node_entries(master: Id, data: bytes) -> list[tuple[Id, list[bytes]]]:
    """The entries of one listpack that are not deleted."""
    c = ListpackCursor(data)
    master_ms, master_seq = master
    c.integer()  # entries
    c.integer()  # deleted ones
    fields = _elements(c, c.integer())
    count: i64 = len(fields)
    c.integer()
    out: list[tuple[Id, list[bytes]]] = []
    while c.next():
        flags = c.number
        # as int, for ids have 64 bits without a sign
        ms: int = c.integer()
        seq: int = c.integer()
        ms = (master_ms + ms) & U64_MASK
        seq = (master_seq + seq) & U64_MASK
        if flags & SAME_FIELDS:
            pairs: list[bytes] = []
            i: i64 = 0
            while i < count:
                if not c.next():
                    raise missing("value")
                pairs.append(fields[i])
                pairs.append(c.item())
                i += 1
        else:
            pairs = _elements(c, 2 * checked(c.integer()))
        c.integer()  # elements of this entry
        if not flags & DELETED:
            out.append(((ms, seq), pairs))
    return out


def checked(count: i64) -> i64:
    """A number of fields. Raises `FormatError` where no listpack can hold them."""
    if count < 0 or count > 1 << 32:
        raise FormatError("an impossible number of fields", doing="decoding a stream")
    return count


def _elements(c: ListpackCursor, count: i64) -> list[bytes]:
    checked(count)
    out: list[bytes] = []
    while count > 0:
        if not c.next():
            raise missing("field")
        out.append(c.item())
        count -= 1
    return out


def _read_id(w: Window) -> Id:
    ms = read_u64(w)
    return (ms, read_u64(w))


def _read_group(w: Window, version: i64) -> Group:
    group = Group(_read_id(w))
    if version >= 2:
        group.entries_read = signed(read_u64(w))
    owners: dict[Id, tuple[int, int]] = {}
    left = read_count(w, 25)
    while left > 0:
        entry = id_of(w.take(16))
        delivered = read_ms(w)
        owners[entry] = (delivered, read_u64(w))
        group.pending[entry] = _NOBODYS
        left -= 1
    consumers = read_count(w, 10)
    while consumers > 0:
        name = read_string(w)
        seen = read_ms(w)
        if name in group.consumers:
            raise FormatError("a consumer more than once", doing="decoding a stream")
        group.consumers[name] = Consumer(seen, read_ms(w) if version >= 3 else -1)
        left = read_count(w, 16)
        while left > 0:
            entry = id_of(w.take(16))
            owned = owners.get(entry)
            if owned is None:
                raise FormatError("a consumer's entry that its group does not have", doing="decoding a stream")
            group.pending[entry] = Pending(name, owned[0], owned[1])
            left -= 1
        consumers -= 1
    for pending in group.pending.values():
        if pending is _NOBODYS:
            raise FormatError("a pending entry without a consumer", doing="decoding a stream")
    return group


_NOBODYS: Final = Pending(b"", 0, 0)


def _decode(w: Window, version: i64) -> Stream:
    reader = StreamReader(w, version)
    entries: dict[Id, list[bytes]] = {}
    node = reader.next_node()
    while node is not None:
        entries.update(node)
        node = reader.next_node()
    if len(entries) != reader.read:
        raise FormatError("an entry more than once", doing="decoding a stream")
    stream = reader.tail()
    stream.entries = entries
    return stream


def decode1(w: Window) -> Stream:
    """First version (Redis 5.0)."""
    return _decode(w, 1)


def decode2(w: Window) -> Stream:
    """Second version (Redis 7.0)."""
    return _decode(w, 2)


def decode3(w: Window) -> Stream:
    """Third version (Redis 7.2)."""
    return _decode(w, 3)


def decode4(w: Window) -> Stream:
    """Fourth version (Redis 8.6)."""
    return _decode(w, 4)
