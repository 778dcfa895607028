"""Count the keys of one RDB with several workers, each of them a part of it, as far as that gives what one would count.

What the counts of a part cannot be added to, this process reads itself, from the beginning of that part on: damage, and
more prefixes than are kept, which are folded as they come. So is the end of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import NamedTuple

from rdbtool.analysis.collecting import Collector, KeyRows
from rdbtool.analysis.contents import Contents, Wanted
from rdbtool.analysis.costs import Costs
from rdbtool.analysis.tallies import MeasuredKey
from rdbtool.basics.crc64 import combines, crc64_of_both
from rdbtool.errors import LostWorkerError, RdbToolError
from rdbtool.inputs.keys import KeySource, RdbSource
from rdbtool.inputs.selection import Selection
from rdbtool.io.output import Output, Writable
from rdbtool.io.progress import Progress
from rdbtool.rdb.cutting import RdbPart
from rdbtool.rdb.reader import NOWHERE
from rdbtool.servers.memory import JEMALLOC
from rdbtool.servers.releases import Release

from .handing import Handed, Handing, held_ahead, numbers, write_rest
from .parts import HELD, FileState, Workforce, cutter_of, is_whole, parts_in_order, reopened
from .units import Unit


class Counting(NamedTuple):
    """How keys are counted: see `analysis.collecting.Collector` and `analysis.costs.Costs`."""

    wanted: Wanted
    selection: Selection
    release: Release
    allocator: str = JEMALLOC
    reported: bool = False
    largest: bool = False
    list_depth: int = 0
    writer: Release | None = None
    rows: Callable[[Output], KeyRows] | None = None

    def costs(self) -> Costs:
        """What values cost."""
        return Costs(self.release, self.allocator, reported=self.reported)

    def collector(self, sink: Writable) -> Collector:
        """What counts, from nothing on, and writes rows to ``sink`` where they are wanted."""
        return Collector(
            Contents(self.wanted),
            self.costs(),
            rows=None if self.rows is None else self.rows(Output(sink)),
            largest=self.largest,
            list_depth=self.list_depth,
            writer=self.writer,
        )


class _Options(NamedTuple):
    """``number``, ``ahead``: for `Handing`; 0 ahead where rows go along with the answer."""

    state: FileState
    counting: Counting
    number: int
    ahead: int


@dataclass(slots=True)
class _Counted:
    """What a worker counted in a part that ends before the byte ``end``, with the checksum of its bytes; also of the
    one that says that the file ends there. ``stop``, ``stop_db``: see `parts.Read`. ``rows``, ``last_row``, ``held``:
    see `Collector.follow`.
    """

    contents: Contents
    libraries: list[str]
    module_data: list[str]
    aux: dict[bytes, bytes]
    empty: int
    crc: int
    end: int
    stop: int
    stop_db: int
    rows: bytes | Handed
    last_row: int
    held: list[MeasuredKey]


def count_ahead(
    source: KeySource, collector: Collector, counting: Counting, force: Workforce, progress: Progress | None
) -> KeySource:
    """Let workers count keys of ``source``, of which none has been counted, for ``collector``, which was made as
    ``counting`` says. Returns a source of what is left, at least the end, with the facts of all; or ``source`` where
    that cannot be done, which then goes on as before: it is no RDB in a plain file, or one that cannot be cut.

    Raises `LostWorkerError`.
    """
    selection = counting.selection
    one = selection.limit >= 0 or selection.exact is not None or not combines()
    if one or not isinstance(source, RdbSource):
        return source
    w = source.reader.window
    state = FileState.of(w)
    if state is None:
        return source
    at = int(source.reader.start)
    db = crc = empty = 0
    ended = False
    cutter = cutter_of(reopened(w, at))
    portions = force.portions(state.size)
    ahead = 2 * force.workers
    kept = 0
    if counting.rows is not None:
        portions = portions._replace(largest=HELD)
        kept = held_ahead(force.executor, ahead)
    first = cutter.next(portions.at(at))
    if first is None or is_whole(first, state.size) or cutter.reader.is_capture:
        return source

    def unit_of(part: RdbPart) -> Unit[_Counted]:
        return Unit(_count, state.path, part, _Options(state, counting, next(numbers), kept))

    with closing(parts_in_order(force.executor, cutter, first, portions, unit_of, ahead)) as results:
        for _, done in results:
            if isinstance(done, LostWorkerError):
                raise done
            if isinstance(done, RdbToolError) or not collector.contents.adds_up(done.contents):
                break
            collector.contents.merge(done.contents)
            collector.libraries += done.libraries
            collector.module_data += done.module_data
            source.facts.aux.update(done.aux)
            empty += done.empty
            if counting.rows is not None:
                collector.follow(partial(write_rest, done.rows, force.executor, state.path), done.last_row, done.held)
            ended = done.stop < 0
            crc = crc64_of_both(crc, done.crc, done.end - at + ended)
            at, db = done.end, done.stop_db
            if progress is not None:
                progress(at, state.size)
    if at == source.reader.start:
        left = RdbSource(reopened(w, at))
    else:
        reader = cutter.reader
        rest = RdbPart(at, NOWHERE, reader.dialect, reader.version, db)
        left = RdbSource(reopened(w, at), part=rest, crc=crc)
        if ended:
            left.reader.window.observe(None)  # the end is in the checksum
    left.facts = source.facts
    left.empty = empty
    return left


def _count(_: str, part: RdbPart, options: _Options) -> _Counted:
    rows = Handing(options.number, options.ahead) if options.ahead else BytesIO()
    collector = options.counting.collector(rows)
    with options.state.window(part.start, grows=True) as w:
        source = RdbSource(w, part=part)
        collector.run(source, options.counting.selection, source.next())
        w.report()
        end = int(w.offset() if source.end is None else source.end.offset)
        if collector.rows is not None:
            collector.rows.end()
        return _Counted(
            collector.contents,
            collector.libraries,
            collector.module_data,
            source.facts.aux,
            int(source.empty),
            source.reader.crc,
            end,
            end if source.end is None else -1,
            int(source.reader.db),
            rows.getvalue() if isinstance(rows, BytesIO) else rows.done(),
            int(collector.last_row),
            collector.held,
        )
