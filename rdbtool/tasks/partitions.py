"""Partitions of a log's keys, replayed one after the other, or side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from typing import Final, Protocol, TypeVar

from rdbtool.aof.names import CARRY
from rdbtool.errors import LostWorkerError, OverMemoryError, RdbToolError
from rdbtool.inputs.partitioned import How, PartDone, Partitioned, Share, not_partitioned, partitioned
from rdbtool.io.progress import Progress

from .sharing import Sharing
from .units import Unit, in_order
from .watching import Watch, watched


class HasPart(Protocol):
    """What a unit returns for a partition."""

    part: PartDone


Done = TypeVar("Done", bound=HasPart)
Options = TypeVar("Options")

WORTH: Final = 16 << 20
"""Bytes of logs below which several processes are not faster than one."""
EXPECTED: Final = 2
"""Bytes of input for which a byte of memory is expected to be taken, before anything is known."""
USED: Final = 0.7
"""The part of its memory that a partition is to take, as those before it let expect."""
GROWTH: Final = 4
"""How many times more than those before it a partition weighs at most."""


def find_partitions(how: How, sharing: Sharing, progress: Progress | None) -> Partitioned | None:
    """`sharing.shared`, where several partitions are wanted."""
    if how.unknown == CARRY:
        return not_partitioned(how, "commands may be kept for a server (--unknown carry)")
    if not sharing.partitions:
        worth = WORTH if sharing.memory is None else sharing.memory
        if _size(how, base=sharing.memory is not None) < worth:
            return None
    try:
        found = partitioned(how, progress)
    except RdbToolError:
        return None
    is_snapshot = not (found.whole or found.survey.commands or how.layout.is_set)
    return None if is_snapshot else found


def _size(how: How, *, base: bool) -> int:
    """Bytes of all files, or of all but the ``base`` of a set."""
    try:
        return sum(os.path.getsize(file.path) for file in how.layout.files if base or file.role != "base")
    except OSError:
        return 0


def of_partitions(
    found: Partitioned, function: Callable[[str, Share, Options], Done], options: Options, sharing: Sharing
) -> list[Done]:
    """What ``function`` returns for each partition, the first of them first.

    Raises what the functions raise: of several, what a replay of all keys would meet first.
    """
    if sharing.memory is not None:
        with watched(found) as watch:
            results = _within(found, function, options, sharing.memory, sharing.workers, watch)
    else:
        buckets = found.buckets
        shares: list[Share] = []
        executor = sharing.ready()
        with watched(found) as watch:
            for left in range(sharing.count, 0, -1):
                if buckets.left or not shares:
                    number = buckets.take(buckets.left if left == 1 else -(-buckets.left // left))
                    shares.append(watch.of(Share(number, found.sieve(number, first=not shares))))
            results = _run(found.how.path, function, options, shares, executor, sharing.workers, watch)
        for share in shares:
            buckets.give_back(share.number)
    found.refuse_change()
    errors = [result for result in results if isinstance(result, RdbToolError)]
    if errors:
        raise _first(errors, found.how.layout.paths)
    return [result for result in results if not isinstance(result, RdbToolError)]


def _run(
    path: str,
    function: Callable[[str, Share, Options], Done],
    options: Options,
    shares: Sequence[Share],
    executor: Executor | None,
    workers: int,
    watch: Watch,
) -> list[Done | RdbToolError]:
    """What the function returns or raises for each share. Raises `LostWorkerError`."""
    results: list[Done | RdbToolError] = []
    if executor is None:
        for share in shares:
            try:
                results.append(function(path, share, options))
            except RdbToolError as e:
                results.append(e)
            watch()
        return results
    units = (Unit(function, path, share, options) for share in shares)
    from .workers import Workers

    looks = watch.progress is not None and isinstance(executor, Workers)  # others cannot be waited for in turns
    with closing(in_order(executor, units, workers, watch if looks else None)) as done:
        for _, result in done:
            if isinstance(result, LostWorkerError):
                raise result
            results.append(result)
    return results


def _within(
    found: Partitioned,
    function: Callable[[str, Share, Options], Done],
    options: Options,
    memory: int,
    workers: int,
    watch: Watch,
) -> list[Done | RdbToolError]:
    """`_run` for partitions of which so many at a time take no more than ``memory``: what those before took tells how
    large the next ones are to be. What takes more nevertheless is begun anew in smaller ones, as long as its keys need
    not stay together.
    """
    from .workers import Workers, is_worker

    each = memory // workers
    buckets = found.buckets
    weight = max(int(each * USED * EXPECTED), 1)
    results: list[Done | RdbToolError] = []
    numbers: list[int] = []
    unbounded: list[int] = []
    has_first = False
    while buckets.left or unbounded or not has_first:
        shares: list[Share] = []
        watch.forget()
        while len(shares) < workers:
            if unbounded:
                number, most = unbounded.pop(), -1
            elif buckets.left or not (has_first or shares):
                number, most = buckets.take(-(-buckets.left // max(-(-buckets.left // weight), 1))), each
            else:
                break
            shares.append(watch.of(Share(number, found.sieve(number, first=not (has_first or shares)), most)))
        if is_worker():  # it has its share of the cores
            done = _run(found.how.path, function, options, shares, None, 1, watch)
        else:
            with Workers(len(shares)) as executor:
                done = _run(found.how.path, function, options, shares, executor, len(shares), watch)
        fits = []
        for share, result in zip(shares, done, strict=True):
            groups, weighed = buckets.weight(share.number)
            if isinstance(result, OverMemoryError):
                if groups > 1:
                    buckets.give_back(share.number)
                    fits.append(weighed // 2)
                else:
                    unbounded.append(share.number)
                    found.over += 1
                continue
            if isinstance(result, RdbToolError):
                errors = [error for error in done if isinstance(error, RdbToolError)]
                raise _first([e for e in errors if not isinstance(e, OverMemoryError)], found.how.layout.paths)
            numbers.append(share.number)
            results.insert(0 if share.sieve.first else len(results), result)
            has_first = has_first or share.sieve.first
            if share.memory >= 0:
                fits.append(min(int(each * USED * weighed / max(result.part.memory, 1)), GROWTH * weighed))
        weight = max(min(fits, default=weight), 1)
    for number in numbers:
        buckets.give_back(number)
    return results


def _first(errors: Sequence[RdbToolError], paths: Sequence[str]) -> RdbToolError:
    """The one that comes first in the files, which are read in the order of ``paths``."""
    return min(errors, key=lambda error: (paths.index(error.path) if error.path in paths else -1, error.offset))
