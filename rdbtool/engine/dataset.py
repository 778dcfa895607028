"""The dataset: databases of cells, and functions. Commands find keys here and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final, Protocol, final

from mypy_extensions import i64, u8

from rdbtool.errors import UnsupportedError
from rdbtool.findings import plural
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.servers.limits import DATABASES
from rdbtool.servers.releases import NEWEST, Release
from rdbtool.servers.slots import hash_slot

from .cells.arrays import ArrayCell
from .cells.cell import Cell, FrameCell, HashCell, Held, SetCell, StringCell, cell_of_held
from .cells.interning import InternedNames
from .cells.lists import ListCell, kind_of
from .cells.path_hash import PathHashCell
from .cells.stream import StreamCell
from .cells.zset import SortedSetCell
from .keyspace import Keyspace
from .loading import cell_of_frame
from .replies import DB_RANGE, CommandError, wrong_type

ASKED: Final[i64] = 64 << 20
"""A value of more bytes is made only if there is room for it."""


def free_memory() -> int:
    """Bytes of memory that the system can give, -1 where it does not tell."""
    try:
        with open("/proc/meminfo", "rb") as stream:
            for line in stream:
                if line.startswith(b"MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return -1


class Closing(Protocol):
    """What has to be closed when no more commands come."""

    def close(self) -> None:
        """Close it; it opens itself again when it is used."""


@final
class Dataset:
    """All databases. ``keys`` is the selected one (number ``db``).

    ``release``: the server whose encodings and differences are followed, with its ``limits``. ``now_ms``: what
    relative expiries count from. ``databases``: how many the server has; where that is not told, as many as a server
    has by default, and more where a snapshot has them. ``dirty``: changes made so far, counted roughly as the server
    does. Nothing ever expires: a server that loads does not expire keys either.
    """

    def __init__(
        self, release: Release | None = None, *, now_ms: int | None = None, databases: int | None = None
    ) -> None:
        self.release = NEWEST if release is None else release
        self.limits = self.release.limits
        self.list_kind: u8 = kind_of(self.release)
        self.databases: i64 = DATABASES if databases is None else databases
        self.is_databases_told = databases is not None
        self.dbs: dict[int, Keyspace] = {}
        self.db: i64 = 0
        self.keys = Keyspace()
        self.dbs[0] = self.keys
        self.functions: dict[bytes, bytes] = {}
        """Library name -> its whole code, with the header line."""
        self.scripts: Closing | None = None
        """Lua scripts, from the first one on: `scripts.Scripts`."""
        self.now_ms: i64 = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        self.fields = InternedNames()
        self.members = InternedNames()
        """Names of hash fields, and of members of sets and sorted sets."""
        self.scratch = ListpackBuilder()
        """Where elements are encoded."""
        self.field_expiries = False
        """Whether a field of a hash has been given an expiry: if not, nobody need look for one."""
        self.newest_types = False
        """The same for arrays and path hashes."""
        self.imports: dict[bytes, frozenset[int]] = {}
        """Migrations of slots to this server that are under way: the name of each, and its slots."""
        self.templates: dict[bytes, list[bytes]] = {}
        """Names of fields that HIMPORT PREPARE gave a name, for its client: a log has one."""
        self.counts_streams = False
        """Whether a command told counters of streams, which servers do since Redis 7.0."""
        self.dirty: i64 = 0
        self.relative: i64 = 0
        """Expiries that were counted from ``now_ms``: each replay gives other ones."""
        self.metadata_lost: i64 = 0
        """Keys with metadata of modules whose value a command has opened: a cell does not keep it."""
        self.memory_limit: int | None = None
        """Bytes that a value may take here; None for what is free when it comes to it."""
        self.random: i64 = 0
        """Random choices made, as by SPOP: the server that wrote the log may have chosen otherwise."""

    def __repr__(self) -> str:
        return f"<Dataset of {plural(sum(len(keys) for keys in self.dbs.values()), 'key')} for {self.release.name}>"

    def close(self) -> None:
        """End the process that runs scripts, if one does; the next script starts another."""
        if self.scripts is not None:
            self.scripts.close()

    def select(self, db: i64) -> None:
        """Make ``db`` the selected database."""
        self.db = db
        self.keys = self.database(db)

    def database(self, db: i64) -> Keyspace:
        """The keys of ``db``, created empty on first use."""
        keys = self.dbs.get(db)
        if keys is None:
            keys = Keyspace()
            self.dbs[db] = keys
        return keys

    def check_db(self, db: i64) -> None:
        """Raise the server's error for a number that is no database's."""
        if db < 0 or db >= self.databases:
            raise CommandError(DB_RANGE)

    def swap(self, first: i64, second: i64) -> None:
        """Exchange the keys of two databases."""
        keys = self.database(first)
        self.dbs[first] = self.database(second)
        self.dbs[second] = keys
        self.select(self.db)

    def remove_slots(self, slots: AbstractSet[int]) -> int:
        """Delete the keys of these slots, in every database: how many that were."""
        count = 0
        for keys in self.dbs.values():
            for key in [key for key in keys if hash_slot(key) in slots]:
                del keys[key]
                count += 1
        self.dirty += 1
        return count

    def make_room(self, size: i64) -> None:
        """Raise `UnsupportedError` where a value of ``size`` bytes does not fit into memory."""
        if size < ASKED:
            return
        limit = free_memory() if self.memory_limit is None else self.memory_limit
        if 0 <= limit < 2 * size:  # it is copied when it is written
            raise UnsupportedError(
                f"a value of {size} bytes takes more memory than the {limit} bytes there are (--memory-limit)",
                doing="replaying",
            )

    def items(self) -> Iterator[tuple[int, bytes, Cell]]:
        """Every key: database, name, cell; databases in order."""
        for db in sorted(self.dbs):
            for key, held in self.dbs[db].items():
                yield db, key, cell_of_held(held)

    # Looking up. Each returns None for a missing key and raises WRONGTYPE for another type.

    def string(self, key: bytes) -> StringCell | None:
        """The string at ``key``."""
        held = self.keys.get(key)
        if held is None or isinstance(held, StringCell):
            return held
        cell = self.open(key, held)
        if isinstance(cell, StringCell):
            return cell
        raise wrong_type()

    def list(self, key: bytes) -> ListCell | None:
        """The list at ``key``."""
        held = self.keys.get(key)
        if held is None or isinstance(held, ListCell):
            return held
        cell = self.open(key, held)
        if isinstance(cell, ListCell):
            return cell
        raise wrong_type()

    def set(self, key: bytes) -> SetCell | None:
        """The set at ``key``."""
        held = self.keys.get(key)
        if held is None or isinstance(held, SetCell):
            return held
        cell = self.open(key, held)
        if isinstance(cell, SetCell):
            return cell
        raise wrong_type()

    def hash(self, key: bytes) -> HashCell | None:
        """The hash at ``key``."""
        held = self.keys.get(key)
        if held is None or isinstance(held, HashCell):
            return held
        cell = self.open(key, held)
        if isinstance(cell, HashCell):
            return cell
        raise wrong_type()

    def sorted_set(self, key: bytes) -> SortedSetCell | None:
        """The sorted set at ``key``."""
        held = self.keys.get(key)
        if held is None or isinstance(held, SortedSetCell):
            return held
        cell = self.open(key, held)
        if isinstance(cell, SortedSetCell):
            return cell
        raise wrong_type()

    def stream(self, key: bytes) -> StreamCell | None:
        """The stream at ``key``."""
        held = self.keys.get(key)
        if held is None or isinstance(held, StreamCell):
            return held
        cell = self.open(key, held)
        if isinstance(cell, StreamCell):
            return cell
        raise wrong_type()

    def array(self, key: bytes) -> ArrayCell | None:
        """The array at ``key``."""
        held = self.keys.get(key)
        if held is None or isinstance(held, ArrayCell):
            return held
        cell = self.open(key, held)
        if isinstance(cell, ArrayCell):
            return cell
        raise wrong_type()

    def path_hash(self, key: bytes) -> PathHashCell | None:
        """The path hash at ``key``."""
        held = self.keys.get(key)
        if held is None or isinstance(held, PathHashCell):
            return held
        cell = self.open(key, held)
        if isinstance(cell, PathHashCell):
            return cell
        raise wrong_type()

    def any(self, key: bytes) -> Cell | None:
        """Whatever is at ``key``, decoded."""
        held = self.keys.get(key)
        return None if held is None else self.open(key, held)

    def cell(self, key: bytes) -> Cell | None:
        """Whatever is at ``key``; the value of a frame stays undecoded."""
        held = self.keys.get(key)
        if held is None or isinstance(held, Cell):
            return held
        cell = cell_of_held(held)
        self.keys[key] = cell
        return cell

    def open(self, key: bytes, held: Held) -> Cell:
        """The cell with its value decoded; it takes the place of what is held at ``key`` of the selected database."""
        cell = self.decoded(held)
        if cell is not held:
            self.keys[key] = cell
        return cell

    def decoded(self, held: Held) -> Cell:
        """The cell with its value decoded, of a key in any database; nothing takes its place."""
        cell = cell_of_held(held)
        if isinstance(cell, FrameCell):
            if cell.frame.meta:
                self.metadata_lost += 1
            cell = cell_of_frame(self.release, cell.frame, cell.expire_at_ms)
            if isinstance(cell, HashCell) and cell.expiries:
                self.field_expiries = True
        return cell

    # Changing.

    def put(self, key: bytes, cell: Cell) -> None:
        """Set ``key``, replacing what is there, with its expiry."""
        self.keys[key] = cell

    def remove(self, key: bytes) -> bool:
        """Delete ``key``; whether it was there."""
        return self.keys.remove(key)

    def settle(self, key: bytes, cell: Cell) -> None:
        """To be called after elements were removed: an empty collection takes its key with it."""
        if cell.is_empty():
            del self.keys[key]
