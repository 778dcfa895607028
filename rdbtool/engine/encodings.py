"""Which encoding the server gives a value, and the name that TYPE answers for it."""

from __future__ import annotations

from mypy_extensions import i64, u8

from rdbtool.basics.numbers import is_integer
from rdbtool.servers.releases import Release

from .cells.arrays import ArrayCell
from .cells.cell import (
    HASHTABLE,
    INTSET,
    LISTPACK,
    LISTPACKEX,
    Cell,
    FrameCell,
    HashCell,
    SetCell,
    StringCell,
)
from .cells.lists import ListCell
from .cells.path_hash import PathHashCell
from .cells.stream import StreamCell
from .cells.zset import SortedSetCell


def set_encoding(release: Release, members: dict[bytes, None]) -> u8:
    """The encoding of a set built from these members."""
    integers = True
    longest: i64 = 0
    for member in members:
        longest = max(longest, len(member))
        integers = integers and is_integer(member)
    count: i64 = len(members)
    limits = release.limits
    if integers and count <= limits.set_intset_entries:
        return INTSET
    return LISTPACK if count <= limits.set_entries and longest <= limits.set_value else HASHTABLE


def hash_encoding(release: Release, fields: dict[bytes, bytes], expiries: dict[bytes, int] | None) -> u8:
    """The encoding of a hash built from these fields."""
    count: i64 = len(fields)
    limits = release.limits
    if count > limits.hash_entries:
        return HASHTABLE
    for field, value in fields.items():
        if len(field) > limits.hash_value or len(value) > limits.hash_value:
            return HASHTABLE
    if expiries is None:
        return LISTPACK
    return HASHTABLE if release.valkey else LISTPACKEX


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
    if isinstance(cell, ArrayCell):
        return "array"
    if isinstance(cell, PathHashCell):
        return "path-hash"
    assert not isinstance(cell, FrameCell)
    return "module"
