"""What streams take on a server: their nodes, the trees that find these, groups, consumers and pending entries."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.rdb.layout.primitives import INT32, read_encoded_integer, read_length_or_encoding
from rdbtool.rdb.layout.producers import skip_producers
from rdbtool.rdb.layout.stream import StreamFraming
from rdbtool.rdb.layout.stream_node import ID_SIZE

from .costs import Costs
from .packed import pass_lzf, string_length
from .rax import Rax

PREALLOCATED: Final[i64] = 4096
"""What a stream's node has room for while entries are added to it (STREAM_LISTPACK_MAX_PRE_ALLOCATE)."""
MOST: Final[i64] = (1 << 62) - 1
ROUGH_KEY: Final[i64] = 16
ROUGH_NODE: Final[i64] = 4 + 30 * 8
"""What MEMORY USAGE counts of a tree where it counts roughly (streamRadixTreeMemoryUsage)."""


@final
class StreamSize:
    """Measures streams; ``elements``: entries of the last one."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self.elements: i64 = 0
        self._rax = Rax(costs.allocator)

    def take(self, w: Window, version: i64) -> i64:
        """Pass a stream in that version of the format; what it takes, without its key. Raises what reading raises."""
        stream = StreamFraming(w, version)
        costs = self.costs
        layout = costs.layout
        rax = self._rax
        rax.begin()
        total = costs.fixed(layout.stream)
        last: i64 = 0
        requested = costs.reported and layout.counts_strings_nominally
        in_full = requested or not costs.reported
        while stream.next_node():
            self._add_id(w)
            size = string_length(w)
            total += last if requested else costs.allocator.size(last)
            last = size
        rax.finish()
        if requested:
            total += last
        elif rax.keys > 0:
            total += costs.allocator.size(max(last, PREALLOCATED))
        total += self._tree()
        stream.read_counters()
        self.elements = min(stream.length, int(MOST))
        groups: i64 = 0
        pending: i64 = 0
        most: i64 = 0
        references: i64 = 0
        while stream.next_group():
            groups += 1
            string_length(w)
            stream.read_group()
            total += costs.fixed(layout.group)
            if in_full:
                total += self._name_in_tree()
            rax.begin()
            while stream.next_pending():
                rax.add(stream.entry)
            rax.finish()
            total += self._tree() + rax.keys * costs.fixed(layout.nack)
            pending += rax.keys
            if rax.keys > most:  # groups have the same entries pending, more or less
                most = rax.keys
                references = rax.bytes
            while stream.next_consumer():
                name = string_length(w)
                stream.read_consumer()
                total += costs.fixed(layout.consumer)
                if in_full:
                    total += costs.string(name) + self._name_in_tree()
                else:
                    total += name
                rax.begin()
                while stream.next_owned():
                    rax.add(stream.entry)
                rax.finish()
                total += self._tree()
            if version >= 5:
                stream.pass_released()
        if groups > 0 and in_full:
            total += costs.fixed(layout.rax)
        if layout.refers_to_groups and not costs.reported:
            total += references
        if layout.lists_groups and in_full:
            total += most * costs.fixed(layout.linked_list) + pending * costs.fixed(layout.link)
        if stream.has_producers:
            at = w.offset()
            skip_producers(w)
            total += w.offset() - at
        return total

    def _add_id(self, w: Window) -> None:
        n = read_length_or_encoding(w)
        if n == ID_SIZE:
            self._rax.add(w.take(ID_SIZE))
        elif n >= 0:
            w.skip(n)
        elif n >= INT32:
            read_encoded_integer(w, n)
        else:
            pass_lzf(w, n)

    def _tree(self) -> i64:
        """What the tree takes that was just finished."""
        costs = self.costs
        rax = self._rax
        if costs.reported and costs.layout.counts_trees_roughly:
            return rax.keys * ROUGH_KEY + rax.nodes * ROUGH_NODE
        return rax.bytes + costs.fixed(costs.layout.rax)

    def _name_in_tree(self) -> i64:
        """A name in a tree of names that differ near their end."""
        return 2 * self.costs.allocator.size(24)
