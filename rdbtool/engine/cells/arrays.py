"""Cells of arrays (Redis 8.8)."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64, mypyc_attr

from rdbtool.model import NO_EXPIRY, Array, Value

from .cell import Cell


@final
@mypyc_attr(acyclic=True)
class ArrayCell(Cell):
    """An array. The order of its elements is that of their indexes only when it is asked for as a value."""

    __slots__ = ("array", "ordered")

    def __init__(self, array: Array) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.array = array
        self.ordered = True

    def value(self) -> Value:
        self.order()
        return self.array

    def order(self) -> None:
        """Bring the elements into the order of their indexes."""
        if not self.ordered:
            self.array.elements = dict(sorted(self.array.elements.items()))
            self.ordered = True

    def put(self, index: int, text: bytes) -> None:
        """Set an element."""
        self.array.elements[index] = text
        self.ordered = False

    def length(self) -> int:
        """The greatest index, and 1."""
        self.order()
        elements = self.array.elements
        return next(reversed(elements)) + 1 if elements else 0

    def copy(self) -> Cell:
        cell = ArrayCell(Array(dict(self.array.elements), self.array.cursor))
        cell.ordered = self.ordered
        cell.expire_at_ms = self.expire_at_ms
        return cell

    def is_empty(self) -> bool:
        return not self.array.elements
