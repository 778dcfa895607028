"""What a snapshot can be written for: a release of a server, or a bare RDB version."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import UsageError
from rdbtool.rdb.layout import facts
from rdbtool.rdb.layout.facts import Losses
from rdbtool.servers.features import (
    ACCESS_TIMES,
    ACTIVE_TIMES,
    ARRAYS,
    FIELD_EXPIRIES,
    FUNCTIONS,
    IDEMPOTENT_PRODUCERS,
    KEY_METADATA,
    LISTPACKS,
    MODULE_AUX,
    PATH_HASHES,
    PLAIN_NODES,
    RELEASED_ENTRIES,
    SHORTEST_SCORES,
    SLOT_IMPORTS,
    SLOT_INFO,
    SMALL_LISTPACKS,
    STREAM_COUNTERS,
    STREAMS,
    VALKEY_SCRIPTS,
)
from rdbtool.servers.limits import Limits
from rdbtool.servers.releases import RELEASES, VALKEY, Release, find_release

from .types import TABLE, TypeRow, row_of
from .values.target_encodings import HASH2, METADATA, NO_FIELD_EXPIRY, TargetEncodings

NEVER_PLAIN: Final[i64] = 1 << 30
"""Bytes from which on even old servers give an element of a list a node of its own."""


def loads_type(release: Release, row: TypeRow) -> bool:
    """Whether ``release`` can load a value of this type. It does not ask which version the file claims."""
    return TABLE[release.dialect][row.byte] is row and row.is_loaded(release.rdb_version)


@final
class Target:
    """What is written, and how its server would keep values.

    ``name``: ``redis-7.0`` or ``rdb-10``; ``release``: of the server, the oldest that reads it where only the RDB
    version is given; ``unknown_types``: those of `facts.OF_TYPE` that it does not have; the
    rest says what a snapshot for it can hold besides keys and values.
    """

    def __init__(self, name: str, release: Release) -> None:
        self.name = name
        self.release = release
        self.dialect: i64 = release.dialect
        self.rdb_version: i64 = release.rdb_version
        self.functions = release.has(FUNCTIONS)
        self.server_table = release.has(VALKEY_SCRIPTS)
        self.access_times = release.has(ACCESS_TIMES)
        self.module_aux = release.has(MODULE_AUX)
        self.key_meta = release.has(KEY_METADATA)
        self.slot_info = release.has(SLOT_INFO)
        self.slot_imports = release.has(SLOT_IMPORTS)
        has = {"stream": release.has(STREAMS), "array": release.does(ARRAYS), "path-hash": release.does(PATH_HASHES)}
        self.unknown_types = frozenset(name for name, known in has.items() if not known)
        self._loaded = [row if row is not None and loads_type(release, row) else None for row in TABLE[release.dialect]]
        self._rows: dict[str, TypeRow] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return Target, (self.name, self.release)

    def form(self, limits: Limits | None, losses: Losses, *, compress: bool = True) -> TargetEncodings:
        """How values are written for it; ``limits``: None for those of its default configuration."""
        release = self.release
        limits = limits or release.limits
        streams = 0
        for feature in (STREAMS, STREAM_COUNTERS, ACTIVE_TIMES):
            streams += release.has(feature)
        field_expiry = NO_FIELD_EXPIRY
        if release.has(FIELD_EXPIRIES):
            field_expiry = HASH2 if self.dialect == VALKEY else METADATA
        return TargetEncodings(
            limits,
            losses,
            listpacks=release.has(LISTPACKS),
            set_listpacks=release.has(SMALL_LISTPACKS),
            plain_nodes_from=limits.list_node + 1 if release.has(PLAIN_NODES) else NEVER_PLAIN,
            streams=streams,
            idempotence=release.has(IDEMPOTENT_PRODUCERS),
            released=release.does(RELEASED_ENTRIES),
            field_expiry=field_expiry,
            digits17=not release.has(SHORTEST_SCORES),
            compress=compress,
        )

    def loads(self, row: TypeRow) -> bool:
        """Whether its server loads a value of this type as it stands."""
        return self._loaded[row.byte] is row

    def row(self, name: str) -> TypeRow:
        """The row of the type table with that name; of a type that only the other product has, its row there."""
        row = self._rows.get(name)
        if row is None:
            row = row_of(self.dialect, name)
            self._rows[name] = row
        return row


def target_names() -> list[str]:
    """The releases that can be targets, oldest first, by product."""
    return [release.name for release in RELEASES if release.is_written]


def version_names() -> list[str]:
    """The bare RDB versions that can be targets, oldest first, by dialect."""
    return list(dict.fromkeys(f"rdb-{release.rdb_version}" for release in RELEASES if release.is_written))


def target(name: str) -> Target:
    """The target of that name: ``redis-7.0`` (``redis-7.0.15`` is the same) or ``rdb-10``.

    Raises `UsageError`, which lists those there are.
    """
    bare = name.strip().lower()
    for release in RELEASES:
        if release.is_written and bare == f"rdb-{release.rdb_version}":
            return Target(bare, release)
    found = find_release(name)
    if found is None or not found.is_written:
        raise UsageError(f"unknown target '{name}'; known are {', '.join((*target_names(), *version_names()))}")
    return Target(found.name, found)


def target_for_version(dialect: int, rdb_version: int) -> Target:
    """The target for an RDB version of that dialect, or for the nearest one that is written."""
    written = [int(r.rdb_version) for r in RELEASES if r.is_written and r.dialect == dialect]
    return target(f"rdb-{min(max(rdb_version, min(written)), max(written))}")


def kept_by(to: Target) -> frozenset[str]:
    """The `facts` that the server of a target has, and so can keep."""
    encodings = to.form(Limits(), Losses(to.name))
    has = {
        **{fact: name not in to.unknown_types for name, fact in facts.OF_TYPE.items()},
        facts.STREAM_COUNTERS: encodings.streams >= 2,
        facts.ACTIVE_TIMES: encodings.streams >= 3,
        facts.IDEMPOTENCE: encodings.idempotence,
        facts.RELEASED: encodings.released,
        facts.FIELD_EXPIRIES: encodings.field_expiry != NO_FIELD_EXPIRY,
        facts.FUNCTIONS: to.functions,
        facts.MODULE_AUX: to.module_aux,
        facts.ACCESS_TIMES: to.access_times,
        facts.KEY_META: to.key_meta,
        facts.SLOT_IMPORTS: to.slot_imports,
    }
    return facts.all_but(*(fact for fact, had in has.items() if not had))
