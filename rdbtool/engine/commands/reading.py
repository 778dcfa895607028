"""Commands that only read sorted sets, bits and points: scripts in old logs decide by them."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.engine.bits import get_byte
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.geohash import distance, point_of
from rdbtool.engine.numbers import integer
from rdbtool.engine.ranges import LexRange, ScoreRange, Span, span_of_ranks
from rdbtool.engine.replies import CommandError, syntax_error
from rdbtool.engine.table import handles

from .zsets import LIMIT_BY_RANK, limited


def _range(dataset: Dataset, args: list[bytes], by: bytes, reverse: bool, auto: bool) -> object:
    """The members of a range, with their scores if asked for; ``auto``: the options say what kind of range it is."""
    with_scores = False
    offset: i64 = 0
    limit: i64 = -1
    argc: i64 = len(args)
    i: i64 = 4
    while i < argc:
        option = args[i].upper()
        if option == b"WITHSCORES":
            with_scores = True
        elif option == b"LIMIT" and i + 2 < argc:
            offset = integer(args[i + 1])
            limit = integer(args[i + 2])
            i += 2
        elif auto and option == b"REV":
            reverse = True
        elif auto and option in {b"BYSCORE", b"BYLEX"}:
            by = option
        else:
            raise syntax_error()
        i += 1
    if limit != -1 and not by:
        raise CommandError(LIMIT_BY_RANK)
    if with_scores and by == b"BYLEX":
        raise CommandError("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
    low, high = (args[3], args[2]) if reverse and by else (args[2], args[3])
    scores = ScoreRange(dataset.release, low, high) if by == b"BYSCORE" else None
    members = LexRange(low, high) if by == b"BYLEX" else None
    start = end = 0
    if not by:
        start, end = integer(low), integer(high)
    cell = dataset.sorted_set(args[1])
    if cell is None:
        return []
    size: i64 = len(cell.scores)
    if scores is not None:
        span = limited(dataset, cell, scores.span(cell), reverse, offset, limit)
    elif members is not None:
        span = limited(dataset, cell, members.span(cell), reverse, offset, limit)
    else:
        span = span_of_ranks(size, start, end)
        if reverse:
            span = Span(size - span.stop, size - span.start)
    found = cell.order().slice(span.start, span.stop)
    if reverse:
        found.reverse()
    if not with_scores:
        return found
    pairs: list[object] = []
    for member in found:
        pairs.append(member)
        pairs.append(cell.scores[member])
    return pairs


@handles(b"ZRANGE")
def zrange(dataset: Dataset, args: list[bytes]) -> object:
    return _range(dataset, args, b"", False, True)


@handles(b"ZREVRANGE")
def zrevrange(dataset: Dataset, args: list[bytes]) -> object:
    return _range(dataset, args, b"", True, False)


@handles(b"ZRANGEBYSCORE")
def zrangebyscore(dataset: Dataset, args: list[bytes]) -> object:
    return _range(dataset, args, b"BYSCORE", False, False)


@handles(b"ZREVRANGEBYSCORE")
def zrevrangebyscore(dataset: Dataset, args: list[bytes]) -> object:
    return _range(dataset, args, b"BYSCORE", True, False)


@handles(b"ZRANGEBYLEX")
def zrangebylex(dataset: Dataset, args: list[bytes]) -> object:
    return _range(dataset, args, b"BYLEX", False, False)


@handles(b"ZREVRANGEBYLEX")
def zrevrangebylex(dataset: Dataset, args: list[bytes]) -> object:
    return _range(dataset, args, b"BYLEX", True, False)


@handles(b"ZCOUNT")
def zcount(dataset: Dataset, args: list[bytes]) -> object:
    bounds = ScoreRange(dataset.release, args[2], args[3])
    cell = dataset.sorted_set(args[1])
    if cell is None:
        return 0
    span = bounds.span(cell)
    return span.stop - span.start


@handles(b"ZLEXCOUNT")
def zlexcount(dataset: Dataset, args: list[bytes]) -> object:
    bounds = LexRange(args[2], args[3])
    cell = dataset.sorted_set(args[1])
    if cell is None:
        return 0
    span = bounds.span(cell)
    return span.stop - span.start


def _rank(dataset: Dataset, args: list[bytes], reverse: bool) -> object:
    if len(args) > 4 or (len(args) == 4 and args[3].upper() != b"WITHSCORE"):
        raise syntax_error()
    cell = dataset.sorted_set(args[1])
    score = None if cell is None else cell.scores.get(args[2])
    if cell is None or score is None:
        return None
    rank = cell.order().rank(args[2], score)
    if reverse:
        rank = len(cell.scores) - 1 - rank
    return [rank, score] if len(args) == 4 else rank


@handles(b"ZRANK")
def zrank(dataset: Dataset, args: list[bytes]) -> object:
    return _rank(dataset, args, False)


@handles(b"ZREVRANK")
def zrevrank(dataset: Dataset, args: list[bytes]) -> object:
    return _rank(dataset, args, True)


@handles(b"ZMSCORE")
def zmscore(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.sorted_set(args[1])
    return [None if cell is None else cell.scores.get(member) for member in args[2:]]


@handles(b"BITCOUNT")
def bitcount(dataset: Dataset, args: list[bytes]) -> object:
    argc: i64 = len(args)
    by_bits = False
    start: i64 = 0
    end: i64 = -1
    if argc > 2:
        if argc not in {4, 5} or (argc == 5 and args[4].upper() not in {b"BIT", b"BYTE"}):
            raise syntax_error()
        by_bits = argc == 5 and args[4].upper() == b"BIT"
        start = integer(args[2])
        end = integer(args[3])
    cell = dataset.string(args[1])
    if cell is None:
        return 0
    size: i64 = len(cell) * (8 if by_bits else 1)
    span = span_of_ranks(size, start, max(end, -size - 1))
    data = cell.get()
    if not by_bits:
        return int.from_bytes(data[span.start : span.stop]).bit_count()
    count: i64 = 0
    at = span.start
    while at < span.stop:
        count += get_byte(cell, at >> 3) >> (7 - (at & 7)) & 1
        at += 1
    return count


@handles(b"GEOPOS")
def geopos(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.sorted_set(args[1])
    found: list[object] = []
    for member in args[2:]:
        score = None if cell is None else cell.scores.get(member)
        found.append(None if score is None else list(point_of(score)))
    return found


@handles(b"GEODIST")
def geodist(dataset: Dataset, args: list[bytes]) -> object:
    units = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}
    if len(args) > 5 or (len(args) == 5 and args[4].upper() not in units):
        raise syntax_error()
    cell = dataset.sorted_set(args[1])
    first = None if cell is None else cell.scores.get(args[2])
    second = None if cell is None else cell.scores.get(args[3])
    if first is None or second is None:
        return None
    metres = distance(dataset.release, *point_of(first), *point_of(second))
    return b"%.4f" % (metres / (units[args[4].upper()] if len(args) == 5 else 1.0))
