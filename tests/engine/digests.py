"""What DEBUG DIGEST would answer of a dataset in memory."""

from __future__ import annotations

from rdbtool.engine.cells.cell import Cell, FrameCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.digest import Digester


def digest_of_cell(dataset: Dataset, cell: Cell) -> str:
    """DEBUG DIGEST-VALUE of a cell."""
    return Digester(dataset.release).cell_digest(cell)


def digest_of_dataset(dataset: Dataset) -> str:
    """DEBUG DIGEST."""
    digester = Digester(dataset.release)
    for db, key, cell in dataset.items():
        if isinstance(cell, FrameCell):
            digester.add_frame(cell.frame, db, key, cell.expire_at_ms)
        else:
            digester.add_cell(db, key, cell)
    return digester.result()
