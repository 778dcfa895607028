"""Collections as they stand where they are not packed: a count, and then the elements (rdb.c: rdbLoadObject)."""

from __future__ import annotations

import math
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError, TruncatedError
from rdbtool.io.window import Window

from .cursor import DOUBLE
from .elements import Elements, OneNode
from .inspection import Inspection, checked_string, pass_string, see_element
from .primitives import read_binary_double, read_count, read_double, scan_score, skip_double, skip_string
from .strings import StringsCursor
from .visit import Visit

SMALL_HASH: Final[i64] = 128
SMALL_FIELD: Final[i64] = 64
"""Up to this, a server puts a hash into a listpack, where it does not look for duplicates unless it sanitizes."""


def skip_strings(w: Window) -> None:
    """A count, then that many strings: list, set, and quicklist of ziplists."""
    count = read_count(w, 1)
    while count > 0:
        skip_string(w)
        count -= 1


def skip_string_pairs(w: Window) -> None:
    """A count, then that many pairs of strings: hash."""
    count = read_count(w, 2)
    while count > 0:
        skip_string(w)
        skip_string(w)
        count -= 1


def skip_zset(w: Window) -> None:
    """A count, then members with scores as text."""
    count = read_count(w, 2)
    while count > 0:
        skip_string(w)
        skip_double(w)
        count -= 1


def skip_zset2(w: Window) -> None:
    """A count, then members with scores of 8 bytes."""
    count = read_count(w, 9)
    while count > 0:
        skip_string(w)
        w.skip(8)
        count -= 1


def check_list(w: Window, ins: Inspection) -> None:
    """A count, then elements."""
    count = read_count(w, 1)
    ins.empty = count == 0
    while count > 0:
        pass_string(w, ins)
        count -= 1


def check_set(w: Window, ins: Inspection) -> None:
    """A count, then members."""
    count = read_count(w, 1)
    ins.empty = count == 0
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            ins.report_twice(w, "member", earlier, at)
        count -= 1
    ins.report_late_duplicates("member")


def check_zset(w: Window, ins: Inspection) -> None:
    """A count, then members with scores as text."""
    count = read_count(w, 2)
    ins.empty = count == 0
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            ins.report_twice(w, "member", earlier, at)
        _check_text_score(w, ins)
        count -= 1
    ins.report_late_duplicates("member")


def _check_text_score(w: Window, ins: Inspection) -> None:
    at = w.offset()
    length = w.u8()
    if length == 253:
        ins.report("nan-score", "a score is not a number (NaN)", at)
    elif length < 253:
        number, end = scan_score(w.take(length))
        if end == 0:
            ins.report("score", "a score that cannot be read as a number", at)
        elif math.isnan(number):
            ins.report("nan-score", "a score is not a number (NaN)", at)


def check_zset2(w: Window, ins: Inspection) -> None:
    """A count, then members with scores of 8 bytes."""
    count = read_count(w, 9)
    ins.empty = count == 0
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            ins.report_twice(w, "member", earlier, at)
        score = read_binary_double(w)
        if score != score:  # noqa: PLR0124 - true of NaN alone
            ins.report("nan-score", "a score is not a number (NaN)", w.offset() - 8)
        count -= 1
    ins.report_late_duplicates("member")


def check_hash(w: Window, ins: Inspection) -> None:
    """A count, then fields with values."""
    count = read_count(w, 2)
    ins.empty = count == 0
    if count <= SMALL_HASH:
        _check_small_hash(w, ins, count)
        return
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            ins.report_twice(w, "field", earlier, at)
        pass_string(w, ins)
        count -= 1
    ins.report_late_duplicates("field")


def _check_small_hash(w: Window, ins: Inspection, count: i64) -> None:
    fields: set[bytes] = set()
    twice: i64 = -1
    small = True
    while count > 0:
        at = w.offset()
        field = checked_string(w, ins)
        if field is not None:
            if field in fields and twice < 0:
                twice = at
            fields.add(field)
            small = small and len(field) <= SMALL_FIELD
        value = checked_string(w, ins)
        small = small and (value is None or len(value) <= SMALL_FIELD)
        count -= 1
    if twice >= 0:
        ins.report("duplicate-field-small" if small else "duplicate-field", "a field twice in a hash", twice)


def visit_strings(visit: Visit) -> None:
    """The elements of a list, or the members of a set."""
    count = read_count(visit.window, 1)
    while count > 0:
        visit.string()
        count -= 1


def visit_string_pairs(visit: Visit) -> None:
    """The fields and values of a hash."""
    count = read_count(visit.window, 2)
    while count > 0:
        visit.string()
        visit.string()
        count -= 1


def visit_zset(visit: Visit) -> None:
    """Members with scores as text."""
    w = visit.window
    count = read_count(w, 2)
    while count > 0:
        visit.string()
        at = w.offset()
        try:
            visit.score(read_double(w), at)
        except TruncatedError:
            raise
        except FormatError as e:  # the stream is still in step
            visit.damaged(e, at)
        count -= 1


def visit_zset2(visit: Visit) -> None:
    """Members with scores of 8 bytes."""
    w = visit.window
    count = read_count(w, 9)
    while count > 0:
        visit.string()
        at = w.offset()
        visit.score(read_binary_double(w), at)
        count -= 1


def strings_elements(w: Window) -> Elements:
    """The elements of a list, or the members of a set."""
    return OneNode(StringsCursor(w, read_count(w, 1)), 1)


def string_pairs_elements(w: Window) -> Elements:
    """The fields and values of a hash."""
    return OneNode(StringsCursor(w, 2 * read_count(w, 2)), 2)


def zset_elements(w: Window) -> Elements:
    """Members with scores as text."""
    return OneNode(ScoresCursor(w, read_count(w, 2), binary=False), 2)


def zset2_elements(w: Window) -> Elements:
    """Members with scores of 8 bytes."""
    return OneNode(ScoresCursor(w, read_count(w, 9), binary=True), 2)


@final
class ScoresCursor(StringsCursor):
    """Member and score in turn; scores as 8 bytes, or as text in the old way."""

    def __init__(self, w: Window, members: i64, binary: bool) -> None:
        super().__init__(w, members)
        self.binary = binary
        self.on_member = False

    def next(self) -> bool:
        if self.on_member:
            self.on_member = False
            self.kind = DOUBLE
            self.real = read_binary_double(self.window) if self.binary else read_double(self.window)
            if math.isnan(self.real):
                raise FormatError("a score that is NaN", doing="decoding a sorted set")
            return True
        if self.left == 0:
            return False
        self.left -= 1
        self.on_member = True
        self.read()
        return True
