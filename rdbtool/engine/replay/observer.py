"""Who looks on while commands are carried out."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.servers.commands import CommandRow


class Observer:
    """Is told of every command that a replay carries out; `after` follows each `before`."""

    def before(self, offset: i64, row: CommandRow | None, args: list[bytes]) -> None:
        """The dataset is about to be changed; ``row`` is None for an unknown command, which does nothing."""

    def after(self, error: str) -> None:
        """It was changed, or the command failed with the server's ``error``."""
