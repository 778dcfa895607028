"""THE table of server releases: which RDB each writes, and which it loads."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import UsageError

from .opcodes import REDIS, VALKEY
from .types import TABLE, TypeRow

LAST_SHARED: Final[i64] = 11
"""The last RDB version that Redis and Valkey have in common; both write it with the magic of Redis.

Valkey counts on from 80 with its own magic, and refuses Redis' 12 to 79 unless told otherwise
(``rdb-version-check relaxed``).
"""


BUILT_IN: Final[dict[str, tuple[str, tuple[int, int]]]] = {"vectorset": ("redis", (8, 0))}
"""Module types that need no module: the product they are part of, and since when."""


@final
class Release:
    """A line of releases, such as Redis 7.0.

    ``name``: ``redis-7.0``; ``product``: ``redis`` or ``valkey``; ``version``: (major, minor);
    ``rdb_version``: what it writes, and the newest it loads; ``dialect``: of the files it writes.
    """

    def __init__(self, product: str, version: tuple[int, int], rdb_version: int, dialect: int = REDIS) -> None:
        self.name = f"{product}-{version[0]}.{version[1]}"
        self.product = product
        self.version = version
        self.rdb_version: i64 = rdb_version
        self.dialect: i64 = dialect

    def loads(self, dialect: int, version: int) -> bool:
        """Whether it accepts the header of such a file."""
        if dialect == self.dialect:
            return version <= self.rdb_version
        return self.dialect == VALKEY and version <= LAST_SHARED

    def loads_type(self, row: TypeRow) -> bool:
        """Whether it can load a value of this type. It does not ask which version the file claims."""
        return TABLE[self.dialect][row.byte] is row and row.is_loaded(self.rdb_version)

    def at_least(self, product: str, version: tuple[int, int]) -> bool:
        """Whether it is of ``product`` and at least as new as ``version``."""
        return self.product == product and self.version >= version

    def has_module(self, name: str) -> bool:
        """Whether that module type is part of it. Others it can load as well, where the module is installed."""
        since = BUILT_IN.get(name)
        return since is not None and self.at_least(*since)

    @property
    def has_functions(self) -> bool:
        """Whether it knows function libraries."""
        return self.rdb_version >= 10

    @property
    def looks_into_values(self) -> bool:
        """Whether it looks at packed values at all while loading; since 6.2 servers do."""
        return self.product == "valkey" or self.version >= (6, 2)

    @property
    def always_sanitizes(self) -> bool:
        """Whether it checks all of a packed value whatever ``sanitize-dump-payload`` says: seen of Valkey 9.1."""
        return self.at_least("valkey", (9, 1))


RELEASES: Final = (
    Release("redis", (2, 4), 2),
    Release("redis", (2, 6), 6),
    Release("redis", (2, 8), 6),
    Release("redis", (3, 0), 6),
    Release("redis", (3, 2), 7),
    Release("redis", (4, 0), 8),
    Release("redis", (5, 0), 9),
    Release("redis", (6, 0), 9),
    Release("redis", (6, 2), 9),
    Release("redis", (7, 0), 10),
    Release("redis", (7, 2), 11),
    Release("redis", (7, 4), 12),
    Release("redis", (8, 0), 12),
    Release("redis", (8, 2), 12),
    Release("redis", (8, 4), 12),
    Release("redis", (8, 6), 13),
    Release("redis", (8, 8), 14),
    Release("redis", (8, 10), 15),
    Release("valkey", (7, 2), 11),
    Release("valkey", (8, 0), 11),
    Release("valkey", (8, 1), 11),
    Release("valkey", (9, 0), 80, VALKEY),
    Release("valkey", (9, 1), 80, VALKEY),
)
"""Oldest first, by product. The RDB version of Redis 8.8 is from its release notes."""


def release(name: str) -> Release:
    """The release of that name; ``redis-7.0.15`` means ``redis-7.0``. Raises `UsageError` with the names there are."""
    product, _, number = name.strip().lower().partition("-")
    wanted = ".".join(number.split(".")[:2])
    for candidate in RELEASES:
        if candidate.name == f"{product}-{wanted}":
            return candidate
    raise UsageError(f"unknown release '{name}'; known are {', '.join(r.name for r in RELEASES)}")
