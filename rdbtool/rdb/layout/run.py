"""Runs: elements back to back as they stand in a listpack, without its header and end mark.

It is the form in which the engine keeps small hashes and sets, and the nodes of streams: less memory than objects, one
place in memory to look at, and ready to be written. Elements of a run are in the one encoding that a server chooses
for them, so that equal elements are equal bytes; those of hashes and sets are short.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i16_le, read_i32_le, read_i64_le
from mypy_extensions import i64

from rdbtool.basics.numbers import decimal
from rdbtool.model import PackedFields

from .listpack import ListpackBuilder, ListpackCursor, back_size, listpack_of

LONGEST: Final[i64] = 63
"""Bytes of the longest element that is short: its encoding and its length have one byte each."""


def end_of(run: bytes, pos: i64) -> i64:
    """Where the element at ``pos`` ends."""
    first: i64 = run[pos]
    if first < 128:
        return pos + 2
    if first < 192:
        return pos + first - 126
    if first < 224:
        return pos + 3
    if first > 0xF0:
        return pos + 10 if first == 0xF4 else pos + first - 237
    size: i64 = 0
    if first == 0xF0:
        size = (i64(read_i32_le(run, pos + 1)) & 0xFFFFFFFF) + 5
    else:
        size = (first & 15) << 8 | run[pos + 1]
        size += 2
    return pos + size + back_size(size)


def length_of(run: bytes) -> i64:
    """The number of elements."""
    end: i64 = len(run)
    pos: i64 = 0
    count: i64 = 0
    while pos < end:
        pos = end_of(run, pos)
        count += 1
    return count


def integer_at(run: bytes, pos: i64) -> i64:
    """The integer of the element at ``pos``, which must be encoded as one."""
    first: i64 = run[pos]
    if first < 128:
        return first
    if first < 224:
        low: i64 = run[pos + 1]
        value: i64 = (first & 31) << 8 | low
        return value if value < 4096 else value - 8192
    if first == 0xF1:
        return i64(read_i16_le(run, pos + 1))
    if first == 0xF2:
        low = i64(read_i16_le(run, pos + 1)) & 0xFFFF
        high: i64 = run[pos + 3]
        value = high << 16 | low
        return value if value < 1 << 23 else value - (1 << 24)
    if first == 0xF3:
        return i64(read_i32_le(run, pos + 1))
    return read_i64_le(run, pos + 1)


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


def element_at(run: bytes, pos: i64) -> bytes:
    """The element at ``pos``, decoded."""
    first: i64 = run[pos]
    if first < 128:
        return decimal(first)
    if first < 192:
        return run[pos + 1 : pos + first - 127]
    cursor = ListpackCursor(listpack_of(run[pos : end_of(run, pos)], 1))
    cursor.next()
    return cursor.item()


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
