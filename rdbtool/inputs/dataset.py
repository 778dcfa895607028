"""The keys of a dataset that a log was replayed into, as a source for exports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from rdbtool.engine.cells.arrays import ArrayCell
from rdbtool.engine.cells.cell import HashCell
from rdbtool.engine.cells.path_hash import PathHashCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.keyspace import Walk
from rdbtool.engine.records import entry_of, frame_of_held
from rdbtool.rdb.events import Event, Function, ModuleAux
from rdbtool.servers.features import ARRAYS, FIELD_EXPIRIES, PATH_HASHES
from rdbtool.servers.releases import Release, oldest_doing, oldest_with

from .keys import EntryEvent, Facts, KeySource, facts_of
from .replaying import Replayed


@final
class DatasetSource(KeySource):
    """The keys of ``dataset``: frames where nobody has touched them, decoded ones elsewhere.

    ``facts`` and ``module_aux``: of the RDB in front of the log.
    """

    def __init__(self, path: str, dataset: Dataset, facts: Facts, module_aux: list[ModuleAux]) -> None:
        super().__init__(path, distinct=True)
        self.dataset = dataset
        self.facts = facts
        self.module_aux = module_aux
        self._beside: list[Event] = [Function(-1, code) for code in dataset.functions.values()]
        self._beside += module_aux
        self._beside.reverse()
        self._dbs = sorted(dataset.dbs, reverse=True)
        self._db = 0
        self._walk: Walk | None = None

    def next(self) -> Event | None:
        """The next event, or None."""
        if self._beside:
            return self._beside.pop()
        while True:
            walk = self._walk
            if walk is not None and walk.next():
                frame = frame_of_held(self._db, walk.key, walk.held)
                return EntryEvent(entry_of(self._db, walk.key, walk.held)) if frame is None else frame
            if not self._dbs:
                return None
            self._db = self._dbs.pop()
            self._walk = Walk(self.dataset.dbs[self._db])


def facts_of_replayed(replayed: Replayed) -> Facts:
    """What tells which release to write a dataset for: the snapshot in front of its log, or else what it holds.

    A log without a snapshot does not say who wrote it; one of arrays, of path hashes, or in which fields expire, is of
    a server that has that.
    """
    facts = facts_of(replayed.head)
    if replayed.head is None:
        oldest = replayed.oldest or oldest_for(replayed.dataset)
        if oldest is not None:
            facts = Facts(oldest.dialect, oldest.rdb_version)
    facts.aux = dict(replayed.aux)
    facts.is_old = facts.version == 0 and not replayed.dataset.counts_streams and not replayed.layout.is_set
    return facts


def oldest_for(dataset: Dataset) -> Release | None:
    """The oldest release that has what the dataset holds, where that is not any."""
    needed: list[Release] = []
    if dataset.field_expiries and any(isinstance(held, HashCell) and held.expiries for held in _held_by(dataset)):
        needed.append(oldest_with(FIELD_EXPIRIES))
    if dataset.newest_types:
        kinds = set(map(type, _held_by(dataset)))
        if ArrayCell in kinds:
            needed.append(oldest_doing(ARRAYS))
        if PathHashCell in kinds:
            needed.append(oldest_doing(PATH_HASHES))
    return newest_of(needed)


def _held_by(dataset: Dataset) -> Iterator[object]:
    for cells in dataset.dbs.values():
        for _, held in cells.items():  # noqa: PERF102 - no dict
            yield held


def newest_of(releases: list[Release]) -> Release | None:
    """The one of the newest format; None of none."""
    return max(releases, key=lambda release: release.rdb_version, default=None)
