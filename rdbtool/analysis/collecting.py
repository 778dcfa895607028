"""Keys of any source into `Contents`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.inputs.keys import EntryEvent, Facts, KeySource
from rdbtool.inputs.selection import Selection
from rdbtool.io.output import Output, Writable
from rdbtool.model import Entry
from rdbtool.rdb.encode import encode
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa, HashTemplate, ModuleAux
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.libraries import library_header
from rdbtool.rdb.salvage.salvaged import SUSPECTS
from rdbtool.rdb.targets import Target, target_for_version
from rdbtool.servers.releases import NEWEST, Release, newest, writer_of

from .contents import Contents, measured_key
from .costs import Costs
from .measure import Measure
from .tallies import MeasuredKey

if TYPE_CHECKING:
    from rdbtool.inputs.salvaging import Behind

HELD: Final[i64] = SUSPECTS


class KeyRows:
    """Writes a line for each key to ``output``."""

    def __init__(self, output: Output, mode: i64) -> None:
        self.output = output
        self.mode: i64 = mode

    @property
    def maker(self) -> Callable[[Output], KeyRows]:
        """What makes one that writes the same to another output; it can be pickled."""
        raise NotImplementedError

    def begin(self) -> None:
        """The first call."""

    def write(self, key: MeasuredKey) -> None:
        """Write a key."""
        raise NotImplementedError

    def end(self) -> None:
        """The last call; it empties the buffer."""
        self.output.flush()


@final
class Collector:
    """Takes the events of a source. ``rows``: where each key is written, if anywhere, `HELD` keys late (`write_held`
    writes these): where reading breaks, the keys right before it are in doubt. ``behind``: tells which have not been
    written before; ``last_row``: the offset of the last record that was.

    ``libraries``: names of function libraries; ``module_data``: types of modules with data beside the keys;
    ``checksum``: as `End.checksum` says, "" where there was no end.
    """

    def __init__(
        self,
        contents: Contents,
        costs: Costs,
        *,
        rows: KeyRows | None = None,
        behind: Behind | None = None,
        largest: bool = False,
        list_depth: int = 0,
        writer: Release | None = None,
    ) -> None:
        self.contents = contents
        self.measure = Measure(costs, largest_wanted=largest, list_depth=list_depth, writer=writer)
        self.rows = rows
        self.behind = behind
        self.last_row: i64 = -1
        self._held: list[MeasuredKey] = []
        self._turn: i64 = 0
        """Which of them came first."""
        self.libraries: list[str] = []
        self.module_data: list[str] = []
        self.checksum = ""
        self.end_offset: i64 = -1
        self._target = saver(costs.layout.release)

    def run(self, source: KeySource, selection: Selection, first: Event | None) -> None:
        """Take ``first`` and all further events of ``source``. Raises what reading raises."""
        event = first
        contents = self.contents
        measure = self.measure
        rows = self.rows
        behind = self.behind
        while event is not None:
            if isinstance(event, Frame):
                if selection.keeps(event):
                    measure.measure(event)
                    contents.take(event, measure)
                    if rows is not None and (behind is None or behind.is_new(event.offset)):
                        self._row(rows, measured_key(event, measure))
                    if selection.full:
                        return
            elif isinstance(event, EntryEvent):
                if selection.keeps_entry(event.entry):
                    self._entry(event.entry)
                    if selection.full:
                        return
            else:
                self._other(event)
            event = source.next()

    def _row(self, rows: KeyRows, key: MeasuredKey) -> None:
        """Hold a key, and write the one that was held longest."""
        held = self._held
        if len(held) < HELD:
            held.append(key)
            return
        turn = self._turn
        first = held[turn]
        held[turn] = key
        self._turn = (turn + 1) % HELD
        rows.write(first)
        self.last_row = first.offset

    @property
    def held(self) -> list[MeasuredKey]:
        """The keys that are held, in their order."""
        return self._held[self._turn :] + self._held[: self._turn]

    def write_held(self) -> None:
        """Write the keys that are held: nothing has shown that they are not as they were read."""
        if self.rows is not None:
            for key in self.held:
                self.rows.write(key)
        self._held = []
        self._turn = 0

    def follow(self, rows: Callable[[Writable], None], last_row: i64, held: list[MeasuredKey]) -> None:
        """Take over what one has written and holds that has read on from where this one stands."""
        ours = self.rows
        assert ours is not None
        if last_row < 0:
            for key in held:
                self._row(ours, key)
            return
        self.write_held()
        ours.output.flush()
        rows(ours.output.sink)
        self.last_row = last_row
        self._held = held

    def _entry(self, entry: Entry) -> None:
        """Measure a decoded value as the server that is asked for would save it."""
        frame = saved(entry, self._target)
        self.measure.measure(frame)
        self.contents.take(frame, self.measure)
        if self.rows is not None:
            self._row(self.rows, measured_key(frame, self.measure))

    def _other(self, event: Event) -> None:
        if isinstance(event, Function):
            with contextlib.suppress(FormatError):  # what is wrong with it is for a check to tell
                self.libraries.append(library_header(event.code)[1].decode("utf-8", "backslashreplace"))
        elif isinstance(event, FunctionPreGa):
            self.libraries.append(event.name.decode("utf-8", "backslashreplace"))
        elif isinstance(event, ModuleAux):
            self.module_data.append(event.module)
        elif isinstance(event, HashTemplate):
            if self.measure.costs.layout.templates:
                self.contents.tables += self.measure.costs.template(event.names)
        elif isinstance(event, End):
            self.checksum = event.checksum
            self.end_offset = event.offset


def saver(release: Release) -> Target:
    """Whom decoded values are saved for, so that they can be measured as those of this release."""
    return Target(release.name, release if release.is_written else newest(release.product))


def saved(entry: Entry, target: Target) -> Frame:
    """A decoded key as the server that is asked for would save it."""
    row, raw = encode(entry.value, target, compress=False)
    frame = frame_of(entry.db, entry.key, row, raw)
    frame.expire_at_ms = entry.expire_at_ms
    frame.idle_s = entry.idle_s
    frame.freq = entry.freq
    return frame


def release_of(facts: Facts) -> Release:
    """Who wrote a file, or is like who did."""
    writer = writer_of(facts.aux)
    if writer is not None:
        return writer
    return target_for_version(facts.dialect, facts.version).release if facts.version else NEWEST
