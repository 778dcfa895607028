"""The digest of one RDB by several workers: that of a database is a sum, in any order, of those of its keys."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from rdbtool.basics.crc64 import crc64_of_both
from rdbtool.basics.hashing import new_seed
from rdbtool.engine.digest import Digester
from rdbtool.errors import LostWorkerError, RdbToolError
from rdbtool.findings import add_counts
from rdbtool.inputs.selection import Selection
from rdbtool.io.progress import Progress
from rdbtool.io.window import Window
from rdbtool.rdb.cutting import RdbPart
from rdbtool.rdb.events import Aux, End, Header
from rdbtool.rdb.layout.duplicates import Duplicates
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.releases import Release

from .digest import Digested
from .parts import FileState, Portions, cutter_of, is_whole, parts_in_order
from .units import Unit

Read = Callable[[RdbReader, Digester, Duplicates, Selection, Digested], End | None]
"""Adds the keys of a reader, to the end of what it reads; returns the end of the file, where that is there."""
ReleaseOf = Callable[[dict[bytes, bytes], int, int], Release]
"""Who wrote a file, by auxiliary fields, dialect and version."""


class _Options(NamedTuple):
    read: Read
    state: FileState
    selection: Selection
    release: Release
    loaded_ms: int
    seed: int


@dataclass(slots=True)
class _Sum:
    """What a part adds up to. ``end``: where the end of the file begins, and the checksum there; ``stop``, ``stop_db``:
    see `parts.Read`.
    """

    digested: Digested
    sums: dict[int, int]
    counts: tuple[int, int, int, int]
    hashes: bytes
    crc: int
    size: int
    stop: int
    stop_db: int
    end: tuple[int, int] | None = None


def digest_in_parts(
    w: Window,
    selection: Selection,
    read: Read,
    release_of: ReleaseOf,
    loaded_ms: int,
    executor: Executor,
    workers: int,
    portion: int,
    progress: Progress | None,
) -> tuple[Digester, Digested, Release] | None:
    """What ``read`` adds up for the RDB that ``w`` stands at, by ``workers`` of the executor. None for what is no plain
    file, and where there is anything to be said of the file: that a digest from end to end tells.

    Raises `LostWorkerError`, and `OutputError`.
    """
    state = FileState.of(w)
    if state is None:
        return None
    cutter = cutter_of(w)
    portions = Portions(state.size, workers, portion)
    first = cutter.next(portions.at(int(w.offset())))
    header = next((event for event in cutter.head if isinstance(event, Header)), None)
    if first is None or header is None or is_whole(first, state.size):
        return None
    aux = {event.name: event.value for event in cutter.head if isinstance(event, Aux)}
    release = release_of(aux, int(header.dialect), int(header.version))
    options = _Options(read, state, selection, release, loaded_ms, new_seed())
    digester = Digester(release)
    digested = Digested()
    seen = Duplicates(keep=False, seed=options.seed)
    crc = 0
    end: End | None = None

    def unit_of(part: RdbPart) -> Unit[_Sum]:
        return Unit(_digest, state.path, part, options)

    with closing(parts_in_order(executor, cutter, first, portions, unit_of, 2 * workers)) as results:
        for unit, done in results:
            if isinstance(done, LostWorkerError):
                raise done
            if isinstance(done, RdbToolError):
                return None
            digester.add_sums(done.sums, *done.counts)
            digested.left_out += done.digested.left_out
            add_counts(digested.lost, done.digested.lost)
            seen.add_records(done.hashes)
            crc = crc64_of_both(crc, done.crc, done.size)
            if done.end is not None:
                end = End(done.end[0], done.end[1], crc)
            if progress is not None:
                progress(min(int(unit.part.end), state.size), state.size)
    seen.finish()
    if end is None or end.checksum == "bad" or seen.pairs or seen.more:
        return None
    return digester, digested, release


def _digest(_: str, part: RdbPart, options: _Options) -> _Sum:
    digester = Digester(options.release, loaded_ms=options.loaded_ms)
    digested = Digested()
    seen = Duplicates(keep=False, seed=options.seed, collect=True)
    with options.state.window(part.start) as w:
        reader = part.open(w)
        end = options.read(reader, digester, seen, options.selection, digested)
        w.report()
        counts = int(digester.keys), int(digester.emptied), digester.modules, digester.miscounted
        stop = int(w.offset())
        size = (stop if end is None else int(end.offset) + 1) - int(part.start)
        records = seen.records.getvalue()
        done = _Sum(digested, digester.sums(), counts, records, reader.crc, size, stop, int(reader.db))
    if end is not None:
        done.end = int(end.offset), end.stored
        done.stop = -1
    return done
