"""What arrays take on a server (sparsearray.h of Redis 8.8): slices of 4,096 indexes, and the tables that find them."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.rdb.layout.arrays import LONG, ArrayElements

from .costs import Costs
from .packed import string_length

ARRAY: Final[i64] = 80
SLICE: Final[i64] = 32
"""In front of what a slice holds."""
BITS: Final[i64] = 12
WIDTH: Final[i64] = 1 << BITS
"""Indexes of a slice (array-slice-size)."""
SPARSE: Final[i64] = 10
"""Elements of a slice up to which they are kept with their indexes (array-sparse-kmax)."""
FIRST: Final[i64] = 8
"""Indexes of the smallest window that has all of them."""
BLOCK: Final[i64] = 2048
"""Slices of a block: a table of so many is not made larger, but one of blocks is made."""
BLOCK_ENTRY: Final[i64] = 24
LONG_HEADER: Final[i64] = 32768
"""Strings from here on have a header of 8 bytes, others one of 2."""


@final
class ArraySize:
    """Measures arrays; of the last one, ``elements``, and ``largest``: bytes of its largest string, -1 where it has
    numbers only.
    """

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self.elements: i64 = 0
        self.largest: i64 = -1
        self._count: i64 = 0
        self._first: i64 = 0
        self._last: i64 = 0

    def take(self, w: Window) -> i64:
        """Pass an array; what it takes, without its key. Raises what reading raises."""
        elements = ArrayElements(w)
        allocator = self.costs.allocator
        self.elements = elements.left
        self.largest = -1
        self._count = 0
        total = allocator.size(ARRAY)
        slice_id: i64 = -1
        block: i64 = -1
        blocks: i64 = 0
        highest: i64 = 0
        while elements.next():
            at = elements.index >> BITS
            if at != slice_id:
                total += self._slice()
                slice_id = at
                highest = max(highest, at)
                if at // BLOCK != block:
                    block = at // BLOCK
                    blocks += 1
                self._first = elements.index
            self._count += 1
            self._last = elements.index
            if not elements.is_number:
                n = string_length(w)
                self.largest = max(self.largest, n)
                if n >= LONG:
                    total += allocator.size(n + (2 if n < LONG_HEADER else 8))
        total += self._slice()
        if highest < BLOCK:
            size: i64 = 1
            while size <= highest:
                size *= 2
            return total + allocator.size(8 * size)
        size = 4
        while size < blocks:
            size *= 2
        return total + blocks * allocator.size(8 * BLOCK) + allocator.size(BLOCK_ENTRY * size)

    def _slice(self) -> i64:
        """The slice whose elements have been passed; 0 where there are none."""
        count = self._count
        self._count = 0
        if count == 0:
            return 0
        if count <= SPARSE:
            room: i64 = 4
            while room < count:
                room = min(2 * room, SPARSE)
            return self.costs.allocator.size(SLICE + (2 * room + 7) // 8 * 8 + 8 * room)
        width: i64 = FIRST
        while width < self._last - self._first + 1 and width < WIDTH:
            width *= 2
        return self.costs.allocator.size(SLICE + 8 * width)
