"""The nodes of a stream while it lives: what the engine adds entries to, and what a writer cuts new nodes with.

How a node stands in a file is said in `rdb.layout.stream_node`. Ids are single integers here, the time in ms above the
64 bits of the sequence number, and pairs in the model.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

from rdbtool.basics.numbers import U64_MASK
from rdbtool.model import Entries, Id, PackedEntries
from rdbtool.rdb.layout.listpack import MANY, ListpackCursor
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder, listpack_of
from rdbtool.rdb.layout.listpack_entry import end_of, integer_at
from rdbtool.rdb.layout.run import length_of
from rdbtool.rdb.layout.stream_node import SAME_FIELDS, entry_items, node_entries

NODE_ENTRIES: Final[i64] = 100
"""stream-node-max-entries, by default."""
NODE_BYTES: Final[i64] = 4096
"""stream-node-max-bytes, by default."""


def of_pair(pair: Id) -> int:
    """An id from the pair (ms, seq) of the model."""
    return pair[0] << 64 | pair[1]


def pair_of(entry: int) -> Id:
    """The pair (ms, seq) of the model."""
    return (entry >> 64, entry & U64_MASK)


@final
@mypyc_attr(acyclic=True)
class Node:
    """A node while a stream lives: its entries as they stand in its listpack, without those that were deleted.

    ``first`` and ``last`` are the ids of its first and last entry, deleted or not; ``fields`` are those of the first.
    The entries, ``count``, stand in ``run`` from ``start`` on; a place is an offset there. For the server the node
    also has ``dead`` entries, deleted ones, and ``size`` is that of its listpack.
    """

    __slots__ = ("_found", "_ms", "_seq", "count", "dead", "fields", "first", "last", "run", "size", "start")

    def __init__(self, first: int, fields: list[bytes], scratch: ListpackBuilder) -> None:
        self.first = first
        self._ms = first >> 64
        self._seq = first & U64_MASK
        self.last = first
        self.fields = fields
        self.run = b""
        self.start: i64 = 0
        self.count: i64 = 0
        self.dead: i64 = 0
        self._found: i64 = 0  # the place that was looked for last: the next one is often the one after it
        scratch.restart()
        self._put_head(scratch)
        self.size: i64 = scratch.size

    def _put_head(self, out: ListpackBuilder) -> None:
        out.append_integer(self.count)
        out.append_integer(0)
        out.append_integer(len(self.fields))
        for field in self.fields:
            out.append(field)
        out.append_integer(0)

    def takes(self, items: list[bytes], max_bytes: i64, max_entries: i64) -> bool:
        """Whether a further entry belongs to this node (streamAppendItem); 0 stands for no limit."""
        if max_entries and self.count + self.dead >= max_entries:
            return False
        if max_bytes == 0:
            return True
        size = self.size
        for item in items:
            size += len(item)
        return size < max_bytes

    def append(self, entry: int, items: list[bytes], scratch: ListpackBuilder) -> None:
        """Add an entry with an id above ``last``, or the first: fields and values in turn."""
        fields = self.fields
        count: i64 = len(items)
        same = count == 2 * len(fields)
        i: i64 = 0
        while same and i < count:
            same = items[i] == fields[i >> 1]
            i += 2
        out = scratch.restart()
        if same:
            scratch.append_integer(SAME_FIELDS)
        else:
            scratch.append_integer(0)
        scratch.append_integer(_difference(entry >> 64, self._ms))
        scratch.append_integer(_difference(entry & U64_MASK, self._seq))
        if same:
            i = 1
            while i < count:
                scratch.append(items[i])
                i += 2
        else:
            scratch.append_integer(count >> 1)
            for item in items:
                scratch.append(item)
        scratch.append_integer(scratch.count)
        run = self.run
        if self.start:
            # the run is copied anyway: what was dropped from its front can go
            run = run[self.start :]
            self._found -= self.start
            self.start = 0
        self.run = run + out.getvalue()
        self.size += len(out)
        self.count += 1
        self.last = entry

    def find(self, entry: int) -> i64:
        """The place of an entry, or -1."""
        ms = _difference(entry >> 64, self._ms)
        seq = _difference(entry & U64_MASK, self._seq)
        at = self._find(ms, seq, self._found, len(self.run))
        if at < 0:
            at = self._find(ms, seq, self.start, self._found)
        if at >= 0:
            self._found = at
        return at

    def _find(self, ms: i64, seq: i64, at: i64, end: i64) -> i64:
        run = self.run
        while at < end:
            if integer_at(run, at + 2) == ms and integer_at(run, end_of(run, at + 2)) == seq:
                return at
            at = self.end_of(at)
        return -1

    def beyond(self, entry: int) -> i64:
        """The place of the first entry with a greater id, or the run's end."""
        at = self.start
        if entry < self.first:
            return at
        found = self.find(entry)
        if found >= 0:
            return self.end_of(found)
        end: i64 = len(self.run)
        while at < end and self.id_at(at) < entry:
            at = self.end_of(at)
        return at

    def end_of(self, at: i64) -> i64:
        """Where the entry ends, and the next one begins."""
        run = self.run
        flags: i64 = run[at]
        at = end_of(run, end_of(run, at + 2))
        left: i64 = len(self.fields)
        if not flags & SAME_FIELDS:
            left = 2 * integer_at(run, at)
            at = end_of(run, at)
        while left > 0:
            at = end_of(run, at)
            left -= 1
        return end_of(run, at)

    def id_at(self, at: i64) -> int:
        """The id of the entry."""
        run = self.run
        ms: int = integer_at(run, at + 2)
        seq: int = integer_at(run, end_of(run, at + 2))
        return ((self._ms + ms) & U64_MASK) << 64 | ((self._seq + seq) & U64_MASK)

    def items_at(self, at: i64) -> list[bytes]:
        """The fields and values of the entry in turn."""
        entry = listpack_of(self.run[at : self.end_of(at)], MANY)
        return entry_items(ListpackCursor(entry), self.fields)

    def remove(self, at: i64) -> i64:
        """Delete the entry; where the next one is now. Cheap for the first."""
        end = self.end_of(at)
        if at == self.start:
            self.start = end
            self._found = max(self._found, end)
            at = end
        else:
            self.run = self.run[:at] + self.run[end:]
            self._found = at
        self.count -= 1
        self.dead += 1
        return at

    def top(self) -> int:
        """The id of the last entry that is left; there must be one."""
        run = self.run
        end: i64 = len(run)
        at = self.start
        after = self.end_of(at)
        while after < end:
            at = after
            after = self.end_of(at)
        return self.id_at(at)

    def copy(self) -> Node:
        """A node of its own with the same entries."""
        node = Node(self.first, self.fields, ListpackBuilder())
        node.last = self.last
        node.run = self.run
        node.start = self.start
        node._found = self._found
        node.count = self.count
        node.dead = self.dead
        node.size = self.size
        return node

    def listpack(self) -> bytes:
        """The entries as a listpack, in which none is deleted."""
        out = ListpackBuilder()
        self._put_head(out)
        run = self.run[self.start :]
        out.extend(run, length_of(run))
        return out.finish()


def add_entry(
    nodes: list[Node], entry: int, items: list[bytes], max_bytes: i64, max_entries: i64, scratch: ListpackBuilder
) -> None:
    """Add an entry to the last of the nodes, or to a new one."""
    node = nodes[-1] if nodes else None
    if node is None or not node.takes(items, max_bytes, max_entries):
        node = Node(entry, items[::2], scratch)
        nodes.append(node)
    node.append(entry, items, scratch)


def _difference(a: int, b: int) -> i64:
    """``a - b`` as C stores the difference of two unsigned numbers in a signed one."""
    difference = a - b
    if -(1 << 61) < difference < 1 << 61:
        return difference
    difference &= U64_MASK
    return difference - (1 << 64) if difference >> 63 else difference


@final
class PackedNodes(PackedEntries):
    """The nodes of a stream, cut as a server with the default limits does."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def entries(self) -> Entries:
        found: Entries = []
        for node in self.nodes:
            found += node_entries(pair_of(node.first), node.listpack())
        return found
