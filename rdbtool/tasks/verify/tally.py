"""Count what a backup holds."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from rdbtool.engine.cells.cell import Cell, FrameCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.digest import Digester
from rdbtool.errors import RdbToolError
from rdbtool.inputs.selection import matches_glob
from rdbtool.model import NO_EXPIRY, type_name
from rdbtool.rdb.check import KeyObserver, RdbFacts
from rdbtool.rdb.empty import is_empty
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.opcodes import DIALECT_NAMES
from rdbtool.rdb.targets import target_for_version
from rdbtool.servers.releases import Release, writer_of

from .expectations import Expectations


@dataclass(slots=True)
class Counts:
    """Keys as a server holds them: all, those past their expiry, by type, by database, by the globs asked for.

    ``digest``: DEBUG DIGEST, or "" where it was not asked for, or for the reason ``undigested``.
    """

    keys: int = 0
    expired: int = 0
    types: dict[str, int] = field(default_factory=dict)
    databases: dict[int, int] = field(default_factory=dict)
    globs: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    undigested: str = ""


class Onlooker(KeyObserver):
    """Is shown the keys of a dataset, too."""

    def see_cell(self, db: int, key: bytes, cell: Cell) -> None:
        """A key of a dataset."""
        raise NotImplementedError


class Tally(KeyObserver):
    """Looks at single keys: for globs and for the digest. It is shown the keys of an RDB while that is checked, or
    taken through a dataset. ``beside``: is shown the same.

    ``now_ms``: when keys count as expired, and hash fields, where a server drops them as it loads a snapshot.
    """

    def __init__(self, wanted: Expectations, now_ms: int | None = None, beside: Onlooker | None = None) -> None:
        self.now_ms = int(time.time() * 1000) if now_ms is None else now_ms
        self.digests = bool(wanted.digest)
        self.beside = beside
        self.counts = Counts(globs=dict.fromkeys((one.name for one in wanted.keys), 0))
        self._globs = [(name, os.fsencode(name)) for name in self.counts.globs]
        self._digester: Digester | None = None
        self._facts: RdbFacts | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is asked for that single keys have to be looked at for."""
        return not (self._globs or self.digests or self.beside is not None)

    def begin(self, facts: RdbFacts) -> None:
        """An RDB is about to be read."""
        self._facts = facts

    def see(self, frame: Frame) -> None:
        """Look at a key of an RDB; one without elements, which servers skip, is none."""
        if is_empty(frame):
            return
        self._match(frame.key)
        if self.digests or self.beside is not None:
            frame.raw()  # it is read again, at last by the check
        if self.beside is not None:
            self.beside.see(frame)
        if self.digests:
            self._take_damage(self._digest_of_file().add_frame(frame, frame.db, frame.key, frame.expire_at_ms))

    def of_snapshot(self, facts: RdbFacts) -> Counts:
        """What there is in an RDB that was shown to this, or did not have to be."""
        counts = self.counts
        counts.keys = int(facts.keys - facts.empty)
        counts.expired = int(facts.expired)
        counts.types = facts.types
        counts.databases = facts.databases
        if self.digests and not counts.undigested:
            counts.digest = self._digest_of_file().result()
        return counts

    def of_dataset(self, dataset: Dataset) -> Counts:
        """What there is in a dataset."""
        counts = self.counts
        digester = Digester(dataset.release)
        for db, key, cell in dataset.items():
            counts.keys += 1
            kind = _type_of(cell)
            counts.types[kind] = counts.types.get(kind, 0) + 1
            counts.databases[db] = counts.databases.get(db, 0) + 1
            counts.expired += cell.expire_at_ms != NO_EXPIRY and cell.expire_at_ms < self.now_ms
            self._match(key)
            if self.beside is not None:
                self.beside.see_cell(db, key, cell)
            if self.digests and isinstance(cell, FrameCell):
                self._take_damage(digester.add_frame(cell.frame, db, key, cell.expire_at_ms))
            elif self.digests:
                digester.add_cell(db, key, cell)
        if self.digests and not counts.undigested:
            counts.digest = digester.result()
        return counts

    def _digest_of_file(self) -> Digester:
        if self._digester is None:
            facts = self._facts
            assert facts is not None
            aux = {name.encode(): value.encode() for name, value in facts.aux.items()}
            release: Release | None = writer_of(aux)
            if release is None:
                release = target_for_version(DIALECT_NAMES.index(facts.dialect), int(facts.version)).release
            self._digester = Digester(release, loaded_ms=self.now_ms)
        return self._digester

    def _take_damage(self, damage: RdbToolError | None) -> None:
        if damage is not None and not self.counts.undigested:
            self.counts.undigested = str(damage)

    def _match(self, key: bytes) -> None:
        for name, pattern in self._globs:
            if matches_glob(pattern, key):
                self.counts.globs[name] += 1


def _type_of(cell: Cell) -> str:
    return cell.frame.type.redis_type if isinstance(cell, FrameCell) else type_name(cell.value())
