"""Partitions of a log's keys, replayed and written as an RDB each, which become one output."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from rdbtool.errors import OutputError, reason
from rdbtool.inputs.dataset import facts_of_replayed
from rdbtool.inputs.keys import Facts, facts_of
from rdbtool.inputs.partitioned import How, PartDone, Partitioned, Share, part_done
from rdbtool.inputs.pruning import keep_only
from rdbtool.inputs.replaying import Replayed
from rdbtool.inputs.selection import Selection
from rdbtool.io.temporary import make_temporary, sweep
from rdbtool.outputs.options import RdbOptions
from rdbtool.outputs.rdb import RdbOut
from rdbtool.outputs.saving import expiring, save_rdb
from rdbtool.servers.features import FIELD_EXPIRIES
from rdbtool.servers.releases import oldest_with

from .partitions import Sharing, of_partitions


@dataclass(frozen=True, slots=True)
class _Options:
    """``directory``: where the RDBs go; ``facts``: dialect, version and auxiliary fields of the snapshot in front."""

    how: How
    selection: Selection
    directory: str
    rdb: RdbOptions
    facts: tuple[int, int, dict[bytes, bytes]]
    untold: frozenset[str]

    def __reduce__(self) -> tuple[object, ...]:
        return _Options, (self.how, self.selection, self.directory, self.rdb, self.facts, self.untold)


@dataclass(slots=True)
class _Saved:
    """An RDB of a partition: ``sizes``: keys, and those with an expiry, by database."""

    part: PartDone
    file: str
    keys: int
    sizes: dict[int, tuple[int, int]]
    losses: dict[str, int]
    left_out: int
    kept: int


@dataclass(slots=True)
class SavedPartitions:
    """The ``files`` of all partitions, and what there is to say of all of them."""

    replayed: Replayed
    files: list[str]
    keys: int
    sizes: dict[int, tuple[int, int]]
    losses: dict[str, int]
    left_out: int


@contextlib.contextmanager
def saved_partitions(
    found: Partitioned,
    sharing: Sharing,
    selection: Selection,
    rdb: RdbOptions,
    beside: str,
    untold: frozenset[str] = frozenset(),
) -> Iterator[SavedPartitions]:
    """The keys that ``selection`` wants, in files in a directory beside the path ``beside``, or for "" in that for
    temporary files, which is gone with the context. ``rdb``: how they are written; ``untold``: what is no loss.

    Raises what replaying and writing raise.
    """
    if not beside:
        from tempfile import gettempdir  # most outputs have a place

        beside = os.path.join(gettempdir(), "partitions")
    sweep(os.path.dirname(beside))
    try:
        made = make_temporary(beside, directory=True)
    except OSError as e:
        raise OutputError(f"cannot create a temporary directory: {reason(e)}", path=os.path.dirname(beside)) from e
    try:
        expiries = found.survey.field_expiries
        while True:
            facts = _facts_of(found, field_expiries=expiries)
            told = int(facts.dialect), int(facts.version), facts.aux
            options = _Options(found.how, selection, made.path, rdb, told, untold)
            saved = of_partitions(found, _save, options, sharing)
            replayed = found.joined([part.part for part in saved])
            if facts_of_replayed(replayed).version == facts.version or rdb.to is not None:
                break
            expiries = not expiries  # for another server then
        sizes: dict[int, tuple[int, int]] = {}
        losses: dict[str, int] = {}
        for part in saved:
            for db, (keys, expiring) in part.sizes.items():
                before = sizes.get(db, (0, 0))
                sizes[db] = before[0] + keys, before[1] + expiring
            for kind, count in part.losses.items():
                losses[kind] = losses.get(kind, 0) + count
        selection.kept = sum(part.kept for part in saved)
        yield SavedPartitions(
            replayed,
            [part.file for part in saved],
            sum(part.keys for part in saved),
            sizes,
            losses,
            sum(part.left_out for part in saved),
        )
    finally:
        made.remove()


def _facts_of(found: Partitioned, *, field_expiries: bool) -> Facts:
    """What `facts_of_replayed` will say, if there will be fields of hashes that expire, or none."""
    facts = facts_of(found.head)
    if found.head is None and field_expiries:
        oldest = oldest_with(FIELD_EXPIRIES)
        facts = Facts(oldest.dialect, oldest.rdb_version)
    facts.aux = dict(found.aux)
    return facts


def _save(_: str, share: Share, options: _Options) -> _Saved:
    replayed, memory = options.how.replay(share)
    dataset = replayed.dataset
    part = part_done(replayed, memory)
    dataset.functions = {}  # they are told once
    options.selection.kept = 0
    left_out = keep_only(dataset, options.selection)
    dialect, version, aux = options.facts
    facts = Facts(dialect, version)
    facts.aux = aux
    path = os.path.join(options.directory, f"{share.number}.rdb")
    try:
        with open(path, "wb") as stream:
            out = RdbOut(stream, options.rdb)
            out.losses.untold |= options.untold
            out.begin(facts)
            writer = out.ready()
            keys = save_rdb(dataset, writer)
            writer.close()
    except OSError as e:
        raise OutputError(f"cannot write: {reason(e)}", path=path) from e
    sizes = {db: (len(cells), int(expiring(cells))) for db, cells in dataset.dbs.items() if len(cells)}
    return _Saved(part, path, keys, sizes, dict(writer.losses.counts), left_out, int(options.selection.kept))
