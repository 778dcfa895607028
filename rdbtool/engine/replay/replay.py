"""Commands of a log, applied to a dataset as a loading server applies them."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterable, Iterator
from typing import Final, final

from mypy_extensions import i64

from rdbtool.aof.point_in_time import LAST, PointInTime
from rdbtool.aof.resp import NAME_SLOTS, name_slot
from rdbtool.engine import commands as _commands
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replies import CommandError, NotRunError
from rdbtool.engine.table import check_arity, find
from rdbtool.errors import UnsupportedError, UsageError, printable
from rdbtool.findings import Finding, Findings, Severity
from rdbtool.servers.commands import CONTAINER, CONTROL, CommandRow

assert _commands  # imported for the table it fills

STOP: Final = "stop"
SKIP: Final = "skip"
CARRY: Final = "carry"

NEVER: Final = 0x7FFF_FFFF_FFFF_FFFF
"""In place of a time, an offset or a count at which to stop."""


@final
class Carried:
    """An unknown command that is kept as it is: with its database and offset."""

    def __init__(self, db: int, offset: int, args: list[bytes]) -> None:
        self.db = db
        self.offset = offset
        self.args = args


class Observer:
    """Is told of every command that a replay carries out; `after` follows each `before`."""

    def before(self, offset: i64, row: CommandRow | None, args: list[bytes]) -> None:
        """The dataset is about to be changed; ``row`` is None for an unknown command, which does nothing."""

    def after(self, error: str) -> None:
        """It was changed, or the command failed with the server's ``error``."""


@final
class Replay:
    """Applies commands one by one. Give it commands through `apply` and annotations through `annotation`,
    as long as they answer True, and call `finish`; or hand everything to `run`.

    ``unknown``: what to do about commands that are not in the table: `STOP` as the server does, `SKIP`, or
    `CARRY` (they go to ``carried``). What goes wrong is added to ``findings``, with ``path``.

    ``count``: commands seen, those within transactions included; ``applied``: those carried out;
    ``failed``: those the server answers with an error; ``stopped``: why the replay ended early, or "".
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        findings: Findings | None = None,
        point: PointInTime | None = None,
        unknown: str = STOP,
        path: str = "",
    ) -> None:
        if unknown not in {STOP, SKIP, CARRY}:
            raise UsageError(f"unknown commands: stop, skip or carry, not {unknown!r}")
        self.dataset = dataset
        self.findings = Findings() if findings is None else findings
        self.unknown = unknown
        self.path = path
        self.count: i64 = 0
        self.applied: i64 = 0
        self.failed: i64 = 0
        self.skipped: i64 = 0
        self.dropped: i64 = 0
        """Commands of a transaction that was still open at the end."""
        self.omitted: i64 = 0
        """Commands passed over because `PointInTime.without` names them."""
        self.annotations: i64 = 0
        self.time_s: i64 = -1
        """The last annotation."""
        self.stopped = ""
        self.stopped_at: i64 = -1
        self.carried: list[Carried] = []
        self.observer: Observer | None = None
        self.is_limited = False
        """Whether the replay stops at a point in time, or leaves something out."""
        self._last_time_s: i64 = NEVER
        self._end_offset: i64 = NEVER
        self._end_count: i64 = NEVER
        self._before = b""
        self._nth: i64 = 1
        self._without: frozenset[int] = frozenset()
        self._matched: i64 = 0
        if point is not None:
            self.stop_at(point)
        self._names = [b""] * NAME_SLOTS
        self._rows: list[CommandRow | None] = [None] * NAME_SLOTS
        """Names as they were met, and their rows: a reader gives the same object for the same name."""
        self.in_transaction = False
        self._queue: list[tuple[int, list[bytes]]] = []
        self.opened_at: i64 = -1

    def stop_at(self, point: PointInTime) -> None:
        """Apply what comes from now on only as far as ``point``, whose places are offsets in the log to come, and whose
        ``nth`` is a number.
        """
        assert point.nth != LAST
        self.is_limited = point.asked
        self._last_time_s = NEVER if point.time_s is None else point.time_s
        self._end_offset = NEVER if point.offset is None else point.offset.offset
        self._end_count = NEVER if point.commands is None else point.commands
        self._before = point.row_name
        self._nth = point.nth
        self._without = frozenset(place.offset for place in point.without)

    def run(self, commands: Iterable[tuple[int, list[bytes]]]) -> None:
        """Apply ``commands``, pairs of offset and arguments, to the end or to where the replay stops."""
        for offset, args in commands:
            if not self.apply(offset, args):
                break
        self.finish()

    def apply(self, offset: i64, args: list[bytes]) -> bool:
        """Apply one command, or queue it in the open transaction; False if the replay stops before it.

        The list ``args`` is the caller's: it is not kept.
        """
        name = args[0]
        n: i64 = len(name)
        slot: i64 = 0
        if n:  # compiled, a conditional expression would make an int object
            slot = name_slot(n, name[0], name[n - 1])
        row = self._rows[slot] if self._names[slot] is name else None
        if row is None:
            row = find(args)
            if row is not None and not row.is_subcommand and not row.flags & CONTAINER:
                self._names[slot] = name
                self._rows[slot] = row
        if self.is_limited and not self._wanted(offset, row):
            return not self.stopped
        self.count += 1
        if row is None:
            if self.unknown == STOP:
                return self._stop_unknown(offset, args)
        elif row.flags & CONTROL:
            self._control(offset, row)
            return True
        if self.in_transaction:
            self._queue.append((offset, args.copy()))
        else:
            self._execute(offset, row, args)
        return True

    def annotation(self, time_s: i64) -> bool:
        """Note a timestamp annotation, Unix seconds; False if the replay stops there."""
        self.annotations += 1
        self.time_s = time_s
        if time_s > self._last_time_s:
            self.stopped = f"the commands from {time_s} on are later than {self._last_time_s}"
            return False
        return True

    def finish(self) -> None:
        """The end of the log, or where the replay stops: an open transaction is dropped."""
        if self.in_transaction:
            self.dropped += len(self._queue)
            self.in_transaction = False
            self._queue = []
            if not self.stopped:
                self._note(
                    Severity.WARNING,
                    "open-transaction",
                    f"MULTI without EXEC at the end: its {self.dropped} commands are not applied",
                    self.opened_at,
                )
        if self.dataset.relative:
            self._note(
                Severity.NOTE,
                "relative-expiry",
                f"{self.dataset.relative} expiries are relative, and were counted from {self.dataset.now_ms} ms",
                -1,
            )
            self.dataset.relative = 0
        if self.dataset.random:
            self._note(
                Severity.WARNING,
                "random-choice",
                f"{self.dataset.random} commands choose at random: the server may have chosen otherwise",
                -1,
            )
            self.dataset.random = 0

    def _wanted(self, offset: i64, row: CommandRow | None) -> bool:
        if offset >= self._end_offset:
            return self._stop(offset, f"offset {self._end_offset} is reached")
        if self.count >= self._end_count:
            return self._stop(offset, f"{self._end_count} commands are applied")
        if row is not None and row.name == self._before:
            self._matched += 1
            if self._matched == self._nth:
                return self._stop(offset, f"the next command is {self._before.decode('latin-1')}")
        if offset in self._without:
            self.omitted += 1
            return False
        return True

    def _stop(self, offset: i64, reason: str) -> bool:
        self.stopped = reason
        self.stopped_at = offset
        return False

    def _stop_unknown(self, offset: i64, args: list[bytes]) -> bool:
        name = printable(args[0])
        self._note(Severity.ERROR, "unknown-command", f"unknown command '{name}': the server stops loading", offset)
        return self._stop(offset, f"unknown command '{name}'")

    def _control(self, offset: i64, row: CommandRow) -> None:
        if self.in_transaction:
            if row.name == b"EXEC":
                queue = self._queue
                self._queue = []
                self.in_transaction = False
                for at, args in queue:
                    self._execute(at, find(args), args)
            else:  # a loading server queues it, and it fails with the others
                self._error(offset, row, [row.name], f"ERR {row.name.decode()} calls can not be nested")
        elif row.name == b"MULTI":
            self.in_transaction = True
            self.opened_at = offset
        else:
            self._error(offset, row, [row.name], f"ERR {row.name.decode()} without MULTI")

    def _execute(self, offset: i64, row: CommandRow | None, args: list[bytes]) -> None:
        observer = self.observer
        if observer is not None:
            observer.before(offset, row, args)
        if row is None:
            if observer is not None:
                observer.after("unknown command")
            self.skipped += 1
            if self.unknown == CARRY:
                self.carried.append(Carried(self.dataset.db, offset, args.copy()))
            name = printable(args[0])
            what = "left out" if self.unknown == SKIP else "kept as it is"
            self._note(Severity.WARNING, "unknown-command", f"unknown command '{name}' is {what}", offset)
            return
        try:
            check_arity(row, len(args))
            row.handler(self.dataset, args)
            self.applied += 1
            if observer is not None:
                observer.after("")
        except NotRunError as not_run:  # a name of its own: compiled, a name has one type
            self._error(offset, row, args, not_run.text, Severity.ERROR, "not-run")
            if observer is not None:
                observer.after(not_run.text)
        except CommandError as e:
            self._error(offset, row, args, e.text)
            if observer is not None:
                observer.after(e.text)
        except UnsupportedError as unsupported:
            if unsupported.offset < 0:  # what RESTORE brings; else it is a value of the base
                unsupported.offset = offset
                unsupported.path = self.path
            raise

    def _error(
        self,
        offset: i64,
        row: CommandRow,
        args: list[bytes],
        text: str,
        severity: Severity = Severity.WARNING,
        code: str = "command-error",
    ) -> None:
        self.failed += 1
        keys = row.keys(args)
        self.findings.add(
            Finding(
                severity,
                code,
                f"{row.name.decode('latin-1').replace('|', ' ')} fails: {text}",
                self.path,
                offset,
                keys[0] if keys else None,
                self.dataset.db,
            )
        )

    def _note(self, severity: Severity, code: str, message: str, offset: i64) -> None:
        self.findings.add(Finding(severity, code, message, self.path, offset))


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """No garbage collection meanwhile: a replay makes millions of objects and no cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()  # what was loaded stays: later collections need not walk it
            gc.enable()
