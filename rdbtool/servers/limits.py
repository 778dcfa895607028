"""What servers limit: the number of databases, and values packed into one listpack, ziplist or intset."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError, UnsupportedError

DATABASES: Final = 16
"""How many databases a server has unless it is told otherwise."""

MOST_DATABASES: Final = 0x7FFF_FFFF
"""How many a server can be told to have."""


def check_database(db: int, path: str, offset: int) -> None:
    """Raise `FormatError` for a number that no server has a database of."""
    if db >= MOST_DATABASES:
        raise FormatError(f"database {db}: no server has so many", path=path, offset=offset, doing="selecting it")


def refuse_database(db: int) -> None:
    """Raise `UnsupportedError` where keys are to be written into a database that no server has."""
    if db >= MOST_DATABASES:
        raise UnsupportedError(
            f"database {db}: no server has so many; --db-map gives it another number", doing="selecting it"
        )


@final
class Limits:
    """The limits of a configuration; without arguments, the defaults of current servers (config.c).

    Bytes for ``*_value``, ``list_node`` and ``stream_node_bytes``, elements for the rest; ``list_node`` is
    that of ``list-max-listpack-size -2``. A limit of 0 elements means that such values are never packed.
    """

    def __init__(
        self,
        *,
        hash_entries: int = 512,
        hash_value: int = 64,
        zset_entries: int = 128,
        zset_value: int = 64,
        set_intset_entries: int = 512,
        set_entries: int = 128,
        set_value: int = 64,
        list_node: int = 8192,
        stream_node_bytes: int = 4096,
        stream_node_entries: int = 100,
    ) -> None:
        self.hash_entries: i64 = hash_entries
        self.hash_value: i64 = hash_value
        self.zset_entries: i64 = zset_entries
        self.zset_value: i64 = zset_value
        self.set_intset_entries: i64 = set_intset_entries
        self.set_entries: i64 = set_entries
        self.set_value: i64 = set_value
        self.list_node: i64 = list_node
        self.stream_node_bytes: i64 = stream_node_bytes
        self.stream_node_entries: i64 = stream_node_entries

    def __repr__(self) -> str:
        packed = (
            f"hash_entries={self.hash_entries}, hash_value={self.hash_value}, zset_entries={self.zset_entries}, "
            f"zset_value={self.zset_value}, set_intset_entries={self.set_intset_entries}, "
            f"set_entries={self.set_entries}, set_value={self.set_value}, list_node={self.list_node}"
        )
        nodes = f"stream_node_bytes={self.stream_node_bytes}, stream_node_entries={self.stream_node_entries}"
        return f"Limits({packed}, {nodes})"
