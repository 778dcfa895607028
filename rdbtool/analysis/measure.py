"""What a value is made of and takes on a server, from its bytes in the file: headers and lengths are read, and hardly
anything is decompressed or decoded.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.numbers import is_integer_at
from rdbtool.io.window import Window
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.cursor import STRING as STRING_ELEMENT
from rdbtool.rdb.layout.cursor import Cursor
from rdbtool.rdb.layout.intset import IntsetCursor
from rdbtool.rdb.layout.listpack import ListpackCursor
from rdbtool.rdb.layout.primitives import (
    INT32,
    read_count,
    read_encoded_integer,
    read_length,
    read_length_or_encoding,
    skip_double,
)
from rdbtool.rdb.layout.quicklist import PLAIN
from rdbtool.rdb.layout.ziplist import ZiplistCursor
from rdbtool.rdb.layout.zipmap import ZipmapCursor
from rdbtool.servers.memory import Layout
from rdbtool.servers.releases import Release

from .array_size import ArraySize
from .costs import Costs
from .encodings import (
    EMBSTR,
    HASHTABLE,
    INT,
    INTSET,
    LINKED_LIST,
    LISTPACK,
    LISTPACKEX,
    MODULE,
    QUICKLIST,
    RAW,
    SKIPLIST,
    SLICED_ARRAY,
    STREAM,
    WALK_ARRAY,
    WALK_HASH,
    WALK_HASH2,
    WALK_INTSET,
    WALK_LIST,
    WALK_LISTPACK,
    WALK_LISTPACK_EX,
    WALK_LISTPACK_EX_PRE_GA,
    WALK_LISTPACK_SCORES,
    WALK_METADATA,
    WALK_METADATA_PRE_GA,
    WALK_MODULE,
    WALK_PATH_HASH,
    WALK_QUICKLIST,
    WALK_QUICKLIST2,
    WALK_SET,
    WALK_STREAM,
    WALK_STRING,
    WALK_TEMPLATE_ARRAY,
    WALK_TEMPLATE_LISTPACK,
    WALK_ZIPLIST,
    WALK_ZIPLIST_PAIRS,
    WALK_ZIPLIST_SCORES,
    WALK_ZIPMAP,
    WALK_ZSET,
    WALK_ZSET2,
    WALKS,
    ZIPLIST,
)
from .hash_size import HashSize
from .packed import NOWHERE, Packed, digits, number_at, pass_lzf, string_length
from .stream_size import StreamSize

LIST_NODE: Final[i64] = 8192
"""The largest node of a list."""
LONGEST_NUMBER: Final[i64] = 20
LISTPACK_FRAME: Final[i64] = 7
SET_ENTRY: Final[i64] = 2
"""What a listpack takes beside its elements, and for each short one."""
LZF_NODE: Final[i64] = 8
SMALLEST_LZF: Final[i64] = 48
"""A smaller node of a list is never compressed in memory (MIN_COMPRESS_BYTES)."""
IN_LISTPACK: Final[i64] = 4
IN_ZIPLIST: Final[i64] = 8
"""Where the number of elements stands."""
ZIPLIST_MORE: Final[i64] = 4
"""By how much the header of a ziplist is larger than that of a listpack; elements take about the same."""


@final
class Measure:
    """Measures values, one at a time.

    ``costs``: of the server; ``largest_wanted``: find out the size of the largest element of packed values too, for
    which they are opened; ``list_depth``: the server's ``list-compress-depth``; ``writer``: of the file, where
    it is known.

    Of the last value: ``bytes``: with its key; ``elements``: bytes of a string, items, members, fields, entries;
    ``largest``: bytes of the largest element, -1 where it is not known; ``encoding``: an index in `ENCODINGS`;
    ``size``: of the payload in the file; ``field_expiries``: fields of a hash that expire.
    """

    def __init__(
        self, costs: Costs, *, largest_wanted: bool = False, list_depth: i64 = 0, writer: Release | None = None
    ) -> None:
        self.costs = costs
        self.largest_wanted = largest_wanted
        self.list_depth: i64 = list_depth
        self.bytes: i64 = 0
        self.elements: i64 = 0
        self.largest: i64 = -1
        self.encoding: i64 = 0
        self.size: i64 = 0
        self.field_expiries: i64 = 0
        self._packed = Packed()
        self._streams = StreamSize(costs)
        self._hashes = HashSize(costs, largest_wanted=largest_wanted)
        self._arrays = ArraySize(costs)
        self._packs_sets = writer is not None and costs.layout.set_listpacks and not Layout(writer).set_listpacks
        self._set_entries: i64 = costs.layout.release.limits.set_entries
        self._set_value: i64 = costs.layout.release.limits.set_value

    def measure(self, frame: Frame) -> None:
        """Measure the value of ``frame``, and pass it. Raises what reading raises."""
        w = frame.window()
        row = frame.type
        begin = w.base + w.pos
        length: i64 = len(frame.key)
        expires = frame.expire_at_ms >= 0
        self.largest = -1
        self.field_expiries = 0
        how = i64(WALKS.get(row.name, int(WALK_STREAM)))
        if how == WALK_STRING:
            self._string_value(w, length, expires)
        else:
            self.elements = 0
            if how == WALK_HASH:
                value = self._hash(w, how)
            elif how == WALK_SET:
                value = self._set(w)
            elif how in (WALK_ZSET2, WALK_ZSET):
                value = self._zset(w, how)
            elif how in (WALK_QUICKLIST2, WALK_QUICKLIST):
                value = self._quicklist(w, how == WALK_QUICKLIST2)
            elif how == WALK_STREAM:
                value = self._streams.take(w, row.stream_version)
                self.elements = self._streams.elements
                self.encoding = STREAM
            elif how == WALK_LIST:
                value = self._list(w)
            elif how == WALK_MODULE:
                row.skip(w)
                self.encoding = MODULE
                value = w.base + w.pos - begin
            elif how == WALK_ARRAY:
                value = self._arrays.take(w)
                self.elements = self._arrays.elements
                self.largest = self._arrays.largest
                self.encoding = SLICED_ARRAY
            elif how in (
                WALK_HASH2,
                WALK_METADATA,
                WALK_METADATA_PRE_GA,
                WALK_TEMPLATE_LISTPACK,
                WALK_TEMPLATE_ARRAY,
                WALK_PATH_HASH,
            ):
                value = self._hash(w, how)
            else:
                value = self._one_packed(w, how)
            self.bytes = value + self.costs.key(length, expires)
        self.size = w.base + w.pos - begin

    def _string_value(self, w: Window, length: i64, expires: bool) -> None:
        costs = self.costs
        n = read_length_or_encoding(w)
        if n >= 0:
            if n <= LONGEST_NUMBER and w.need(n) and is_integer_at(w.data, w.pos, n):
                w.pos += n
                self._number(length, expires, n, False)
                return
            w.skip(n)
        elif n >= INT32:
            number = read_encoded_integer(w, n)
            self._number(length, expires, digits(number), 0 <= number < 10000)
            return
        else:
            n = pass_lzf(w, n)
        self.elements = n
        self.largest = n
        self.bytes = costs.string_key(length, expires, n)
        self.encoding = EMBSTR if costs.is_embedded(length, expires, n) else RAW

    def _number(self, length: i64, expires: bool, digits: i64, shared: bool) -> None:
        self.elements = digits
        self.largest = digits
        self.encoding = INT
        self.bytes = self.costs.integer_key(length, expires, shared)

    def _hash(self, w: Window, how: i64) -> i64:
        hashes = self._hashes
        value = hashes.take(w, how)
        self.elements = hashes.elements
        self.largest = hashes.largest
        self.encoding = hashes.encoding
        self.field_expiries = hashes.field_expiries
        return value

    def _list(self, w: Window) -> i64:
        """Elements in a row, as the oldest releases write long lists; packed into nodes where it is loaded."""
        count = read_count(w, 1)
        self.elements = count
        largest: i64 = 0
        node: i64 = 7
        costs = self.costs
        if not costs.layout.quicklists:
            return self._linked_list(w, count)
        total = costs.fixed(costs.layout.quicklist)
        while count > 0:
            n = string_length(w)
            largest = max(largest, n)
            size = n + (2 if n < 64 else 4 if n < 4096 else 9)
            if node + size > LIST_NODE and node > 7:
                total += costs.fixed(costs.layout.quicklist_node) + costs.packed(node)
                node = 7
            node += size
            count -= 1
        self.largest = largest
        self.encoding = QUICKLIST
        return total + costs.fixed(costs.layout.quicklist_node) + costs.packed(node)

    def _linked_list(self, w: Window, count: i64) -> i64:
        costs = self.costs
        layout = costs.layout
        total = costs.fixed(layout.linked_list)
        largest: i64 = 0
        while count > 0:
            n = string_length(w)
            largest = max(largest, n)
            total += costs.fixed(layout.link) + costs.robj + costs.string(n)
            count -= 1
        self.largest = largest
        self.encoding = LINKED_LIST
        return total

    def _set(self, w: Window) -> i64:
        count = read_count(w, 1)
        self.elements = count
        self.encoding = HASHTABLE
        costs = self.costs
        total = costs.table(count, costs.layout.sets)
        largest: i64 = 0
        together: i64 = 0
        while count > 0:
            n = string_length(w)
            largest = max(largest, n)
            total += costs.string(n)
            together += n
            count -= 1
        self.largest = largest
        if self._packs_sets and self.elements <= self._set_entries and largest <= self._set_value:
            # A release that packs small sets does so as it loads those of one that did not.
            self.encoding = LISTPACK
            return costs.packed(together + SET_ENTRY * self.elements + LISTPACK_FRAME)
        return total

    def _zset(self, w: Window, how: i64) -> i64:
        count = read_count(w, 9 if how == WALK_ZSET2 else 2)
        self.elements = count
        self.encoding = SKIPLIST
        costs = self.costs
        total = costs.members(count)
        largest: i64 = 0
        while count > 0:
            n = string_length(w)
            if how == WALK_ZSET2:
                w.skip(8)
            else:
                skip_double(w)
            largest = max(largest, n)
            total += costs.member(n)
            count -= 1
        self.largest = largest
        return total

    def _one_packed(self, w: Window, how: i64) -> i64:
        """A value that is one string of packed elements; what it takes."""
        costs = self.costs
        layout = costs.layout
        packed = self._packed
        if how == WALK_INTSET:
            packed.take(w, NOWHERE, self.largest_wanted)
            self.encoding = INTSET
            self.elements = number_at(packed.head, 4, 4)
            whole = packed.whole
            if self.largest_wanted and whole is not None:
                self._walk(IntsetCursor(whole), 1, False)
            return costs.packed(packed.size)
        if how == WALK_ZIPMAP:
            packed.take(w, NOWHERE, True)
            whole = packed.whole
            assert whole is not None
            self._walk(ZipmapCursor(whole), 2, False)
        elif how in (WALK_ZIPLIST, WALK_ZIPLIST_PAIRS, WALK_ZIPLIST_SCORES):
            self._ziplist(w, 1 if how == WALK_ZIPLIST else 2, how == WALK_ZIPLIST_SCORES)
            if how == WALK_ZIPLIST:
                return self._one_node_list(packed.size)
        elif how in (WALK_LISTPACK_EX, WALK_LISTPACK_EX_PRE_GA):
            if how == WALK_LISTPACK_EX:
                w.skip(8)
            self._expiring_listpack(w)
            self.encoding = LISTPACKEX
            return costs.packed(packed.size) + costs.fixed(layout.expiring_listpack)
        else:
            self._listpack(w, 1 if how == WALK_LISTPACK else 2, how == WALK_LISTPACK_SCORES)
            if how == WALK_LISTPACK and not layout.set_listpacks:
                # In such a release, the members are in a table.
                self.encoding = HASHTABLE
                each = max(packed.size // max(self.elements, 1) - 2, 1)
                return costs.table(self.elements, layout.sets) + self.elements * costs.string(each)
        self.encoding = LISTPACK if layout.listpacks else ZIPLIST
        return costs.packed(packed.size)

    def _listpack(self, w: Window, width: i64, numbered: bool) -> None:
        """Pass a listpack of elements of ``width`` strings, and count them; its size becomes that in memory."""
        packed = self._packed
        packed.take(w, IN_LISTPACK, self.largest_wanted)
        whole = packed.whole
        if whole is None:
            self.elements = number_at(packed.head, IN_LISTPACK, 2) // width
        else:
            self._walk(ListpackCursor(whole), width, numbered)
        if not self.costs.layout.listpacks:
            packed.size += ZIPLIST_MORE

    def _ziplist(self, w: Window, width: i64, numbered: bool) -> None:
        """The same of a ziplist."""
        packed = self._packed
        packed.take(w, IN_ZIPLIST, self.largest_wanted)
        whole = packed.whole
        if whole is None:
            self.elements = number_at(packed.head, IN_ZIPLIST, 2) // width
        else:
            self._walk(ZiplistCursor(whole), width, numbered)
        if self.costs.layout.listpacks:
            packed.size -= ZIPLIST_MORE

    def _expiring_listpack(self, w: Window) -> None:
        """Pass a listpack of fields, values and times, and count the fields, and those that expire."""
        packed = self._packed
        packed.take(w, IN_LISTPACK, True)
        whole = packed.whole
        assert whole is not None
        self._walk(ListpackCursor(whole), 3, True)
        cursor = ListpackCursor(whole)
        turn: i64 = 0
        while cursor.next():
            turn += 1
            if turn == 3:
                turn = 0
                if cursor.kind == STRING_ELEMENT or cursor.number != 0:
                    self.field_expiries += 1

    def _walk(self, cursor: Cursor, width: i64, numbered: bool) -> None:
        packed = self._packed
        packed.walk(cursor, width, numbered)
        self.elements = packed.elements
        self.largest = max(self.largest, packed.largest)

    def _one_node_list(self, size: i64) -> i64:
        costs = self.costs
        layout = costs.layout
        if (layout.small_lists and size <= LIST_NODE) or not layout.quicklists:
            self.encoding = LISTPACK if layout.listpacks else ZIPLIST
            return costs.packed(size)
        self.encoding = QUICKLIST
        return costs.fixed(layout.quicklist) + costs.fixed(layout.quicklist_node) + costs.packed(size)

    def _quicklist(self, w: Window, containers: bool) -> i64:
        count = read_count(w, 2 if containers else 1)
        costs = self.costs
        layout = costs.layout
        packed = self._packed
        nodes = count
        total: i64 = 0
        elements: i64 = 0
        depth = self.list_depth
        plain = False
        while count > 0:
            plain = containers and read_length(w) == PLAIN
            if plain:
                packed.size = string_length(w)
                packed.compressed = -1
                elements += 1
                self.largest = max(self.largest, packed.size)
            else:
                if containers:
                    self._listpack(w, 1, False)
                else:
                    self._ziplist(w, 1, False)
                elements += self.elements
            inner = depth > 0 and count > depth and nodes - count >= depth
            if inner and packed.compressed >= 0 and packed.size >= SMALLEST_LZF:
                total += costs.allocator.size(packed.compressed + LZF_NODE)
            else:
                total += costs.packed(packed.size)
            count -= 1
        self.elements = elements
        if not self.largest_wanted:
            self.largest = -1  # of what is packed it is not known
        if nodes == 1 and not plain:
            return self._one_node_list(packed.size)
        self.encoding = QUICKLIST
        return total + costs.fixed(layout.quicklist) + nodes * costs.fixed(layout.quicklist_node)
