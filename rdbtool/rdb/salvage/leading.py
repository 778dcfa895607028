"""The last record in front of a place from which records run, where its name is too short or too plain to be found."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import InputError, RdbToolError, TruncatedError
from rdbtool.findings import Findings, Severity
from rdbtool.io.window import Window, window_over
from rdbtool.rdb import opcodes
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.primitives import read_length, read_string, skip_string
from rdbtool.rdb.types import TypeRow
from rdbtool.servers.releases import FIELDS_EXPIRE_SINCE

from .evidence import FIRST, NUMBER, TYPE_LOST, is_printable, of_key, of_name
from .judge import A_NAME, TORN, ZEROS, Judge
from .lengths import CODED, SIZES, end_of_string, is_usual, is_usual_payload, swallows, type_behind_opcodes
from .names import Names, is_number

STRINGS: Final = frozenset({"list", "set", "hash"})
"""Types whose payload is strings in a row."""
EXPIRING: Final = frozenset({"hash-metadata", "hash-metadata-pre-ga", "hash2"})
"""Types whose payload is strings with a time for every two."""
LONGEST_ELEMENT: Final[i64] = 1 << 12
LONGEST: Final[i64] = 512
"""Bytes of such a record."""
SHORTEST: Final[i64] = 5
NEAR: Final[i64] = 31
"""Bytes in front of a place in which an element may begin that ends there."""
LOOKED_AT: Final[i64] = 1 << 16
"""Bytes in which zeros are looked for."""
FEW: Final[i64] = 3
"""Strings that a record looks like: its type an empty one, its name, and its value."""
SHORT: Final = 3
"""Bytes that tell whether a text ends there."""
LIST_END: Final[i64] = 0xFF
"""The last byte of a listpack, and of a ziplist."""
A_FIELD: Final[i64] = 12
"""Evidence in a name that fields have less of, mostly."""
ONE_STRING: Final = frozenset(
    {
        *("string", "hash-zipmap", "list-ziplist", "set-intset", "zset-ziplist", "hash-ziplist"),
        *("hash-listpack", "zset-listpack", "set-listpack"),
    }
)
"""Types whose payload is one string, which says where it ends."""


def leading(judge: Judge, cut: i64, place: i64) -> i64:
    """Where a record begins that ends exactly at ``place``, and in front of which the damaged one at ``cut`` ends; -1
    where there is none, or more than one.

    It must be where the damaged one says that it ends, give or take a few bytes; or that must be a stream, in which no
    strings stand in a row. In a collection of strings some of them look like a record.
    """
    lowest = highest = place
    w = judge.pages.window(cut, judge.size)
    try:
        byte = type_behind_opcodes(w)
        row = judge.table[byte] if 0 <= byte < opcodes.LOWEST else None
        if row is None or row.since > judge.version:
            return -1
        if of_key(read_string(w)) < A_NAME:
            return -1
        if row.name in ONE_STRING:
            row.skip(w)
            lowest, highest = w.offset() - TORN, w.offset() + TORN
        elif row.stream_version > 0:
            lowest = w.offset() + 1
        else:
            return -1
    except InputError:
        raise
    except RdbToolError:
        return -1
    found: i64 = -1
    first = max(cut + 1, lowest, place - LONGEST)
    data = judge.pages.take(first, max(0, place - first))
    at = first
    while at <= min(highest, place - SHORTEST):
        row = judge.table[data[at - first]] if data[at - first] < opcodes.LOWEST else None
        if row is not None and _is_record(judge, data[at - first :], highest < place):
            if found >= 0:
                return -1
            found = at
        at += 1
    return found


def may_be_elements(judge: Judge, cut: i64, place: i64, names: Names) -> bool:
    """Whether what looks like a string at ``place`` may be the end of a value that is lost with its beginning: three
    strings in a row look so, an empty one, its name and its value. ``names``: of other keys.

    A name that begins as others do is one, unless the type may be the last byte of a number. Any other is one where the
    damaged record is known that ends in front of it, and cannot end behind it.
    """
    first = judge.pages.byte(place)
    if place <= cut or first >= opcodes.LOWEST:
        return place > cut and first == opcodes.EXPIRE_S and _is_torn(judge, cut, place)
    near = judge.pages.take(max(cut, place - NEAR), min(NEAR, place - cut))
    n: i64 = len(near)
    after_number = near[n - 1] == 0xC0 or (n > 1 and near[n - 2] == 0xC1) or (n > 3 and near[n - 4] == 0xC2)
    w = judge.pages.window(place + 1, judge.size)
    coded = judge.pages.byte(place + 1)
    row = judge.table[first]
    try:
        key = read_string(w)
    except InputError:
        raise
    except RdbToolError:
        return False  # there is none
    bits = of_name(key, coded)
    if bits < NUMBER or row is None or not is_usual_payload(row, judge.pages.byte(w.offset())):
        return True  # what its value tells, tells nothing of its type
    known = names.know(key, coded)
    if after_number or (known and not is_number(coded)):
        return after_number
    if first != 0:
        if is_zeroed(judge, cut, place):
            return False
        is_loose = row.element_strings > 0 or row.name in STRINGS
        is_loose = is_loose and (bits < A_FIELD or _are_strings(judge, place, row))
        return any(_holds(judge, at, is_loose) for at in _damaged(judge, cut, place))
    if is_zeroed(judge, cut, place):
        if known:
            return False
        is_odd = not key.isascii() and bits < A_FIELD
        if is_odd or near.endswith(TYPE_LOST) or _ends_element(near):
            return True
        behind_text = of_key(near[-SHORT:]) >= FIRST
        return (behind_text and bits < A_FIELD) or may_be_fields(judge, cut, place, names)
    value_coded = judge.pages.byte(w.offset())
    try:
        value = read_string(w)
    except InputError:
        raise
    except RdbToolError:
        return False
    ends_list = judge.pages.byte(w.offset() - 1) == LIST_END
    is_plain = not _ends_text(near) and is_usual(value_coded, value) and (value_coded >= CODED or is_printable(value))
    bits = A_FIELD if known else bits
    return any(_may_end(judge, at, place, bits, ends_list, is_plain) for at in _damaged(judge, cut, place))


def _damaged(judge: Judge, cut: i64, place: i64) -> list[int]:
    """Where the damaged record begins that ends in front of ``place``: at ``cut``, or, where that one can be read,
    behind it.
    """
    w = judge.pages.window(cut, judge.size)
    found = [int(cut)]
    try:
        event = judge.reader(w).next()
        if isinstance(event, Frame):
            event.skip()
            if w.offset() < place:
                found.append(int(w.offset()))
    except InputError:
        raise
    except RdbToolError:
        pass
    return found


def _may_end(judge: Judge, at: i64, place: i64, bits: i64, ends_list: bool, is_plain: bool) -> bool:
    """Whether the value of the damaged record at ``at`` may end with what looks like a string at ``place``, whose name
    has ``bits`` of evidence. ``ends_list``: whether the last byte of that is the end of a list. ``is_plain``: whether
    no text ends in front of it, and its value is text, or a number: streams do not end so.
    """
    w = judge.pages.window(at, judge.size)
    byte = type_behind_opcodes(w)
    if byte >= opcodes.LOWEST:
        return False  # what belongs to no key has no elements
    row = judge.table[byte] if byte >= 0 else None
    if row is None:
        return bits < A_FIELD
    if row.stream_version > 0:
        return not is_plain
    if row.elements is None or row.name in EXPIRING or row.name == "zset":
        return True
    if row.name not in STRINGS:
        return (ends_list and row.byte != 0) or (bits < A_FIELD and is_within(judge, at, place))
    if bits < FIRST:
        return True
    first = max(at, place - LONGEST_ELEMENT)
    data = judge.pages.take(first, place - first)
    pos: i64 = len(data) - 1
    while pos >= 0:
        if end_of_string(data, pos) == len(data):
            return row.element_strings > 0 and _are_missing(judge, w, row, place)
        pos -= 1
    return True


def _are_missing(judge: Judge, w: Window, row: TypeRow, place: i64) -> bool:
    """Whether the collection whose name ``w`` stands at has, by its count, so many more strings than can be read up to
    ``place`` that a few of them may stand there; or fewer: then the count may be wrong.
    """
    try:
        read_string(w)
        left = read_length(w) * row.element_strings
    except RdbToolError:
        return False
    first = w.offset()
    if not 0 < place - first <= LONGEST_ELEMENT:
        return place <= first
    data = judge.pages.take(first, place - first)
    size: i64 = len(data)
    at: i64 = 0
    while at < size:  # in step from the front
        end = end_of_string(data, at)
        if not 0 <= end <= size:
            break
        left -= 1
        at = end
    begin = at
    counts: dict[int, int] = {int(size): 0}
    at = size - 1
    while at >= begin:  # and from the back
        count = counts.get(int(end_of_string(data, at)))
        if count is not None:
            counts[int(at)] = count + 1
        at -= 1
    return any(at < begin + TORN and not 0 <= left - count < FEW for at, count in counts.items())


def may_be_fields(judge: Judge, cut: i64, place: i64, names: Names) -> bool:
    """Whether what looks like a string at ``place`` may be a field and its value of a hash whose fields expire: in
    front of each stands when that is, 0 for never.
    """
    if judge.dialect != opcodes.REDIS or judge.version < FIELDS_EXPIRE_SINCE or judge.pages.byte(place) != 0:
        return False
    row = _row(judge, judge.pages.window(cut, judge.size))
    is_one = row is not None and row.name in {"hash-metadata", "hash-metadata-pre-ga"}
    if not is_one and not is_zeroed(judge, cut, place):
        return False
    near = judge.pages.take(max(cut, place - NEAR), min(NEAR, place - cut))
    if not is_one and not _may_precede_field(near):
        return False
    coded = judge.pages.byte(place + 1)
    try:
        key = read_string(judge.pages.window(place + 1, judge.size))
    except RdbToolError:
        return False
    return not names.know(key, coded) and (is_one or of_name(key, coded) < A_FIELD)


def _may_precede_field(near: bytes) -> bool:
    """Whether a value, a text or a number, or the count of fields behind a name may end with these bytes."""
    n: i64 = len(near)
    if n < 4 or any(near[: n - size].endswith(TYPE_LOST) for size in range(SHORT + 1)):
        return True
    if _ends_text(near) or (near[n - 1] == 0 and _ends_text(near[: n - 1])):
        return True
    is_count = 0 < near[n - 1] < 0x40 and of_key(near[n - 4 : n - 1]) >= FIRST
    return is_count or near[n - 2] == 0xC0 or near[n - 3] == 0xC1


def _ends_text(near: bytes) -> bool:
    """Whether a text that says how long it is ends with these bytes."""
    n: i64 = len(near)
    return any(near[n - 1 - size] == size and of_key(near[n - size :]) >= 2 + 3 * min(size, 3) for size in range(1, n))


def is_zeroed(judge: Judge, cut: i64, place: i64) -> bool:
    """Whether zeros that a disk puts in the place of what it lost stand between them: records may be among that."""
    return ZEROS in judge.pages.take(cut, min(place - cut, LOOKED_AT))


def _are_strings(judge: Judge, place: i64, row: TypeRow) -> bool:
    """Whether what is behind the type of the collection at ``place`` is strings in a row, its count being one, too."""
    w = judge.pages.window(place + 1, judge.size)
    try:
        skip_string(w)
        row.skip(w)
        end = w.offset()
        again = judge.pages.window(place + 1, judge.size)
        while again.offset() < end:
            skip_string(again)
    except InputError:
        raise
    except RdbToolError:
        return False
    return again.offset() == end


def _holds(judge: Judge, at: i64, is_loose: bool) -> bool:
    """Whether the value of the record at ``at`` may hold what looks like a collection: ``is_loose``, with its elements
    in a row.
    """
    row = _row(judge, judge.pages.window(at, judge.size))
    if row is None:
        return False
    if is_loose:
        return row.elements is None or row.element_strings > 0 or row.name in STRINGS
    return row.redis_type == "module"


def _row(judge: Judge, w: Window) -> TypeRow | None:
    """The type of the record that ``w`` stands at, which is passed."""
    byte = type_behind_opcodes(w)
    return judge.table[byte] if 0 <= byte < opcodes.LOWEST else None


def _ends_element(near: bytes) -> bool:
    """Whether an element that the next byte ends, a zero, may begin in these, and none that ends with them."""
    n: i64 = len(near)
    if near[n - 1] == LIST_END:
        return False
    return not _ends_text(near) and any(near[n - size] == size for size in range(1, n + 1))


def _is_torn(judge: Judge, cut: i64, place: i64) -> bool:
    """Whether what looks like an expiry in seconds at ``place``, as any bytes behind the opcode do, may be in that of
    the record at ``cut``, or begin in that.
    """
    if place < cut + SIZES.get(int(judge.pages.byte(cut)), 0):
        return True
    return is_within(judge, cut, place) and not is_within(judge, cut, place + SIZES[opcodes.EXPIRE_S])


def is_within(judge: Judge, cut: i64, place: i64) -> bool:
    """Whether ``place`` is in the record at ``cut``, by the lengths that it says it has."""
    w = judge.pages.window(cut, judge.size)
    try:
        event = judge.reader(w).next()
        if isinstance(event, Frame):
            event.skip()
    except InputError:
        raise
    except TruncatedError:
        return True
    except RdbToolError:
        return False
    return place < w.offset()


def _is_record(judge: Judge, data: bytes, expected: bool) -> bool:
    """Whether ``data`` is one sound record with a name and a value, or, where one is ``expected``, with either."""
    w = window_over(data)
    findings = Findings()
    try:
        event = judge.reader(w).next()
        if not isinstance(event, Frame):
            return False
        bits = of_name(event.key, data[1])
        if bits < A_NAME and not expected:
            return False
        size = w.end - w.pos
        if size == 0 or (bits < NUMBER and not (expected and of_key(data[-SHORT:]) >= FIRST)):
            return False
        if not is_usual(data[1], event.key) or (bits < FIRST and swallows(event.key)):
            return False
        if w.data[w.pos] == 0 and not (expected and bits >= FIRST):
            return False
        ins = Inspection(findings)
        event.type.verify(w, ins)
    except RdbToolError:
        return False
    return w.at_end() and not ins.empty and findings.worst is not Severity.ERROR
