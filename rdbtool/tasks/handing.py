"""Large results of workers of this machine: a worker keeps them, and writes them where they go when their turn comes.

Through the pipe that answers come in, and the process that asked, they would be copied several times.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import BrokenExecutor, Executor
from functools import partial
from typing import Final, NamedTuple, final

from rdbtool.errors import LostWorkerError
from rdbtool.io.output import Writable
from rdbtool.io.sink import Place, Sink

from .workers import KEPT, Workers

numbers: Final = itertools.count()
"""Of units, in all jobs of this process. Jobs that share workers run one after the other."""
PIECE: Final = 1 << 20
"""Bytes that are fetched at a time."""
_held: Final[dict[int, Handing]] = {}
"""Of this process, as a worker: the results that it keeps, by the number of the unit."""
_free: Final[list[bytearray]] = []
"""Memory of results that are gone: the system takes long to give as much again."""


def held_ahead(executor: Executor, ahead: int) -> int:
    """How many results its workers keep for units that are begun so far ``ahead``: all, or 0 where they cannot."""
    return ahead if isinstance(executor, Workers) else 0


class Handed(NamedTuple):
    """The result of the unit ``number``: ``size`` bytes that the worker ``pid`` keeps until they are asked for."""

    pid: int
    number: int
    size: int

    def write_to(self, sink: Writable, executor: Executor, path: str) -> None:
        """Write the bytes, once. ``executor``: that of the worker; ``path``: of the input. Raises what writing raises,
        and `LostWorkerError` where the worker has ended.
        """
        assert isinstance(executor, Workers)
        try:
            if isinstance(sink, Sink) and sink.written_by(partial(self._write_at, executor), self.size):
                return
            for at in range(0, self.size, PIECE):
                sink.write(executor.ask(self.pid, _piece_of, self.number, at))
        except BrokenExecutor as e:
            raise LostWorkerError("the process that worked on it has ended: was it killed?", path=path) from e

    def _write_at(self, workers: Workers, place: Place) -> bool:
        return workers.ask(self.pid, _write_there, self.number, place)


def write_rest(rest: Handed | bytes | None, executor: Executor, path: str, sink: Writable) -> None:
    """Write to ``sink`` what a worker has kept, or has sent along with its answer: see `Handed.write_to`."""
    if isinstance(rest, Handed):
        rest.write_to(sink, executor, path)
    elif rest:
        sink.write(rest)


@final
class Handing:
    """Keeps the result of a unit as it is made. ``number``: of the unit; once the one that comes ``ahead`` units later
    has begun, nobody will ask for it any more.
    """

    def __init__(self, number: int, ahead: int) -> None:
        for other in [other for other in _held if other <= number - ahead]:
            _held.pop(other).free()
        self._number = number
        self._memory = _free.pop() if _free else bytearray()
        self._size = 0
        _held[number] = self

    def write(self, data: bytes) -> None:
        """Take what comes next."""
        end = self._size + len(data)
        self._memory[self._size : end] = data
        self._size = end

    def done(self) -> Handed:
        """All of it."""
        return Handed(os.getpid(), self._number, self._size)

    def view(self) -> memoryview:
        """What has been taken, until the next call."""
        return memoryview(self._memory)[: self._size]

    def free(self) -> None:
        """Give the memory back, or keep it for another result where it is not unusually large: the last call."""
        if len(self._memory) <= KEPT:
            _free.append(self._memory)


def _piece_of(number: int, at: int) -> bytes:
    return bytes(_held[number].view()[at : at + PIECE])


def _write_there(number: int, place: Place) -> bool:
    """Write a whole result; False, and nothing is done, where this process cannot get to that place. Raises
    `OSError`.
    """
    handle = place.open()
    if handle < 0:
        return False
    at = place.offset
    try:
        left = _held[number].view()
        while left:
            done = os.write(handle, left) if at < 0 else os.pwrite(handle, left, at)
            at += done if at >= 0 else 0
            left = left[done:]
    finally:
        os.close(handle)
    return True
