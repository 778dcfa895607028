"""How the server was set up that wrote a log, as far as that decides what the log's commands do."""

from __future__ import annotations

from typing import Final, NamedTuple

from rdbtool.aof.names import STOCK, CommandNames


class Server(NamedTuple):
    """``names`` of its commands, and how many ``databases`` it had; None: as many as by default, or more where a
    snapshot has them. ``memory_limit``: bytes that one value may take here, None for what is free.
    """

    names: CommandNames = STOCK
    databases: int | None = None
    memory_limit: int | None = None


STOCK_SERVER: Final = Server()
"""As it comes."""
