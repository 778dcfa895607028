"""Sorted set commands. Scores are floats in replies."""

from __future__ import annotations

import math
from typing import Final

from mypy_extensions import i64

from rdbtool.engine.algebra import Inputs
from rdbtool.engine.cells.cell import SKIPLIST
from rdbtool.engine.cells.zset import SortedSetCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import double, integer, integer_between, positive
from rdbtool.engine.ranges import LexRange, ScoreRange, Span, span_of_ranks
from rdbtool.engine.replies import CommandError, syntax_error
from rdbtool.engine.scores import double_of
from rdbtool.engine.table import handles
from rdbtool.servers.features import CHECKS_COUNTS, NEGATIVE_OFFSETS, SIZE_HINTS, ZADD_LOOKS_AT_ALL_LENGTHS

I64_MAX: Final = 0x7FFFFFFFFFFFFFFF
NAN: Final = "ERR resulting score is not a number (NaN)"
XX_AND_NX: Final = "ERR XX and NX options at the same time are not compatible"
GT_LT_NX: Final = "ERR GT, LT, and/or NX options at the same time are not compatible"
INCR_ONE: Final = "ERR INCR option supports a single increment-element pair"
LIMIT_BY_RANK: Final = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"


@handles(b"ZADD")
def zadd(dataset: Dataset, args: list[bytes]) -> object:
    return _add(dataset, args, False)


@handles(b"ZINCRBY")
def zincrby(dataset: Dataset, args: list[bytes]) -> object:
    return _add(dataset, args, True)


def _add(dataset: Dataset, args: list[bytes], incr: bool) -> object:
    nx = xx = gt = lt = ch = False
    at: i64 = 2
    argc: i64 = len(args)
    while at < argc:
        # An option is a word of four letters at most; digits and signs come before letters.
        if len(args[at]) > 4 or (args[at] and args[at][0] < 65):
            break
        option = args[at].upper()
        if option == b"NX":
            nx = True
        elif option == b"XX":
            xx = True
        elif option == b"GT":
            gt = True
        elif option == b"LT":
            lt = True
        elif option == b"CH":
            ch = True
        elif option == b"INCR":
            incr = True
        else:
            break
        at += 1
    count = (argc - at) // 2
    if count == 0 or (argc - at) % 2:
        raise syntax_error()
    if nx and xx:
        raise CommandError(XX_AND_NX)
    if (gt and nx) or (lt and nx) or (gt and lt):
        raise CommandError(GT_LT_NX)
    if incr and count > 1:
        raise CommandError(INCR_ONE)
    scores: list[float] = []
    i = at
    release = dataset.release
    while i < argc:
        scores.append(double_of(release, args[i]))
        i += 2
    cell = dataset.sorted_set(args[1])
    if cell is None:
        if xx:
            return None if incr else 0
        cell = SortedSetCell()
        _foresee(dataset, cell, args, at)
        dataset.put(args[1], cell)
    elif release.has(SIZE_HINTS):
        _foresee(dataset, cell, args, at)
    added: i64 = 0
    updated: i64 = 0
    reply: float | None = None
    known = cell.scores
    i = at
    for score in scores:
        member = args[i + 1]
        i += 2
        old = known.get(member)
        if old is None:
            if not xx:
                cell.add(release, dataset.members.one(member), score)
                added += 1
                if incr:
                    reply = score
            continue
        if nx:
            continue
        if incr:
            score += old
            if math.isnan(score):
                raise CommandError(NAN)
        if (lt and score >= old) or (gt and score <= old):
            continue
        if incr:
            reply = score
        if score != old:
            cell.change(release, member, old, score)
            updated += 1
    dataset.dirty += added + updated
    if incr:
        return reply
    return added + updated if ch else added


def _foresee(dataset: Dataset, cell: SortedSetCell, args: list[bytes], at: i64) -> None:
    """Choose the encoding by what ZADD brings, before it does: ``args[at]`` is the first score."""
    release = dataset.release
    argc: i64 = len(args)
    count: i64 = 0
    if release.has(SIZE_HINTS):  # compiled, a conditional expression would make an int object
        count = (argc - at) // 2
    longest: i64 = 0
    if release.has(ZADD_LOOKS_AT_ALL_LENGTHS):
        i = at + 1
        while i < argc:
            longest = max(longest, len(args[i]))
            i += 2
    elif not cell.scores:
        longest = len(args[at + 1])
    cell.convert(release, count, longest)


@handles(b"ZREM")
def zrem(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.sorted_set(args[1])
    if cell is None:
        return 0
    deleted = 0
    for i in range(2, len(args)):
        if cell.remove(args[i]):
            deleted += 1
    dataset.settle(args[1], cell)
    dataset.dirty += deleted
    return deleted


@handles(b"ZREMRANGEBYRANK")
def zremrangebyrank(dataset: Dataset, args: list[bytes]) -> object:
    start = integer(args[2])
    end = integer(args[3])
    cell = dataset.sorted_set(args[1])
    if cell is None:
        return 0
    return _cut(dataset, args[1], cell, span_of_ranks(len(cell.scores), start, end))


@handles(b"ZREMRANGEBYSCORE")
def zremrangebyscore(dataset: Dataset, args: list[bytes]) -> object:
    bounds = ScoreRange(dataset.release, args[2], args[3])
    cell = dataset.sorted_set(args[1])
    return 0 if cell is None else _cut(dataset, args[1], cell, bounds.span(cell))


@handles(b"ZREMRANGEBYLEX")
def zremrangebylex(dataset: Dataset, args: list[bytes]) -> object:
    bounds = LexRange(args[2], args[3])
    cell = dataset.sorted_set(args[1])
    return 0 if cell is None else _cut(dataset, args[1], cell, bounds.span(cell))


def _cut(dataset: Dataset, key: bytes, cell: SortedSetCell, span: Span) -> i64:
    deleted: i64 = len(cell.cut(span.start, span.stop))
    dataset.settle(key, cell)
    dataset.dirty += deleted
    return deleted


def _pop(dataset: Dataset, key: bytes, cell: SortedSetCell, highest: bool, count: i64) -> list[bytes | float]:
    """Remove up to ``count`` elements from one end; members and scores in turn, as they go."""
    size: i64 = len(cell.scores)
    count = min(count, size)
    scores = cell.scores
    popped: list[bytes | float] = []
    if count == 1:
        member = cell.order().end(highest)
        popped.append(member)
        popped.append(scores[member])
        cell.remove(member)
    else:
        start = size - count if highest else 0
        members = cell.order().slice(start, start + count)
        if highest:
            members.reverse()
        for member in members:
            popped.append(member)
            popped.append(scores[member])
        cell.cut(start, start + count)
    dataset.settle(key, cell)
    dataset.dirty += count
    return popped


def _pop_command(dataset: Dataset, args: list[bytes], highest: bool) -> object:
    if len(args) > 3:
        raise syntax_error()
    count: i64 = 1
    if len(args) == 3 and not dataset.release.has(CHECKS_COUNTS):
        count = integer(args[2])
        if count <= 0:
            return []
    elif len(args) == 3:
        count = positive(args[2])
    cell = dataset.sorted_set(args[1])
    return [] if cell is None or count == 0 else _pop(dataset, args[1], cell, highest, count)


@handles(b"ZPOPMIN")
def zpopmin(dataset: Dataset, args: list[bytes]) -> object:
    return _pop_command(dataset, args, False)


@handles(b"ZPOPMAX")
def zpopmax(dataset: Dataset, args: list[bytes]) -> object:
    return _pop_command(dataset, args, True)


def _pop_first(
    dataset: Dataset, keys: list[bytes], highest: bool, count: i64
) -> tuple[bytes, list[bytes | float]] | None:
    """Pop from the first of the keys that is there: the key and what was popped, or None."""
    for key in keys:
        cell = dataset.sorted_set(key)
        if cell is not None:
            return key, _pop(dataset, key, cell, highest, count)
    return None


def _check_timeout(text: bytes) -> None:
    if double(text, "ERR timeout is not a float or out of range") < 0:
        raise CommandError("ERR timeout is negative")


def _blocking_pop(dataset: Dataset, args: list[bytes], highest: bool) -> object:
    _check_timeout(args[-1])
    popped = _pop_first(dataset, args[1:-1], highest, 1)
    return None if popped is None else [popped[0], *popped[1]]


@handles(b"BZPOPMIN")
def bzpopmin(dataset: Dataset, args: list[bytes]) -> object:
    return _blocking_pop(dataset, args, False)


@handles(b"BZPOPMAX")
def bzpopmax(dataset: Dataset, args: list[bytes]) -> object:
    return _blocking_pop(dataset, args, True)


def _mpop(dataset: Dataset, args: list[bytes], at: i64) -> object:
    """ZMPOP, with its number of keys at ``args[at]``."""
    argc: i64 = len(args)
    number = integer_between(args[at], 1, I64_MAX, "ERR numkeys should be greater than 0")
    if number >= argc - at - 1:
        raise syntax_error()
    where = at + 1 + number
    end = args[where].upper()
    if end not in {b"MIN", b"MAX"}:
        raise syntax_error()
    count: i64 = 1
    if argc > where + 1:
        if argc != where + 3 or args[where + 1].upper() != b"COUNT":
            raise syntax_error()
        count = integer_between(args[where + 2], 1, I64_MAX, "ERR count should be greater than 0")
    if at == 2:
        _check_timeout(args[1])
    popped = _pop_first(dataset, args[at + 1 : where], end == b"MAX", count)
    if popped is None:
        return None
    key, elements = popped
    return [key, [[elements[i], elements[i + 1]] for i in range(0, len(elements), 2)]]


@handles(b"ZMPOP")
def zmpop(dataset: Dataset, args: list[bytes]) -> object:
    return _mpop(dataset, args, 1)


@handles(b"BZMPOP")
def bzmpop(dataset: Dataset, args: list[bytes]) -> object:
    return _mpop(dataset, args, 2)


@handles(b"ZRANGESTORE")
def zrangestore(dataset: Dataset, args: list[bytes]) -> object:
    by = b""
    reverse = False
    offset: i64 = 0
    limit: i64 = -1
    argc: i64 = len(args)
    i: i64 = 5
    while i < argc:
        option = args[i].upper()
        if option == b"LIMIT" and i + 2 < argc:
            offset = integer(args[i + 1])
            limit = integer(args[i + 2])
            i += 2
        elif option == b"REV" and not reverse:
            reverse = True
        elif option in {b"BYLEX", b"BYSCORE"} and not by:
            by = option
        else:
            raise syntax_error()
        i += 1
    if limit != -1 and not by:
        raise CommandError(LIMIT_BY_RANK)
    span = Span(0, 0)
    low, high = (args[4], args[3]) if reverse else (args[3], args[4])
    if by == b"BYSCORE":
        scores = ScoreRange(dataset.release, low, high)
        source = dataset.sorted_set(args[2])
        if source is not None:
            span = limited(dataset, source, scores.span(source), reverse, offset, limit)
    elif by:
        members = LexRange(low, high)
        source = dataset.sorted_set(args[2])
        if source is not None:
            span = limited(dataset, source, members.span(source), reverse, offset, limit)
    else:
        start = integer(args[3])
        end = integer(args[4])
        source = dataset.sorted_set(args[2])
        if source is not None:
            size: i64 = len(source.scores)
            span = span_of_ranks(size, start, end)
            if reverse:
                span = Span(size - span.stop, size - span.start)
    if source is None or span.start == span.stop:
        return store_zset(dataset, args[1], SortedSetCell())
    taken = source.order().slice(span.start, span.stop)
    if reverse:
        taken.reverse()
    result = SortedSetCell()
    release = dataset.release
    if not by:
        result.convert(release, len(taken), 0)
    for member in taken:
        result.add(release, member, source.scores[member])
    return store_zset(dataset, args[1], result)


def limited(dataset: Dataset, source: SortedSetCell, span: Span, reverse: bool, offset: i64, limit: i64) -> Span:
    """The part of ``span`` that LIMIT leaves; a negative ``limit`` leaves all, a negative offset mostly nothing."""
    size = span.stop - span.start
    if offset < 0:
        if source.encoding != SKIPLIST or -offset > size or not dataset.release.has(NEGATIVE_OFFSETS):
            return Span(0, 0)
        offset += size
    if offset >= size:
        return Span(0, 0)
    left = size - offset
    if 0 <= limit < left:
        left = limit
    if reverse:
        return Span(span.stop - offset - left, span.stop - offset)
    return Span(span.start + offset, span.start + offset + left)


def store_zset(dataset: Dataset, key: bytes, result: SortedSetCell) -> i64:
    """Put a result in the place of whatever is at ``key``, which goes if the result is empty."""
    count: i64 = len(result.scores)
    if count:
        dataset.put(key, result)
        dataset.dirty += 1
    elif dataset.remove(key):
        dataset.dirty += 1
    return count


def _store_algebra(dataset: Dataset, key: bytes, scores: dict[bytes, float]) -> i64:
    result = SortedSetCell(scores)
    result.pack(dataset.release)
    return store_zset(dataset, key, result)


@handles(b"ZUNIONSTORE")
def zunionstore(dataset: Dataset, args: list[bytes]) -> object:
    return _store_algebra(dataset, args[1], Inputs(dataset, args, "zunionstore", options=True).union())


@handles(b"ZINTERSTORE")
def zinterstore(dataset: Dataset, args: list[bytes]) -> object:
    return _store_algebra(dataset, args[1], Inputs(dataset, args, "zinterstore", options=True).intersection())


@handles(b"ZDIFFSTORE")
def zdiffstore(dataset: Dataset, args: list[bytes]) -> object:
    return _store_algebra(dataset, args[1], Inputs(dataset, args, "zdiffstore", options=False).difference())


@handles(b"ZCARD")
def zcard(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.sorted_set(args[1])
    return 0 if cell is None else len(cell.scores)


@handles(b"ZSCORE")
def zscore(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.sorted_set(args[1])
    return None if cell is None else cell.scores.get(args[2])
