"""How one sequence becomes another: which blocks are replaced, removed and inserted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")

THOROUGH: Final = 4_000_000
"""Up to this many pairs of elements, the smallest difference is found; beyond that, one block replaces another."""


class Edit(NamedTuple):
    """``left[left_start:left_end]`` gives way to ``right[right_start:right_end]``; either may be empty."""

    left_start: int
    left_end: int
    right_start: int
    right_end: int


def shared_head(left: Sequence[T], right: Sequence[T]) -> int:
    """How many elements both begin with."""
    end = min(len(left), len(right))
    low = 0
    while low < end:  # by slices, whose comparison is fast, doubling the step
        step = 1
        while low + step <= end and left[low : low + step] == right[low : low + step]:
            low += step
            step *= 2
        if step == 1:
            return low
        end = min(end, low + step)
    return low


def shared_tail(left: Sequence[T], right: Sequence[T], head: int) -> int:
    """How many elements both end with, not counting the first ``head``."""
    end = min(len(left), len(right)) - head
    n = 0
    while n < end and left[-1 - n] == right[-1 - n]:
        n += 1
    return n


def overlap(left: Sequence[T], right: Sequence[T]) -> int:
    """The length of the longest end of ``left`` that ``right`` begins with (Knuth, Morris, Pratt)."""
    if not right:
        return 0
    back = [0] * len(right)
    matched = 0
    for i in range(1, len(right)):
        while matched and right[i] != right[matched]:
            matched = back[matched - 1]
        if right[i] == right[matched]:
            matched += 1
        back[i] = matched
    matched = 0
    for item in left[max(0, len(left) - len(right)) :]:
        if matched == len(right):
            matched = back[matched - 1]
        while matched and item != right[matched]:
            matched = back[matched - 1]
        if item == right[matched]:
            matched += 1
    return matched


def edits(left: Sequence[T], right: Sequence[T]) -> Iterator[Edit]:
    """What turns ``left`` into ``right``, from front to back. Elements must be hashable.

    Of a queue, from whose one end elements were taken while others were appended to the other, the smallest change is
    found at any length; of other lists as long as they are not longer than `THOROUGH` allows.
    """
    head = shared_head(left, right)
    tail = shared_tail(left, right, head)
    left_end = len(left) - tail
    right_end = len(right) - tail
    if left_end == right_end == head:
        return
    if head in {left_end, right_end}:
        yield Edit(head, left_end, head, right_end)
        return
    inner_left = left[head:left_end]
    inner_right = right[head:right_end]
    forward = overlap(inner_left, inner_right)
    backward = overlap(inner_right, inner_left)
    if max(forward, backward) * 2 >= min(len(inner_left), len(inner_right)):
        if forward >= backward:  # elements were taken from the front and appended
            yield Edit(head, left_end - forward, head, head)
            if head + forward < right_end:
                yield Edit(left_end, left_end, head + forward, right_end)
        else:
            yield Edit(head, head, head, right_end - backward)
            if head + backward < left_end:
                yield Edit(head + backward, left_end, right_end, right_end)
        return
    if len(inner_left) * len(inner_right) > THOROUGH:
        yield Edit(head, left_end, head, right_end)
        return
    for tag, a, b, c, d in SequenceMatcher(None, inner_left, inner_right, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Edit(head + a, head + b, head + c, head + d)
