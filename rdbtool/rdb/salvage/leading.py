"""The last record in front of a place from which records run, where its name is too short or too plain to be found."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import InputError, RdbToolError
from rdbtool.findings import Findings, Severity
from rdbtool.io.window import Window, window_over
from rdbtool.rdb import opcodes
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.primitives import read_length, read_string
from rdbtool.rdb.types import TypeRow
from rdbtool.servers.releases import FIELDS_EXPIRE_SINCE

from .evidence import FIRST, NUMBER, TYPE_LOST, of_key, of_name
from .judge import A_NAME, TORN, ZEROS, Judge
from .lengths import end_of_string, type_behind_opcodes
from .names import Names, is_number

STRINGS: Final = frozenset({"list", "set", "hash", "hash-metadata", "hash-metadata-pre-ga", "hash2"})
"""Types whose payload is strings in a row."""
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
    """Whether what looks like a string at ``place`` may be the last elements of a collection: of the damaged one at
    ``cut``, where no element ends right in front of it, or its name tells little; or of one that is lost with its
    beginning, where its type may be the last byte of a number, or of an element. ``names``: of other keys.
    """
    if judge.pages.byte(place) != 0 or place <= cut:
        return False
    w = judge.pages.window(cut, judge.size)
    row = _row(judge, w)
    coded = judge.pages.byte(place + 1)
    key = read_string(judge.pages.window(place + 1, judge.size))
    known = names.know(key, coded)
    if of_name(key, coded) < NUMBER:
        return True  # what its value tells, tells nothing of its type
    near = judge.pages.take(max(cut, place - NEAR), min(NEAR, place - cut))
    n: i64 = len(near)
    after_number = near[n - 1] == 0xC0 or (n > 1 and near[n - 2] == 0xC1) or (n > 3 and near[n - 4] == 0xC2)
    if row is None or row.name in ONE_STRING:
        if after_number or known:
            return after_number
        if is_zeroed(judge, cut, place):
            is_odd = not key.isascii() and of_name(key, coded) < A_FIELD
            if is_odd or near.endswith(TYPE_LOST) or _ends_element(near):
                return True
            behind_text = of_key(near[-SHORT:]) >= FIRST
            return (behind_text and of_name(key, coded) < A_FIELD) or may_be_fields(judge, cut, place, names)
        return of_name(key, coded) < FIRST and row is not None and _is_in_name(judge, cut, place)
    if known and not is_number(coded):
        return after_number
    if may_be_fields(judge, cut, place, names):
        return True
    if of_name(key, coded) < FIRST:
        return row.name in STRINGS or row.name == "array"
    if row.name not in STRINGS:
        # the last elements of a collection behind it, or the name of a group, or of a consumer
        return after_number or (row.stream_version > 0 and of_name(key, coded) < A_FIELD)
    first = max(cut, place - LONGEST_ELEMENT)
    data = judge.pages.take(first, place - first)
    at: i64 = len(data) - 1
    while at >= 0:
        if end_of_string(data, at) == len(data):
            return row.element_strings > 0 and _are_missing(judge, w, row, place)
        at -= 1
    return True


def _are_missing(judge: Judge, w: Window, row: TypeRow, place: i64) -> bool:
    """Whether the collection whose name ``w`` stands at has, by its count, so many more strings than can be read up to
    ``place`` that a few of them may stand there.
    """
    try:
        read_string(w)
        left = read_length(w) * row.element_strings
    except RdbToolError:
        return False
    first = w.offset()
    if not 0 < place - first <= LONGEST_ELEMENT:
        return False
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
    return left - counts[min(counts)] >= FEW


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
    if n < 4 or near.endswith(TYPE_LOST):
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


def _is_in_name(judge: Judge, cut: i64, place: i64) -> bool:
    """Whether ``place`` is in the name of the record at ``cut``, by the length that it says it has."""
    w = judge.pages.window(cut, judge.size)
    type_behind_opcodes(w)
    begin = judge.pages.take(w.offset(), min(5, judge.size - w.offset()))
    return place < w.offset() + end_of_string(begin, 0)


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
        if size == 0 or (bits < NUMBER and not (expected and size > NUMBER)):
            return False
        if w.data[w.pos] == 0 and not (expected and bits >= FIRST):
            return False
        event.type.verify(w, Inspection(findings))
    except RdbToolError:
        return False
    return w.at_end() and findings.worst is not Severity.ERROR
