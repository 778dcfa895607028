"""Units of work, and any executor to run them: threads, processes of this machine, or those of a cluster.

A unit of work is a pure function of (input, part, options) that returns a mergeable report, or has written an output
file. It can run in another process, on another machine, and again where the first attempt got lost.
"""

from __future__ import annotations

import copyreg
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.errors import LostWorkerError, RdbToolError

T = TypeVar("T")

EVERY_S: Final = 0.25
"""Between two calls of ``while_waiting``."""


def _numbers(values: list[int]) -> vec[i64]:
    return vec[i64](values)


copyreg.pickle(vec[i64], lambda values: (_numbers, (list(values),)))


@dataclass(frozen=True, slots=True)
class Unit(Generic[T]):
    """``function(input, part, options)``, to be called somewhere.

    ``function`` is one of a module, so that it can be pickled by its name; ``input``: a path or a URL, also the name in
    messages; ``part``: which part of it, None for all of it; ``options``: whatever else the answer depends on. All
    three, and what is returned, can be pickled.
    """

    function: Callable[[str, Any, Any], T]
    input: str
    part: Any = None
    options: Any = None

    def __call__(self) -> T:
        """Do the work. Raises what the function raises: `RdbToolError` for bad input."""
        return self.function(self.input, self.part, self.options)


def in_order(
    executor: Executor, units: Iterable[Unit[T]], ahead: int, while_waiting: Callable[[], object] | None = None
) -> Generator[tuple[Unit[T], T | RdbToolError], None, None]:
    """The units in their order, each with what it returned, or with the `RdbToolError` that it raised.
    ``while_waiting`` is called now and then as long as that lasts.

    ``ahead``: how many are begun before the first of them has been taken: at least as many as there are workers, and no
    more than there is memory for results. Units are made as they are begun. A worker that dies makes `LostWorkerError`
    of its unit. Other exceptions are raised; units that have not begun are then left out, as they are where the
    generator is closed.
    """
    begun: deque[tuple[Unit[T], Future[T]]] = deque()
    source = iter(units)
    try:
        while True:
            while len(begun) < max(ahead, 1):
                unit = next(source, None)
                if unit is None:
                    break
                begun.append((unit, _submitted(executor, unit)))
            if not begun:
                return
            first, future = begun.popleft()
            while while_waiting is not None and not _is_done(future, EVERY_S):
                while_waiting()
            result = result_of(first, future)
            yield first, result
    finally:
        for _, future in begun:
            future.cancel()


def _is_done(future: Future[T], within_s: float) -> bool:
    with suppress(TimeoutError, CancelledError):
        future.exception(within_s)
    return future.done()


def _submitted(executor: Executor, unit: Unit[T]) -> Future[T]:
    try:
        return executor.submit(unit)
    except BrokenExecutor as e:
        future: Future[T] = Future()
        future.set_exception(e)
        return future


def result_of(unit: Unit[T], future: Future[T]) -> T | RdbToolError:
    """What the unit returned, or the `RdbToolError` that it raised; waits for it."""
    try:
        return future.result()
    except RdbToolError as e:
        return e
    except (BrokenExecutor, CancelledError) as e:
        message = "the process that worked on it ended before it was done: was it killed, or is memory short?"
        error = LostWorkerError(message, path=unit.input)
        error.__cause__ = e
        return error


def of_each(
    function: Callable[[str], T], paths: Sequence[str], executor: Executor, ahead: int
) -> Generator[tuple[str, T | RdbToolError], None, None]:
    """``function(path)`` for each of the paths, in their order, as `in_order` does it."""
    units = (Unit(_called, path, None, function) for path in paths)
    with closing(in_order(executor, units, ahead)) as results:
        for unit, result in results:
            yield unit.input, result


def _called(path: str, _: None, function: Callable[[str], T]) -> T:
    return function(path)
