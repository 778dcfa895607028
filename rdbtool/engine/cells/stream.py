"""The cell of a stream.

Entries stand packed in nodes that are cut where the server cuts its listpacks: trimming with ``~`` drops whole nodes,
and they are ready to be written. Ids are single integers here (`stream_ids`), pairs in the model.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

from rdbtool import model
from rdbtool.model import NO_EXPIRY, Stream, Value
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.values.idempotence import Idempotence
from rdbtool.rdb.values.stream_nodes import NODE_BYTES, NODE_ENTRIES, Node, PackedNodes, add_entry, of_pair, pair_of

from .cell import Cell

UNKNOWN: Final = -1
"""In place of the number of entries that a group has read."""

KEEPREF: Final = 0
"""Deleting an entry leaves what groups have pending."""
DELREF: Final = 1
"""It deletes that too."""
ACKED: Final = 2
"""Only entries that every group has read and acknowledged are deleted."""


def key_of(entry: int) -> bytes:
    """An id as the key of a dict, in the same order. The hash of integers can be foreseen, and a log could be made of
    ids that collide; that of bytes has a seed.
    """
    return entry.to_bytes(16, "big")


def id_of(key: bytes) -> int:
    """The id of such a key."""
    return int.from_bytes(key, "big")


@final
@mypyc_attr(acyclic=True)
class Consumer:
    """A consumer, to whom ``count`` entries are pending."""

    __slots__ = ("active_ms", "count", "name", "seen_ms")

    def __init__(self, name: bytes, seen_ms: int, active_ms: int = -1) -> None:
        self.name = name
        self.seen_ms = seen_ms
        self.active_ms = active_ms
        self.count: i64 = 0


@final
@mypyc_attr(acyclic=True)
class PendingEntry:
    """An entry that was delivered to ``consumer`` and not acknowledged: delivered when (ms) and how often."""

    __slots__ = ("consumer", "delivered_ms", "deliveries")

    def __init__(self, consumer: Consumer, delivered_ms: int, deliveries: int) -> None:
        self.consumer = consumer
        self.delivered_ms = delivered_ms
        self.deliveries = deliveries


NOBODY: Final = Consumer(b"", -1)
"""In place of the consumer of an entry that was released."""


@final
@mypyc_attr(acyclic=True)
class Group:
    """A consumer group: consumers by name, and pending entries by the id of the entry (`key_of`).

    ``released``: those of the pending entries that are nobody's (XNACK), in the order in which they were released.
    """

    __slots__ = ("consumers", "entries_read", "last_id", "pending", "released")

    def __init__(self, last_id: int, entries_read: i64 = UNKNOWN) -> None:
        self.last_id = last_id
        self.entries_read: i64 = entries_read
        self.consumers: dict[bytes, Consumer] = {}
        self.pending: dict[bytes, PendingEntry] = {}
        self.released: dict[bytes, None] = {}

    def consumer(self, name: bytes, now_ms: int) -> Consumer:
        """The consumer of that name, created if it is new; it is seen now."""
        consumer = self.consumers.get(name)
        if consumer is None:
            consumer = Consumer(name, now_ms)
            self.consumers[name] = consumer
        else:
            consumer.seen_ms = now_ms
        return consumer

    def assign(self, entry: int, consumer: Consumer, delivered_ms: int, deliveries: int) -> None:
        """Make the entry pending for ``consumer``, whoever it was pending for."""
        key = key_of(entry)
        pending = self.pending.get(key)
        if pending is None:
            self.pending[key] = PendingEntry(consumer, delivered_ms, deliveries)
        else:
            if pending.consumer is NOBODY:
                self.released.pop(key, None)
            pending.consumer.count -= 1
            pending.consumer = consumer
            pending.delivered_ms = delivered_ms
            pending.deliveries = deliveries
        consumer.count += 1

    def release(self, entry: int, deliveries: int) -> None:
        """Make the entry pending for nobody, the last of those that are."""
        self.assign(entry, NOBODY, 0, deliveries)
        self.released[key_of(entry)] = None

    def acknowledge(self, entry: int) -> bool:
        """Forget that the entry is pending; whether it was."""
        key = key_of(entry)
        pending = self.pending.pop(key, None)
        if pending is None:
            return False
        if pending.consumer is NOBODY:
            self.released.pop(key, None)
        pending.consumer.count -= 1
        return True

    def drop_consumer(self, name: bytes) -> i64:
        """Remove a consumer with all that is pending for it: how much that was."""
        consumer = self.consumers.pop(name, None)
        if consumer is None:
            return 0
        count = consumer.count
        if count:
            self.pending = {entry: own for entry, own in self.pending.items() if own.consumer is not consumer}
        return count


@final
@mypyc_attr(acyclic=True)
class StreamCell(Cell):
    """A stream. It may be empty: a stream without entries keeps its key."""

    __slots__ = ("entries_added", "groups", "idempotence", "last_id", "length", "max_deleted_id", "nodes")

    def __init__(self) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.nodes: list[Node] = []
        self.length: i64 = 0
        self.last_id = 0
        self.max_deleted_id = 0
        self.entries_added = 0
        self.groups: dict[bytes, Group] = {}
        self.idempotence: Idempotence | None = None

    def value(self) -> Value:
        stream = Stream(PackedNodes(self.nodes))
        stream.last_id = pair_of(self.last_id)
        stream.max_deleted_id = pair_of(self.max_deleted_id)
        stream.entries_added = self.entries_added
        for name, own in self.groups.items():
            group = model.Group(pair_of(own.last_id), own.entries_read)
            for consumer in own.consumers.values():
                group.consumers[consumer.name] = model.Consumer(consumer.seen_ms, consumer.active_ms)
            for entry in sorted(own.pending):
                pending = own.pending[entry]
                id_ = pair_of(id_of(entry))
                consumer = pending.consumer
                group.pending.append(
                    model.Pending(
                        id_,
                        consumer.name,
                        pending.delivered_ms,
                        pending.deliveries,
                        is_released=consumer is NOBODY,
                    )
                )
            group.released = [pair_of(id_of(key)) for key in own.released]
            stream.groups[name] = group
        if self.idempotence is not None:
            stream.idmp = self.idempotence.encoded()
        return stream

    def copy(self) -> Cell:
        value = self.value()
        assert isinstance(value, Stream)
        cell = stream_cell(value)
        cell.expire_at_ms = self.expire_at_ms
        return cell

    def append(self, entry: int, items: list[bytes], scratch: ListpackBuilder) -> None:
        """Add an entry with an id above ``last_id``: fields and values in turn."""
        add_entry(self.nodes, entry, items, NODE_BYTES, NODE_ENTRIES, scratch)
        self.length += 1
        self.entries_added += 1
        self.last_id = entry

    def first_id(self) -> int:
        """The id of the first entry, 0 if there is none."""
        for node in self.nodes:
            if node.count:
                return node.id_at(node.start)
        return 0

    def top_id(self) -> int:
        """The id of the last entry, 0 if there is none."""
        i: i64 = len(self.nodes)
        while i > 0:
            i -= 1
            node = self.nodes[i]
            if node.count:
                return node.top()
        return 0

    def has(self, entry: int) -> bool:
        """Whether there is an entry with that id."""
        node = self._node(entry)
        return node is not None and node.find(entry) >= 0

    def find(self, entry: int) -> list[bytes] | None:
        """The fields and values of an entry."""
        node = self._node(entry)
        if node is None:
            return None
        at = node.find(entry)
        return None if at < 0 else node.items_at(at)

    def delete(self, entry: int) -> bool:
        """Delete an entry; whether it was there. ``max_deleted_id`` is the caller's."""
        node = self._node(entry)
        if node is None:
            return False
        at = node.find(entry)
        if at < 0:
            return False
        node.remove(at)
        self.length -= 1
        if not node.count:
            del self.nodes[self._index(entry)]
        return True

    def after(self, entry: int, count: i64) -> list[tuple[int, list[bytes]]]:
        """Up to ``count`` entries with greater ids, all of them if it is 0."""
        found: list[tuple[int, list[bytes]]] = []
        i: i64 = max(self._index(entry), 0)
        while i < len(self.nodes):
            node = self.nodes[i]
            at = node.beyond(entry)
            end: i64 = len(node.run)
            while at < end:
                found.append((node.id_at(at), node.items_at(at)))
                if len(found) == count:
                    return found
                at = node.end_of(at)
            i += 1
        return found

    def _index(self, entry: int) -> i64:
        """The last node that begins at or before an id; -1 if none does."""
        low: i64 = 0
        high: i64 = len(self.nodes)
        while low < high:
            middle = (low + high) // 2
            if self.nodes[middle].first <= entry:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def _node(self, entry: int) -> Node | None:
        at = self._index(entry)
        return None if at < 0 else self.nodes[at]

    # What groups refer to.

    def forget(self, entry: int) -> bool:
        """Drop the entry from all that groups have pending; whether any had it."""
        found = False
        for group in self.groups.values():
            if group.acknowledge(entry):
                found = True
        return found

    def is_referenced(self, entry: int) -> bool:
        """Whether a group has still to read the entry or to acknowledge it."""
        return any(group.last_id < entry or key_of(entry) in group.pending for group in self.groups.values())

    def distance(self, entry: int) -> int:
        """How many entries were ever added up to this id, or `UNKNOWN`, where entries may be missing after it."""
        if not self.entries_added:
            return 0
        if not self.length and entry <= self.last_id:
            return self.entries_added
        if entry == self.last_id:
            return self.entries_added
        if entry > self.last_id:
            return UNKNOWN
        first = self.first_id()
        if not self.max_deleted_id or self.max_deleted_id < first:
            if entry < first:
                return self.entries_added - self.length
            if entry == first:
                return self.entries_added - self.length + 1
        return UNKNOWN

    def has_deleted_after(self, entry: int) -> bool:
        """Whether entries from this id on were deleted one by one."""
        return self.length > 0 and self.max_deleted_id != 0 and entry <= self.max_deleted_id


def stream_cell(stream: Stream) -> StreamCell:
    """A cell of a stream; it shares nothing."""
    cell = StreamCell()
    packed = stream.packed
    if isinstance(packed, PackedNodes):
        cell.nodes = [node.copy() for node in packed.nodes]
    else:
        scratch = ListpackBuilder()
        for pair, items in stream.entries:
            cell.append(of_pair(pair), items, scratch)
    cell.length = sum(node.count for node in cell.nodes)
    cell.last_id = of_pair(stream.last_id)
    cell.max_deleted_id = of_pair(stream.max_deleted_id)
    cell.entries_added = stream.entries_added
    for name, group in stream.groups.items():
        own = Group(of_pair(group.last_id), group.entries_read)
        for consumer_name, facts in group.consumers.items():
            own.consumers[consumer_name] = Consumer(consumer_name, facts.seen_ms, facts.active_ms)
        for pending in group.pending:
            consumer = NOBODY if pending.is_released else own.consumers[pending.consumer]
            own.assign(of_pair(pending.entry), consumer, pending.delivered_ms, pending.deliveries)
        own.released = {key_of(of_pair(entry)): None for entry in group.released}
        cell.groups[name] = own
    if stream.idmp:
        cell.idempotence = Idempotence(stream.idmp)
    return cell
