"""The nodes of a stream: listpacks of entries, each under the id of its first one, the master entry (t_stream.c).

A listpack begins with the master entry: the number of entries, the number of deleted ones, the number of fields, the
fields, and a 0. Then come the entries: flags, the id as difference to the master's (ms, seq), the values of the
master's fields, or without SAME_FIELDS a number of fields and fields and values in turn, and at the end the number of
elements of the entry, so that it can be walked backwards.

Two loops walk it. `EntriesCursor` reads entries, and looks only at what it needs for that. `check_node` looks at every
element, as a server does when it sanitizes (streamValidateListpackIntegrity), and builds nothing.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i64_be
from mypy_extensions import i64

from rdbtool.basics.numbers import U64_MASK, is_integer_at
from rdbtool.errors import FormatError
from rdbtool.model import Entries, Id

from .cursor import tell_element
from .elements import missing
from .inspection import Inspection
from .listpack import HEADER, ListpackCursor, check_listpack
from .listpack_entry import end_of, integer_at, is_integer_encoding, text_at
from .visitor import Visitor

ID_SIZE: Final[i64] = 16
"""Bytes of an entry's id: ms and sequence number, 64 bits each, big-endian."""
DELETED: Final[i64] = 1
SAME_FIELDS: Final[i64] = 2
"""Flags of an entry."""


def id_of(key: bytes) -> Id:
    """The id that 16 big-endian bytes are."""
    if len(key) == ID_SIZE:
        ms = read_i64_be(key, 0)
        seq = read_i64_be(key, 8)
        if ms >= 0 and seq >= 0:
            return ms, seq
    return int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")


def key_of(entry: Id) -> bytes:
    """An id as 16 big-endian bytes."""
    return entry[0].to_bytes(8, "big") + entry[1].to_bytes(8, "big")


def master_id(key: bytes) -> Id:
    """The id that a node stands under. Raises `FormatError`."""
    if len(key) != ID_SIZE:
        raise FormatError("a node's key that is not a stream id", doing="decoding a stream")
    return id_of(key)


@final
class EntriesCursor:
    """The entries of one node, of which ``master`` is the id. Raises `FormatError`, as its methods do.

    After `next` answered True, ``ms`` and ``seq`` are the entry's id, and its fields and values are next in the
    ``listpack``: with ``same_fields`` a value for each of ``master_fields``, else ``items_left`` fields and values in
    turn. The caller takes them from there, or by `items` or `pass_items`, and calls `end`.
    """

    def __init__(self, master: Id, data: bytes) -> None:
        c = ListpackCursor(data)
        self.listpack = c
        self._limit: i64 = len(data)
        self._master_ms = master[0]
        self._master_seq = master[1]
        self.ms = 0
        self.seq = 0
        self.deleted = False
        self.same_fields = False
        self.items_left: i64 = 0
        c.integer()  # entries
        c.integer()  # deleted ones
        self.master_fields: list[bytes] = self._take(self._count())
        c.integer()

    def next(self) -> bool:
        """Move onto the next entry, be it a deleted one; False where there is none."""
        c = self.listpack
        if not c.next():
            return False
        flags = c.as_integer()
        difference: int = c.integer()  # an int: ids have 64 bits without a sign
        self.ms = _wrapped(self._master_ms + difference)
        difference = c.integer()
        self.seq = _wrapped(self._master_seq + difference)
        self.deleted = flags & DELETED != 0
        self.same_fields = flags & SAME_FIELDS != 0
        self.items_left = 0 if self.same_fields else 2 * self._count()
        return True

    def items(self) -> list[bytes]:
        """The fields and values of the entry in turn."""
        if not self.same_fields:
            return self._take(self.items_left)
        return values_of(self.listpack, self.master_fields)

    def pass_items(self) -> None:
        """Pass the fields and values of the entry."""
        left: i64 = len(self.master_fields) if self.same_fields else self.items_left
        c = self.listpack
        while left > 0:
            need(c)
            left -= 1

    def end(self) -> None:
        """End the entry, whose fields and values have been passed."""
        self.listpack.integer()

    def _count(self) -> i64:
        count = self.listpack.integer()
        if count < 0 or count > self._limit:
            raise FormatError("an impossible number of fields", doing="decoding a stream")
        return count

    def _take(self, count: i64) -> list[bytes]:
        return take_items(self.listpack, count)


def take_items(c: ListpackCursor, count: i64) -> list[bytes]:
    """The next elements."""
    out: list[bytes] = []
    while count > 0:
        need(c)
        out.append(c.item())
        count -= 1
    return out


def values_of(c: ListpackCursor, fields: list[bytes]) -> list[bytes]:
    """These fields, each with the next element, in turn."""
    items: list[bytes] = []
    for field in fields:
        need(c)
        items.append(field)
        items.append(c.item())
    return items


def entry_items(c: ListpackCursor, fields: list[bytes]) -> list[bytes]:
    """The fields and values in turn of a sound entry that ``c`` stands before; ``fields`` are the master entry's."""
    flags = c.integer()
    c.integer()
    c.integer()
    return values_of(c, fields) if flags & SAME_FIELDS else take_items(c, 2 * c.integer())


def need(c: ListpackCursor) -> None:
    """Move onto the next element, a field or a value. Raises `FormatError` where there is none."""
    if not c.next():
        raise missing("field or value")


def node_entries(master: Id, data: bytes) -> Entries:
    """The entries of a node that are not deleted: id, then fields and values in turn. Raises `FormatError`."""
    entries = EntriesCursor(master, data)
    out: Entries = []
    while entries.next():
        if entries.deleted:
            entries.pass_items()
        else:
            out.append(((entries.ms, entries.seq), entries.items()))
        entries.end()
    return out


def visit_node(v: Visitor, master: Id, data: bytes) -> int:
    """Tell the entries of a node that are not deleted, and count them. Raises `FormatError`."""
    entries = EntriesCursor(master, data)
    c = entries.listpack
    names = entries.master_fields
    told = 0
    while entries.next():
        if entries.deleted:
            entries.pass_items()
        else:
            v.entry(entries.ms, entries.seq)
            told += 1
            if entries.same_fields:
                for name in names:
                    need(c)
                    v.text(name, 0, len(name))
                    tell_element(v, c)
            else:
                left = entries.items_left
                while left > 0:
                    need(c)
                    tell_element(v, c)
                    left -= 1
        entries.end()
    return told


@final
class _Walk:
    """A position in a listpack whose structure is right; `failed` once an element is not what it should be."""

    def __init__(self, ins: Inspection) -> None:
        self.ins = ins
        self.data = ins.data
        self.pos: i64 = ins.start + HEADER
        self.last: i64 = ins.start + ins.size - 1
        self.failed = False

    def fail(self, message: str) -> None:
        """Report the first failure."""
        if not self.failed:
            self.failed = True
            self.ins.report_packed("stream-entry", message, self.pos)

    def integer(self) -> i64:
        """The next element, passed: an integer."""
        pos = self.pos
        if pos >= self.last:
            self.fail("a stream node ends inside an entry")
            return 0
        data = self.data
        first: i64 = data[pos]
        if first < 128:
            self.pos = pos + 2
            return first
        value: i64 = 0
        if is_integer_encoding(first):
            value = integer_at(data, pos)
        else:
            text = text_at(data, pos)
            if text and is_integer_at(text, 0, len(text)):
                value = int(text)
            else:
                self.fail("an element of a stream entry is not the integer it should be")
        self.pos = end_of(data, pos)
        return value

    def pass_elements(self, n: i64) -> None:
        """Pass ``n`` elements."""
        data = self.data
        pos = self.pos
        last = self.last
        if n < 0:
            self.fail(f"a stream entry with {n} fields")
        if self.failed:
            return
        while n > 0 and pos < last:
            pos = end_of(data, pos)
            n -= 1
        self.pos = pos
        if n > 0:
            self.fail("a stream node ends inside an entry")


@final
class EntryOrder:
    """What a check of a stream carries from node to node: the id of the last entry that is not deleted."""

    def __init__(self) -> None:
        self.last: Id = (-1, -1)

    def take(self, ins: Inspection, first: Id, last: Id) -> None:
        """Check the first such entry of a node against the last one of the nodes before; ``last`` is its own."""
        if first <= self.last:
            ins.report_packed("stream-order", _DISORDER, ins.start)
        self.last = last


_DISORDER: Final = "stream entries that do not follow each other: servers load them, and may not find them"


def check_node(ins: Inspection, master: Id, order: EntryOrder) -> i64:
    """Check the listpack of a node with the id ``master``: the number of its entries that are not deleted, or -1 if it
    is damaged.
    """
    if check_listpack(ins, stream=True) < 0:
        return -1
    if ins.size == HEADER + 1:
        ins.report_packed("stream-node", "an empty listpack inside a stream", ins.start)
        return -1
    walk = _Walk(ins)
    entries = walk.integer()
    deleted = walk.integer()
    fields = walk.integer()
    walk.pass_elements(fields)
    if walk.integer() != 0:
        walk.fail("a stream node's master entry does not end with 0")
    if entries < 0 or deleted < 0 or entries > ins.size or deleted > ins.size:
        walk.fail(f"a stream node announces {entries} entries and {deleted} deleted ones")
    total: i64 = 0
    if not walk.failed:
        total = entries + deleted
    live: i64 = 0
    first_ms: i64 = 0
    first_seq: i64 = 0
    last_ms: i64 = 0
    last_seq: i64 = 0
    ordered = True
    while total > 0 and not walk.failed:
        flags = walk.integer()
        ms = walk.integer()
        seq = walk.integer()
        elements: i64 = 0
        if flags & SAME_FIELDS:
            walk.pass_elements(fields)
            if not walk.failed:
                elements = fields + 3
        else:
            own = walk.integer()
            walk.pass_elements(own)
            walk.pass_elements(own)
            if not walk.failed:  # so it is no more than there are
                elements = own * 2 + 4
        if walk.integer() != elements and not walk.failed:
            walk.fail("a stream entry does not end with the number of its elements")
        if not flags & DELETED:
            if live == 0:
                first_ms = ms
                first_seq = seq
            elif ms < last_ms or (ms == last_ms and seq <= last_seq):
                ordered = False
            last_ms = ms
            last_seq = seq
            live += 1
        total -= 1
    if not walk.failed and walk.pos < walk.last:
        walk.fail("a stream node holds more than the entries it announces")
    if walk.failed:
        return -1
    if live:
        if not ordered:
            _check_order(ins, master)
        order.take(ins, _sum(master, first_ms, first_seq), _sum(master, last_ms, last_seq))
    return live


def _sum(master: Id, ms: int, seq: int) -> Id:
    return _wrapped(master[0] + ms), _wrapped(master[1] + seq)


def _wrapped(n: int) -> int:
    """A number cut to 64 bits: to compiled code what is beyond 62 is an object."""
    return n if 0 <= n < 1 << 61 else n & U64_MASK


def _check_order(ins: Inspection, master: Id) -> None:
    """Check the order of a node's entries by their ids: it is not that of the differences to the master's."""
    entries = EntriesCursor(master, ins.data[ins.start : ins.start + ins.size])
    entries.listpack.announced = -1  # a wrong number of elements in the header was reported before
    last: Id = (-1, -1)
    while entries.next():
        entries.pass_items()
        entries.end()
        if not entries.deleted:
            if (entries.ms, entries.seq) <= last:
                ins.report_packed("stream-order", _DISORDER, ins.start)
                return
            last = (entries.ms, entries.seq)
