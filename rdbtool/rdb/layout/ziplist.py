"""Ziplist: the packed form of small values up to Redis 6.2 (ziplist.c).

Total bytes (4, little-endian), offset of the last entry (4), number of entries (2; 65535: not kept),
entries, 0xFF. An entry is the length of the one before it, its encoding, and its data.

Two loops walk it. `ZiplistCursor` reads entries, and looks only at what it needs for that. `check_ziplist` looks at
every byte, as a server does when it loads one (ziplistValidateIntegrity), and builds nothing.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import (
    read_i16_le,
    read_i32_be,
    read_i32_le,
    read_i64_le,
)
from mypy_extensions import i64

from rdbtool.basics.numbers import decimal
from rdbtool.errors import FormatError
from rdbtool.io.window import Window

from .cursor import INTEGER, STRING, Cursor, corrupt
from .duplicates import Duplicates
from .elements import Elements, OneNode
from .inspection import Inspection, check_packed_score, open_packed
from .listpack import FIELDS, SCORES
from .primitives import read_string
from .seen import hash_integer, hash_text
from .visit import Visit

HEADER: Final[i64] = 10
MANY: Final[i64] = 65535
"""In place of the number of entries: count them."""
END: Final = 255
BIG: Final = 254
"""The first byte of a previous length of 5 bytes."""
WHAT: Final = "ziplist"


@final
class ZiplistCursor(Cursor):
    """The entries of a ziplist. ``announced``: their number by the header, or -1."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        size: i64 = len(data)
        if size < HEADER + 1:
            raise corrupt(WHAT, "no room for a header", 0)
        total: i64 = i64(read_i32_le(data, 0))
        if total != size:
            raise corrupt(WHAT, f"{total & 0xFFFFFFFF} bytes announced, {size} there,", 0)
        self.end: i64 = size - 1
        if data[self.end] != 255:
            raise corrupt(WHAT, "no end mark", self.end)
        count: i64 = data[8]
        high: i64 = data[9]
        count |= high << 8
        if count == MANY:
            count = -1
        self.announced: i64 = count
        self.passed: i64 = 0
        self.pos = HEADER

    def next(self) -> bool:
        data = self.data
        pos = self.pos
        end = self.end
        if pos >= end:
            if self.announced >= 0 and self.announced != self.passed:
                raise corrupt(WHAT, f"{self.announced} entries announced, {self.passed} there,", 8)
            return False
        before: i64 = data[pos]
        if before >= 254:
            if before == 255:
                raise corrupt(WHAT, "an end mark before the end", pos)
            pos += 4
        pos += 1
        if pos >= end:
            raise corrupt(WHAT, "an entry passes the end", self.pos)
        first: i64 = data[pos]
        size: i64
        if first < 64:
            self.kind = STRING
            self.start = pos + 1
            self.size = first
            pos += 1 + first
        elif first < 128:
            self.kind = STRING
            self.start = pos + 2
            size = (first & 63) << 8 | data[pos + 1]
            self.size = size
            pos += 2 + size
        elif first < 192:
            if end - pos < 5:
                raise corrupt(WHAT, "an entry passes the end", self.pos)
            self.kind = STRING
            self.start = pos + 5
            size = i64(read_i32_be(data, pos + 1))
            size &= 0xFFFFFFFF
            self.size = size
            pos += 5 + size
        else:
            pos += self._integer(data, pos, first)
        if pos > end:
            raise corrupt(WHAT, "an entry passes the end", self.pos)
        self.pos = pos
        self.passed += 1
        return True

    def _integer(self, data: bytes, pos: i64, first: i64) -> i64:
        """An integer's encoding and data; answers the length of both."""
        self.kind = INTEGER
        left = self.end - pos
        if 0xF1 <= first <= 0xFD:
            self.number = first - 0xF1
            return 1
        if first == 0xFE and left >= 2:
            small: i64 = data[pos + 1]
            self.number = small - 256 if small >= 128 else small
            return 2
        if first == 0xC0 and left >= 3:
            self.number = i64(read_i16_le(data, pos + 1))
            return 3
        if first == 0xF0 and left >= 4:
            low: i64 = i64(read_i16_le(data, pos + 1))
            high: i64 = data[pos + 3]
            self.number = (low & 0xFFFF) | (high - 256 if high >= 128 else high) << 16
            return 4
        if first == 0xD0 and left >= 5:
            self.number = i64(read_i32_le(data, pos + 1))
            return 5
        if first == 0xE0 and left >= 9:
            self.number = read_i64_le(data, pos + 1)
            return 9
        if first in {0xFE, 0xC0, 0xF0, 0xD0, 0xE0}:
            raise corrupt(WHAT, "an entry passes the end", self.pos)
        raise corrupt(WHAT, f"unknown encoding 0x{first:02x}", pos)


def visit_ziplist(visit: Visit) -> None:
    """Elements of a list."""
    _visit(visit, 1)


def visit_ziplist_pairs(visit: Visit) -> None:
    """Fields and values of a hash."""
    _visit(visit, 2)


def _visit(visit: Visit, width: i64) -> None:
    data = visit.node()
    if data is not None:
        try:
            visit.elements(ZiplistCursor(data), width)
        except FormatError as e:
            visit.damaged_node(e)


def visit_scored_ziplist(visit: Visit) -> None:
    """Members and scores of a sorted set."""
    data = visit.node()
    if data is not None:
        try:
            visit.scored(ZiplistCursor(data))
        except FormatError as e:
            visit.damaged_node(e)


def ziplist_elements(w: Window) -> Elements:
    """Elements of a list."""
    return OneNode(ZiplistCursor(read_string(w)), 1)


def ziplist_pairs_elements(w: Window) -> Elements:
    """Fields and values of a hash, or members and scores of a sorted set."""
    return OneNode(ZiplistCursor(read_string(w)), 2)


def check_list_ziplist(w: Window, ins: Inspection) -> None:
    """A list in one ziplist."""
    if open_packed(w, ins):
        ins.empty = check_ziplist(ins) == 0


def check_hash_ziplist(w: Window, ins: Inspection) -> None:
    """A hash in one ziplist."""
    _check_ziplist_pairs(w, ins, FIELDS)


def check_zset_ziplist(w: Window, ins: Inspection) -> None:
    """A sorted set in one ziplist."""
    _check_ziplist_pairs(w, ins, SCORES)


def _check_ziplist_pairs(w: Window, ins: Inspection, holds: i64) -> None:
    if open_packed(w, ins):
        count = check_ziplist(ins)
        ins.empty = count == 0
        if count > 0:
            check_pairs(ins, holds, count)


def check_ziplist(ins: Inspection) -> i64:
    """Walk the packed value as a ziplist: the number of its entries, or -1 if it is damaged."""
    data = ins.data
    start = ins.start
    size = ins.size
    if size < HEADER + 1:
        return _flaw(ins, f"{size} bytes cannot be a ziplist", start, "ziplist-header")
    total: i64 = i64(read_i32_le(data, start)) & 0xFFFFFFFF
    if total != size:
        return _flaw(ins, f"a ziplist of {size} bytes announces {total}", start, "ziplist-header")
    last = start + size - 1
    if data[last] != END:
        return _flaw(ins, "a ziplist without its end mark", last, "ziplist-header")
    tail: i64 = start + (i64(read_i32_le(data, start + 4)) & 0xFFFFFFFF)
    if tail > last:
        return _flaw(ins, "the last entry of a ziplist is said to be beyond its end", start + 4, "ziplist-header")
    pos = start + HEADER
    entry: i64 = -1
    previous: i64 = 0
    count: i64 = 0
    while pos <= last and data[pos] != END:
        before: i64 = data[pos]
        head: i64 = 1
        if before == BIG:
            if pos + 5 > last:
                return _flaw(ins, "a ziplist entry reaches beyond the ziplist", pos)
            before = i64(read_i32_le(data, pos + 1)) & 0xFFFFFFFF
            head = 5
        if pos + head > last:
            return _flaw(ins, "a ziplist entry reaches beyond the ziplist", pos)
        size = content_size(data, pos + head, last)
        if size == 0:
            return _flaw(ins, f"unknown ziplist encoding 0x{data[pos + head]:02x}, or one beyond the end", pos + head)
        if pos + head + size > last:
            return _flaw(ins, "a ziplist entry reaches beyond the ziplist", pos)
        if before != previous:
            return _flaw(ins, f"a ziplist entry says {before} bytes for the one before it, which has {previous}", pos)
        entry = pos
        previous = head + size
        pos += previous
        count += 1
    if pos != last:
        return _flaw(ins, "a ziplist ends before its last byte", pos)
    if entry >= 0 and entry != tail:
        return _flaw(ins, "a ziplist says another place for its last entry than it has", start + 4)
    announced: i64 = i64(read_i16_le(data, start + 8)) & 0xFFFF
    if announced != MANY:
        if announced != count:
            return _flaw(ins, f"a ziplist announces {announced} entries and holds {count}", start + 8)
    return count


def _flaw(ins: Inspection, message: str, pos: i64, code: str = "ziplist") -> i64:
    ins.report_packed(code, message, pos)
    return -1


def content_size(data: bytes, pos: i64, last: i64) -> i64:
    """Bytes of encoding and content at ``pos``; 0 if the encoding is unknown or passes ``last``."""
    first: i64 = data[pos]
    if pos + 1 > last:
        return 0
    if first < 64:
        return 1 + first
    if first < 128:
        if pos + 2 > last:
            return 0
        high: i64 = (first & 63) << 8
        low: i64 = data[pos + 1]
        return 2 + high + low
    if first < 192:
        if pos + 5 > last:
            return 0
        return 5 + (i64(read_i32_be(data, pos + 1)) & 0xFFFFFFFF)
    if first == 0xFE:
        return 2
    if first >= 0xF1 and first <= 0xFD:
        return 1
    if first == 0xC0:
        return 3
    if first == 0xF0:
        return 4
    if first == 0xD0:
        return 5
    if first == 0xE0:
        return 9
    return 0


def integer_at(data: bytes, pos: i64) -> i64:
    """The integer encoded at ``pos``."""
    first: i64 = data[pos]
    if first == 0xC0:
        return i64(read_i16_le(data, pos + 1))
    if first == 0xD0:
        return i64(read_i32_le(data, pos + 1))
    if first == 0xE0:
        return read_i64_le(data, pos + 1)
    if first == 0xF0:
        low: i64 = i64(read_i16_le(data, pos + 1)) & 0xFFFF
        high: i64 = data[pos + 3]
        value = high << 16 | low
        return value if value < 1 << 23 else value - (1 << 24)
    if first == 0xFE:
        small: i64 = data[pos + 1]
        return small if small < 128 else small - 256
    return (first & 15) - 1


def text_head(first: i64) -> i64:
    """Bytes before the text of a string encoding that begins with this byte."""
    return 1 if first < 64 else 2 if first < 128 else 5


def element_at(data: bytes, pos: i64) -> bytes:
    """The element encoded at ``pos`` as text."""
    first: i64 = data[pos]
    if first >= 192:
        return decimal(integer_at(data, pos))
    return data[pos + text_head(first) : pos + content_size(data, pos, pos + 5)]


def check_pairs(ins: Inspection, holds: i64, count: i64) -> None:
    """Check fields or members, every other entry, for duplicates; and the scores between members."""
    if count % 2:
        ins.report_packed("ziplist", f"{count} entries cannot be pairs", ins.start + 8)
        return
    data = ins.data
    pos = ins.start + HEADER
    last = ins.start + ins.size - 1
    seen = ins.seen
    seed = seen.seed
    seen.begin(count // 2)
    second = False
    while pos < last:
        entry = pos
        pos += 5 if data[pos] == BIG else 1
        first: i64 = data[pos]
        size = content_size(data, pos, last)
        if not second:
            if first >= 192:
                value = hash_integer(integer_at(data, pos), seed)
            else:
                head = text_head(first)
                value = hash_text(data, pos + head, size - head, seed)
            earlier = seen.put(value, pos)
            if earlier >= 0 and element_at(data, earlier) == element_at(data, pos):
                what = "member" if holds == SCORES else "field"
                ins.report_packed("ziplist-duplicate", f"a {what} twice in a ziplist", entry)
                return
        elif holds == SCORES and first < 192:
            check_packed_score(ins, pos + text_head(first), pos + size, entry)
        second = not second
        pos += size
    if seen.many is not None:
        _late_duplicates(ins, seen.many)


def _late_duplicates(ins: Inspection, many: Duplicates) -> None:
    """Report duplicates in a ziplist of very many elements."""
    many.finish()
    for earlier, later in many.pairs:
        if element_at(ins.data, earlier) == element_at(ins.data, later):
            ins.report_packed("ziplist-duplicate", "an element twice in a ziplist", later)
            return
