"""Leave keys out of a dataset."""

from __future__ import annotations

from rdbtool.engine.cells.cell import FrameCell, cell_of_held
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.encodings import type_name
from rdbtool.engine.records import placed

from .selection import Selection


def keep_only(dataset: Dataset, selection: Selection) -> int:
    """Take every key out of ``dataset`` that ``selection`` does not want; how many that were."""
    if selection.everything:
        return 0
    dropped = 0
    for db in sorted(dataset.dbs):
        cells = dataset.dbs[db]
        unwanted: list[bytes] = []
        for key, held in cells.items():
            cell = cell_of_held(held)
            at = cell.expire_at_ms
            if selection.full:
                wanted = False
            elif isinstance(cell, FrameCell):
                wanted = selection.keeps(placed(cell.frame, db, key, at))
            else:
                wanted = selection.keeps_facts(db, key, type_name(cell), at)
            if not wanted:
                unwanted.append(key)
        for key in unwanted:
            del cells[key]
        dropped += len(unwanted)
    return dropped
