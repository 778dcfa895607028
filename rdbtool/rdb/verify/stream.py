"""Check streams (t_stream.c of Redis: streamValidateListpackIntegrity; rdb.c: rdbLoadObject)."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.rdb.layout.inspection import Inspection, checked_string, open_packed
from rdbtool.rdb.layout.listpack import back_size
from rdbtool.rdb.layout.primitives import read_count, read_u64
from rdbtool.rdb.layout.run import integer_at
from rdbtool.rdb.layout.seen import is_integer_text
from rdbtool.rdb.values.idempotence import LONGEST_S, MOST_KEPT

from .listpack import HEADER, check_listpack, entry_size, is_integer, text_at

ID: Final[i64] = 16
"""Bytes of an entry's id: ms and sequence number, 64 bits each, big-endian."""
DELETED: Final[i64] = 1
SAME_FIELDS: Final[i64] = 2
"""Flags of an entry."""


def check_stream(w: Window, ins: Inspection) -> None:
    """Stream, first version (Redis 5.0)."""
    _check_stream(w, ins, 1)


def check_stream2(w: Window, ins: Inspection) -> None:
    """Stream, second version (Redis 7.0): with counters."""
    _check_stream(w, ins, 2)


def check_stream3(w: Window, ins: Inspection) -> None:
    """Stream, third version (Redis 7.2): consumers have an active time."""
    _check_stream(w, ins, 3)


def check_stream4(w: Window, ins: Inspection) -> None:
    """Stream, fourth version (Redis 8.6): with the state of idempotent producers."""
    _check_stream(w, ins, 4)


def check_stream5(w: Window, ins: Inspection) -> None:
    """Stream, fifth version (Redis 8.8): with pending entries that consumers have released."""
    _check_stream(w, ins, 5)


def _check_stream(w: Window, ins: Inspection, version: i64) -> None:
    nodes = read_count(w, 2)
    left = nodes
    first_ids: set[bytes] = set()
    entries: i64 = 0
    whole = True
    while left > 0:
        at = w.offset()
        first_id = checked_string(w, ins)
        if first_id is not None and len(first_id) != ID:
            ins.report("stream-node", f"a stream node's id has {len(first_id)} bytes, not {ID}", at)
        elif first_id is not None:
            if first_id in first_ids:
                ins.report("stream-node", "two stream nodes with one id", at)
            first_ids.add(first_id)
        found: i64 = -1
        if open_packed(w, ins):
            found = _check_node(ins)
        if found < 0:
            whole = False
        else:
            entries += found
        left -= 1
    at = w.offset()
    length = read_u64(w)
    if length and nodes == 0:
        ins.report("stream-length", f"a stream announces {length} entries and has none", at)
    elif whole and length != int(entries):
        ins.report("stream-count", f"a stream announces {length} entries and holds {entries}", at)
    _pass_numbers(w, 2 if version == 1 else 7)
    groups = read_count(w, 5)
    names: set[bytes] = set()
    while groups > 0:
        _check_name(w, ins, names, "duplicate-group", "a consumer group twice in a stream")
        _pass_numbers(w, 2 if version == 1 else 3)
        _check_group(w, ins, version)
        groups -= 1
    if version >= 4:
        _check_producers(w, ins)


def _check_producers(w: Window, ins: Inspection) -> None:
    """The state of idempotent producers, as Redis 8.6.2 checks it; 8.10.2 first drops messages that are old."""
    at = w.offset()
    duration_s, messages_kept = read_u64(w), read_u64(w)
    if not 1 <= duration_s <= LONGEST_S or not 1 <= messages_kept <= MOST_KEPT:
        message = f"idempotent producers with {messages_kept} messages kept for {duration_s} s"
        ins.report("producer-settings", message, at)
    producers = read_count(w, 2)
    names: set[bytes] = set()
    while producers > 0:
        _check_name(w, ins, names, "duplicate-producer", "an idempotent producer twice in a stream")
        messages = read_count(w, 3)
        while messages > 0:
            checked_string(w, ins)
            _pass_numbers(w, 2)
            messages -= 1
        producers -= 1
    _pass_numbers(w, 2)


def _check_name(w: Window, ins: Inspection, names: set[bytes], code: str, message: str) -> None:
    """A string that is not in ``names`` yet."""
    at = w.offset()
    name = checked_string(w, ins)
    if name is not None:
        if name in names:
            ins.report(code, message, at)
        names.add(name)


def _pass_numbers(w: Window, n: i64) -> None:
    while n > 0:
        read_u64(w)
        n -= 1


def _check_group(w: Window, ins: Inspection, version: i64) -> None:
    """Pending entries, then consumers with the ids of theirs among these."""
    pending: dict[bytes, bool] = {}  # id -> whether a consumer has it
    count = read_count(w, 25)
    while count > 0:
        at = w.offset()
        entry = w.take(ID)
        if entry in pending:
            ins.report("duplicate-pending", f"pending entry {_id(entry)} twice in a consumer group", at)
        pending[entry] = False
        w.skip(8)
        read_u64(w)
        count -= 1
    consumers = read_count(w, 10)
    names: set[bytes] = set()
    while consumers > 0:
        _check_name(w, ins, names, "duplicate-consumer", "a consumer twice in a consumer group")
        w.skip(16 if version >= 3 else 8)
        count = read_count(w, ID)
        own: set[bytes] = set()
        while count > 0:
            at = w.offset()
            entry = w.take(ID)
            if entry not in pending:
                ins.report("unknown-pending", f"a consumer's pending entry {_id(entry)} is not its group's", at)
            elif entry in own:
                ins.report("duplicate-pending", f"pending entry {_id(entry)} twice with a consumer", at)
            else:
                own.add(entry)
                pending[entry] = True
            count -= 1
        consumers -= 1
    if version >= 5:
        _check_released(w, ins, pending)
    for entry, owned in pending.items():
        if not owned:
            ins.report("orphan-pending", f"pending entry {_id(entry)} of a group without a consumer", w.offset())


def _check_released(w: Window, ins: Inspection, pending: dict[bytes, bool]) -> None:
    """Ids of pending entries that no consumer has any more. A server does not mind one that is there twice."""
    released: set[bytes] = set()
    count = read_count(w, ID)
    while count > 0:
        at = w.offset()
        entry = w.take(ID)
        if entry not in pending:
            ins.report("unknown-pending", f"a released entry {_id(entry)} is not pending in its group", at)
        elif pending[entry]:
            ins.report("duplicate-pending", f"released entry {_id(entry)} belongs to a consumer", at)
        else:
            released.add(entry)
        count -= 1
    for entry in released:
        pending[entry] = True


def _id(entry: bytes) -> str:
    return f"{int.from_bytes(entry[:8], 'big')}-{int.from_bytes(entry[8:], 'big')}"


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
        if is_integer(first):
            value = integer_at(data, pos)
        else:
            text = text_at(data, pos)
            if text and is_integer_text(text, 0, len(text)):
                value = int(text)
            else:
                self.fail("an element of a stream entry is not the integer it should be")
        self.pass_elements(1)
        return value

    def pass_elements(self, n: i64) -> None:
        """Pass ``n`` elements."""
        data = self.data
        pos = self.pos
        last = self.last
        if n < 0:
            self.fail(f"a stream entry with {n} fields")
        while n > 0 and not self.failed:
            if pos >= last:
                self.pos = pos
                self.fail("a stream node ends inside an entry")
                return
            first: i64 = data[pos]
            if first < 128:
                pos += 2
            else:
                size = entry_size(data, pos, last)
                pos += size + back_size(size)
            n -= 1
        self.pos = pos


def _check_node(ins: Inspection) -> i64:
    """Check a node's listpack: the number of its entries that are not deleted, or -1 if it is damaged.

    First a master entry: number of entries, number of deleted ones, number of fields, the fields, 0. Then
    entries: flags, id as a difference to the node's (ms, seq), unless SAME_FIELDS a number of fields and
    the fields between the values, and at the end the number of elements before.
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
    while total > 0 and not walk.failed:
        flags = walk.integer()
        walk.integer()
        walk.integer()
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
            live += 1
        total -= 1
    if not walk.failed and walk.pos < walk.last:
        walk.fail("a stream node holds more than the entries it announces")
    return -1 if walk.failed else live
