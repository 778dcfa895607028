"""The cell of a sorted set."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64, mypyc_attr, u8

from rdbtool.model import NO_EXPIRY, SortedSet, Value
from rdbtool.servers.features import INTEGER_SCORES
from rdbtool.servers.releases import Release

from .cell import LISTPACK, SKIPLIST, Cell
from .order_index import OrderIndex


@final
@mypyc_attr(acyclic=True)
class SortedSetCell(Cell):
    """A sorted set. ``encoding``: LISTPACK or SKIPLIST. Change ``scores`` by the methods only."""

    __slots__ = ("_order", "encoding", "scores")

    def __init__(self, scores: dict[bytes, float] | None = None, encoding: u8 = LISTPACK) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.scores: dict[bytes, float] = {} if scores is None else scores
        self.encoding: u8 = encoding
        self._order: OrderIndex | None = None

    def value(self) -> Value:
        return SortedSet(self.scores)

    def copy(self) -> Cell:
        cell = SortedSetCell(self.scores.copy(), self.encoding)
        cell.expire_at_ms = self.expire_at_ms
        return cell

    def is_empty(self) -> bool:
        return not self.scores

    def __len__(self) -> int:
        return len(self.scores)

    def order(self) -> OrderIndex:
        """The members in order; kept up to date from the first call on."""
        order = self._order
        if order is None:
            order = OrderIndex(self.scores)
            self._order = order
        return order

    def add(self, release: Release, member: bytes, score: float) -> None:
        """Add a member that is not there; the encoding follows as it does in the server."""
        if self.encoding == LISTPACK:
            if len(self.scores) >= release.limits.zset_entries or len(member) > release.limits.zset_value:
                self.encoding = SKIPLIST
            elif score == 0.0 and release.has(INTEGER_SCORES):
                score = 0.0
        self.scores[member] = score
        order = self._order
        if order is not None:
            order.add(member, score)

    def change(self, release: Release, member: bytes, old: float, score: float) -> None:
        """Give a member with the score ``old`` another."""
        if score == 0.0 and self.encoding == LISTPACK and release.has(INTEGER_SCORES):
            score = 0.0
        self.scores[member] = score
        order = self._order
        if order is not None:
            order.remove(member, old)
            order.add(member, score)

    def remove(self, member: bytes) -> bool:
        """Remove a member; whether it was there."""
        scores = self.scores
        score = scores.get(member)
        if score is None:
            return False
        del scores[member]
        order = self._order
        if order is not None:
            order.remove(member, score)
        return True

    def cut(self, start: i64, stop: i64) -> list[bytes]:
        """Remove the members of ranks ``start`` to before ``stop``, both within the length; they come back in order."""
        count: i64 = len(self.scores)
        if start >= stop:
            return []
        taken = self.order().cut(start, stop)
        if stop - start == count:
            self.scores.clear()
        else:
            scores = self.scores
            for member in taken:
                del scores[member]
        return taken

    def convert(self, release: Release, entries: i64, longest: i64) -> None:
        """Become a skiplist if a command brings this many elements, or one of this length."""
        if self.encoding == LISTPACK and (entries > release.limits.zset_entries or longest > release.limits.zset_value):
            self.encoding = SKIPLIST

    def pack(self, release: Release) -> None:
        """Become a listpack, or not, by the elements it has: what the server does with a result that it stores."""
        limits = release.limits
        self.encoding = SKIPLIST
        if len(self.scores) > limits.zset_entries:
            return
        for member in self.scores:
            if len(member) > limits.zset_value:
                return
        self.encoding = LISTPACK
        if release.has(INTEGER_SCORES):
            for member, score in self.scores.items():
                if score == 0.0:
                    self.scores[member] = 0.0
