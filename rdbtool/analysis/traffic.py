"""What goes through a log: commands by name, the keys most written to, and all that over time.

Memory is bounded, whatever the log holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from rdbtool.aof.resp import Command, CommandReader, TimestampAnnotation
from rdbtool.engine.replay.observer import Observer
from rdbtool.servers.commands import CommandRow, find

if TYPE_CHECKING:
    from rdbtool.engine.replay.replay import Replay

KEPT: Final = 8192
"""Keys that are counted at a time; twice as many before the least are dropped."""
NAMES: Final = 1024
"""Names of commands that are told apart."""
INTERVALS: Final = 120
"""Intervals of time at most; with more, two become one."""
OTHERS: Final = b"(others)"
SELECT: Final = b"SELECT"


@final
class Tally:
    """Of one command name: how often, how many bytes in the log, how often it failed."""

    def __init__(self) -> None:
        self.count: i64 = 0
        self.bytes: i64 = 0
        self.errors: i64 = 0
        self.largest: i64 = 0


@final
class Hottest:
    """The keys that occur most (Misra and Gries): a count is too low by at most ``slack``, and a key that is not
    there occurred at most ``slack`` times.
    """

    def __init__(self) -> None:
        self.counts: dict[tuple[int, bytes], int] = {}
        self.slack: i64 = 0

    def add(self, db: int, key: bytes) -> None:
        """Count one occurrence."""
        counts = self.counts
        name = (db, key)
        counts[name] = counts.get(name, 0) + 1
        if len(counts) >= 2 * KEPT:
            self._drop()

    def _drop(self) -> None:
        ranked = sorted(self.counts.values(), reverse=True)
        least = ranked[KEPT]
        self.slack += least
        self.counts = {name: count - least for name, count in self.counts.items() if count > least}

    def top(self, n: int) -> list[tuple[int, bytes, int]]:
        """Database, key and count of the first ``n``."""
        ranked = sorted(self.counts.items(), key=_rank)
        return [(db, key, count) for (db, key), count in ranked[:n]]


def _rank(item: tuple[tuple[int, bytes], int]) -> tuple[int, tuple[int, bytes]]:
    return -item[1], item[0]


@final
class Timeline:
    """Commands per interval of time. ``width`` is in seconds; ``counts``: number of the interval, counted from
    1970, -> commands.
    """

    def __init__(self) -> None:
        self.width: i64 = 1
        self.counts: dict[int, int] = {}

    def add(self, time_s: i64, count: i64) -> None:
        """Count commands written at ``time_s``."""
        slot = time_s // self.width
        self.counts[slot] = self.counts.get(slot, 0) + count
        while len(self.counts) > INTERVALS:
            self.width *= 2
            merged: dict[int, int] = {}
            for at, n in self.counts.items():
                merged[at // 2] = merged.get(at // 2, 0) + n
            self.counts = merged


@final
class Traffic(Observer):
    """The counts of one log. Give it commands through `note` in the order of the log."""

    def __init__(self) -> None:
        self.commands: i64 = 0
        self.bytes: i64 = 0
        self.names: dict[bytes, Tally] = {}
        self.hottest = Hottest()
        self.timeline = Timeline()
        self.first_s: i64 = -1
        self.last_s: i64 = -1
        self._db = 0
        self._rows: dict[bytes, CommandRow | None] = {}
        self._tallies: dict[bytes, Tally] = {}
        self._since: i64 = 0
        self._running: Tally | None = None

    def begin_file(self) -> None:
        """A file begins: its commands are for database 0 until it says otherwise."""
        self._db = 0

    def note(self, args: list[bytes]) -> None:
        """Count a command. Its bytes are those of the form that servers write."""
        size: i64 = 3 + _digits(len(args))
        for arg in args:
            n: i64 = len(arg)
            size += n + 5 + _digits(n)
        tally = self._tally(args)
        tally.count += 1
        tally.bytes += size
        tally.largest = max(tally.largest, size)
        self.commands += 1
        self._since += 1
        self.bytes += size
        row = self._row(args)
        if row is None:
            return
        if row.first == 1 and row.last == 1:
            if len(args) > 1:
                self.hottest.add(self._db, args[1])
        elif row.name == SELECT:
            if len(args) == 2 and args[1].isdigit() and len(args[1]) < 10:
                self._db = int(args[1])
        else:
            for key in row.keys(args):
                self.hottest.add(self._db, key)

    def annotation(self, time_s: i64) -> None:
        """Note a timestamp: what was counted before it belongs to the one before."""
        self.flush_time()
        if self.first_s < 0:
            self.first_s = time_s
        self.last_s = time_s

    def flush_time(self) -> None:
        """Give the commands since the last timestamp to it; to be called at the end."""
        if self.last_s >= 0:
            self.timeline.add(self.last_s, self._since)
        self._since = 0

    def before(self, offset: i64, row: CommandRow | None, args: list[bytes]) -> None:
        """A command is about to run."""
        self._running = self._tally(args)

    def after(self, error: str) -> None:
        """It ran, or failed."""
        if error and self._running is not None:
            self._running.errors += 1

    def _row(self, args: list[bytes]) -> CommandRow | None:
        name = args[0]
        if name in self._rows:
            return self._rows[name]
        row = find(args)
        if (row is None or b"|" not in row.name) and len(self._rows) < NAMES:
            self._rows[name] = row
        return row

    def _tally(self, args: list[bytes]) -> Tally:
        tally = self._tallies.get(args[0])
        if tally is not None:
            return tally
        row = self._row(args)
        name = args[0].upper()[:64] if row is None else row.name.replace(b"|", b" ")
        tally = self.names.get(name)
        if tally is None:
            if len(self.names) >= NAMES:
                name = OTHERS
            tally = self.names.setdefault(name, Tally())
        if (row is None or b"|" not in row.name) and len(self._tallies) < NAMES:
            self._tallies[args[0]] = tally
        return tally


def _digits(n: i64) -> i64:
    digits: i64 = 1
    while n >= 10:
        n //= 10
        digits += 1
    return digits


def replay_counted(replay: Replay, reader: CommandReader, traffic: Traffic) -> bool:
    """Apply and count a log's commands; False where the replay stopped before the end."""
    while True:
        event = reader.next()
        if isinstance(event, Command):
            if not replay.apply(event.offset, event.args):
                return False
            traffic.note(event.args)
        elif isinstance(event, TimestampAnnotation):
            if not replay.annotation(event.seconds):
                return False
            traffic.annotation(event.seconds)
        else:
            return True


def count_log(reader: CommandReader, traffic: Traffic) -> None:
    """Count a log's commands without carrying them out."""
    while True:
        event = reader.next()
        if isinstance(event, Command):
            traffic.note(event.args)
        elif isinstance(event, TimestampAnnotation):
            traffic.annotation(event.seconds)
        else:
            return
