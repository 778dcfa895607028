"""Servers as inputs: what opens a path opens a URL too, once `register` was called."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rdbtool.io.source import Input, register_opener

from .address import ALL, ANONYMOUS, SCHEMES, Access, Scan
from .cluster import access_of_nodes, masters
from .connection import Connection
from .merging import Merged
from .replication import OnWait, Snapshot
from .scan import ScannedSnapshot


def register(
    access: Access = ANONYMOUS,
    on_wait: OnWait | None = None,
    scan: Scan | None = None,
    on_note: Callable[[str], object] | None = None,
    *,
    cluster: bool = False,
) -> None:
    """Let `io.source.open_input` open URLs of servers, with this access; what it reads is their snapshot, or with
    ``scan`` what asking for key by key gives.

    ``on_wait`` is told how many seconds a server has been making a snapshot, ``on_note`` what is not in one;
    ``cluster``: the URLs are those of nodes, and all masters are read, one behind the other.
    """

    def opener(url: str) -> Input:
        return open_live(url, access, on_wait, scan, on_note, cluster=cluster)

    for scheme in SCHEMES:
        register_opener(scheme, opener)


def open_live(
    url: str,
    access: Access = ANONYMOUS,
    on_wait: OnWait | None = None,
    scan: Scan | None = None,
    on_note: Callable[[str], object] | None = None,
    *,
    cluster: bool = False,
) -> Input:
    """Open what is at a URL, as `register` has it done. Raises `InputError`."""

    def of_one(url: str, access: Access) -> Input:
        return open_server(url, access, on_wait) if scan is None else open_scan(url, scan, access, on_note)

    opened = open_cluster(url, access, of_one) if cluster else of_one(url, access)
    opened.sent = True
    return opened


def open_cluster(url: str, access: Access, open_one: Callable[[str, Access], Input]) -> Input:
    """Read all masters of the cluster to which the node at ``url`` belongs. Raises `InputError`."""
    with Connection(url, access) as connection:
        nodes = masters(connection, url).urls
        name = connection.name
    of_nodes = access_of_nodes(url, access)
    merged = Merged([partial(open_one, node, of_nodes) for node in nodes])
    return Input(name, merged, -1, merged.close)


def open_server(url: str, access: Access = ANONYMOUS, on_wait: OnWait | None = None) -> Input:
    """Ask the server at ``url`` for a snapshot. Raises `InputError`."""
    connection = Connection(url, access)
    try:
        snapshot = Snapshot(connection, on_wait)
    except BaseException:
        connection.close()
        raise
    return Input(connection.name, snapshot, snapshot.size, snapshot.close)


def open_scan(
    url: str, scan: Scan = ALL, access: Access = ANONYMOUS, on_note: Callable[[str], object] | None = None
) -> Input:
    """Ask the server at ``url`` for one key after the other. Raises `InputError`."""
    connection = Connection(url, access)
    try:
        return Input(connection.name, ScannedSnapshot(connection, scan, on_note), -1, connection.close)
    except BaseException:
        connection.close()
        raise
