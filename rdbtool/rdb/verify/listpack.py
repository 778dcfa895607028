"""Check listpacks, as the server does when it sanitizes (listpack.c of Redis: lpValidateIntegrity)."""

from __future__ import annotations

import re
from typing import Final

from librt.strings import read_i16_le, read_i32_le
from mypy_extensions import i64

from rdbtool.rdb.layout.duplicates import Duplicates
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.listpack import back_size
from rdbtool.rdb.layout.run import integer_at
from rdbtool.rdb.layout.seen import hash_integer, hash_text, is_integer_text

HEADER: Final[i64] = 6
"""Total bytes (4) and number of elements (2)."""
UNCOUNTED: Final[i64] = 65535
"""The number of elements that stands for: count them."""
END: Final[i64] = 255
MAX_EXPIRY: Final[i64] = 0x0000FFFFFFFFFFFF
"""The greatest time in ms that a hash field may expire at."""

MEMBERS: Final[i64] = 1
FIELDS: Final[i64] = 2
SCORES: Final[i64] = 3
EXPIRING_FIELDS: Final[i64] = 4
"""What a listpack holds: set members, fields with values, members with scores, fields with values and expiries."""


def check_listpack(ins: Inspection, *, stream: bool = False) -> i64:
    """Walk the packed value as a listpack: the number of its elements, or -1 if it is damaged.

    ``stream``: it is of a stream; there, hardly a server looks at the number of elements in the header.
    """
    data = ins.data
    start = ins.start
    last = start + ins.size - 1
    if not check_header(ins):
        return -1
    pos = start + HEADER
    count: i64 = 0
    while pos < last:
        first: i64 = data[pos]
        if first < 128:
            size: i64 = 1
        elif first < 192:
            size = first - 127
        else:
            size = entry_size(data, pos, last)
        if size < 128:
            after = pos + size + 1
            if size == 0 or after > last:
                ins.report_packed("listpack", _flaw(data, pos), pos)
                return -1
            if data[after - 1] != size and not ends_with_size(data, after, size):
                ins.report_packed("listpack", f"a listpack entry of {size} bytes does not end with its size", pos)
                return -1
        else:
            after = pos + size + back_size(size)
            if after > last:
                ins.report_packed("listpack", _flaw(data, pos), pos)
                return -1
            if not ends_with_size(data, after, size):
                ins.report_packed("listpack", f"a listpack entry of {size} bytes does not end with its size", pos)
                return -1
        pos = after
        count += 1
    announced: i64 = i64(read_i16_le(data, start + 4)) & 0xFFFF
    if announced != UNCOUNTED:
        if announced != count:
            message = f"a listpack announces {announced} elements and holds {count}"
            ins.report_packed("stream-node-count" if stream else "listpack", message, start + 4)
            return count if stream else -1
    return count


def check_header(ins: Inspection) -> bool:
    """Whether the header and the end mark of the listpack are right; even servers that do not sanitize look at them."""
    start = ins.start
    size = ins.size
    if size < HEADER + 1:
        ins.report_packed("listpack-header", f"{size} bytes cannot be a listpack", start)
        return False
    total: i64 = i64(read_i32_le(ins.data, start)) & 0xFFFFFFFF
    if total != size:
        ins.report_packed("listpack-header", f"a listpack of {size} bytes announces {total}", start)
        return False
    if ins.data[start + size - 1] != END:
        ins.report_packed("listpack-header", "a listpack without its end mark", start + size - 1)
        return False
    return True


def _flaw(data: bytes, pos: i64) -> str:
    first = data[pos]
    if first == END:
        return "a listpack ends before its last byte"
    if first > 0xF4:
        return f"unknown listpack encoding 0x{first:02x}"
    return "a listpack entry reaches beyond the listpack"


def entry_size(data: bytes, pos: i64, last: i64) -> i64:
    """Bytes of the entry at ``pos`` without the size at its end; 0 if it is unknown or its header passes ``last``."""
    first: i64 = data[pos]
    if first < 128:
        return 1
    if first < 192:
        return first - 127
    if first < 224:
        return 2
    if first < 240:
        if pos + 2 > last:
            return 0
        high: i64 = (first & 15) << 8
        low: i64 = data[pos + 1]
        return 2 + high + low
    if first == 0xF0:
        if pos + 5 > last:
            return 0
        return 5 + (i64(read_i32_le(data, pos + 1)) & 0xFFFFFFFF)
    if first == 0xF1:
        return 3
    if first == 0xF2:
        return 4
    if first == 0xF3:
        return 5
    if first == 0xF4:
        return 9
    return 0


def ends_with_size(data: bytes, after: i64, size: i64) -> bool:
    """Whether the bytes before ``after``, read backwards, say ``size``."""
    value: i64 = 0
    shift: i64 = 0
    pos = after - 1
    while shift <= 28:
        byte: i64 = data[pos]
        value |= (byte & 127) << shift
        if byte < 128:
            return value == size
        shift += 7
        pos -= 1
    return False


def is_integer(first: i64) -> bool:
    """Whether an entry that begins with this byte is encoded as an integer."""
    return first < 128 or (first >= 192 and first < 224) or (first >= 0xF1 and first <= 0xF4)


def text_head(first: i64) -> i64:
    """Bytes before the text of a string entry that begins with this byte."""
    return 1 if first < 192 else 2 if first < 240 else 5


def text_at(data: bytes, pos: i64) -> bytes:
    """The string of the entry at ``pos``, which must be encoded as one."""
    head = text_head(data[pos])
    # The entry was measured before, so its end is not looked at.
    return data[pos + head : pos + entry_size(data, pos, pos + 5)]


def element_at(data: bytes, pos: i64) -> bytes:
    """The element at ``pos`` as text."""
    return b"%d" % integer_at(data, pos) if is_integer(data[pos]) else text_at(data, pos)


def check_elements(ins: Inspection, holds: i64, count: i64) -> None:
    """Check the elements of a listpack whose structure is right: duplicates, expiries and their order, scores."""
    width: i64 = 1 if holds == MEMBERS else 3 if holds == EXPIRING_FIELDS else 2
    if count % width:
        ins.report_packed("listpack", f"{count} elements cannot be groups of {width}", ins.start + 4)
        return
    data = ins.data
    pos = ins.start + HEADER
    last = ins.start + ins.size - 1
    seen = ins.seen
    seed = seen.seed
    seen.begin(count // width)
    previous: i64 = -1
    turn: i64 = 0
    while pos < last:
        first: i64 = data[pos]
        if first < 128:
            size: i64 = 1
        elif first < 192:
            size = first - 127
        else:
            size = entry_size(data, pos, last)
        if turn == 0:
            if first < 128:
                value = hash_integer(first, seed)
            elif first < 192:
                value = hash_text(data, pos + 1, size - 1, seed)
            elif is_integer(first):
                value = hash_integer(integer_at(data, pos), seed)
            else:
                head = text_head(first)
                value = hash_text(data, pos + head, size - head, seed)
            earlier = seen.put(value, pos)
            if earlier >= 0 and element_at(data, earlier) == element_at(data, pos):
                what = "member" if holds in (MEMBERS, SCORES) else "field"
                ins.report_packed("listpack-duplicate", f"a {what} twice in a listpack", pos)
                return
        elif turn == 2:
            previous = _check_expiry(ins, pos, previous)
            if previous < 0:
                return
        elif holds == SCORES and not is_integer(first):
            head = text_head(first)
            check_score(ins, pos + head, pos + size, pos)
        pos += size
        if size < 128:  # compiled, a conditional expression would make an int object
            pos += 1
        else:
            pos += back_size(size)
        turn += 1
        if turn == width:
            turn = 0
    if seen.many is not None:
        _late_duplicates(ins, seen.many)


def _late_duplicates(ins: Inspection, many: Duplicates) -> None:
    """Report duplicates in a listpack of very many elements."""
    many.finish()
    for earlier, later in many.pairs:
        if element_at(ins.data, earlier) == element_at(ins.data, later):
            ins.report_packed("listpack-duplicate", "an element twice in a listpack", later)
            return


def _check_expiry(ins: Inspection, pos: i64, previous: i64) -> i64:
    """Check the expiry of a field against that of the field before: 0 or the time in ms; -1 if it is wrong."""
    data = ins.data
    if is_integer(data[pos]):
        at = integer_at(data, pos)
    else:
        text = text_at(data, pos)
        if not text or not is_integer_text(text, 0, len(text)):
            ins.report_packed("listpack-expiry", "the expiry of a hash field is not a number", pos)
            return -1
        at = int(text)
    if at < 0 or at > MAX_EXPIRY:
        ins.report_packed("listpack-expiry", f"a hash field expires at {at}, which no server takes", pos)
        return -1
    if at and (previous == 0 or at < previous):
        ins.report_packed("listpack-expiry", "hash fields are not in the order of their expiry", pos)
        return -1
    if at:
        ins.subexpires += 1
    return at


_NUMBER: Final = re.compile(rb"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|0x[0-9a-f]+)", re.IGNORECASE)
_NAN: Final = re.compile(rb"\s*[+-]?nan", re.IGNORECASE)


def check_score(ins: Inspection, start: i64, end: i64, entry: i64) -> None:
    """Check ``data[start:end]``, the score of ``entry``, as a number in text."""
    data = ins.data
    pos = start
    dots: i64 = 0
    while pos < end:
        byte: i64 = data[pos]
        if byte == 46:
            dots += 1
        elif (byte < 48 or byte > 57) and (byte != 45 or pos > start):
            break
        pos += 1
    if pos == end and dots <= 1 and end > start + 1:
        return
    text = data[start:end]
    if _NAN.match(text):
        ins.report_packed("packed-nan-score", "a score is not a number (NaN)", entry)
        return
    found = _NUMBER.match(text)
    if found is None or found.end() != len(text):
        ins.report_packed("packed-score", "a score is not a number; servers take it for another", entry)
