"""Partitions of a log's keys, replayed one after the other, or side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from typing import Final, TypeVar

from rdbtool.aof.names import CARRY
from rdbtool.engine.partition.sieve import Sieve
from rdbtool.errors import LostWorkerError, RdbToolError
from rdbtool.findings import Finding, Severity
from rdbtool.inputs.partitioned import How, Partitioned, partitioned
from rdbtool.io.progress import Progress

from .units import Unit, in_order

Done = TypeVar("Done")
Options = TypeVar("Options")

WORTH: Final = 16 << 20
"""Bytes of logs below which several processes are not faster than one."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """How keys are shared out: to so many ``partitions``, or 0 for as many as are of use, that are replayed by so many
    ``workers`` of the ``executor``.
    """

    partitions: int = 0
    executor: Executor | None = None
    workers: int = 1

    @property
    def is_asked(self) -> bool:
        """Whether somebody wants them, and not only because several processes are faster than one."""
        return self.partitions > 1

    @property
    def count(self) -> int:
        """How many partitions."""
        return self.partitions or self.workers


UNSHARED: Final = Sharing()


def shared(how: How, sharing: Sharing, progress: Progress | None = None) -> Partitioned | None:
    """A log whose keys can be shared out; None where they need not be, and where it cannot be read, of which its replay
    tells.
    """
    if how.unknown == CARRY or sharing.count < 2:
        return None
    if not sharing.partitions and _bytes_of_logs(how) < WORTH:
        return None
    try:
        return partitioned(how, progress)
    except RdbToolError:
        return None


def _bytes_of_logs(how: How) -> int:
    """Bytes of all files but the base of a set."""
    try:
        return sum(os.path.getsize(file.path) for file in how.layout.files if file.role != "base")
    except OSError:
        return 0


def cannot_share(found: Partitioned) -> Finding:
    """The finding that keys are replayed together, although something else was asked for."""
    message = f"the keys are replayed together, not by partitions: {found.whole}"
    return Finding(Severity.NOTE, "one-partition", message, found.how.path)


def of_partitions(
    found: Partitioned,
    function: Callable[[str, Sieve, Options], Done],
    options: Options,
    sharing: Sharing,
) -> list[Done]:
    """What ``function`` returns for each partition, the first of them first.

    Raises what the functions raise: of several, what a replay of all keys would meet first.
    """
    path = found.how.path
    sieves = [found.sieve(number) for number in found.buckets.split(0, sharing.count)]
    results: list[Done | RdbToolError] = []
    if sharing.executor is None:
        for sieve in sieves:
            try:
                results.append(function(path, sieve, options))
            except RdbToolError as e:
                results.append(e)
    else:
        units = (Unit(function, path, sieve, options) for sieve in sieves)
        with closing(in_order(sharing.executor, units, sharing.workers)) as done:
            for _, result in done:
                results.append(result)
                if isinstance(result, LostWorkerError):
                    raise result
    found.refuse_change()
    errors = [result for result in results if isinstance(result, RdbToolError)]
    if errors:
        raise _first(errors, [file.path for file in found.how.layout.files])
    return [result for result in results if not isinstance(result, RdbToolError)]


def _first(errors: Sequence[RdbToolError], paths: Sequence[str]) -> RdbToolError:
    """The one that comes first in the files, which are read in the order of ``paths``."""
    return min(errors, key=lambda error: (paths.index(error.path) if error.path in paths else -1, error.offset))
