"""SORT."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.engine.cells.cell import SKIPLIST, Cell, HashCell, SetCell, StringCell
from rdbtool.engine.cells.lists import ListCell, loaded_list
from rdbtool.engine.cells.zset import SortedSetCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import has_x, integer
from rdbtool.engine.pqsort import partly_sorted
from rdbtool.engine.replies import CommandError, syntax_error, wrong_type
from rdbtool.engine.scores import double_of
from rdbtool.engine.table import handles
from rdbtool.servers.features import FAST_FLOAT

NOT_A_NUMBER: Final = "ERR One or more scores can't be converted into double"


def _value_of(dataset: Dataset, pattern: bytes, element: bytes) -> bytes | None:
    """The string that a pattern of BY or GET means for an element: ``key_*``, ``key_*->field`` or ``#``."""
    if pattern == b"#":
        return element
    before, star, after = pattern.partition(b"*")
    if not star:
        return None
    field = b""
    at = after.find(b"->")
    if at >= 0 and at + 2 < len(after):
        field = after[at + 2 :]
        after = after[:at]
    cell = dataset.any(before + element + after)
    if field:
        return cell.get(field, dataset.scratch) if isinstance(cell, HashCell) else None
    return cell.get() if isinstance(cell, StringCell) else None


def _elements(cell: Cell | None, descending: bool) -> list[bytes]:
    """The elements in the order that they have."""
    if cell is None:
        return []
    if isinstance(cell, ListCell):
        items = cell.items.all()
        return items[::-1] if descending else items.copy()
    if isinstance(cell, SetCell):
        return list(cell.members)
    if isinstance(cell, SortedSetCell):
        cell.encoding = SKIPLIST  # sorting converts it, and leaves it so
        members = cell.order().slice(0, len(cell.scores))
        return members[::-1] if descending else members
    raise wrong_type()


def _sorted(
    dataset: Dataset, elements: list[bytes], by: bytes, alpha: bool, descending: bool, start: i64, stop: i64
) -> list[bytes]:
    """The elements sorted, at least from ``start`` to before ``stop``.

    Where a pattern gives several elements the same text, the server leaves them as its algorithm does: one
    for all elements, which is stable, and one for a part of them, which is not.
    """
    values = [_value_of(dataset, by, e) for e in elements] if by else list[bytes | None](elements)
    count: i64 = len(elements)
    order = list(range(len(elements)))
    if alpha:
        texts = [(value is not None, value or b"") for value in values]
        if by and (start != 0 or stop != count):
            places = {text: place for place, text in enumerate(sorted(set(texts), reverse=descending))}
            order = partly_sorted([places[text] for text in texts], start, stop - 1)
        else:
            order.sort(key=lambda i: texts[i], reverse=descending)
    else:
        scores: list[tuple[float, bytes]] = []
        for value, element in zip(values, elements, strict=True):
            scores.append((0.0 if value is None else _number(dataset, value), element))
        order.sort(key=lambda i: scores[i], reverse=descending)
    return [elements[i] for i in order]


def _number(dataset: Dataset, text: bytes) -> float:
    release = dataset.release
    if not release.has(FAST_FLOAT):
        text = text.lstrip()
    elif has_x(text):
        raise CommandError(NOT_A_NUMBER)
    if not text and not (release.valkey and release.has(FAST_FLOAT)):
        return 0.0
    return double_of(release, text, NOT_A_NUMBER)


def _sort(dataset: Dataset, args: list[bytes], may_store: bool) -> object:
    descending = alpha = dont_sort = False
    by = b""
    target: bytes | None = None
    gets: list[bytes] = []
    offset: i64 = 0
    limit: i64 = -1
    i: i64 = 2
    n: i64 = len(args)
    while i < n:
        option = args[i].upper()
        if option == b"ASC":
            descending = False
        elif option == b"DESC":
            descending = True
        elif option == b"ALPHA":
            alpha = True
        elif option == b"LIMIT" and i + 2 < n:
            offset = integer(args[i + 1])
            limit = integer(args[i + 2])
            i += 2
        elif option == b"STORE" and may_store and i + 1 < n:
            i += 1
            target = args[i]
        elif option == b"BY" and i + 1 < n:
            i += 1
            by = args[i]
            dont_sort = dont_sort or b"*" not in by
        elif option == b"GET" and i + 1 < n:
            i += 1
            gets.append(args[i])
        else:
            raise syntax_error()
        i += 1
    cell = dataset.any(args[1])
    if dont_sort and isinstance(cell, SetCell) and target is not None:
        # A set has no order of its own, and what is stored must not depend on chance.
        dont_sort = False
        alpha = True
        by = b""
    elements = _elements(cell, descending and dont_sort)
    count: i64 = len(elements)
    offset = min(max(0, offset), count)
    end = count if limit < 0 or limit > count - offset else offset + limit
    if not dont_sort:
        elements = _sorted(dataset, elements, by, alpha, descending, offset, end)
    chosen = elements[offset:end]
    found: list[bytes | None] = []
    if gets:
        for element in chosen:
            found += [_value_of(dataset, pattern, element) for pattern in gets]
    else:
        found += chosen
    if target is None:
        return found
    if found:
        dataset.keys[target] = loaded_list([item or b"" for item in found], dataset.list_kind)
        dataset.dirty += len(found)
    elif dataset.remove(target):
        dataset.dirty += 1
    return len(found)


@handles(b"SORT")
def sort(dataset: Dataset, args: list[bytes]) -> object:
    return _sort(dataset, args, True)


@handles(b"SORT_RO")
def sort_ro(dataset: Dataset, args: list[bytes]) -> object:
    return _sort(dataset, args, False)
