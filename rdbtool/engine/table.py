"""The engine's side of the table of commands (`servers.commands`): the handlers of its rows, and running them."""

from __future__ import annotations

from collections.abc import Callable

from mypy_extensions import i64

from rdbtool.servers.commands import COMMANDS, UNSUPPORTED, CommandRow, Handler, unhandled
from rdbtool.servers.commands import find as find_any

from .dataset import Dataset
from .replies import CommandError, wrong_arity


def handles(*names: bytes) -> Callable[[Handler], Handler]:
    """Make the decorated function the handler of the commands ``names``.

    It takes the dataset and the arguments, of which the first is the name; it returns the reply, or raises
    `CommandError` and then has changed nothing.
    """

    def attach(handler: Handler) -> Handler:
        for name in names:
            row = COMMANDS[name]
            if row.handler is not unhandled:
                raise ValueError(f"a second handler for {name!r}")
            row.handler = handler
        return handler

    return attach


def find(args: list[bytes]) -> CommandRow | None:
    """The row of the command ``args``, in any case of letters; None if the engine has no such command or subcommand."""
    row = find_any(args)
    return None if row is None or row.flags & UNSUPPORTED else row


def execute(dataset: Dataset, args: list[bytes]) -> object:
    """Run one command. Raises `CommandError`, also for an unknown command."""
    row = find(args)
    if row is None:
        raise CommandError(f"ERR unknown command '{args[0].decode('latin-1')[:128]}'")
    check_arity(row, len(args))
    return row.handler(dataset, args)


def check_arity(row: CommandRow, count: i64) -> None:
    """Raise the server's error unless ``count`` arguments, the name among them, are right."""
    if not row.fits(count):
        raise wrong_arity(row.name)
