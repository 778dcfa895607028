"""Check ziplists, as the server does when it loads one (ziplist.c of Redis: ziplistValidateIntegrity)."""

from __future__ import annotations

from typing import Final

from librt.strings import read_i16_le, read_i32_be, read_i32_le, read_i64_le
from mypy_extensions import i64

from rdbtool.rdb.layout.duplicates import Duplicates
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.seen import hash_integer, hash_text

from .listpack import SCORES, check_score

HEADER: Final[i64] = 10
"""Total bytes (4), offset of the last entry (4), number of entries (2)."""
UNCOUNTED: Final[i64] = 65535
END: Final[i64] = 255
BIG: Final[i64] = 254
"""The first byte of a previous size of 5 bytes."""


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
    if announced != UNCOUNTED:
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
        return b"%d" % integer_at(data, pos)
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
            check_score(ins, pos + text_head(first), pos + size, entry)
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
