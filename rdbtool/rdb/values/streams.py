"""Streams: nodes of entries, counters and consumer groups."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.model import NO_PRODUCERS, Consumer, Entries, Group, Id, Pending, Stream
from rdbtool.rdb.layout.encoders import put_length, put_ms, put_string, put_u64
from rdbtool.rdb.layout.facts import ACTIVE_TIMES, IDEMPOTENCE, RELEASED, STREAM_COUNTERS
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.primitives import read_string
from rdbtool.rdb.layout.producers import take_producers
from rdbtool.rdb.layout.stream import STREAM_VERSIONS, StreamFraming
from rdbtool.rdb.layout.stream_node import id_of, key_of, master_id, node_entries
from rdbtool.servers.limits import Limits

from .idempotence import Idempotence
from .stream_nodes import NODE_BYTES, NODE_ENTRIES, Node, PackedNodes, add_entry, of_pair, pair_of
from .target_encodings import TargetEncodings


@final
class StreamDecoder:
    """Decodes payloads of one version of the format."""

    def __init__(self, version: i64) -> None:
        self.version: i64 = version

    def decode(self, w: Window) -> Stream:
        """The stream. Raises what reading raises, and `FormatError`."""
        framing = StreamFraming(w, self.version)
        entries: Entries = []
        while framing.next_node():
            key = read_string(w)
            entries += node_entries(master_id(key), read_string(w))
        _refuse_twice([entry[0] for entry in entries])
        stream = decode_tail(framing)
        stream.entries = entries
        return stream


def decode_tail(framing: StreamFraming) -> Stream:
    """What follows the nodes; ``entries`` is empty."""
    framing.read_counters()
    stream = Stream()
    stream.last_id = framing.last_id
    stream.max_deleted_id = framing.max_deleted_id
    stream.entries_added = framing.entries_added
    w = framing.window
    while framing.next_group():
        name = read_string(w)
        if name in stream.groups:
            raise FormatError("a consumer group more than once", doing="decoding a stream")
        stream.groups[name] = _decode_group(framing)
    if framing.has_producers:
        stream.idmp = take_producers(w)
        if stream.idmp != NO_PRODUCERS:
            Idempotence(stream.idmp)
    return stream


def _refuse_twice(ids: list[Id]) -> None:
    """Raise `FormatError` where an id is among them more than once; they need not be in order."""
    ids.sort()
    last: Id = (-1, 0)
    for entry in ids:
        if entry == last:
            raise FormatError("an entry more than once", doing="decoding a stream")
        last = entry


_DOING: Final = "decoding a stream"
_NOBODY: Final = b"nobody"  # told from a consumer of that name by being this very object


def _decode_group(framing: StreamFraming) -> Group:
    w = framing.window
    framing.read_group()
    group = Group(framing.last_id, framing.entries_read)
    by_id: dict[bytes, Pending] = {}
    while framing.next_pending():
        key = framing.entry
        by_id[key] = Pending(id_of(key), _NOBODY, framing.delivered_ms, framing.deliveries)
    group.pending = list(by_id.values())
    while framing.next_consumer():
        name = read_string(w)
        framing.read_consumer()
        if name in group.consumers:
            raise FormatError("a consumer more than once", doing="decoding a stream")
        group.consumers[name] = Consumer(framing.seen_ms, framing.active_ms)
        while framing.next_owned():
            pending = by_id.get(framing.entry)
            if pending is None:
                raise FormatError("a consumer's entry that its group does not have", doing="decoding a stream")
            pending.consumer = name
    while framing.next_released():  # a server does not mind one that is there twice
        pending = by_id.get(framing.entry)
        if pending is None or pending.consumer is not _NOBODY:
            raise FormatError("a released entry that is not pending, or belongs to a consumer", doing=_DOING)
        if not pending.is_released:
            pending.is_released = True
            group.released.append(pending.entry)
    for pending in group.pending:
        if pending.consumer is _NOBODY:
            if not pending.is_released:
                raise FormatError("a pending entry without a consumer", doing=_DOING)
            pending.consumer = b""
    return group


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
    for pair, items in value.entries:
        add_entry(nodes, of_pair(pair), items, max_bytes, max_entries, scratch)
    return nodes


def encode_tail(value: Stream, length: int, first: Id, form: TargetEncodings, out: BytesWriter) -> str:
    """Write what follows the nodes; answers the name of the payload's type."""
    released = sum(len(group.released) for group in value.groups.values())
    version = form.stream_version(producers=bool(value.idmp), released=released > 0)
    if version < 5 and released:
        form.losses.add(RELEASED, released)
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
    if version >= 4:
        out.write(value.idmp or NO_PRODUCERS)
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
    # what nobody has can only be said in the fifth version
    told = [pending for pending in group.pending if version >= 5 or not pending.is_released]
    put_length(out, len(told))
    for pending in sorted(told, key=_entry):
        key = key_of(pending.entry)
        out.write(key)
        put_ms(out, pending.delivered_ms)
        put_u64(out, pending.deliveries)
        if not pending.is_released:
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
    if version >= 5:
        put_length(out, len(group.released))
        for entry in group.released:
            out.write(key_of(entry))


def _entry(pending: Pending) -> Id:
    return pending.entry


def _put_id(out: BytesWriter, entry: Id) -> None:
    put_u64(out, entry[0])
    put_u64(out, entry[1])
