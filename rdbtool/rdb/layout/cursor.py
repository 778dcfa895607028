"""Walking over elements without building them.

A cursor stands before the first element of a packed value. `Cursor.next` moves it onto the next one and
says what that is and where its bytes are; `Cursor.item` builds it. Exporters write text straight from
``data[start : start + size]``.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.basics.decimals import double_at
from rdbtool.basics.numbers import decimal, format_double, is_integer, parse_integer
from rdbtool.errors import FormatError

from .visitor import Visitor

STRING: Final[i64] = 0
INTEGER: Final[i64] = 1
DOUBLE: Final[i64] = 2
"""Kinds of elements."""


class Cursor:
    """A walk over the elements of one node.

    After `next` answered True, ``kind`` is STRING (the element is ``data[start : start + size]``),
    INTEGER (``number``: the element is its decimal text) or DOUBLE (``real``: only scores of sorted
    sets that are stored as such).
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos: i64 = 0
        self.kind: i64 = STRING
        self.start: i64 = 0
        self.size: i64 = 0
        self.number: i64 = 0
        self.real: float = 0.0

    def next(self) -> bool:
        """Move onto the next element; False where there is none. Raises `FormatError`."""
        raise NotImplementedError

    def tell(self, v: Visitor) -> i64:
        """Tell all elements, which are strings; how many there are. Raises `FormatError`."""
        count: i64 = 0
        while self.next():
            tell_element(v, self)
            count += 1
        return count

    def item(self) -> bytes:
        """The element the cursor stands on."""
        if self.kind == STRING:
            start = self.start
            return self.data[start : start + self.size]
        if self.kind == INTEGER:
            return decimal(self.number)
        return format_double(self.real)

    def items(self, limit: i64 = -1) -> list[bytes]:
        """Further elements, ``limit`` at most where it is not negative."""
        out: list[bytes] = []
        while limit != 0 and self.next():
            out.append(self.item())
            limit -= 1
        return out

    def score(self) -> float:
        """The element as a score. Raises `FormatError`."""
        if self.kind == DOUBLE:
            return self.real
        if self.kind == INTEGER:
            return float(self.number)
        start = self.start
        return double_at(self.data, start, start + self.size)

    def integer(self) -> i64:
        """The next element, which must be an integer. Raises `FormatError`."""
        if not self.next():
            raise FormatError("an integer is missing", doing="decoding a packed value")
        if self.kind == INTEGER:
            return self.number
        return self.as_integer()

    def as_integer(self) -> i64:
        """The element the cursor stands on, which must be an integer: stored as one, or its text, as servers take it
        (lpGetIntegerValue). Raises `FormatError`.
        """
        if self.kind == INTEGER:
            return self.number
        text = self.item()
        if not is_integer(text):
            raise FormatError("an integer is missing", doing="decoding a packed value")
        return parse_integer(text)


def corrupt(what: str, message: str, at: i64) -> FormatError:
    """The error for a packed value, ``what``, that is wrong at byte ``at`` of itself."""
    return FormatError(f"{message} at byte {at} of the {what}", doing=f"decoding a {what}")


def tell_element(v: Visitor, c: Cursor) -> None:
    """Tell the element that a cursor stands on, which is a string."""
    if c.kind == STRING:
        v.text(c.data, c.start, c.start + c.size)
    else:
        v.integer(c.number)
