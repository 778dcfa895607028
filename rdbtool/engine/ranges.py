"""Ranges of a sorted set, by rank, score or member, as the commands' arguments give them."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.servers.features import FAST_FLOAT
from rdbtool.servers.releases import Release

from .cells.cell import LISTPACK
from .cells.zset import SortedSetCell
from .numbers import C_FLOAT, float_or_none, has_x
from .replies import CommandError

NOT_A_SCORE: Final = "ERR min or max is not a float"
NOT_A_MEMBER: Final = "ERR min or max not valid string range item"
LOWEST: Final = -1
"""``-``: below every member."""
HIGHEST: Final = 1
"""``+``: above every member."""


@final
class Span:
    """Ranks from ``start`` to before ``stop``."""

    def __init__(self, start: i64, stop: i64) -> None:
        self.start: i64 = start
        self.stop: i64 = max(start, stop)


def span_of_ranks(count: i64, start: i64, end: i64) -> Span:
    """The ranks ``start`` to ``end``, both included and negative from the end."""
    if start < 0:
        start += count
    if end < 0:
        end += count
    start = max(start, 0)
    if start > end or start >= count:
        return Span(0, 0)
    return Span(start, min(end + 1, count))


@final
class ScoreRange:
    """Scores between two bounds. Raises `CommandError` for what is no bound."""

    def __init__(self, release: Release, low: bytes, high: bytes) -> None:
        self.low = _score_bound(release, low)
        self.low_open = low[:1] == b"("
        self.high = _score_bound(release, high)
        self.high_open = high[:1] == b"("

    def span(self, cell: SortedSetCell) -> Span:
        """The ranks of the members in this range."""
        order = cell.order()
        start = order.rank_of_score(self.low, self.low_open)
        return Span(start, order.rank_of_score(self.high, not self.high_open))


def _score_bound(release: Release, text: bytes) -> float:
    """What C's strtod makes of a bound: nothing is 0, a NUL ends the text."""
    if text[:1] == b"(":
        text = text[1:]
    text = text.partition(b"\0")[0]
    if not release.has(FAST_FLOAT):
        text = text.lstrip(b" \t\n\v\f\r")
    elif has_x(text):
        raise CommandError(NOT_A_SCORE)
    if not text:
        return 0.0
    value = float_or_none(text)
    if value is None:
        if not C_FLOAT.fullmatch(text) or has_x(text):
            raise CommandError(NOT_A_SCORE)
        value = float(text)  # too large or too small: infinity or zero, without an error here
    return value


@final
class LexRange:
    """Members between two bounds, in a set whose scores are all the same. Raises `CommandError`."""

    def __init__(self, low: bytes, high: bytes) -> None:
        self.low_end, self.low_open, self.low = _member_bound(low)
        self.high_end, self.high_open, self.high = _member_bound(high)

    def span(self, cell: SortedSetCell) -> Span:
        """The ranks of the members in this range.

        Where the scores differ, the server promises nothing; this follows its walk along a listpack.
        """
        if self._is_empty():
            return Span(0, 0)
        count: i64 = len(cell.scores)
        order = cell.order()
        if cell.encoding == LISTPACK:
            members = order.slice(0, count)
            if not self._from_low(members[-1]) or not self._to_high(members[0]):
                return Span(0, 0)
            start: i64 = 0
            while start < count and not self._from_low(members[start]):
                start += 1
            stop = start
            while stop < count and self._to_high(members[stop]):
                stop += 1
            return Span(start, stop)
        start = 0 if self.low_end < 0 else count if self.low_end > 0 else order.rank_of_member(self.low, self.low_open)
        if self.high_end:
            return Span(start, count if self.high_end > 0 else 0)
        return Span(start, order.rank_of_member(self.high, not self.high_open))

    def _is_empty(self) -> bool:
        if self.low_end or self.high_end:
            return self.low_end >= self.high_end
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def _from_low(self, member: bytes) -> bool:
        if self.low_end:
            return self.low_end < 0
        return member > self.low if self.low_open else member >= self.low

    def _to_high(self, member: bytes) -> bool:
        if self.high_end:
            return self.high_end > 0
        return member < self.high if self.high_open else member <= self.high


def _member_bound(text: bytes) -> tuple[i64, bool, bytes]:
    """One bound: LOWEST, HIGHEST or 0 for a member; whether the member is left out; the member."""
    first = text[:1]
    if first == b"+" and text[1:2] in {b"", b"\0"}:
        return HIGHEST, True, b""
    if first == b"-" and text[1:2] in {b"", b"\0"}:
        return LOWEST, True, b""
    if first == b"(":
        return 0, True, text[1:]
    if first == b"[":
        return 0, False, text[1:]
    raise CommandError(NOT_A_MEMBER)
