"""Parts of one file, for units of work: which file it is, and a window over a part of it wherever that is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Final, NamedTuple, Protocol, TypeVar

from rdbtool.errors import ChangedError, RdbToolError
from rdbtool.io.random_access import PORTION, OpenFile, Span
from rdbtool.io.window import Window
from rdbtool.rdb.cutting import Cutter, RdbPart
from rdbtool.rdb.reader import NOWHERE

from .units import Unit, in_order
from .workers import cores

SMALLEST: Final = 1 << 20
LARGEST: Final = 16 << 20
"""Bytes of a part: enough that handing it out costs little."""
HELD: Final = 8 << 20
"""The same where what a worker makes of a part is held in memory until its turn comes."""
HUGE: Final = 64 << 20
"""Bytes of a part, which is one value then or cannot be cut, from which no worker should hold what it makes of it."""
SHARES: Final = 3
"""A part is one in so many of what is left for each worker."""


class Portions(NamedTuple):
    """How large the parts of a file of ``size`` bytes are, for so many ``workers``: as large as ``largest`` bytes, and
    smaller towards the end, so that all workers end together. ``fixed``: bytes of each, unless it is 0.
    """

    size: int
    workers: int
    fixed: int = 0
    largest: int = LARGEST

    def at(self, start: int) -> int:
        """Bytes of the part that begins there."""
        return self.fixed or max(SMALLEST, min(self.largest, (self.size - start) // (self.workers * SHARES)))


def is_whole(part: RdbPart, size: int) -> bool:
    """Whether it is the only one of a file of this size that is too large for one worker."""
    return part.end == NOWHERE and is_huge(part, size)


def is_huge(part: RdbPart, size: int) -> bool:
    """Whether a part of a file of this size is."""
    return min(int(part.end), size) - int(part.start) > HUGE


class FileState(NamedTuple):
    """Tells whether what a worker opens is the file that was cut, in its state then. The device does not count: each
    machine has a number of its own for a file system that they share.
    """

    path: str
    inode: int
    size: int
    changed_ns: int

    @staticmethod
    def of(w: Window) -> FileState | None:
        """That of the file that is open in a window; None for what is no plain file of the system."""
        if w.file is None:
            return None
        status = os.fstat(w.file.fileno())
        return FileState(w.path, status.st_ino, int(w.size), status.st_mtime_ns)

    def open(self, *, grows: bool = False) -> OpenFile:
        """The file, opened again, which may have become longer where it ``grows``. Raises `ChangedError`."""
        try:
            file = OpenFile(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC), self.path)
        except OSError as e:
            raise ChangedError("the file was taken away while it was read", path=self.path) from e
        now = os.fstat(file.handle)
        same = now.st_ino == self.inode
        if not same or (now.st_mtime_ns != self.changed_ns and not (grows and now.st_size > self.size)):
            file.close()
            raise ChangedError("the file was changed while it was read", path=self.path)
        return file

    @contextmanager
    def window(self, start: int, end: int = -1, *, grows: bool = False) -> Iterator[Window]:
        """A window at the byte ``start``, up to ``end`` or to that of the file: see `open`. Raises `ChangedError` and
        `InputError`.
        """
        end = self.size if end < 0 else end
        file = self.open(grows=grows)
        try:
            yield Window(Span(file, start, end, PORTION), path=self.path, size=end, base=start)
        finally:
            file.close()


class Workforce(NamedTuple):
    """So many ``workers`` of an executor, for parts of about ``portion`` bytes; 0 for what suits."""

    executor: Executor
    workers: int
    portion: int = 0

    @staticmethod
    def of(executor: Executor | None, workers: int, portion: int) -> Workforce | None:
        """The same; as many workers as there are cores for 0, and None without an executor."""
        return None if executor is None else Workforce(executor, workers or cores(), portion)

    def portions(self, size: int) -> Portions:
        """How large the parts of a file of this size are."""
        return Portions(size, self.workers, self.portion)


def reopened(w: Window, at: int) -> Window:
    """A window at the byte ``at`` of the plain file that is open in ``w``, whatever has become of its name."""
    assert w.file is not None
    span = Span(OpenFile(os.dup(w.file.fileno()), w.path), at, int(w.size), PORTION)
    again = Window(span, path=w.path, size=int(w.size), base=at)
    again.file = w.file
    return again


class Read(Protocol):
    """What a worker says of a part: the next record begins at the offset ``stop``, in the database ``stop_db``; -1 for
    none: it ends the RDB, or damage ended it.
    """

    stop: int
    stop_db: int


Part = TypeVar("Part", bound=Read)


def cutter_of(w: Window) -> Cutter:
    """What cuts the plain file that is open in a window, which stands at the first byte of an RDB in it."""
    assert w.file is not None
    return Cutter(w, OpenFile(os.dup(w.file.fileno()), w.path))


def parts_in_order(
    executor: Executor,
    cutter: Cutter,
    first: RdbPart,
    portions: Portions,
    make: Callable[[RdbPart], Unit[Part]],
    ahead: int,
) -> Generator[tuple[Unit[Part], Part | RdbToolError], None, None]:
    """What the units that ``make`` makes return or raise, of the ``first`` part of an RDB and of each behind it:
    `in_order`. Where the cutter has guessed a place or a database that turns out to be wrong, the
    unit is done again, so that each part begins where the one before has stopped; a part's ``end`` is where it did.
    """
    at, db = int(first.start), int(first.db)
    with closing(in_order(executor, (make(part) for part in _cut(cutter, first, portions)), ahead)) as results:
        for begun, result in results:
            unit, done, part = begun, result, begun.part
            if part.start != at or part.db != db:
                if part.end <= at:
                    continue
                unit = replace(begun, part=RdbPart(at, part.end, part.dialect, part.version, db))
                done = next(in_order(executor, (unit,), 1))[1]
                cutter.missed(at, db)
            if not isinstance(done, RdbToolError) and done.stop > unit.part.end:
                unit.part.end = done.stop
            yield unit, done
            if isinstance(done, RdbToolError) or done.stop < 0:
                return
            at, db = done.stop, done.stop_db


def _cut(cutter: Cutter, first: RdbPart, portions: Portions) -> Iterator[RdbPart]:
    part: RdbPart | None = first
    while part is not None:
        yield part
        part = cutter.next(portions.at(int(part.end)))
