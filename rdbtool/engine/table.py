"""The table of commands: one row per command, filled by the decorator on its handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from .dataset import Dataset
from .replies import CommandError, wrong_arity

Handler = Callable[[Dataset, list[bytes]], object]
"""Runs a command: ``args[0]`` is its name. Returns the reply; raises `CommandError` and then has changed nothing."""

WRITE: Final = 1
"""It can change the dataset. Servers write no other commands into a log, save for a few."""
READ: Final = 2
"""It only reads: scripts call it, and PFCOUNT refreshes a cached count."""
CONTAINER: Final = 4
"""A name with subcommands; it has no handler of its own."""
CONTROL: Final = 8
"""MULTI and EXEC: the replay's own business."""
IDLE: Final = 16
"""It neither changes the dataset nor is it carried out here."""

SWEEPING: Final = 32
"""It reaches more than the keys that its arguments name: any key, or function libraries."""


@final
class CommandRow:
    """A command: ``arity`` counts the name, and negative means at least; keys are at ``first``, ``first + step``
    and so on up to ``last``, which counts from the end where it is negative. ``first`` 0: no keys, or keys
    that only the arguments tell (``keys_of``).
    """

    def __init__(
        self,
        name: bytes,
        arity: int,
        first: int,
        last: int,
        step: int,
        flags: int,
        handler: Handler,
        keys_of: Callable[[list[bytes]], list[bytes]] | None,
    ) -> None:
        self.name = name
        self.is_subcommand = b"|" in name
        self.arity: i64 = arity
        self.first: i64 = first
        self.last: i64 = last
        self.step: i64 = step
        self.flags: i64 = flags
        self.handler = handler
        self.keys_of = keys_of

    def keys(self, args: list[bytes]) -> list[bytes]:
        """The keys among the arguments, as the server names them; a wrong call may name fewer."""
        if self.keys_of is not None:
            return self.keys_of(args)
        if self.first == 0:
            return []
        last = self.last if self.last >= 0 else len(args) + self.last
        return args[self.first : last + 1 : self.step]


COMMANDS: Final[dict[bytes, CommandRow]] = {}
"""Upper-case name -> row; a subcommand's name is ``CONTAINER|SUBCOMMAND``."""


def command(
    name: bytes,
    arity: int,
    first: int = 0,
    last: int = 0,
    step: int = 0,
    flags: int = WRITE,
    keys_of: Callable[[list[bytes]], list[bytes]] | None = None,
) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of ``name``."""

    def register(handler: Handler) -> Handler:
        COMMANDS[name] = CommandRow(name, arity, first, last, step, flags, handler, keys_of)
        container, bar, _ = name.partition(b"|")
        if bar and container not in COMMANDS:
            COMMANDS[container] = CommandRow(container, -2, 0, 0, 0, CONTAINER, _no_subcommand, None)
        return handler

    return register


def _no_subcommand(_: Dataset, args: list[bytes]) -> object:
    raise CommandError(f"ERR unknown subcommand '{args[1].decode('latin-1')[:128]}'.")


def keys_after_count(args: list[bytes], at: int) -> list[bytes]:
    """The keys that follow their number at ``args[at]``; none where it is not a number."""
    count = args[at] if at < len(args) else b""
    return args[at + 1 : at + 1 + int(count)] if count.isdigit() else []


def find(args: list[bytes]) -> CommandRow | None:
    """The row of the command ``args``, in any case of letters; None if there is no such command or subcommand."""
    row = COMMANDS.get(args[0].upper())
    if row is None or row.is_subcommand:
        return None
    if row.flags & CONTAINER:
        if len(args) == 1:
            return row
        row = COMMANDS.get(row.name + b"|" + args[1].upper())
    return row


def execute(dataset: Dataset, args: list[bytes]) -> object:
    """Run one command. Raises `CommandError`, also for an unknown command."""
    row = find(args)
    if row is None:
        raise CommandError(f"ERR unknown command '{args[0].decode('latin-1')[:128]}'")
    check_arity(row, len(args))
    return row.handler(dataset, args)


def check_arity(row: CommandRow, count: i64) -> None:
    """Raise the server's error unless ``count`` arguments, the name among them, are right."""
    if count != row.arity if row.arity >= 0 else count < -row.arity:
        raise wrong_arity(row.name)
