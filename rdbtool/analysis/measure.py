"""What a value is made of and takes on a server, from its bytes in the file: headers and lengths are read, and hardly
anything is decompressed or decoded.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.lzf import beginning, decompress
from rdbtool.basics.numbers import is_integer_at
from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.rdb.layout.cursor import STRING, Cursor
from rdbtool.rdb.layout.expiring_hash import Hash2Fields, MetadataFields
from rdbtool.rdb.layout.intset import IntsetCursor
from rdbtool.rdb.layout.listpack import ListpackCursor
from rdbtool.rdb.layout.primitives import (
    INT32,
    LZF,
    read_count,
    read_encoded_integer,
    read_length,
    read_length_or_encoding,
    skip_double,
)
from rdbtool.rdb.layout.producers import skip_producers
from rdbtool.rdb.layout.stream import StreamFraming
from rdbtool.rdb.layout.stream_node import ID_SIZE
from rdbtool.rdb.layout.ziplist import ZiplistCursor
from rdbtool.rdb.layout.zipmap import ZipmapCursor
from rdbtool.rdb.reader import Frame
from rdbtool.servers.memory import BUCKETS

from .costs import Costs
from .rax import Rax

ENCODINGS: Final = (
    "int",
    "embstr",
    "raw",
    "listpack",
    "ziplist",
    "quicklist",
    "linkedlist",
    "intset",
    "hashtable",
    "skiplist",
    "listpackex",
    "stream",
    "module",
)
"""What OBJECT ENCODING answers."""

INT: Final[i64] = 0
EMBSTR: Final[i64] = 1
RAW: Final[i64] = 2
LISTPACK: Final[i64] = 3
ZIPLIST: Final[i64] = 4
QUICKLIST: Final[i64] = 5
LINKED_LIST: Final[i64] = 6
INTSET: Final[i64] = 7
HASHTABLE: Final[i64] = 8
SKIPLIST: Final[i64] = 9
LISTPACKEX: Final[i64] = 10
STREAM: Final[i64] = 11
MODULE: Final[i64] = 12

_STRING: Final[i64] = 0
_LIST: Final[i64] = 1
_SET: Final[i64] = 2
_ZSET: Final[i64] = 3
_ZSET2: Final[i64] = 4
_HASH: Final[i64] = 5
_ZIPMAP: Final[i64] = 6
_ZIPLIST: Final[i64] = 7
_ZIPLIST_PAIRS: Final[i64] = 8
_INTSET: Final[i64] = 9
_LISTPACK: Final[i64] = 10
_LISTPACK_PAIRS: Final[i64] = 11
_QUICKLIST: Final[i64] = 12
_QUICKLIST2: Final[i64] = 13
_STREAM: Final[i64] = 14
_HASH2: Final[i64] = 15
_METADATA: Final[i64] = 16
_METADATA_PRE_GA: Final[i64] = 17
_LISTPACK_EX: Final[i64] = 18
_LISTPACK_EX_PRE_GA: Final[i64] = 19
_MODULE: Final[i64] = 20
_ZIPLIST_SCORES: Final[i64] = 21
_LISTPACK_SCORES: Final[i64] = 22

_WALKS: Final[dict[str, int]] = {
    "string": _STRING,
    "list": _LIST,
    "set": _SET,
    "zset": _ZSET,
    "zset2": _ZSET2,
    "hash": _HASH,
    "hash-zipmap": _ZIPMAP,
    "list-ziplist": _ZIPLIST,
    "zset-ziplist": _ZIPLIST_SCORES,
    "hash-ziplist": _ZIPLIST_PAIRS,
    "set-intset": _INTSET,
    "set-listpack": _LISTPACK,
    "hash-listpack": _LISTPACK_PAIRS,
    "zset-listpack": _LISTPACK_SCORES,
    "list-quicklist": _QUICKLIST,
    "list-quicklist2": _QUICKLIST2,
    "hash2": _HASH2,
    "hash-metadata": _METADATA,
    "hash-metadata-pre-ga": _METADATA_PRE_GA,
    "hash-listpack-ex": _LISTPACK_EX,
    "hash-listpack-ex-pre-ga": _LISTPACK_EX_PRE_GA,
    "module2": _MODULE,
    "module-pre-ga": _MODULE,
}
"""How the payload of a type is walked; streams are not in it."""

HEAD: Final[i64] = 10
"""Bytes at the beginning of a packed value that tell how many elements it has."""
UNKNOWN: Final[i64] = 65535
"""In place of that number: so many or more."""
PREALLOCATED: Final[i64] = 4096
"""What a stream's node has room for while entries are added to it (STREAM_LISTPACK_MAX_PRE_ALLOCATE)."""
LIST_NODE: Final[i64] = 8192
LONGEST_NUMBER: Final[i64] = 20
EXPIRING: Final[i64] = 24
"""What an expiry of a hash's field takes in Redis, and its share of the index of expiries."""
LZF_NODE: Final[i64] = 8
SMALLEST_LZF: Final[i64] = 48
"""A smaller node of a list is never compressed in memory (MIN_COMPRESS_BYTES)."""


@final
class Measure:
    """Measures values, one at a time.

    ``costs``: of the server; ``largest_wanted``: find out the size of the largest element of packed values too, for
    which they are opened; ``list_depth``: the server's ``list-compress-depth``.

    Of the last value: ``bytes``: with its key; ``elements``: bytes of a string, items, members, fields, entries;
    ``largest``: bytes of the largest element, -1 where it is not known; ``encoding``: an index in `ENCODINGS`;
    ``size``: of the payload in the file; ``field_expiries``: fields of a hash that expire.
    """

    def __init__(self, costs: Costs, *, largest_wanted: bool = False, list_depth: i64 = 0) -> None:
        self.costs = costs
        self.largest_wanted = largest_wanted
        self.list_depth: i64 = list_depth
        self.bytes: i64 = 0
        self.elements: i64 = 0
        self.largest: i64 = -1
        self.encoding: i64 = 0
        self.size: i64 = 0
        self.field_expiries: i64 = 0
        self._rax = Rax(costs.allocator)
        self._packed: i64 = 0
        """Of the packed value passed last: its size in memory."""
        self._compressed: i64 = -1
        """And its size in the file, if it is compressed there."""
        self._head = b""
        self._whole: bytes | None = None
        self._listpacks = costs.layout.listpacks

    def measure(self, frame: Frame) -> None:
        """Measure the value of ``frame``, and pass it. Raises what reading raises."""
        w = frame.window()
        row = frame.type
        begin = w.base + w.pos
        length: i64 = len(frame.key)
        expires = frame.expire_at_ms >= 0
        self.largest = -1
        self.field_expiries = 0
        how = i64(_WALKS.get(row.name, 14))
        if how == _STRING:
            self._string_value(w, length, expires)
        else:
            self.elements = 0
            if how == _HASH:
                value = self._hash(w)
            elif how == _SET:
                value = self._set(w)
            elif how in (_ZSET2, _ZSET):
                value = self._zset(w, how)
            elif how in (_QUICKLIST2, _QUICKLIST):
                value = self._quicklist(w, how == _QUICKLIST2)
            elif how == _STREAM:
                value = self._stream(w, row.stream_version)
            elif how == _LIST:
                value = self._list(w)
            elif how == _HASH2:
                value = self._hash2(w)
            elif how in (_METADATA, _METADATA_PRE_GA):
                value = self._metadata(w, how == _METADATA)
            elif how == _MODULE:
                row.skip(w)
                self.encoding = MODULE
                value = w.base + w.pos - begin
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
            self._number(length, expires, _digits(number), 0 <= number < 10000)
            return
        else:
            n = _pass_lzf(w, n)
        self.elements = n
        self.largest = n
        self.bytes = costs.string_key(length, expires, n)
        self.encoding = EMBSTR if costs.is_embedded(length, expires, n) else RAW

    def _number(self, length: i64, expires: bool, digits: i64, shared: bool) -> None:
        self.elements = digits
        self.largest = digits
        self.encoding = INT
        self.bytes = self.costs.integer_key(length, expires, shared)

    def _length(self, w: Window) -> i64:
        """Pass a string; its length."""
        pos = w.pos
        if pos < w.end:
            short: i64 = w.data[pos]
            if short < 64 and short < w.end - pos:
                w.pos = pos + 1 + short
                return short
        n = read_length_or_encoding(w)
        if n >= 0:
            w.skip(n)
            return n
        if n >= INT32:
            return _digits(read_encoded_integer(w, n))
        return _pass_lzf(w, n)

    def _list(self, w: Window) -> i64:
        """Elements in a row, as the oldest releases write long lists; packed into nodes where it is loaded."""
        count = read_count(w, 1)
        self.elements = count
        largest: i64 = 0
        node: i64 = 7
        costs = self.costs
        total = costs.fixed(costs.layout.quicklist)
        while count > 0:
            n = self._length(w)
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

    def _set(self, w: Window) -> i64:
        count = read_count(w, 1)
        self.elements = count
        self.encoding = HASHTABLE
        costs = self.costs
        total = costs.table(count, costs.layout.sets)
        largest: i64 = 0
        while count > 0:
            n = self._length(w)
            largest = max(largest, n)
            total += costs.string(n)
            count -= 1
        self.largest = largest
        return total

    def _hash(self, w: Window) -> i64:
        count = read_count(w, 2)
        self.elements = count
        self.encoding = HASHTABLE
        costs = self.costs
        total = costs.table(count, costs.layout.hashes)
        largest: i64 = 0
        if costs.layout.hashes == BUCKETS:
            while count > 0:
                field = self._length(w)
                value = self._length(w)
                largest = max(largest, field)
                largest = max(largest, value)
                total += costs.field(field, value, False)
                count -= 1
        else:
            count *= 2
            while count > 0:
                n = self._length(w)
                largest = max(largest, n)
                total += costs.string(n)
                count -= 1
        self.largest = largest
        return total

    def _hash2(self, w: Window) -> i64:
        fields = Hash2Fields(w)
        costs = self.costs
        self.elements = fields.left
        self.encoding = HASHTABLE
        total = costs.table(fields.left, costs.layout.hashes)
        largest: i64 = 0
        while fields.next():
            field = self._length(w)
            value = self._length(w)
            fields.read_expiry()
            expires = fields.expiry >= 0
            largest = max(largest, field)
            largest = max(largest, value)
            total += costs.field(field, value, expires)
            if expires:
                self.field_expiries += 1
        self.largest = largest
        return total + self.field_expiries * 16

    def _metadata(self, w: Window, relative: bool) -> i64:
        fields = MetadataFields(w, relative=relative)
        costs = self.costs
        self.elements = fields.left
        self.encoding = HASHTABLE
        total = costs.table(fields.left, costs.layout.hashes)
        largest: i64 = 0
        while fields.next():
            if fields.expiry >= 0:
                self.field_expiries += 1
            field = self._length(w)
            value = self._length(w)
            largest = max(largest, field)
            largest = max(largest, value)
            total += costs.field(field, value, False)
        self.largest = largest
        return total + self.field_expiries * EXPIRING

    def _zset(self, w: Window, how: i64) -> i64:
        count = read_count(w, 9 if how == _ZSET2 else 2)
        self.elements = count
        self.encoding = SKIPLIST
        costs = self.costs
        total = costs.members(count)
        largest: i64 = 0
        while count > 0:
            n = self._length(w)
            if how == _ZSET2:
                w.skip(8)
            else:
                skip_double(w)
            largest = max(largest, n)
            total += costs.member(n)
            count -= 1
        self.largest = largest
        return total

    def _pass_packed(self, w: Window, whole: bool) -> None:
        """Pass a packed value; take note of its size and its beginning, and with ``whole`` of all of it."""
        self._whole = None
        self._compressed = -1
        n = read_length_or_encoding(w)
        if n >= 0:
            self._packed = n
            if whole:
                self._whole = w.take(n)
                self._head = self._whole[:HEAD]
                return
            first = min(n, HEAD)
            if not w.need(first):
                raise w.truncated(n)
            self._head = w.data[w.pos : w.pos + first]
            w.skip(n)
            return
        if n != LZF:
            self._head = b"%d" % read_encoded_integer(w, n)
            self._packed = len(self._head)
            self._whole = self._head
            return
        at = w.offset()
        compressed = read_length(w)
        size = read_length(w)
        self._packed = size
        self._compressed = compressed
        if whole:
            self._whole = self._opened(w.take(compressed), size, at)
            self._head = self._whole[:HEAD]
            return
        first = min(compressed, 4 * HEAD)
        if not w.need(first):
            raise w.truncated(compressed)
        self._head = beginning(w.data, w.pos, w.pos + first, HEAD)
        if len(self._head) < min(HEAD, size) or self._is_unknown():
            self._whole = self._opened(w.take(compressed), size, at)
            self._head = self._whole[:HEAD]
        else:
            w.skip(compressed)

    def _is_unknown(self) -> bool:
        """Whether the head of a listpack does not tell the number of elements."""
        head = self._head
        return len(head) >= 6 and head[4] == 255 and head[5] == 255

    def _opened(self, data: bytes, size: i64, at: i64) -> bytes:
        out = decompress(data, size)
        if out is None:
            raise FormatError("invalid LZF data", offset=at, doing="decompressing a value")
        return out

    def _one_packed(self, w: Window, how: i64) -> i64:
        """A value that is one string of packed elements; what it takes."""
        if how == _LISTPACK_EX:
            w.skip(8)
        expiring = how in (_LISTPACK_EX, _LISTPACK_EX_PRE_GA)
        self._pass_packed(w, self.largest_wanted or expiring or how == _ZIPMAP)
        costs = self.costs
        layout = costs.layout
        size = self._packed
        if how == _INTSET:
            self.encoding = INTSET
            self.elements = _number_at(self._head, 4, 4)
            if self.largest_wanted and self._whole is not None:
                self._walk(IntsetCursor(self._whole), 1, False)
            return costs.packed(size)
        if how == _ZIPMAP:
            assert self._whole is not None
            self._walk(ZipmapCursor(self._whole), 2, False)
        elif how in (_ZIPLIST, _ZIPLIST_PAIRS, _ZIPLIST_SCORES):
            count = _number_at(self._head, 8, 2)
            self._count(count, True, 1 if how == _ZIPLIST else 2, how == _ZIPLIST_SCORES)
            size += -4 if layout.listpacks else 0
            if how == _ZIPLIST:
                return self._one_node_list(size)
        else:
            width: i64 = 1
            if how in (_LISTPACK_PAIRS, _LISTPACK_SCORES):
                width = 2
            elif expiring:
                width = 3
            self._count(_number_at(self._head, 4, 2), False, width, expiring or how == _LISTPACK_SCORES)
            size += 0 if layout.listpacks else 4
            if expiring:
                self._count_expiries()
                self.encoding = LISTPACKEX
                return costs.packed(size) + costs.fixed(32)
            if how == _LISTPACK and not layout.set_listpacks:
                # In such a release, the members are in a table.
                self.encoding = HASHTABLE
                each = max(size // max(self.elements, 1) - 2, 1)
                return costs.table(self.elements, layout.sets) + self.elements * costs.string(each)
        self.encoding = LISTPACK if layout.listpacks else ZIPLIST
        return costs.packed(size)

    def _count(self, announced: i64, ziplist: bool, width: i64, numbered: bool) -> None:
        """Find out the number of elements, ``width`` strings each, and where it is wanted the size of the largest."""
        whole = self._whole
        if announced < UNKNOWN and (whole is None or not self.largest_wanted):
            self.elements = announced // width
            return
        if whole is None:
            self.elements = announced // width  # not compressed, and so many that its exact number costs more
            return
        if ziplist:
            self._walk(ZiplistCursor(whole), width, numbered)
        else:
            self._walk(ListpackCursor(whole), width, numbered)

    def _count_expiries(self) -> None:
        """Count the fields that expire, of a hash whose elements are field, value and time in turn."""
        assert self._whole is not None
        cursor = ListpackCursor(self._whole)
        turn: i64 = 0
        while cursor.next():
            turn += 1
            if turn == 3:
                turn = 0
                if cursor.kind == STRING or cursor.number != 0:
                    self.field_expiries += 1

    def _walk(self, cursor: Cursor, width: i64, numbered: bool) -> None:
        """Count elements of ``width`` strings each, and find the largest string; ``numbered``: the last of each is a
        score or a time, and does not count for that. Raises `FormatError`.
        """
        count: i64 = 0
        largest: i64 = 0
        turn: i64 = 0
        while cursor.next():
            turn += 1
            if turn < width or not numbered:
                n = cursor.size if cursor.kind == STRING else _digits(cursor.number)
                largest = max(largest, n)
            if turn == width:
                turn = 0
                count += 1
        self.elements = count
        self.largest = max(largest, self.largest)

    def _one_node_list(self, size: i64) -> i64:
        costs = self.costs
        layout = costs.layout
        if layout.small_lists and size <= LIST_NODE:
            self.encoding = LISTPACK
            return costs.packed(size)
        self.encoding = QUICKLIST
        return costs.fixed(layout.quicklist) + costs.fixed(layout.quicklist_node) + costs.packed(size)

    def _quicklist(self, w: Window, containers: bool) -> i64:
        count = read_count(w, 2 if containers else 1)
        costs = self.costs
        layout = costs.layout
        nodes = count
        total: i64 = 0
        elements: i64 = 0
        depth = self.list_depth
        plain = False
        while count > 0:
            plain = containers and read_length(w) == 1
            if plain:
                n = self._length(w)
                self._packed = n
                self._compressed = -1
                elements += 1
                self.largest = max(self.largest, n)
            else:
                self._pass_packed(w, self.largest_wanted)
                if containers:
                    self._count(_number_at(self._head, 4, 2), False, 1, False)
                else:
                    self._count(_number_at(self._head, 8, 2), True, 1, False)
                    if layout.listpacks:
                        self._packed -= 4
                elements += self.elements
            inner = depth > 0 and count > depth and nodes - count >= depth
            if inner and self._compressed >= 0 and self._packed >= SMALLEST_LZF:
                total += costs.allocator.size(self._compressed + LZF_NODE)
            else:
                total += costs.packed(self._packed)
            count -= 1
        self.elements = elements
        if nodes == 1 and not plain:
            return self._one_node_list(self._packed)
        self.encoding = QUICKLIST
        return total + costs.fixed(layout.quicklist) + nodes * costs.fixed(layout.quicklist_node)

    def _stream(self, w: Window, version: i64) -> i64:
        stream = StreamFraming(w, version)
        costs = self.costs
        layout = costs.layout
        self.encoding = STREAM
        rax = self._rax
        rax.begin()
        total = costs.fixed(layout.stream)
        last: i64 = 0
        while stream.next_node():
            self._add_id(w)
            size = self._length(w)
            total += costs.allocator.size(last)
            last = size
        rax.finish()
        if rax.keys > 0:
            total += costs.allocator.size(max(last, PREALLOCATED))
        total += self._tree()
        stream.read_counters()
        self.elements = min(stream.length, (1 << 62) - 1)
        groups: i64 = 0
        while stream.next_group():
            groups += 1
            name = self._length(w)
            stream.read_group()
            total += costs.fixed(layout.group)
            if not costs.reported:
                total += self._name_in_tree()
            rax.begin()
            while stream.next_pending():
                rax.add(stream.entry)
            rax.finish()
            total += self._tree() + rax.keys * costs.fixed(layout.nack)
            while stream.next_consumer():
                name = self._length(w)
                stream.read_consumer()
                total += costs.fixed(layout.consumer)
                if costs.reported:
                    total += name
                else:
                    total += costs.string(name) + self._name_in_tree()
                rax.begin()
                while stream.next_owned():
                    rax.add(stream.entry)
                rax.finish()
                total += self._tree()
            if version >= 5:
                stream.pass_released()
        if groups > 0 and not costs.reported:
            total += costs.fixed(layout.rax)
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
            _pass_lzf(w, n)

    def _tree(self) -> i64:
        """What the tree takes that was just finished."""
        costs = self.costs
        rax = self._rax
        if costs.reported and costs.layout.counts_trees_roughly:
            return rax.keys * 16 + rax.nodes * (4 + 240)
        return rax.bytes + costs.fixed(costs.layout.rax)

    def _name_in_tree(self) -> i64:
        """A name in a tree of names that differ near their end."""
        return 2 * self.costs.allocator.size(24)


def _pass_lzf(w: Window, encoding: i64) -> i64:
    """Pass the rest of a compressed string; its length."""
    if encoding != LZF:
        read_encoded_integer(w, encoding)  # raises
    compressed = read_length(w)
    size = read_length(w)
    w.skip(compressed)
    return size


def _number_at(head: bytes, at: i64, width: i64) -> i64:
    """A little-endian number; 0 where the value is too short to have it."""
    number: i64 = 0
    if len(head) < at + width:
        return 0
    at += width
    while width > 0:
        at -= 1
        byte: i64 = head[at]
        number = number << 8 | byte
        width -= 1
    return number


def _digits(n: i64) -> i64:
    """The length of a number as text."""
    count: i64 = 1
    if n < 0:
        count = 2
        if n == -n:
            return 20  # the least number has no positive one
        n = -n
    while n >= 10:
        n //= 10
        count += 1
    return count
