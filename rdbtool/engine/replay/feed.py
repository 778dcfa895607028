"""The loops that bring files into a dataset: an RDB's keys as they stand, and a log's commands."""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.aof.resp import ANNOTATION, COMMAND, CommandReader, argument_lists
from rdbtool.engine.dataset import ASKED, Dataset
from rdbtool.engine.functions import with_header
from rdbtool.engine.keyspace import AHEAD
from rdbtool.engine.partition.budget import Budget
from rdbtool.engine.partition.sieve import Sieve
from rdbtool.engine.replies import CommandError
from rdbtool.engine.table import execute, find
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError, printable
from rdbtool.rdb.empty import is_empty
from rdbtool.rdb.events import End, Function, FunctionPreGa, ModuleAux, SlotImport, Update
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.head import RdbHead
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.commands import SWEEPING
from rdbtool.servers.limits import check_database
from rdbtool.servers.slots import SLOTS

from .passthrough import Passthrough, comes_twice
from .replay import Replay

KEYS: Final = 100
"""Keys of a snapshot that are one step to a `Budget`."""


@final
class RdbRest:
    """What an RDB holds that is not a key of the dataset: ``functions`` are library codes, in order; ``lost``: what
    only another product has, by kind; ``updates``: commands in it; ``damage``: what is wrong with the file, where
    reading went on or was to keep what came before; ``broken``: it ended the reading; ``checksum``: as `End.checksum`.
    """

    def __init__(self) -> None:
        self.keys: i64 = 0
        self.functions: list[bytes] = []
        self.module_aux: list[ModuleAux] = []
        self.updates: i64 = 0
        self.lost: dict[str, int] = {}
        self.damage: list[RdbToolError] = []
        self.broken = False
        self.checksum = ""


def load_rdb(
    dataset: Dataset,
    head: RdbHead,
    passthrough: Passthrough | None = None,
    *,
    keep_going: bool = False,
    sieve: Sieve | None = None,
    budget: Budget | None = None,
) -> RdbRest:
    """Take the keys of an RDB, unread, to its end. Where the input can be read again, their values stay there, and it
    stays open as long as something holds one of them. Empty collections are skipped, as servers do. ``passthrough``:
    passes on what the dataset does not need; ``keep_going``: note damage, and take what can be read before it;
    ``sieve``: has the keys that are wanted; ``budget``: of memory.

    Raises what reading raises, and `FormatError` where a server refuses the file: a key that comes twice, a wrong
    checksum.
    """
    reader = head.reader
    rest = RdbRest()
    rest.lost = reader.lost
    if passthrough is not None:
        passthrough.aside.begin(head)
    event = head.next
    db: i64 = 0
    keys = dataset.database(db)
    try:
        while event is not None:
            if passthrough is not None and passthrough.takes(reader, event):
                pass  # it is where it belongs
            elif isinstance(event, Frame):
                if is_empty(event):
                    event = reader.next()
                    continue
                if event.db != db:
                    db = event.db
                    check_database(db, reader.window.path, event.offset)
                    keys = dataset.database(db)
                    if db >= dataset.databases and not dataset.is_databases_told:
                        dataset.databases = db + 1
                if sieve is not None and not sieve.has(event.key):
                    event = reader.next()
                    continue
                offset = event.offset
                if keep_going:
                    event.keep()  # a payload that ends early must not be taken
                if not keys.add(event.key, event):
                    if not keep_going:
                        raise comes_twice(reader, event.key, offset)
                    rest.damage.append(comes_twice(reader, event.key, offset))
                    event = reader.next()
                    continue
                event.keep()
                rest.keys += 1
                if budget is not None and rest.keys % KEYS == 0:
                    budget.spend(0)
            elif isinstance(event, Function):
                rest.functions.append(event.code)
            elif isinstance(event, FunctionPreGa):
                rest.functions.append(with_header(event.name, event.code))
            elif isinstance(event, ModuleAux):
                rest.module_aux.append(event)
            elif isinstance(event, SlotImport):
                dataset.imports[event.job] = frozenset(
                    slot for first, last in event.ranges for slot in range(first, min(last, SLOTS - 1) + 1)
                )
            elif isinstance(event, Update):
                rest.updates += 1
                check_database(event.db, reader.window.path, event.offset)
                try:
                    _update(dataset, event, reader.window.path, passes_on=passthrough is not None)
                except FormatError as e:
                    if not keep_going:
                        raise
                    rest.damage.append(e)
            elif isinstance(event, End) and (sieve is None or sieve.first):
                rest.checksum = event.checksum
                if event.checksum == "bad":
                    if not keep_going:
                        raise _wrong_checksum(reader)
                    rest.damage.append(_wrong_checksum(reader))
            event = reader.next()
    except FormatError as e:
        if not keep_going:
            raise
        rest.damage.append(e)
        rest.broken = True
    finally:
        reader.window.observe(None)  # that is a cycle, which would keep the file open where reading ends early
    return rest


def _update(dataset: Dataset, event: Update, path: str, *, passes_on: bool) -> None:
    """Run a command that stands inside a snapshot. Raises `FormatError` where a server could not run it, and
    `UnsupportedError` where keys before it were passed on already.
    """
    if passes_on:
        raise UnsupportedError("commands inside the base of a log", path=path, offset=event.offset, doing="replaying")
    before = dataset.db
    dataset.select(event.db)
    try:
        execute(dataset, event.args)
    except CommandError as e:
        name = printable(event.args[0])
        message = f"the command '{name}' inside the snapshot fails: {e.text}"
        raise FormatError(message, path=path, offset=event.offset, doing="replaying") from e
    finally:
        dataset.select(before)


def _wrong_checksum(reader: RdbReader) -> FormatError:
    return FormatError("wrong checksum: the server refuses the file", path=reader.window.path, offset=0)


@final
class Batch:
    """Commands read ahead: the first ``count`` of ``commands``, which begin at ``offsets``, and what ended the batch:
    ``kind`` COMMAND where it is full, or what came instead, or an ``error`` in reading. ``sieve``: says which to read.
    """

    def __init__(self, sieve: Sieve | None = None) -> None:
        self.sieve = sieve
        self.commands: list[list[bytes]] = [[] for _ in range(AHEAD)]
        self.offsets = vec[i64]([0] * AHEAD)
        self.ends = vec[i64]([0] * AHEAD)
        self._lists = [argument_lists() for _ in range(AHEAD)]
        self.count: i64 = 0
        self.kind: i64 = COMMAND
        self.error: RdbToolError | None = None

    def fill(self, reader: CommandReader, most: i64) -> None:
        """Read the next commands, ``most`` of them."""
        commands = self.commands
        offsets = self.offsets
        ends = self.ends
        sieve = self.sieve
        w = reader.window
        n: i64 = 0
        kind: i64 = COMMAND
        try:
            while n < most:
                reader.lists = self._lists[n]
                kind = reader.read() if sieve is None else sieve.read(reader)
                if kind != COMMAND:
                    break
                commands[n] = reader.args
                offsets[n] = reader.offset
                ends[n] = w.base + w.pos
                n += 1
        except RdbToolError as e:
            self.error = e  # the commands before it come first
        self.count = n
        self.kind = kind

    def size(self) -> i64:
        """Bytes of the commands."""
        total: i64 = 0
        i: i64 = 0
        while i < self.count:
            total += self.ends[i] - self.offsets[i]
            i += 1
        return total

    def make_room(self, dataset: Dataset) -> None:
        """Raise `UnsupportedError` where a command is too large for memory."""
        i: i64 = 0
        while i < self.count:
            dataset.make_room(self.ends[i] - self.offsets[i])
            i += 1


def replay_log(replay: Replay, reader: CommandReader, sieve: Sieve | None = None, budget: Budget | None = None) -> bool:
    """Apply a log's commands to its end; False where the replay stopped before, and nothing was read beyond. ``sieve``:
    says which of them; ``budget``: of memory.

    Raises what reading raises, after the commands in front of it were applied.
    """
    most: i64 = 1 if replay.is_limited else AHEAD
    batch = Batch(sieve)
    while True:
        batch.fill(reader, most)
        commands = batch.commands
        if batch.count and reader.window.offset() - batch.offsets[0] >= ASKED:
            batch.make_room(replay.dataset)
        replay.dataset.keys.touch(commands, batch.count)
        i: i64 = 0
        while i < batch.count:
            if not replay.apply(batch.offsets[i], commands[i]):
                return False
            i += 1
        if budget is not None:
            budget.spend(batch.size())
        error = batch.error
        if error is not None:
            raise error
        if batch.kind == ANNOTATION:
            if not replay.annotation(reader.seconds):
                return False
        elif batch.kind != COMMAND:
            return True


def count_commands(reader: CommandReader, name: bytes) -> i64:
    """How often a log has the command ``name``, as `PointInTime.row_name` gives it."""
    count: i64 = 0
    while (args := _next_command(reader)) is not None:
        row = find(args)
        if row is not None and row.name == name:
            count += 1
    return count


def names_all(reader: CommandReader, names: set[bytes]) -> bool:
    """Add the keys that a log's commands name to ``names``; False where one reaches more.

    Raises what reading raises.
    """
    while (args := _next_command(reader)) is not None:
        row = find(args)
        if row is None or row.flags & SWEEPING:
            return False
        names.update(row.keys(args))
    return True


def _next_command(reader: CommandReader) -> list[bytes] | None:
    """The arguments of the next command, good until the one after it, or None; annotations are passed."""
    kind = reader.read()
    while kind == ANNOTATION:
        kind = reader.read()
    return reader.args if kind == COMMAND else None
