"""Commands of a log, applied to a dataset as a loading server applies them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, final

from mypy_extensions import i64

from rdbtool.aof.names import CARRY, SKIP, STOCK, STOP, CommandNames
from rdbtool.aof.point_in_time import LAST, PointInTime
from rdbtool.aof.resp import COMMAND, NAME_SLOTS, CommandReader, name_slot
from rdbtool.engine import commands as _commands
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replies import DB_RANGE, CommandError, NotRunError
from rdbtool.engine.table import check_arity, find
from rdbtool.errors import FormatError, UnsupportedError, UsageError, printable
from rdbtool.findings import Finding, Findings, Severity, plural
from rdbtool.io.window import window_over
from rdbtool.servers.commands import CONTAINER, CONTROL, EVERYWHERE, SCRIPT, UNSUPPORTED, CommandRow, row_of
from rdbtool.servers.commands import find as find_any
from rdbtool.servers.features import CHECKS_ARITY_IN_LOG, LOOKS_UP_SUBCOMMANDS
from rdbtool.servers.options import OPTIONS

from .carrying import Carried, Carrier
from .observer import Observer

assert _commands  # imported for the table it fills


RREPLAY: Final = b"RREPLAY"
DEEPEST: Final = 8
"""How deep commands of KeyDB are nested at most."""
UNCACHED: Final = CONTAINER | UNSUPPORTED
"""Rows that do not stand for every command of their name: which row it is, or whether it is any, other words tell."""
NEVER: Final = 0x7FFF_FFFF_FFFF_FFFF
"""In place of a time, an offset or a count at which to stop."""


@dataclass(slots=True)
class Ending:
    """What the end of a log leaves: ``open``: commands of a transaction that begins at ``opened_at``, or -1 for none;
    ``imports``: slots and keys of each migration that is under way; ``relative``: expiries, and ``random``: choices, as
    `Dataset` counts them; ``followers``: as `Replay` counts them.
    """

    open: int = -1
    opened_at: int = -1
    imports: list[tuple[int, int]] = field(default_factory=list)
    relative: int = 0
    random: int = 0
    followers: int = 0

    @property
    def dropped(self) -> int:
        """Commands of the open transaction, and keys of migrations."""
        return max(self.open, 0) + sum(keys for _, keys in self.imports)


@final
class Replay:
    """Applies commands one by one. Give it commands through `apply` and annotations through `annotation`,
    as long as they answer True, and call `finish`; or hand everything to `run`.

    ``unknown``: what to do about commands that the engine does not have: `STOP` at them, `SKIP`, or `CARRY` (they go to
    ``carried``, and so do later ones that may touch the same keys, see `carrying`). ``names``: of commands that only
    this server has; one that is allowed does not stop the replay. What goes wrong is added to ``findings``, with
    ``path``. ``strict``: commands with options that the release of the dataset lacks fail, as they do there.

    ``count``: commands seen, those within transactions included; ``applied``: those carried out;
    ``failed``: those the server answers with an error; ``not_run``: those that the writing server ran and the engine
    cannot; ``lost``: those that failed, although the server that logged them ran them; ``stopped``: why the replay
    ended early, or "".
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        findings: Findings | None = None,
        point: PointInTime | None = None,
        unknown: str = STOP,
        names: CommandNames = STOCK,
        path: str = "",
        strict: bool = False,
    ) -> None:
        if unknown not in {STOP, SKIP, CARRY}:
            raise UsageError(f"unknown commands: stop, skip or carry, not {unknown!r}")
        self.dataset = dataset
        self.findings = Findings() if findings is None else findings
        self.unknown = unknown
        self.names = names
        self.path = path
        self._lacking = {name: row for name, row in OPTIONS.items() if strict and not row.is_whole_in(dataset.release)}
        self._is_strict = len(self._lacking) > 0
        self.count: i64 = 0
        self.applied: i64 = 0
        self.failed: i64 = 0
        self.not_run: i64 = 0
        self.lost: i64 = 0
        self.skipped: i64 = 0
        self.dropped: i64 = 0
        """Commands of a transaction, and keys of a slot migration, that were still open at the end."""
        self.omitted: i64 = 0
        """Commands passed over because `PointInTime.without` names them."""
        self.annotations: i64 = 0
        self.time_s: i64 = -1
        """The last annotation."""
        self.stopped = ""
        self.stopped_at: i64 = -1
        self.stopped_why = ""
        """What is to be said of the command that stopped it."""
        self._carrier = Carrier(dataset)
        self._is_carrying = False
        self.observer: Observer | None = None
        self.is_limited = False
        """Whether the replay stops at a point in time, or leaves something out."""
        self.is_echo = False
        """Whether another replay, of other keys, takes note of the commands that are for all keys."""
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
        self._depth: i64 = 0
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

    @property
    def carried(self) -> list[Carried]:
        """Commands that were kept, in the order of the log."""
        return self._carrier.commands

    @property
    def followers(self) -> int:
        """How many of ``carried`` the engine knows, and would have carried out if others had not been kept."""
        return self._carrier.followers

    def begin_file(self, path: str) -> None:
        """What comes from now on is of the log ``path``: a server loads each with a client of its own."""
        self.path = path
        self.dataset.select(0)
        self._carrier.begin_file(0)

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
            args = self._real(args)
            row = _row_of(args)
            if row is not None and args[0] is name and not row.is_subcommand and not row.flags & UNCACHED:
                self._names[slot] = name
                self._rows[slot] = row
        if self.is_limited and not self._wanted(offset, row):
            return not self.stopped
        self.count += 1
        if row is None:
            upper = name.upper()
            if upper in self.names.allowed:
                if upper == RREPLAY:
                    return self._nested(offset, args)
            elif self._lacks_subcommand(args):
                self.lost += 1
                self.failed += 1
                what = f"{printable(args[0])} {printable(args[1], 64)}"
                self._note(Severity.WARNING, "command-error", f"{what} fails: no such subcommand", offset)
                return True
            elif self.unknown == STOP:
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
        self.tell(self.end())

    def end(self) -> Ending:
        """`finish`, but nothing is told of it."""
        dataset = self.dataset
        ending = Ending(relative=dataset.relative, random=dataset.random, followers=self.followers)
        if self.in_transaction:
            ending.open = len(self._queue)
            ending.opened_at = self.opened_at
            self.in_transaction = False
            self._queue = []
        for slots in dataset.imports.values():
            ending.imports.append((len(slots), dataset.remove_slots(slots)))
        dataset.imports.clear()
        dataset.relative = 0
        dataset.random = 0
        self.dropped += ending.dropped
        return ending

    def tell(self, ending: Ending) -> None:
        """Tell what the log's end leaves."""
        if ending.open >= 0 and not self.stopped:
            self._note(
                Severity.WARNING,
                "open-transaction",
                f"MULTI without EXEC at the end: its {ending.open} commands are not applied",
                ending.opened_at,
            )
        for slots, keys in ending.imports:
            self._note(
                Severity.WARNING,
                "open-import",
                f"a migration of {plural(slots, 'slot')} did not finish: its {plural(keys, 'key')} are removed, "
                "as a server does when it starts",
                -1,
            )
        if ending.followers:
            self._note(
                Severity.WARNING,
                "carried",
                f"{plural(ending.followers, 'command')} behind them are kept too, because they may touch the same keys",
                -1,
            )
        if ending.relative:
            self._note(
                Severity.NOTE,
                "relative-expiry",
                f"{ending.relative} expiries are relative, and were counted from {self.dataset.now_ms} ms",
                -1,
            )
        if ending.random:
            self._note(
                Severity.WARNING,
                "random-choice",
                f"{ending.random} commands choose at random: the server may have chosen otherwise",
                -1,
            )

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

    def _real(self, args: list[bytes]) -> list[bytes]:
        """The command under the name that the table has for it."""
        real = self.names.real.get(args[0].upper()) if self.names.real else None
        return args if real is None else [real, *args[1:]]

    def _lacks_subcommand(self, args: list[bytes]) -> bool:
        """Whether the server finds the command ``args`` by its first word, and fails for the second."""
        if self.dataset.release.does(LOOKS_UP_SUBCOMMANDS) or len(args) < 2:
            return False
        row = row_of(args[0])
        return row is not None and row.flags & CONTAINER != 0 and find_any(args) is None

    def _stop_unknown(self, offset: i64, args: list[bytes]) -> bool:
        row = find_any(args)
        name = printable(args[0]) if row is None else _shown(row)
        what = f"{'unknown command' if row is None else 'command'} '{name}'"
        self.stopped_why = _why_unknown(args)
        self._note(Severity.ERROR, "unknown-command", f"{what}: {self.stopped_why}", offset)
        return self._stop(offset, what)

    def _nested(self, offset: i64, args: list[bytes]) -> bool:
        """Carry out the commands that KeyDB got from another master: ``RREPLAY uuid commands [db [mvcc]]``."""
        db = self.dataset.db
        self._depth += 1
        try:
            commands = [] if self._depth > DEEPEST else _commands_in(args)
            if not commands:
                self.lost += 1
                self.failed += 1
                self._note(Severity.WARNING, "command-error", "RREPLAY fails: it holds no commands", offset)
                return True
            if len(args) > 3:
                self.apply(offset, [b"SELECT", args[3]])
            return all(self.apply(offset, command) for command in commands)
        finally:
            self._depth -= 1
            self.dataset.select(db)

    def _control(self, offset: i64, row: CommandRow) -> None:
        if self.in_transaction:
            if row.name == b"EXEC":
                queue = self._queue
                self._queue = []
                self.in_transaction = False
                for at, args in queue:
                    self._execute(at, _row_of(args), args)
            else:  # a loading server queues it, and it fails with the others
                self._error(offset, row, [row.name], f"ERR {row.name.decode()} calls can not be nested")
        elif row.name == b"MULTI":
            self.in_transaction = True
            self.opened_at = offset
        else:
            self._error(offset, row, [row.name], f"ERR {row.name.decode()} without MULTI")

    def _execute(self, offset: i64, row: CommandRow | None, args: list[bytes]) -> None:
        if self._is_carrying and row is not None and self._carrier.follows(offset, row, args):
            if row.name == b"SELECT":
                with contextlib.suppress(CommandError):  # for the commands to come, and it is kept all the same
                    check_arity(row, len(args))
                    row.handler(self.dataset, args)
            return
        observer = self.observer
        if observer is not None:
            observer.before(offset, row, args)
        if row is None:
            if observer is not None:
                observer.after("unknown command")
            self._unknown(offset, args)
            return
        dirty = self.dataset.dirty
        try:
            check_arity(row, len(args))
            if self._is_strict:
                args = self._with_known_options(row, args)
            row.handler(self.dataset, args)
            self.applied += 1
            if observer is not None:
                observer.after("")
        except NotRunError as not_run:  # a name of its own: compiled, a name has one type
            if self.unknown == CARRY and self.dataset.dirty == dirty:
                self._keep(offset, args)
                self._note(
                    Severity.WARNING, "unknown-command", f"{_shown(row)} is kept as it is: {not_run.text}", offset
                )
            else:
                self.not_run += 1
                self._error(offset, row, args, not_run.text, Severity.ERROR, "not-run")
            if observer is not None:
                observer.after(not_run.text)
        except CommandError as e:
            # A log holds scripts that failed after they had changed something.
            if row.effect != SCRIPT and not self._is_told(row):
                self.lost += 1
            self._error(offset, row, args, e.text)
            if observer is not None:
                observer.after(e.text)
        except UnsupportedError as unsupported:
            if unsupported.offset < 0:  # what RESTORE brings; else it is a value of the base
                unsupported.offset = offset
                unsupported.path = self.path
            raise

    def _with_known_options(self, row: CommandRow, args: list[bytes]) -> list[bytes]:
        """The command as the release takes it. Raises `CommandError` for an option that it lacks, and looks at."""
        options = self._lacking.get(row.name)
        if options is not None and len(args) != options.plain:
            release = self.dataset.release
            names = options.lacking(int(options.among(args)), release)
            if names and options.trailing and not release.does(CHECKS_ARITY_IN_LOG):
                return args[: options.plain]
            if names:
                raise CommandError(f"ERR syntax error, for {release.title} does not know {' and '.join(names)}")
        return args

    def _unknown(self, offset: i64, args: list[bytes]) -> None:
        self.skipped += 1
        if self.unknown == CARRY:
            self._keep(offset, args)
            what = "is kept as it is"
        else:
            what = "is left out"
        self._note(Severity.WARNING, "unknown-command", f"unknown command '{printable(args[0])}' {what}", offset)

    def _keep(self, offset: i64, args: list[bytes]) -> None:
        self._is_carrying = True
        self._carrier.keep(offset, args)

    def _error(
        self,
        offset: i64,
        row: CommandRow,
        args: list[bytes],
        text: str,
        severity: Severity = Severity.WARNING,
        code: str = "command-error",
    ) -> None:
        if self._is_told(row):
            return
        self.failed += 1
        keys = row.keys(args)
        if text == DB_RANGE:
            text = f"{text}; with {self.dataset.databases} databases, as here, what follows goes on in the one before"
        self.findings.add(
            Finding(
                severity,
                code,
                f"{_shown(row)} fails: {text}",
                self.path,
                offset,
                keys[0] if keys else None,
                self.dataset.db,
            )
        )

    def _is_told(self, row: CommandRow) -> bool:
        """Whether another replay tells of the command."""
        return self.is_echo and row.flags & EVERYWHERE != 0

    def _note(self, severity: Severity, code: str, message: str, offset: i64) -> None:
        self.findings.add(Finding(severity, code, message, self.path, offset))


VECTOR_COMMANDS: Final = frozenset({b"VADD", b"VREM", b"VSETATTR"})
"""Those that change sets of vectors."""


def _row_of(args: list[bytes]) -> CommandRow | None:
    """The row of what the engine can carry out, or what fails on any server because words lack or are too many."""
    row = find(args)
    if row is None:
        known = find_any(args)
        if known is not None and not known.fits(len(args)):
            return known
    return row


def _why_unknown(args: list[bytes]) -> str:
    """What is to be said of a command that the engine does not have."""
    if args[0].upper() in VECTOR_COMMANDS:
        return (
            "servers carry it out, and a replay here cannot: chance decides there how the vectors of a set are linked"
        )
    if find_any(args) is not None:
        return "servers carry it out, and a replay here cannot"
    if args[0].upper() == RREPLAY:
        return "only KeyDB carries it out; --allow RREPLAY does so here"
    if b"." in args[0].strip(b"."):
        return "it is a module's, and only a server with that module carries it out"
    return (
        "it is a module's or a fork's, or another name of a command (rename-command), which --rename tells; a server "
        "that does not know it stops loading here"
    )


def _commands_in(args: list[bytes]) -> list[list[bytes]]:
    """The commands in one of RREPLAY; none where it is not one, or where they are damaged."""
    commands: list[list[bytes]] = []
    if len(args) > 2:
        reader = CommandReader(window_over(args[2]))
        try:
            while reader.read() == COMMAND:
                commands.append(reader.args.copy())
        except FormatError:
            return []
    return commands


def _shown(row: CommandRow) -> str:
    """The name of a command as it is written."""
    return row.name.decode("latin-1").replace("|", " ")
