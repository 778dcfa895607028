"""Large results of workers of this machine: left in their memory, for the process that asked for them to read.

Through the pipe that answers come in, they would be copied several times.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Final, NamedTuple, final

from rdbtool.errors import LostWorkerError

from .workers import Workers

CHUNK: Final = 1 << 17

numbers: Final = itertools.count()
"""Of units, in all jobs of this process. Jobs that share workers run one after the other."""
_held: Final[deque[tuple[int, int]]] = deque()
"""Of this process, as a worker: the number of a unit, and the descriptor of the memory that holds its result."""


def held_ahead(executor: Executor, ahead: int) -> int:
    """How many results its workers leave in their memory for units that are begun so far ``ahead``: all, or 0 where
    they cannot.
    """
    can = isinstance(executor, Workers) and hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")
    return ahead if can else 0


class Handed(NamedTuple):
    """Bytes in the memory of a worker."""

    place: str
    size: int

    def read(self, path: str) -> Iterator[bytes]:
        """The bytes, in chunks. ``path``: of the input. Raises `LostWorkerError` where the worker has ended."""
        left = self.size
        try:
            with open(self.place, "rb", buffering=0) as stream:
                while left > 0:
                    chunk = stream.read(min(CHUNK, left))
                    if not chunk:
                        break
                    left -= len(chunk)
                    yield chunk
        except FileNotFoundError as e:
            raise LostWorkerError("the process that worked on it has ended: was it killed?", path=path) from e


@final
class Handing:
    """Leaves the result of a unit in memory, as it is made. ``number``: of the unit; once the one that comes ``ahead``
    units later has begun, it has been read, and its memory is used again.
    """

    def __init__(self, number: int, ahead: int) -> None:
        free = _held and _held[0][0] <= number - ahead
        self._handle = _held.popleft()[1] if free else os.memfd_create("rdbtool")
        _held.append((number, self._handle))
        self._size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Take what comes next."""
        view = memoryview(data)
        while view:
            done = os.pwrite(self._handle, view, self._size)
            self._size += done
            view = view[done:]

    def done(self) -> Handed:
        """All of it."""
        return Handed(f"/proc/{os.getpid()}/fd/{self._handle}", self._size)
