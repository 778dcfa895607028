"""What happens to chosen keys while a log is replayed: every command that touches one, and what it did.

Commands are judged by the dataset before and after them, so what is told is what a loading server does, and
not what the names of commands suggest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, final

from mypy_extensions import i64

from rdbtool.engine.cells.cell import Cell, FrameCell, cell_of_held
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.digest import ValueDigest, tell_cell
from rdbtool.engine.encodings import type_name
from rdbtool.engine.keyspace import Keyspace
from rdbtool.errors import shortened
from rdbtool.model import NO_EXPIRY
from rdbtool.servers.commands import (
    CHANGES,
    COPIES,
    DESTINATION,
    FLUSHES,
    FLUSHES_DB,
    FLUSHES_SLOTS,
    MOVES,
    RENAMES,
    SCRIPT,
    SOME,
    STORE,
    SWAPS,
    CommandRow,
)

from .observer import Observer
from .replay import Replay

CREATED: Final = "created"
CHANGED: Final = "changed"
DELETED: Final = "deleted"
EXPIRED: Final = "expired"
"""Deleted, and its time had passed by then."""
RENAMED_FROM: Final = "renamed-from"
RENAMED_TO: Final = "renamed-to"
COPIED_FROM: Final = "copied-from"
MOVED_FROM: Final = "moved-from"
"""From the database in ``other_db``."""
MOVED_TO: Final = "moved-to"
READ: Final = "read"
"""The command works on it, and changes another."""
NOTHING: Final = "nothing"
FAILED: Final = "error"
LOADED: Final = "loaded"
"""It stood in the snapshot in front of the log."""


@final
class Touch:
    """One command and one key: ``effect`` is one of the constants here; ``detail`` says more for people;
    ``other_key`` and ``other_db`` where the effect has another end. ``command`` is empty for `LOADED`.
    """

    def __init__(self, path: str, offset: int, time_s: int, db: int, key: bytes, command: list[bytes]) -> None:
        self.path = path
        self.offset = offset
        self.time_s = time_s
        self.db = db
        self.key = key
        self.command = command
        self.effect = NOTHING
        self.detail = ""
        self.other_key: bytes | None = None
        self.other_db = -1

    def __repr__(self) -> str:
        name = shortened(self.command[0]) if self.command else "loaded"
        return f"<Touch db={self.db} key={shortened(self.key)} {self.effect} by {name} at {self.offset}>"


@final
class Before:
    """What a key was before the command."""

    def __init__(self, db: int, key: bytes, cell: Cell | None) -> None:
        self.db = db
        self.key = key
        self.cell = cell
        self.type = "" if cell is None else _type(cell)
        self.expire_at_ms: i64 = NO_EXPIRY if cell is None else cell.expire_at_ms
        self.fingerprint = 0


@final
class Chosen:
    """The keys whose history is wanted: ``names``, and those that match one of ``patterns``, which ``matches`` tells.

    ``db`` -1 means any database.
    """

    def __init__(
        self, names: list[bytes], patterns: list[bytes], matches: Callable[[bytes, bytes], bool], db: int = -1
    ) -> None:
        self.names = dict.fromkeys(names)
        self.patterns = patterns
        self.matches = matches
        self.db: i64 = db

    def has(self, key: bytes) -> bool:
        """Whether ``key`` is one of them."""
        return key in self.names or any(self.matches(pattern, key) for pattern in self.patterns)

    def among(self, keys: Keyspace) -> list[bytes]:
        """Those of them that a database holds."""
        if self.patterns:
            return [key for key in keys if self.has(key)]
        return [key for key in self.names if key in keys]


def _type(cell: Cell) -> str:
    return cell.frame.type.redis_type if isinstance(cell, FrameCell) else type_name(cell)


@final
class KeyHistory(Observer):
    """Tells ``on_touch`` of every command of ``replay`` that touches a chosen key."""

    def __init__(self, replay: Replay, chosen: Chosen, on_touch: Callable[[Touch], None]) -> None:
        self.replay = replay
        self.dataset = replay.dataset
        self.chosen = chosen
        self.on_touch = on_touch
        self._offset: i64 = -1
        self._effect: i64 = CHANGES
        self._db: i64 = 0
        self._dirty: i64 = 0
        self._row: CommandRow | None = None
        self._args: list[bytes] = []
        self._befores: list[Before] = []

    def before(self, offset: i64, row: CommandRow | None, args: list[bytes]) -> None:
        """Note the state of the keys that the command may touch."""
        if self._befores:
            self._befores = []
        self._args = args
        self._row = row
        self._offset = offset
        dataset = self.dataset
        self._db = dataset.db
        self._dirty = dataset.dirty
        if row is None:
            self._effect = CHANGES
            self._note(dataset.db, [arg for arg in args[1:] if self.chosen.has(arg)])
            return
        effect = row.effect
        self._effect = effect
        if effect == CHANGES and row.first > 0 and row.last == row.first:
            # one key, by far the most frequent case
            if len(args) > row.first and self.chosen.has(args[row.first]):
                self._note(dataset.db, [args[row.first]])
        elif effect in (FLUSHES, FLUSHES_SLOTS):
            for db, keys in dataset.dbs.items():
                self._note(db, self.chosen.among(keys))
        elif effect == FLUSHES_DB:
            self._note(dataset.db, self.chosen.among(dataset.keys))
        elif effect == SWAPS:
            for name in args[1:3]:
                db = int(name) if name.isdigit() and len(name) < 10 else -1
                if db in dataset.dbs:
                    self._note(db, self.chosen.among(dataset.dbs[db]))
        elif effect == SCRIPT:
            # a script may touch keys that it does not name, and say nothing of it
            for db, keys in dataset.dbs.items():
                self._note(db, self.chosen.among(keys))
            self._note(dataset.db, [key for key in self._named(row, args) if key not in dataset.keys])
        elif effect == COPIES:
            self._note(dataset.db, [key for key in args[1:2] if self.chosen.has(key)])
        else:
            self._note(dataset.db, self._named(row, args))
        if effect in (SCRIPT, SOME):
            for before in self._befores:
                before.fingerprint = self._fingerprint(before.cell)

    def _named(self, row: CommandRow, args: list[bytes]) -> list[bytes]:
        return [key for key in dict.fromkeys(row.keys(args)) if self.chosen.has(key)]

    def _note(self, db: i64, keys: list[bytes]) -> None:
        if self.chosen.db not in (-1, db):
            return
        cells = self.dataset.database(db)
        for key in keys:
            held = cells.get(key)
            self._befores.append(Before(db, key, None if held is None else cell_of_held(held)))

    def after(self, error: str) -> None:
        """Tell what became of them."""
        if self._effect == SCRIPT:
            self._made_by_script()
        for before in self._befores:
            touch = self._touch(before.db, before.key)
            if error:
                touch.effect = FAILED
                touch.detail = error
            else:
                self._judge(touch, before)
                if touch.effect == NOTHING and self._effect == FLUSHES_SLOTS:
                    continue
                if touch.effect == NOTHING and self._effect == SCRIPT and before.key not in self._named_by_script():
                    continue
            self.on_touch(touch)
        if not error and self.dataset.dirty != self._dirty:
            if self._effect in (MOVES, COPIES):
                self._arrived()
            elif self._effect == SWAPS:
                self._swapped()

    def _touch(self, db: int, key: bytes) -> Touch:
        return Touch(self.replay.path, self._offset, self.replay.time_s, db, key, self._args.copy())

    def _judge(self, touch: Touch, before: Before) -> None:
        held = self.dataset.database(before.db).get(before.key)
        cell = None if held is None else cell_of_held(held)
        effect = self._effect
        args = self._args
        changed = self.dataset.dirty != self._dirty
        if effect == SWAPS:
            if changed and args[1] != args[2]:
                touch.effect = MOVED_TO
                touch.other_db = int(args[2]) if int(args[1]) == before.db else int(args[1])
        elif effect == RENAMES and changed and args[1] != args[2]:
            if before.key == args[1]:
                touch.effect = RENAMED_TO
                touch.other_key = args[2]
            else:
                touch.effect = RENAMED_FROM
                touch.other_key = args[1]
                touch.detail = f"replacing a {before.type}" if before.type else ""
        elif effect == MOVES:
            if before.cell is not None and cell is None:
                touch.effect = MOVED_TO
                touch.other_db = int(args[2])
        elif effect == COPIES:
            touch.effect = READ  # it is the source; the copy is told behind it
        elif cell is None:
            if before.cell is not None:
                self._judge_gone(touch, before)
        elif before.cell is None:
            touch.effect = CREATED
            touch.detail = _type(cell)
        elif effect == FLUSHES_SLOTS:
            pass  # its slot is another
        elif effect in (SCRIPT, SOME):
            if before.fingerprint != self._fingerprint(cell):
                self._judge_changed(touch, before, cell)
        elif effect in (DESTINATION, STORE) and before.key not in self._written():
            touch.effect = READ
        elif changed:
            self._judge_changed(touch, before, cell)

    def _judge_gone(self, touch: Touch, before: Before) -> None:
        touch.effect = DELETED
        touch.detail = before.type
        at = before.expire_at_ms
        if at != NO_EXPIRY:
            row = self._row
            if row is not None and row.name in {b"DEL", b"UNLINK"} and 0 <= at <= self.replay.time_s * 1000 + 999:
                touch.effect = EXPIRED
            touch.detail = f"{before.type}, due to expire at {int(at)} ms"

    def _judge_changed(self, touch: Touch, before: Before, cell: Cell) -> None:
        touch.effect = CHANGED
        notes = []
        now = _type(cell)
        if now != before.type:
            notes.append(f"{now}, was {before.type}")
        if cell.expire_at_ms != before.expire_at_ms:
            at = int(cell.expire_at_ms)
            notes.append("no longer expires" if at == NO_EXPIRY else f"expires at {at} ms")
        touch.detail = ", ".join(notes)

    def _arrived(self) -> None:
        """Tell of a key that MOVE or COPY brought."""
        args = self._args
        db = int(self._db)
        key = args[1]
        if self._effect == MOVES:
            db = int(args[2])
        else:
            key = args[2]
            for i in range(3, len(args) - 1):
                if args[i].upper() == b"DB":
                    db = int(args[i + 1])
        if self.chosen.has(key) and self.chosen.db in (-1, db):
            touch = self._touch(db, key)
            touch.effect = MOVED_FROM if self._effect == MOVES else COPIED_FROM
            touch.other_db = int(self._db)
            touch.other_key = args[1] if self._effect == COPIES else None
            self.on_touch(touch)

    def _swapped(self) -> None:
        """Tell of the keys that SWAPDB brought."""
        first, second = int(self._args[1]), int(self._args[2])
        if first == second:
            return
        for db, other in ((first, second), (second, first)):
            if self.chosen.db in (-1, db):
                for key in self.chosen.among(self.dataset.database(db)):
                    touch = self._touch(db, key)
                    touch.effect = MOVED_FROM
                    touch.other_db = other
                    self.on_touch(touch)

    def _made_by_script(self) -> None:
        """Note the keys that a script has made: they were not there to be noted before."""
        known = {(before.db, before.key) for before in self._befores}
        for db, keys in self.dataset.dbs.items():
            if self.chosen.db in (-1, db):
                for key in self.chosen.among(keys):
                    if (db, key) not in known:
                        self._befores.append(Before(db, key, None))

    def _written(self) -> list[bytes]:
        """The key that a command with sources changes."""
        row = self._row
        if row is None:
            return []
        keys = row.keys(self._args)
        return keys[:1] if row.effect == DESTINATION else keys[1:]

    def _named_by_script(self) -> list[bytes]:
        row = self._row
        return [] if row is None else row.keys(self._args)

    def _fingerprint(self, cell: Cell | None) -> int:
        """A number that changes with the value, its type and its expiry."""
        if cell is None:
            return 0
        visitor = ValueDigest(self.dataset.release)
        tell_cell(cell, visitor)
        return visitor.digest ^ (int(cell.expire_at_ms) << 160 if cell.expire_at_ms >= 0 else 1 << 230)


def loaded(dataset: Dataset, chosen: Chosen, path: str) -> Iterator[Touch]:
    """The chosen keys of a dataset that was just loaded from the RDB ``path``."""
    for db in sorted(dataset.dbs):
        if chosen.db in (-1, db):
            cells = dataset.dbs[db]
            for key in chosen.among(cells):
                cell = cell_of_held(cells[key])
                offset = cell.frame.offset if isinstance(cell, FrameCell) else -1
                touch = Touch(path, offset, -1, db, key, [])
                touch.effect = LOADED
                touch.detail = _type(cell)
                yield touch
