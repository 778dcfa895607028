"""What a snapshot can be written for: a release of a server, or a bare RDB version."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import UsageError
from rdbtool.rdb.values.target_encodings import HASH2, METADATA, NO_FIELD_EXPIRY, Limits, TargetEncodings

from . import facts
from .facts import Losses
from .opcodes import REDIS, VALKEY
from .releases import RELEASES, Release
from .types import TABLE, TypeRow, row_of

OLDEST: Final = 8
NEWEST: Final = (13, 80)
"""RDB versions that are written: from Redis 4.0 to Redis 8.6 and Valkey 9.1."""
FIRST_VALKEY: Final = 80


@final
class Target:
    """What is written, and how its server would keep values.

    ``name``: ``redis-7.0`` or ``rdb-10``; ``product`` and ``version`` of the server, for the oldest that
    reads it where only the RDB version is given.
    """

    def __init__(self, name: str, dialect: int, rdb_version: int, product: str, version: tuple[int, int]) -> None:
        self.name = name
        self.dialect: i64 = dialect
        self.rdb_version: i64 = rdb_version
        self.product = product
        self.version = version
        self.functions = rdb_version >= 10
        self.access_times = rdb_version >= 9
        self.module_aux = rdb_version >= 9
        self.key_meta = dialect == REDIS and rdb_version >= 13
        self.slot_info = dialect == REDIS and rdb_version >= 12
        self._loaded = [row if row is not None and row.is_loaded(rdb_version) else None for row in TABLE[dialect]]
        self._rows: dict[str, TypeRow] = {}

    def form(self, limits: Limits, losses: Losses, *, compress: bool = True) -> TargetEncodings:
        """How values are written for it."""
        version = self.rdb_version
        valkey = self.dialect == VALKEY
        # 7.2 and before packed every element up to 1 GiB
        newer = self.version >= (8, 0) or (self.product == "redis" and self.version >= (7, 4))
        return TargetEncodings(
            limits,
            losses,
            listpacks=version >= 10,
            set_listpacks=version >= 11,
            plain_nodes_from=limits.list_node + 1 if newer else 1 << 30,
            streams=0 if version < 9 else 1 if version < 10 else 2 if version < 11 else 3,
            idempotence=not valkey and version >= 13,
            field_expiry=HASH2 if valkey else METADATA if version >= 12 else NO_FIELD_EXPIRY,
            digits17=version < 11,
            compress=compress,
        )

    def loads(self, row: TypeRow) -> bool:
        """Whether its server loads a value of this type as it stands."""
        return self._loaded[row.byte] is row

    def row(self, name: str) -> TypeRow:
        """The row of the type table with that name."""
        row = self._rows.get(name)
        if row is None:
            row = row_of(self.dialect, name)
            self._rows[name] = row
        return row


def _of_release(release: Release) -> Target:
    return Target(release.name, release.dialect, release.rdb_version, release.product, release.version)


def _is_written(release: Release) -> bool:
    return OLDEST <= release.rdb_version <= NEWEST[release.dialect]


def target_names() -> list[str]:
    """The releases that can be targets, oldest first, by product."""
    return [release.name for release in RELEASES if _is_written(release)]


def target(name: str) -> Target:
    """The target of that name: ``redis-7.0`` (``redis-7.0.15`` is the same) or ``rdb-10``.

    Raises `UsageError`, which lists those there are.
    """
    product, _, number = name.strip().lower().partition("-")
    numbers = number.split(".")
    for release in RELEASES:
        if product == "rdb":
            if str(release.rdb_version) == number and _is_written(release):
                return Target(f"rdb-{number}", release.dialect, release.rdb_version, release.product, release.version)
        elif release.name == f"{product}-{'.'.join(numbers[:2])}" and _is_written(release):
            return _of_release(release)
    versions = ", ".join(
        f"rdb-{n}" for n in (*range(OLDEST, NEWEST[REDIS] + 1), *range(FIRST_VALKEY, NEWEST[VALKEY] + 1))
    )
    raise UsageError(f"unknown target '{name}'; known are {', '.join(target_names())}, {versions}")


def kept_by(to: Target) -> frozenset[str]:
    """The `facts` that the server of a target has, and so can keep."""
    encodings = to.form(Limits(), Losses(to.name))
    has = {
        facts.STREAMS: encodings.streams > 0,
        facts.STREAM_COUNTERS: encodings.streams >= 2,
        facts.ACTIVE_TIMES: encodings.streams >= 3,
        facts.IDEMPOTENCE: encodings.idempotence,
        facts.FIELD_EXPIRIES: encodings.field_expiry != NO_FIELD_EXPIRY,
        facts.FUNCTIONS: to.functions,
        facts.MODULE_AUX: to.module_aux,
        facts.ACCESS_TIMES: to.access_times,
        facts.KEY_META: to.key_meta,
        facts.SLOT_IMPORTS: to.dialect == VALKEY,
    }
    return facts.all_but(*(fact for fact, had in has.items() if not had))
