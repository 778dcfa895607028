"""Servers as inputs: what opens a path opens a URL too, once `register` was called."""

from __future__ import annotations

from rdbtool.io.source import Input, register_opener

from .address import ANONYMOUS, SCHEMES, Access
from .connection import Connection
from .replication import OnWait, Snapshot


def register(access: Access = ANONYMOUS, on_wait: OnWait | None = None) -> None:
    """Let `io.source.open_input` open URLs of servers, with this access; what it reads is their snapshot.

    ``on_wait`` is told how many seconds a server has been making it.
    """

    def opener(url: str) -> Input:
        return open_server(url, access, on_wait)

    for scheme in SCHEMES:
        register_opener(scheme, opener)


def open_server(url: str, access: Access = ANONYMOUS, on_wait: OnWait | None = None) -> Input:
    """Ask the server at ``url`` for a snapshot. Raises `InputError`."""
    connection = Connection(url, access)
    try:
        snapshot = Snapshot(connection, on_wait)
    except BaseException:
        connection.close()
        raise
    return Input(connection.name, snapshot, snapshot.size, connection.close)
