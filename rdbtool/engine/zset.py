"""The cell of a sorted set."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64, mypyc_attr, u8

from rdbtool.model import NO_EXPIRY, SortedSet, Value

from .cells import LISTPACK, Cell


@final
@mypyc_attr(acyclic=True)
class SortedSetCell(Cell):
    """A sorted set. ``encoding``: LISTPACK or SKIPLIST."""

    __slots__ = ("encoding", "scores")

    def __init__(self, scores: dict[bytes, float] | None = None, encoding: u8 = LISTPACK) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.scores: dict[bytes, float] = {} if scores is None else scores
        self.encoding: u8 = encoding

    def value(self) -> Value:
        return SortedSet(self.scores)

    def copy(self) -> Cell:
        cell = SortedSetCell(self.scores.copy(), self.encoding)
        cell.expire_at_ms = self.expire_at_ms
        return cell

    def is_empty(self) -> bool:
        return not self.scores
