"""Commands that the engine cannot carry out and that are kept: they follow the snapshot of all the others.

The snapshot and the commands behind it must amount to what the log amounts to. So a later command that may touch what a
kept one touched is kept too, in the order of the log, instead of being carried out.

What a command of a module touches is among its arguments, as servers ask of modules (the names of their commands hold a
dot). Any other name may stand for whatever a server can do, such as FLUSHALL or EVAL under another name: from there on
every command is kept.
"""

from __future__ import annotations

from typing import final

from rdbtool.engine.cells.cell import FrameCell, ModuleCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.scripts import Scripts
from rdbtool.rdb.frame import Frame
from rdbtool.servers.commands import SWEEPING, CommandRow
from rdbtool.servers.commands import find as find_any


@final
class Carried:
    """A command that is kept as it is: with its database and offset."""

    def __init__(self, db: int, offset: int, args: list[bytes]) -> None:
        self.db = db
        self.offset = offset
        self.args = args


@final
class Carrier:
    """Keeps commands in ``commands``; ``followers`` counts those that are kept because of others in front of them."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.commands: list[Carried] = []
        self.followers = 0
        self._touched: set[bytes] = set()
        self._everything = False

    def begin_file(self, offset: int) -> None:
        """Another log begins, for which a server takes another client: with database 0."""
        if self._everything:
            self.commands.append(Carried(0, offset, [b"SELECT", b"0"]))

    def keep(self, offset: int, args: list[bytes]) -> None:
        """Keep a command that cannot be carried out."""
        if not self._everything:
            row = find_any(args)
            keys = [] if row is None or row.flags & SWEEPING else row.keys(args)
            if keys or (row is not None and row.name.startswith(b"HIMPORT")):  # it only concerns its own client
                self._touched.update(keys)
            elif row is None and b"." in args[0].strip(b".") and len(args) > 1:
                self._touched.update(args[1:])
            else:
                self._keep_everything(offset)
        self._add(offset, args)

    def follows(self, offset: int, row: CommandRow, args: list[bytes]) -> bool:
        """Keep a command that the engine knows, if it may touch what one in front of it touched; whether it was."""
        if not self._everything:
            if not row.fits(len(args)):
                return False
            if row.flags & SWEEPING:
                self._keep_everything(offset)
            else:
                keys = row.keys(args)
                if not any(key in self._touched or self._is_module(key) for key in keys):
                    return False
                self._touched.update(keys)
        self.followers += 1
        self._add(offset, args)
        return True

    def _add(self, offset: int, args: list[bytes]) -> None:
        self.commands.append(Carried(self.dataset.db, offset, args.copy()))

    def _keep_everything(self, offset: int) -> None:
        self._everything = True
        scripts = self.dataset.scripts
        if isinstance(scripts, Scripts):  # a snapshot does not hold them, and EVALSHA may come
            for code in scripts.codes.values():
                self._add(offset, [b"SCRIPT", b"LOAD", code])

    def _is_module(self, key: bytes) -> bool:
        """Whether a module has the value, and its commands may change it without naming it."""
        held = self.dataset.keys.get(key)
        if isinstance(held, FrameCell):
            held = held.frame
        return isinstance(held, ModuleCell) or (isinstance(held, Frame) and held.type.redis_type == "module")
