"""The masters of a cluster, and which hash slots each has (CLUSTER SLOTS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rdbtool.errors import InputError
from rdbtool.servers.slots import SLOTS

from .address import TLS, Access, parse_url
from .connection import Connection
from .replies import Reply

NOWHERE: Final = -1


@dataclass(frozen=True, slots=True)
class Cluster:
    """``urls``: of the masters; ``slots``: the place in ``urls`` of whoever has each slot, `NOWHERE` for nobody."""

    urls: list[str]
    slots: list[int]


def masters(connection: Connection, url: str) -> Cluster:
    """Ask a node, which was reached by ``url``. Raises `InputError`."""
    asked = connection.call("CLUSTER", "SLOTS")
    urls: list[str] = []
    slots = [NOWHERE] * SLOTS
    try:
        for row in _list(asked):
            first, last, master, *_ = _list(row)
            host, port, *_ = _list(master)
            if not (isinstance(first, int) and isinstance(last, int) and isinstance(port, int)):
                raise TypeError
            name = host.decode() if isinstance(host, bytes) else ""
            node = node_url(url, name, port)
            if node not in urls:
                urls.append(node)
            slots[first : last + 1] = [urls.index(node)] * (last + 1 - first)
    except (TypeError, ValueError) as e:
        raise InputError("what came is no list of slots", path=connection.name, doing="asking for the nodes") from e
    if not urls:
        raise InputError("the cluster has no master with slots", path=connection.name, doing="asking for the nodes")
    return Cluster(urls, slots)


def node_url(seed: str, host: str, port: int) -> str:
    """The URL of a node, as the node at ``seed`` names it: with "" for itself."""
    address = parse_url(seed)
    name = host or address.host
    scheme = seed.partition("://")[0] if address.host else "redis"
    user = f"{address.user}@" if address.user else ""
    return f"{scheme if scheme == TLS else 'redis'}://{user}{f'[{name}]' if ':' in name else name}:{port}"


def access_of_nodes(seed: str, access: Access) -> Access:
    """How the nodes let us in: as that at ``seed`` does."""
    password = parse_url(seed).password or access.passwords.get(seed, "") or access.password
    return access._replace(password=password, passwords={})


def _list(reply: Reply) -> list[Reply]:
    if not isinstance(reply, list):
        raise TypeError
    return reply
