"""The digest of a log by partitions of its keys: that of a database is a sum, in any order, of those of its keys."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rdbtool.engine.cells.cell import FrameCell
from rdbtool.engine.digest import Digester
from rdbtool.inputs.partitioned import How, PartDone, Partitioned, Share, part_done
from rdbtool.inputs.pruning import keep_only
from rdbtool.inputs.replaying import Replayed
from rdbtool.inputs.selection import Selection

from .partitions import of_partitions
from .sharing import Sharing


@dataclass(frozen=True, slots=True)
class _Options:
    how: How
    selection: Selection
    loaded_ms: int


@dataclass(slots=True)
class _Sum:
    """What the keys of a partition add up to."""

    part: PartDone
    sums: dict[int, int]
    counts: tuple[int, int, int, int]
    left_out: int
    kept: int


def digest_in_partitions(found: Partitioned, selection: Selection, sharing: Sharing) -> tuple[Replayed, Digester, int]:
    """What a replay of all keys tells, their digest, and how many ``selection`` leaves out.

    Raises what replaying raises.
    """
    loaded_ms = int(time.time() * 1000)
    sums = of_partitions(found, _digest, _Options(found.how, selection, loaded_ms), sharing)
    replayed = found.joined([done.part for done in sums])
    digester = Digester(replayed.dataset.release, loaded_ms=loaded_ms)
    for done in sums:
        digester.add_sums(done.sums, *done.counts)
    selection.kept = sum(done.kept for done in sums)
    return replayed, digester, sum(done.left_out for done in sums)


def _digest(_: str, share: Share, options: _Options) -> _Sum:
    replayed, memory = options.how.replay(share)
    dataset = replayed.dataset
    digester = Digester(dataset.release, loaded_ms=options.loaded_ms)
    options.selection.kept = 0
    left_out = keep_only(dataset, options.selection)
    for db, key, cell in dataset.items():
        if isinstance(cell, FrameCell):
            damage = digester.add_frame(cell.frame, db, key, cell.expire_at_ms)
            if damage is not None:
                raise damage
        else:
            digester.add_cell(db, key, cell)
    counts = int(digester.keys), int(digester.emptied), digester.modules, digester.miscounted
    return _Sum(part_done(replayed, memory), digester.sums(), counts, left_out, int(options.selection.kept))
