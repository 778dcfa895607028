"""Streams (t_stream.c): nodes of entries (`stream_nodes`), counters and consumer groups."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.basics.numbers import signed
from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.model import Consumer, Group, Id, Pending, Stream
from rdbtool.rdb.encoders import put_length, put_ms, put_string, put_u64
from rdbtool.rdb.facts import ACTIVE_TIMES, IDEMPOTENCE, STREAM_COUNTERS
from rdbtool.rdb.packed.listpack import ListpackBuilder
from rdbtool.rdb.primitives import read_count, read_ms, read_string, read_u64
from rdbtool.rdb.skip import read_nothing_released, take_idempotence

from .idempotence import NO_PRODUCERS, Idempotence
from .stream_nodes import NODE_BYTES, NODE_ENTRIES, Node, PackedNodes, add_entry, node_entries, of_pair, pair_of
from .target_encodings import Limits, TargetEncodings

STREAM_VERSIONS: Final = ("", "stream-listpacks", *(f"stream-listpacks{n}" for n in range(2, 6)))
"""Names of types by the version of the format."""


@final
class StreamReader:
    """A stream from a window: first its nodes, then, by `tail`, the rest."""

    def __init__(self, w: Window, version: i64) -> None:
        self.window = w
        self.version: i64 = version
        self.left: i64 = read_count(w, 2)
        self.read: i64 = 0
        self.length = 0
        self.first: Id = (0, 0)

    def next_raw(self) -> tuple[bytes, bytes] | None:
        """The next node's key, 16 bytes, and its listpack, or None."""
        if self.left == 0:
            return None
        self.left -= 1
        at = self.window.offset()
        key = read_string(self.window)
        if len(key) != 16:
            raise FormatError("a node's key that is not a stream id", offset=at, doing="decoding a stream")
        return key, read_string(self.window)

    def next_node(self) -> list[tuple[Id, list[bytes]]] | None:
        """The entries of the next listpack that are not deleted, or None: id, then fields and values in turn."""
        raw = self.next_raw()
        if raw is None:
            return None
        entries = node_entries(id_of(raw[0]), raw[1])
        self.read += len(entries)
        return entries

    def tail(self) -> Stream:
        """Counters and groups, after the last node; ``entries`` is empty.

        ``length`` and ``first`` of the reader are then what the file says of the entries.
        """
        w = self.window
        version = self.version
        stream = Stream()
        self.length = read_u64(w)
        stream.last_id = _read_id(w)
        if version >= 2:
            self.first = _read_id(w)
            stream.max_deleted_id = _read_id(w)
            stream.entries_added = read_u64(w)
        else:
            stream.entries_added = self.length
        groups = read_count(w, 5)
        while groups > 0:
            name = read_string(w)
            if name in stream.groups:
                raise FormatError("a consumer group more than once", doing="decoding a stream")
            stream.groups[name] = _read_group(w, version)
            groups -= 1
        if version >= 4:
            stream.idmp = take_idempotence(w)
            if stream.idmp != NO_PRODUCERS:
                Idempotence(stream.idmp)
        return stream


def id_of(key: bytes) -> Id:
    """The id that 16 big-endian bytes are."""
    return (int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big"))


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
    if version >= 5:
        read_nothing_released(w)
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


def decode5(w: Window) -> Stream:
    """Fifth version (Redis 8.8), as far as consumers have released no entries. Raises also `UnsupportedError`."""
    return _decode(w, 5)


def encode(value: Stream, form: TargetEncodings, out: BytesWriter) -> str:
    """Write the payload; answers the name of its type. The form must have streams."""
    nodes = _nodes(value, form.limits)
    put_length(out, len(nodes))
    length: i64 = 0
    for node in nodes:
        put_string(out, node.first.to_bytes(16, "big"), form.compress)
        put_string(out, node.listpack(), form.compress)
        length += node.count
    first = pair_of(nodes[0].id_at(nodes[0].start)) if nodes else (0, 0)
    return encode_tail(value, length, first, form, out)


def _nodes(value: Stream, limits: Limits) -> list[Node]:
    """The entries in nodes within the limits."""
    max_bytes = limits.stream_node_bytes
    max_entries = limits.stream_node_entries
    packed = value.packed
    if isinstance(packed, PackedNodes) and max_bytes == NODE_BYTES and max_entries == NODE_ENTRIES:
        return [node for node in packed.nodes if node.count]
    nodes: list[Node] = []
    scratch = ListpackBuilder()
    for pair, items in value.entries.items():
        add_entry(nodes, of_pair(pair), items, max_bytes, max_entries, scratch)
    return nodes


def key_of(entry: Id) -> bytes:
    """An id as 16 big-endian bytes."""
    return entry[0].to_bytes(8, "big") + entry[1].to_bytes(8, "big")


def encode_tail(value: Stream, length: int, first: Id, form: TargetEncodings, out: BytesWriter) -> str:
    """Write what follows the nodes; answers the name of the payload's type."""
    version = form.stream_version(producers=bool(value.idmp))
    if version < 4 and value.idmp and value.idmp != NO_PRODUCERS:
        form.losses.add(IDEMPOTENCE)
    put_u64(out, length)
    _put_id(out, value.last_id)
    if version >= 2:
        _put_id(out, first)
        _put_id(out, value.max_deleted_id)
        put_u64(out, value.entries_added)
    elif _has_counters(value, length):
        form.losses.add(STREAM_COUNTERS)
    put_length(out, len(value.groups))
    for name in sorted(value.groups):
        put_string(out, name, form.compress)
        _encode_group(value.groups[name], version, form, out)
    if version == 4:
        out.write(value.idmp)
    return STREAM_VERSIONS[version]


def _has_counters(value: Stream, length: int) -> bool:
    """Whether the first format loses counters: a server that reads it takes the length for the entries added."""
    if value.entries_added != length or value.max_deleted_id != (0, 0):
        return True
    return any(group.entries_read >= 0 for group in value.groups.values())


def _encode_group(group: Group, version: i64, form: TargetEncodings, out: BytesWriter) -> None:
    _put_id(out, group.last_id)
    if version >= 2:
        put_u64(out, group.entries_read)
    owned: dict[bytes, list[bytes]] = {name: [] for name in group.consumers}
    put_length(out, len(group.pending))
    for entry in sorted(group.pending):
        pending = group.pending[entry]
        key = key_of(entry)
        out.write(key)
        put_ms(out, pending.delivered_ms)
        put_u64(out, pending.deliveries)
        owned.setdefault(pending.consumer, []).append(key)
    put_length(out, len(owned))
    for name in sorted(owned):
        consumer = group.consumers.get(name)
        seen: i64 = -1 if consumer is None else consumer.seen_ms
        active: i64 = -1 if consumer is None else consumer.active_ms
        put_string(out, name, form.compress)
        put_ms(out, seen)
        if version >= 3:
            put_ms(out, active)
        elif active not in {-1, seen}:
            form.losses.add(ACTIVE_TIMES)
        keys = owned[name]
        put_length(out, len(keys))
        for key in keys:
            out.write(key)


def _put_id(out: BytesWriter, entry: Id) -> None:
    put_u64(out, entry[0])
    put_u64(out, entry[1])
