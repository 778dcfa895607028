"""What DEBUG DIGEST would answer of a dataset in memory."""

from __future__ import annotations

from rdbtool.engine.cells.cell import Cell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.digest import Digester, add_dataset


def digest_of_cell(dataset: Dataset, cell: Cell) -> str:
    """DEBUG DIGEST-VALUE of a cell."""
    return Digester(dataset.release).cell_digest(cell)


def digest_of_dataset(dataset: Dataset) -> str:
    """DEBUG DIGEST."""
    digester = Digester(dataset.release)
    add_dataset(digester, dataset)
    return digester.result()
