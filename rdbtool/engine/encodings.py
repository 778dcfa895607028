"""Which encoding the server gives a value, and the name OBJECT ENCODING prints for it."""

from __future__ import annotations

from mypy_extensions import i64, u8

from .cells import (
    HASHTABLE,
    INTSET,
    LISTPACK,
    LISTPACKEX,
    SKIPLIST,
    Cell,
    FrameCell,
    HashCell,
    ListCell,
    SetCell,
    StringCell,
)
from .line import Line
from .numbers import is_integer
from .stream import StreamCell
from .zset import SortedSetCell


def set_encoding(line: Line, members: dict[bytes, None]) -> u8:
    """The encoding of a set built from these members."""
    integers = True
    longest: i64 = 0
    for member in members:
        longest = max(longest, len(member))
        integers = integers and is_integer(member)
    count: i64 = len(members)
    if integers and count <= line.set_intset_entries:
        return INTSET
    return LISTPACK if count <= line.set_listpack_entries and longest <= line.packed_value else HASHTABLE


def hash_encoding(line: Line, fields: dict[bytes, bytes], expiries: dict[bytes, int] | None) -> u8:
    """The encoding of a hash built from these fields."""
    count: i64 = len(fields)
    if count > line.hash_entries:
        return HASHTABLE
    for field, value in fields.items():
        if len(field) > line.packed_value or len(value) > line.packed_value:
            return HASHTABLE
    if expiries is None:
        return LISTPACK
    return HASHTABLE if line.valkey else LISTPACKEX


def zset_encoding(line: Line, scores: dict[bytes, float]) -> u8:
    """The encoding of a sorted set built from these members."""
    count: i64 = len(scores)
    if count > line.zset_entries:
        return SKIPLIST
    for member in scores:
        if len(member) > line.packed_value:
            return SKIPLIST
    return LISTPACK


def type_name(cell: Cell) -> str:
    """What TYPE answers for an opened cell."""
    if isinstance(cell, StringCell):
        return "string"
    if isinstance(cell, ListCell):
        return "list"
    if isinstance(cell, SetCell):
        return "set"
    if isinstance(cell, HashCell):
        return "hash"
    if isinstance(cell, SortedSetCell):
        return "zset"
    if isinstance(cell, StreamCell):
        return "stream"
    assert not isinstance(cell, FrameCell)
    return "module"
