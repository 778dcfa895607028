"""The order of a sorted set: by score, then by member.

Blocks of at most `SPLIT` elements, each a list of scores beside a list of members: inserting and removing
move a few kilobytes at most, and positions are found by bisection. A sorted set keeps no order until a
command asks for one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final, final

from mypy_extensions import i64, mypyc_attr

HALF: Final = 512
SPLIT: Final = 1024
"""A block of this length is cut into two."""


@final
@mypyc_attr(acyclic=True)
class OrderIndex:
    """Members in order. No block is empty."""

    __slots__ = ("count", "members", "scores")

    def __init__(self, scores: dict[bytes, float]) -> None:
        self.count: i64 = len(scores)
        members = sorted(scores)
        members.sort(key=scores.__getitem__)
        self.members: list[list[bytes]] = []
        self.scores: list[list[float]] = []
        at: i64 = 0
        while at < self.count:
            part = members[at : at + HALF]
            self.members.append(part)
            self.scores.append([scores[member] for member in part])
            at += HALF

    def add(self, member: bytes, score: float) -> None:
        """Put in a member that is not there."""
        self.count += 1
        blocks: i64 = len(self.scores)
        if blocks == 0:
            self.members.append([member])
            self.scores.append([score])
            return
        b = min(self._block(member, score), blocks - 1)
        scores = self.scores[b]
        members = self.members[b]
        at = _position(scores, members, member, score)
        scores.insert(at, score)
        members.insert(at, member)
        if len(scores) >= SPLIT:
            self.scores.insert(b + 1, scores[HALF:])
            self.members.insert(b + 1, members[HALF:])
            del scores[HALF:]
            del members[HALF:]

    def remove(self, member: bytes, score: float) -> None:
        """Take out a member that is there with this score."""
        self.count -= 1
        b = self._block(member, score)
        scores = self.scores[b]
        members = self.members[b]
        at = _position(scores, members, member, score)
        assert members[at] == member
        del scores[at]
        del members[at]
        if not scores:
            del self.scores[b]
            del self.members[b]

    def end(self, highest: bool) -> bytes:
        """The last member, or the first; there is one."""
        return self.members[-1][-1] if highest else self.members[0][0]

    def cut(self, start: i64, stop: i64) -> list[bytes]:
        """Take out the members of ranks ``start`` to before ``stop``; both within the length."""
        taken: list[bytes] = []
        left = stop - start
        if left <= 0:
            return taken
        b, at = self._locate(start)
        self.count -= left
        first_empty = b
        while left > 0:
            members = self.members[b]
            scores = self.scores[b]
            end = min(at + left, len(members))
            taken += members[at:end]
            left -= end - at
            del members[at:end]
            del scores[at:end]
            if members:
                if first_empty == b:
                    first_empty += 1
                b += 1
            else:
                b += 1
            at = 0
        last_empty = b
        while last_empty > first_empty and self.members[last_empty - 1]:
            last_empty -= 1
        del self.members[first_empty:last_empty]
        del self.scores[first_empty:last_empty]
        return taken

    def slice(self, start: i64, stop: i64) -> list[bytes]:
        """The members of ranks ``start`` to before ``stop``; both within the length."""
        found: list[bytes] = []
        left = stop - start
        if left <= 0:
            return found
        b, at = self._locate(start)
        while left > 0:
            members = self.members[b]
            end = min(at + left, len(members))
            found += members[at:end]
            left -= end - at
            b += 1
            at = 0
        return found

    def rank(self, member: bytes, score: float) -> i64:
        """How many elements come before ``member`` with ``score``, whether or not it is there."""
        b = self._block(member, score)
        before = self._before(b)
        if b < len(self.scores):
            before += _position(self.scores[b], self.members[b], member, score)
        return before

    def rank_of_score(self, score: float, after: bool) -> i64:
        """How many elements have a lower score; ``after``: a score that is lower or the same."""
        low: i64 = 0
        high: i64 = len(self.scores)
        while low < high:
            middle = (low + high) // 2
            last = self.scores[middle][-1]
            if last <= score if after else last < score:
                low = middle + 1
            else:
                high = middle
        before = self._before(low)
        if low < len(self.scores):
            scores = self.scores[low]
            before += bisect_right(scores, score) if after else bisect_left(scores, score)
        return before

    def rank_of_member(self, member: bytes, after: bool) -> i64:
        """The same by member, in a set where all scores are equal."""
        low: i64 = 0
        high: i64 = len(self.members)
        while low < high:
            middle = (low + high) // 2
            last = self.members[middle][-1]
            if last <= member if after else last < member:
                low = middle + 1
            else:
                high = middle
        before = self._before(low)
        if low < len(self.members):
            members = self.members[low]
            before += bisect_right(members, member) if after else bisect_left(members, member)
        return before

    def _block(self, member: bytes, score: float) -> i64:
        """The first block that ends with this element or one after it; the number of blocks if none does."""
        low: i64 = 0
        high: i64 = len(self.scores)
        if high == 0:
            return 0
        last = self.scores[high - 1][-1]
        if last < score:  # rising scores are the usual log
            return high
        while low < high:
            middle = (low + high) // 2
            last = self.scores[middle][-1]
            if last < score or (last == score and self.members[middle][-1] < member):
                low = middle + 1
            else:
                high = middle
        return low

    def _before(self, block: i64) -> i64:
        """How many elements the blocks before this one hold."""
        blocks: i64 = len(self.members)
        count: i64 = 0
        b: i64 = 0
        if block <= blocks // 2:
            while b < block:
                count += len(self.members[b])
                b += 1
            return count
        b = blocks
        count = self.count
        while b > block:
            b -= 1
            count -= len(self.members[b])
        return count

    def _locate(self, rank: i64) -> tuple[i64, i64]:
        """The block of an existing rank, and the position in it."""
        b: i64 = 0
        if rank <= self.count // 2:
            while rank >= len(self.members[b]):
                rank -= len(self.members[b])
                b += 1
            return b, rank
        b = len(self.members)
        start = self.count
        while start > rank:
            b -= 1
            start -= len(self.members[b])
        return b, rank - start


def _position(scores: list[float], members: list[bytes], member: bytes, score: float) -> i64:
    """Where an element is in its block, or belongs."""
    at: i64 = bisect_left(scores, score)
    if at < len(scores) and scores[at] == score and members[at] < member:
        at = bisect_left(members, member, at, bisect_right(scores, score, at))
    return at
