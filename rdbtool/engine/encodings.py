"""Which encoding the server gives a value, and the name OBJECT ENCODING prints for it."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, u8

from rdbtool.basics.numbers import is_integer

from .cells.cell import (
    HASHTABLE,
    INTSET,
    LISTPACK,
    LISTPACKEX,
    NATURAL,
    RAW,
    SKIPLIST,
    Cell,
    FrameCell,
    HashCell,
    SetCell,
    StringCell,
)
from .cells.lists import ListCell
from .cells.stream import StreamCell
from .cells.zset import SortedSetCell
from .release import Line

ENCODINGS_SINCE: Final = 202
"""Before this release only hashes and strings had more than one encoding."""


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
        if len(field) > line.hash_value or len(value) > line.hash_value:
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


def encoding_name(line: Line, key: bytes, cell: Cell) -> str:
    """What OBJECT ENCODING answers for an opened cell at ``key``."""
    if isinstance(cell, StringCell):
        return _string_name(line, key, cell)
    if isinstance(cell, StreamCell):
        return "unknown" if line.version < 600 else "stream"
    if isinstance(cell, HashCell):
        if cell.encoding == HASHTABLE:
            return "hashtable"
        return "listpackex" if cell.encoding == LISTPACKEX else _packed_name(line, "zipmap")
    if isinstance(cell, ListCell):
        return "raw" if line.version < ENCODINGS_SINCE else cell.encoding()
    if isinstance(cell, SetCell):
        if line.version < ENCODINGS_SINCE:
            return "raw"
        return "intset" if cell.encoding == INTSET else "listpack" if cell.encoding == LISTPACK else "hashtable"
    if isinstance(cell, SortedSetCell):
        if line.version < ENCODINGS_SINCE:
            return "raw"
        return _packed_name(line, "ziplist") if cell.encoding == LISTPACK else "skiplist"
    assert not isinstance(cell, FrameCell)
    return "raw"


def _packed_name(line: Line, oldest: str) -> str:
    if line.version >= 700:
        return "listpack"
    return "ziplist" if line.version >= 206 else oldest


def _string_name(line: Line, key: bytes, cell: StringCell) -> str:
    if cell.state == NATURAL and is_integer(cell.data) and cell.buffer is None:
        return "int"
    if cell.state == RAW or line.version < 300:
        return "raw"
    return "embstr" if len(cell) <= _embedded_limit(line, len(key)) else "raw"


def _embedded_limit(line: Line, key: i64) -> i64:
    """The longest string that fits into its object, beside a key of ``key`` bytes where that is in there too."""
    version = line.version
    if version < (801 if line.valkey else 802):
        return 39 if version < 302 else 44
    header = 8 if line.valkey and version >= 901 else 16
    allocation = 128 if line.valkey and version >= 900 else 64
    # The key with its header and two bytes; the value's header of three bytes and its final zero.
    around = header + key + (3 if key < 32 else 5) + 4
    return allocation - around
