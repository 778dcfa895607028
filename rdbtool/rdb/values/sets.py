"""Sets."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.rdb.packed.intset import IntsetCursor
from rdbtool.rdb.packed.listpack import ListpackCursor
from rdbtool.rdb.primitives import read_count, read_string
from rdbtool.source import Window

from .elements import Elements, OneNode, StringsCursor


def plain(w: Window) -> Elements:
    """A count and strings."""
    return OneNode(StringsCursor(w, read_count(w, 1)), 1)


def intset(w: Window) -> Elements:
    """A string that is an intset."""
    return OneNode(IntsetCursor(read_string(w)), 1)


def listpack(w: Window) -> Elements:
    """A string that is a listpack."""
    return OneNode(ListpackCursor(read_string(w)), 1)


def decode(elements: Elements) -> dict[bytes, None]:
    """The members, in the order of the file."""
    out: dict[bytes, None] = {}
    count: i64 = 0
    node = elements.next_node()
    while node is not None:
        while node.next():
            out[node.item()] = None
            count += 1
        node = elements.next_node()
    if len(out) != count:
        raise FormatError("a set with a member more than once", doing="decoding a set")
    return out
