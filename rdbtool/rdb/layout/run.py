"""Runs: elements back to back as they stand in a listpack, without its header and end mark.

It is the form in which the engine keeps small hashes and sets, and the nodes of streams: less memory than objects, one
place in memory to look at, and ready to be written. Elements of a run are in the one encoding that a server chooses
for them, so that equal elements are equal bytes; those of hashes and sets are short.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.model import PackedFields

from .listpack import ListpackCursor
from .listpack_builder import ListpackBuilder, listpack_of
from .listpack_entry import end_of

LONGEST: Final[i64] = 63
"""Bytes of the longest element that is short: its encoding and its length have one byte each."""


def length_of(run: bytes) -> i64:
    """The number of elements."""
    end: i64 = len(run)
    pos: i64 = 0
    count: i64 = 0
    while pos < end:
        pos = end_of(run, pos)
        count += 1
    return count


def find(run: bytes, element: bytes, width: i64) -> i64:
    """Where ``element``, encoded, is among every ``width``-th element of a run (1 or 2) from the first on, or -1."""
    end: i64 = len(run)
    size: i64 = len(element)
    head: i64 = element[0]
    tail: i64 = element[size - 2]
    pos: i64 = 0
    while pos < end:
        after = end_of(run, pos)
        if run[pos] == head and run[after - 2] == tail and run[pos:after] == element:
            return pos
        pos = after if width == 1 else end_of(run, after)
    return -1


def find_name(run: bytes, name: bytes, width: i64, scratch: ListpackBuilder) -> i64:
    """The same for a name that is yet to be encoded, in ``scratch``, and may be too long for a run."""
    if len(name) > LONGEST:
        return -1
    return find(run, scratch.encoded(name), width)


def elements_of(run: bytes, count: i64) -> list[bytes]:
    """All ``count`` elements, decoded."""
    return ListpackCursor(listpack_of(run, count)).items()


@final
class RunOfFields(PackedFields):
    """A run of fields and values in turn, ``count`` pairs."""

    __slots__ = ("count", "run")

    def __init__(self, run: bytes, count: i64) -> None:
        self.run = run
        self.count: i64 = count

    def listpack(self) -> bytes:
        """The same as a listpack."""
        return listpack_of(self.run, 2 * self.count)

    def fields(self) -> dict[bytes, bytes]:
        """The same as a dict."""
        cursor = ListpackCursor(self.listpack())
        fields: dict[bytes, bytes] = {}
        while cursor.next():
            field = cursor.item()
            cursor.next()
            fields[field] = cursor.item()
        return fields
