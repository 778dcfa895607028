"""Listpack: the packed form of small values since Redis 7.0, and of streams since 5.0 (listpack.c).

Total bytes (4, little-endian), number of elements (2; 65535: not kept), elements, 0xFF. An element is
its encoding byte or bytes, its data, and the length of both in a form that can be read backwards.

Two loops walk it. `ListpackCursor` reads elements, and looks only at what it needs for that. `check_listpack` looks at
every byte, as a server does when it sanitizes (lpValidateIntegrity), and builds nothing; one loop for both would cost
each of them more than the other's work.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i16_le, read_i32_le, read_i64_le
from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.basics.hash_table import MOST_DISTINCT, ROUND
from rdbtool.basics.numbers import is_integer_at
from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.model import MAX_FIELD_EXPIRY
from rdbtool.servers.limits import Limits

from .cursor import INTEGER, STRING, Cursor, corrupt, tell_element
from .duplicates import Duplicates
from .elements import Elements, OneNode
from .inspection import Inspection, check_packed_score, is_plain_number, open_packed
from .listpack_entry import (
    SIZES,
    back_size,
    element_at,
    entry_size,
    integer_at,
    is_integer_encoding,
    text_at,
    text_head,
)
from .primitives import read_string
from .seen import hash_integer, hash_text
from .visit import Visit
from .visitor import Visitor

HEADER: Final[i64] = 6
MANY: Final[i64] = 65535
"""In place of the number of elements: count them."""
END: Final[i64] = 255
WHAT: Final = "listpack"

UNREADABLE: Final[i64] = -1
WRONG: Final[i64] = -2
"""In place of a number of elements: they cannot be walked, or the header is wrong."""

RECENT: Final[i64] = 1 << 13
"""Elements of a very large listpack in which duplicates are found at once: LZF repeats what is no further away."""

ELEMENTS: Final[i64] = 0
MEMBERS: Final[i64] = 1
FIELDS: Final[i64] = 2
SCORES: Final[i64] = 3
EXPIRING_FIELDS: Final[i64] = 4
"""What a listpack holds: anything, set members, fields with values, members with scores, fields with values and
expiries.
"""


@final
class ListpackCursor(Cursor):
    """The elements of a listpack. ``announced``: their number by the header, or -1."""

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
        count: i64 = data[4]
        high: i64 = data[5]
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
                raise corrupt(WHAT, f"{self.announced} elements announced, {self.passed} there,", 4)
            return False
        first: i64 = data[pos]
        length: i64
        if first < 128:
            self.kind = INTEGER
            self.number = first
            length = 1
        elif first < 192:
            self.kind = STRING
            self.start = pos + 1
            length = first & 63
            self.size = length
            length += 1
        elif first < 224:
            self.kind = INTEGER
            number: i64 = (first & 31) << 8 | data[pos + 1]
            self.number = number - 8192 if number >= 4096 else number
            length = 2
        elif first < 240:
            self.kind = STRING
            self.start = pos + 2
            length = (first & 15) << 8 | data[pos + 1]
            self.size = length
            length += 2
        else:
            length = self._wide(data, pos, first)
        # an element's length is kept in 7 bits per byte
        pos += length + 1
        if length > 127:
            pos += 1
            if length >= 16383:
                pos += 1
                if length >= 2097151:
                    pos += 1
                    if length >= 268435455:
                        pos += 1
        if pos > end:
            raise corrupt(WHAT, "an element passes the end", self.pos)
        self.pos = pos
        self.passed += 1
        return True

    def tell(self, v: Visitor) -> i64:
        data = self.data
        pos = self.pos
        end = self.end
        count = self.passed
        while True:
            # Most elements are short. At the end is its mark, which is neither.
            first: i64 = data[pos]
            if first < 128 and end - pos >= 2:
                v.integer(first)
                pos += 2
            elif first >= 128 and first < 192 and end - pos >= first - 126:
                v.text(data, pos + 1, pos + first - 127)
                pos += first - 126
            else:
                self.pos = pos
                self.passed = count
                if not self.next():
                    return count
                tell_element(v, self)
                pos = self.pos
            count += 1

    def _wide(self, data: bytes, pos: i64, first: i64) -> i64:
        """Elements with a whole byte for the encoding; answers their length."""
        left = self.end - pos
        if first == 0xF0 and left >= 5:
            size: i64 = i64(read_i32_le(data, pos + 1))
            size &= 0xFFFFFFFF
            self.kind = STRING
            self.start = pos + 5
            self.size = size
            return size + 5
        self.kind = INTEGER
        if first == 0xF1 and left >= 3:
            self.number = i64(read_i16_le(data, pos + 1))
            return 3
        if first == 0xF2 and left >= 4:
            low: i64 = i64(read_i16_le(data, pos + 1))
            high: i64 = data[pos + 3]
            self.number = (low & 0xFFFF) | (high - 256 if high >= 128 else high) << 16
            return 4
        if first == 0xF3 and left >= 5:
            self.number = i64(read_i32_le(data, pos + 1))
            return 5
        if first == 0xF4 and left >= 9:
            self.number = read_i64_le(data, pos + 1)
            return 9
        if first > 0xF4:
            raise corrupt(WHAT, f"unknown encoding 0x{first:02x}", pos)
        raise corrupt(WHAT, "an element passes the end", pos)


def visit_listpack(visit: Visit) -> None:
    """Elements of a list, or members of a set."""
    _visit(visit, 1)


def visit_listpack_pairs(visit: Visit) -> None:
    """Fields and values of a hash."""
    _visit(visit, 2)


def _visit(visit: Visit, width: i64) -> None:
    data = visit.node()
    if data is not None:
        try:
            visit.elements(ListpackCursor(data), width)
        except FormatError as e:
            visit.damaged_node(e)


def visit_scored_listpack(visit: Visit) -> None:
    """Members and scores of a sorted set."""
    data = visit.node()
    if data is not None:
        try:
            visit.scored(ListpackCursor(data))
        except FormatError as e:
            visit.damaged_node(e)


def listpack_elements(w: Window) -> Elements:
    """Members of a set."""
    return OneNode(ListpackCursor(read_string(w)), 1)


def listpack_pairs_elements(w: Window) -> Elements:
    """Fields and values of a hash, or members and scores of a sorted set."""
    return OneNode(ListpackCursor(read_string(w)), 2)


def check_set_listpack(w: Window, ins: Inspection) -> None:
    """A set in one listpack."""
    check_one_listpack(w, ins, MEMBERS)


def check_hash_listpack(w: Window, ins: Inspection) -> None:
    """A hash in one listpack."""
    check_one_listpack(w, ins, FIELDS)


def check_zset_listpack(w: Window, ins: Inspection) -> None:
    """A sorted set in one listpack."""
    check_one_listpack(w, ins, SCORES)


def check_one_listpack(w: Window, ins: Inspection, holds: i64) -> None:
    """A value that is one listpack."""
    if open_packed(w, ins):
        count = check_listpack(ins, holds)
        ins.empty = count == 0
        if count > 0 and ins.suspect:
            check_elements(ins, holds, count)
        elif count == UNREADABLE:
            _check_unpacking(ins, holds)


def _check_unpacking(ins: Inspection, holds: i64) -> None:
    """Look whether servers turn a damaged listpack into another encoding as they load it: they crash on the way."""
    announced: i64 = i64(read_i16_le(ins.data, ins.start + 4)) & 0xFFFF
    if announced > _most_elements(holds):
        message = (
            f"a damaged listpack announces {announced} elements: servers unpack so many as they load it, and crash"
        )
        ins.report_packed("listpack-unpacked", message, ins.start + 4)


def _most_elements(holds: i64) -> i64:
    """How many elements of a listpack servers leave packed as they load it."""
    limits = Limits()
    if holds == MEMBERS:
        return limits.set_entries
    if holds == SCORES:
        return 2 * limits.zset_entries
    return (2 if holds == FIELDS else 3) * limits.hash_entries


def _report_twice(ins: Inspection, holds: i64, count: i64, pos: i64) -> None:
    """Report that an element of a listpack of ``count`` comes twice."""
    message = f"a {'member' if holds in (MEMBERS, SCORES) else 'field'} twice in a listpack"
    if count > _most_elements(holds):
        message += f" of {count} elements: servers unpack so many as they load it, and crash"
        ins.report_packed("listpack-unpacked", message, pos)
    else:
        ins.report_packed("listpack-duplicate", message, pos)


def check_listpack(ins: Inspection, holds: i64 = ELEMENTS, *, stream: bool = False) -> i64:
    """Walk the packed value as a listpack: the number of its elements, or UNREADABLE or WRONG if it is damaged.

    ``stream``: it is of a stream; there, hardly a server looks at the number of elements in the header.
    ``ins.suspect`` then tells whether `check_elements` has to look at what it ``holds``: else it would find nothing.
    """
    if not check_header(ins):
        return WRONG
    data = ins.data
    start = ins.start
    last = start + ins.size - 1
    sizes = SIZES
    width: i64 = 0
    turn: i64 = 1
    seed = ins.seen.seed
    distinct = ins.seen.distinct
    words = distinct.words
    mask: i64 = 0
    mark: i64 = 0
    suspect = holds == EXPIRING_FIELDS
    if holds != ELEMENTS and not suspect:
        width = 1 if holds == MEMBERS else 2
        most = ins.size // (2 * width)
        if most > MOST_DISTINCT:
            suspect = True
            width = 0
        else:
            turn = 0
            mask = distinct.begin(most)
            mark = distinct.round
            words = distinct.words
    pos = start + HEADER
    count: i64 = 0
    while pos < last:
        first: i64 = data[pos]
        size: i64 = sizes[first]
        if size == 0:
            size = entry_size(data, pos, last)
        if size < 128:
            after = pos + size + 1
            if size == 0 or after > last:
                ins.report_packed(_code(stream, count), _flaw(data, pos), pos)
                return UNREADABLE
            if data[after - 1] != size and not ends_with_size(data, after, size):
                ins.report_packed(_code(stream, count), _no_size(size), pos)
                return UNREADABLE
        else:
            after = pos + size + back_size(size)
            if after > last:
                ins.report_packed(_code(stream, count), _flaw(data, pos), pos)
                return UNREADABLE
            if not ends_with_size(data, after, size):
                ins.report_packed(_code(stream, count), _no_size(size), pos)
                return UNREADABLE
        if turn == 0:
            value = hash_element(data, pos, size, seed)
            at = value & mask
            value = value & ~ROUND | mark
            while words[at] & ROUND == mark:
                if words[at] == value:
                    suspect = True
                    break
                at = at + 1 & mask
            words[at] = value
        elif holds == SCORES and not is_integer_encoding(first):
            if not is_plain_number(data, pos + text_head(first), pos + size):
                suspect = True
        pos = after
        count += 1
        turn += 1
        if turn == width:
            turn = 0
    ins.suspect = suspect or (width > 0 and turn != 0)
    announced: i64 = i64(read_i16_le(data, start + 4)) & 0xFFFF
    if announced != MANY:
        if announced != count:
            message = f"a listpack announces {announced} elements and holds {count}"
            ins.report_packed("stream-node-count" if stream else "listpack", message, start + 4)
            return count if stream else WRONG
    return count


def hash_element(data: bytes, pos: i64, size: i64, seed: i64) -> i64:
    """The hash of the element of ``size`` bytes at ``pos``."""
    first: i64 = data[pos]
    if first < 128:
        return hash_integer(first, seed)
    if first < 192:
        return hash_text(data, pos + 1, size - 1, seed)
    if is_integer_encoding(first):
        return hash_integer(integer_at(data, pos), seed)
    head = text_head(first)
    return hash_text(data, pos + head, size - head, seed)


def _no_size(size: i64) -> str:
    return f"a listpack entry of {size} bytes does not end with its size"


def _code(stream: bool, count: i64) -> str:
    return "stream-first" if stream and count == 0 else "listpack"


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
    recent: vec[i64] | None = vec[i64]([0] * (2 * RECENT)) if seen.many is not None else None
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
            value = hash_element(data, pos, size, seed)
            earlier = seen.put(value, pos)
            if recent is not None:
                slot = 2 * (value & (RECENT - 1))
                if recent[slot] == value and recent[slot + 1] > 0:
                    earlier = recent[slot + 1]
                recent[slot] = value
                recent[slot + 1] = pos
            if earlier >= 0 and element_at(data, earlier) == element_at(data, pos):
                _report_twice(ins, holds, count, pos)
                return
        elif turn == 2:
            previous = _check_expiry(ins, pos, previous)
            if previous < 0:
                return
        elif holds == SCORES and not is_integer_encoding(first):
            head = text_head(first)
            check_packed_score(ins, pos + head, pos + size, pos)
        pos += size
        if size < 128:  # compiled, a conditional expression would make an int object
            pos += 1
        else:
            pos += back_size(size)
        turn += 1
        if turn == width:
            turn = 0
    if seen.many is not None:
        _late_duplicates(ins, holds, count, seen.many)


def _late_duplicates(ins: Inspection, holds: i64, count: i64, many: Duplicates) -> None:
    """Report duplicates in a listpack of very many elements."""
    many.finish()
    for earlier, later in many.pairs:
        if element_at(ins.data, earlier) == element_at(ins.data, later):
            _report_twice(ins, holds, count, later)
            return


def _check_expiry(ins: Inspection, pos: i64, previous: i64) -> i64:
    """Check the expiry of a field against that of the field before: 0 or the time in ms; -1 if it is wrong."""
    data = ins.data
    if is_integer_encoding(data[pos]):
        at = integer_at(data, pos)
    else:
        text = text_at(data, pos)
        if not text or not is_integer_at(text, 0, len(text)):
            ins.report_packed("listpack-expiry", "the expiry of a hash field is not a number", pos)
            return -1
        at = int(text)
    if at < 0 or at > MAX_FIELD_EXPIRY:
        ins.report_packed("listpack-expiry", f"a hash field expires at {at}, which no server takes", pos)
        return -1
    if at and (previous == 0 or at < previous):
        ins.report_packed("listpack-expiry", "hash fields are not in the order of their expiry", pos)
        return -1
    if at:
        ins.subexpires += 1
    return at
