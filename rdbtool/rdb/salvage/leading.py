"""The last record in front of a place from which records run, where its name is too short or too plain to be found."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import InputError, RdbToolError
from rdbtool.findings import Findings, Severity
from rdbtool.io.window import window_over
from rdbtool.rdb import opcodes
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.primitives import read_string

from .evidence import FIRST, NUMBER, of_name
from .judge import A_NAME, TORN, Judge, end_of_string, type_behind_opcodes

STRINGS: Final = frozenset({"list", "set", "hash", "hash-metadata", "hash-metadata-pre-ga", "hash2"})
"""Types whose payload is strings in a row."""
LONGEST_ELEMENT: Final[i64] = 1 << 12
LONGEST: Final[i64] = 512
"""Bytes of such a record."""
SHORTEST: Final[i64] = 5
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
        if row is None:
            return -1
        read_string(w)
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


def may_be_elements(judge: Judge, cut: i64, place: i64) -> bool:
    """Whether what looks like a string at ``place`` may be the last elements of a collection: of the damaged one at
    ``cut``, where no element ends right in front of it, or its name tells little; or of one that is lost with its
    beginning, where its type may be the last byte of a number.
    """
    w = judge.pages.window(cut, judge.size)
    try:
        byte = type_behind_opcodes(w)
    except RdbToolError:
        return False
    row = judge.table[byte] if 0 <= byte < opcodes.LOWEST else None
    if judge.pages.byte(place) != 0 or place <= cut:
        return False
    if row is None or row.name in ONE_STRING:
        near = judge.pages.take(max(cut, place - 4), min(4, place - cut))
        return near[-1:] == b"\xc0" or near[-2:-1] == b"\xc1" or near[:-3] == b"\xc2"
    w = judge.pages.window(place + 1, judge.size)
    if of_name(read_string(w), judge.pages.byte(place + 1)) < FIRST:
        return row.name in STRINGS or row.name == "array"
    if row.name not in STRINGS:
        return False
    first = max(cut, place - LONGEST_ELEMENT)
    data = judge.pages.take(first, place - first)
    at: i64 = len(data) - 1
    while at >= 0:
        if end_of_string(data, at) == len(data):
            return False
        at -= 1
    return True


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
