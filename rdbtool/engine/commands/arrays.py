"""Commands on arrays (Redis 8.8) that write. Facts: observed of Redis 8.10.2."""

from __future__ import annotations

from typing import Final

from rdbtool.engine.cells.arrays import ArrayCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import integer
from rdbtool.engine.replies import CommandError, wrong_arity
from rdbtool.engine.table import handles
from rdbtool.model import Array

LAST_INDEX: Final = (1 << 64) - 2
NO_INDEX: Final = LAST_INDEX + 1
INVALID_INDEX: Final = "ERR invalid array index"
"""Redis writes it of whatever is no index where one should be."""


def _index(text: bytes, most: int = LAST_INDEX) -> int:
    """An index: decimal digits."""
    digits = text.removeprefix(b"+")
    if not digits.isdigit() or len(digits) > 20 or int(digits) > most:
        raise CommandError(INVALID_INDEX)
    return int(digits)


def _to_write(dataset: Dataset, key: bytes) -> ArrayCell:
    """The array at ``key``, made if it is not there: the caller adds an element."""
    cell = dataset.array(key)
    if cell is None:
        cell = ArrayCell(Array())
        dataset.newest_types = True
        dataset.keys[key] = cell
    return cell


@handles(b"ARSET")
def arset(dataset: Dataset, args: list[bytes]) -> object:
    first = _index(args[2])
    if first + len(args) - 4 > LAST_INDEX:
        raise CommandError("ERR array index overflow")
    cell = _to_write(dataset, args[1])
    return _put(dataset, cell, list(enumerate(args[3:], first)))


@handles(b"ARMSET")
def armset(dataset: Dataset, args: list[bytes]) -> object:
    if len(args) % 2:
        raise wrong_arity(args[0])
    pairs = [(_index(args[i]), args[i + 1]) for i in range(2, len(args), 2)]
    return _put(dataset, _to_write(dataset, args[1]), pairs)


def _put(dataset: Dataset, cell: ArrayCell, pairs: list[tuple[int, bytes]]) -> int:
    before = len(cell.array.elements)
    for index, text in pairs:
        cell.put(index, text)
    dataset.dirty += len(pairs)
    return len(cell.array.elements) - before


@handles(b"ARINSERT")
def arinsert(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.array(args[1])
    cursor = -1 if cell is None else cell.array.cursor
    last = cursor + len(args) - 2
    if last > LAST_INDEX:
        raise CommandError("ERR insert index overflow")
    cell = _to_write(dataset, args[1])
    _put(dataset, cell, list(enumerate(args[2:], cursor + 1)))
    cell.array.cursor = last
    return last


@handles(b"ARRING")
def arring(dataset: Dataset, args: list[bytes]) -> object:
    size = integer(args[2], "ERR invalid size")
    if size < 1:
        raise CommandError("ERR size must be positive")
    cell = dataset.array(args[1])
    if cell is None:
        cell = _to_write(dataset, args[1])
    else:
        _fit_ring(cell, size)
    array = cell.array
    for text in args[3:]:
        place = array.cursor + 1
        if place >= size:
            place %= size
        cell.put(place, text)
        array.cursor = place
    dataset.dirty += len(args) - 3
    return array.cursor


def _fit_ring(cell: ArrayCell, size: int) -> None:
    """Lay the newest elements out from 0 on, the oldest first, where the ring has another size than before.

    The newest is the one at the last insert; it goes back from there, around the end, up to the first index without an
    element.
    """
    array = cell.array
    length = cell.length()
    cursor = array.cursor
    grows = size > length and cursor >= 0 and cursor + 1 < length
    if size >= length and not grows:
        return
    keep = min(size, length)
    at = cursor % length if cursor >= 0 else length - 1
    kept: list[bytes] = []
    while len(kept) < keep:
        text = array.elements.get(at)
        if text is None:
            break
        kept.append(text)
        at = at - 1 if at > 0 else length - 1
    array.elements = dict(enumerate(reversed(kept)))
    array.cursor = len(kept) - 1
    cell.ordered = True


@handles(b"ARSEEK")
def arseek(dataset: Dataset, args: list[bytes]) -> object:
    index = _index(args[2], NO_INDEX)
    cell = dataset.array(args[1])
    if cell is None:
        return 0
    cell.array.cursor = index - 1
    dataset.dirty += 1
    return 1


@handles(b"ARDEL")
def ardel(dataset: Dataset, args: list[bytes]) -> object:
    indexes = [_index(text) for text in args[2:]]
    cell = dataset.array(args[1])
    if cell is None:
        return 0
    return _remove(dataset, args[1], cell, [index for index in set(indexes) if index in cell.array.elements])


@handles(b"ARDELRANGE")
def ardelrange(dataset: Dataset, args: list[bytes]) -> object:
    if len(args) % 2:
        raise wrong_arity(args[0])
    bounds = [_index(text) for text in args[2:]]
    cell = dataset.array(args[1])
    if cell is None:
        return 0
    found: set[int] = set()
    for first, last in zip(bounds[::2], bounds[1::2], strict=True):
        low, high = min(first, last), max(first, last)
        if high - low < len(cell.array.elements):
            found.update(index for index in range(low, high + 1) if index in cell.array.elements)
        else:
            found.update(index for index in cell.array.elements if low <= index <= high)
    return _remove(dataset, args[1], cell, list(found))


def _remove(dataset: Dataset, key: bytes, cell: ArrayCell, indexes: list[int]) -> int:
    for index in indexes:
        del cell.array.elements[index]
    dataset.dirty += len(indexes)
    dataset.settle(key, cell)
    return len(indexes)
