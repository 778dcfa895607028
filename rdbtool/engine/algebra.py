"""Union, intersection and difference of sorted sets and sets, with weights."""

from __future__ import annotations

import math
from typing import Final, final

from mypy_extensions import i64

from rdbtool.servers.features import AGGREGATE_COUNT, NEWER_ERRORS

from .cells.cell import SetCell
from .cells.zset import SortedSetCell
from .dataset import Dataset
from .numbers import integer
from .replies import CommandError, syntax_error, wrong_type
from .scores import double_of

SUM: Final = 0
MIN: Final = 1
MAX: Final = 2
NOT_A_WEIGHT: Final = "ERR weight value is not a float"


def _scores_of(dataset: Dataset, key: bytes) -> dict[bytes, float]:
    """The members of the sorted set or set at ``key``, those of a set with the score 1."""
    cell = dataset.any(key)
    if cell is None:
        return {}
    if isinstance(cell, SortedSetCell):
        return cell.scores
    if isinstance(cell, SetCell):
        return dict.fromkeys(cell.members, 1.0)
    raise wrong_type()


@final
class Inputs:
    """The sources of ZUNIONSTORE and its kin, and what is to be done with their scores.

    ``args``: destination, number of keys, keys, options; ``options``: whether WEIGHTS and AGGREGATE may
    follow. Raises `CommandError`.
    """

    def __init__(self, dataset: Dataset, args: list[bytes], name: str, *, options: bool) -> None:
        number = integer(args[2])
        if number < 1:
            if not dataset.release.has(NEWER_ERRORS):
                raise CommandError("ERR at least 1 input key is needed for ZUNIONSTORE/ZINTERSTORE")
            raise CommandError(f"ERR at least 1 input key is needed for '{name}' command")
        argc: i64 = len(args)
        if number > argc - 3:
            raise syntax_error()
        self.sources: list[tuple[dict[bytes, float], float]] = []
        self.aggregate: i64 = SUM
        at = 3 + number
        sources = [_scores_of(dataset, key) for key in args[3:at]]
        weights = [1.0] * len(sources)
        counts = False
        while at < argc:
            option = args[at].upper()
            if options and option == b"WEIGHTS" and argc - at >= number + 1:
                weights = [double_of(dataset.release, text, NOT_A_WEIGHT) for text in args[at + 1 : at + 1 + number]]
                at += 1 + number
            elif options and option == b"AGGREGATE" and argc - at >= 2:
                how = args[at + 1].upper()
                if how == b"SUM":
                    self.aggregate = SUM
                elif how == b"MIN":
                    self.aggregate = MIN
                elif how == b"MAX":
                    self.aggregate = MAX
                elif how == b"COUNT" and dataset.release.does(AGGREGATE_COUNT):
                    counts = True
                else:
                    raise syntax_error()
                at += 2
            else:
                raise syntax_error()
        if counts:  # the sum of the weights of the sources that have the member
            sources = [dict.fromkeys(scores, 1.0) for scores in sources]
        self.sources = list(zip(sources, weights, strict=True))
        if options:
            # From the smallest to the largest: sums of doubles depend on their order.
            self.sources.sort(key=_cardinality)

    def union(self) -> dict[bytes, float]:
        """The members of any source."""
        result: dict[bytes, float] = {}
        for scores, weight in self.sources:
            for member, own in scores.items():
                score = own * weight
                if math.isnan(score):
                    score = 0.0
                if member in result:
                    score = self._aggregated(result[member], score)
                result[member] = score
        return result

    def intersection(self) -> dict[bytes, float]:
        """The members of all sources."""
        result: dict[bytes, float] = {}
        first, first_weight = self.sources[0]
        for member, own in first.items():
            score = own * first_weight
            if math.isnan(score):
                score = 0.0
            everywhere = True
            for scores, weight in self.sources[1:]:
                if member not in scores:
                    everywhere = False
                    break
                score = self._aggregated(score, scores[member] * weight)
            if everywhere:
                result[member] = score
        return result

    def difference(self) -> dict[bytes, float]:
        """The members of the first source that no other has."""
        first, _ = self.sources[0]
        result = first.copy()
        for scores, _ in self.sources[1:]:
            if len(scores) < len(result):
                for member in scores:
                    result.pop(member, None)
            else:
                result = {member: score for member, score in result.items() if member not in scores}
        return result

    def _aggregated(self, score: float, other: float) -> float:
        if self.aggregate == SUM:
            total = score + other
            return 0.0 if math.isnan(total) else total
        if self.aggregate == MIN:
            return other if other < score else score  # noqa: FURB136 - not min(): zeros of either sign stay apart
        return other if other > score else score  # noqa: FURB136


def _cardinality(source: tuple[dict[bytes, float], float]) -> int:
    return len(source[0])
