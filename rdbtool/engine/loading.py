"""Cells for values that come from a snapshot, with the encodings that a server gives them when it loads it."""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import i64, u8

from rdbtool.io.window import window_over
from rdbtool.model import Array, Hash, Module, PathHash, SortedSet, Stream, Value
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.primitives import read_count, read_length, read_string
from rdbtool.servers.releases import Release

from .cells.arrays import ArrayCell
from .cells.cell import HASHTABLE, LISTPACK, LISTPACKEX, SKIPLIST, Cell, HashCell, ModuleCell, SetCell, StringCell
from .cells.lists import PACKED, QUICK, ListCell, Node, Shape, kind_of, loaded_list
from .cells.path_hash import PathHashCell
from .cells.stream import stream_cell
from .cells.zset import SortedSetCell
from .encodings import hash_encoding, set_encoding

PLAIN_NODE: Final = 1
LISTPACK_HEADER: Final = 6


def cell_of(release: Release, value: Value) -> Cell:
    """The cell of a value that was built element by element."""
    if isinstance(value, bytes):
        return StringCell(value)
    if isinstance(value, deque):
        return loaded_list(list(value), kind_of(release))
    if isinstance(value, dict):
        return SetCell(value, set_encoding(release, value))
    if isinstance(value, Hash):
        return HashCell(value.fields, value.expiries, hash_encoding(release, value.fields, value.expiries))
    if isinstance(value, SortedSet):
        zset = SortedSetCell(value.scores)
        zset.pack(release)
        return zset
    if isinstance(value, Stream):
        return stream_cell(value)
    if isinstance(value, Array):
        return ArrayCell(value)
    if isinstance(value, PathHash):
        return PathHashCell(value)
    assert isinstance(value, Module)
    return ModuleCell(value)


def cell_of_frame(release: Release, frame: Frame, expire_at_ms: i64) -> Cell:
    """The cell of a key as it stands in a snapshot: what is packed there stays packed unless it is too long."""
    value = frame.value()
    name = frame.type.name
    if isinstance(value, SortedSet) and name in {"zset-listpack", "zset-ziplist"}:
        # -0 stays as it is there (seen of Redis 7.0 and Valkey 9.1)
        cell: Cell = SortedSetCell(value.scores, _packed_or(len(value.scores), release.limits.zset_entries, SKIPLIST))
    else:
        cell = cell_of(release, value)
    cell.expire_at_ms = expire_at_ms
    if isinstance(cell, HashCell):
        if name.startswith(("hash-listpack-ex", "hash-metadata")) and cell.encoding == LISTPACK:
            cell.encoding = LISTPACKEX
        elif name in {"hash-listpack", "hash-ziplist"}:
            cell.encoding = _packed_or(len(cell), release.limits.hash_entries, HASHTABLE)
    elif isinstance(cell, SetCell):
        if name == "set-listpack" and release.limits.set_entries:
            cell.encoding = _packed_or(len(cell), release.limits.set_entries, HASHTABLE)
    elif isinstance(cell, ListCell):
        if name == "list-quicklist2" and cell.kind in {PACKED, QUICK}:
            cell.load_shape(_nodes(frame))
    return cell


def _packed_or(count: i64, limit: i64, otherwise: u8) -> u8:
    return LISTPACK if count <= limit else otherwise


def _nodes(frame: Frame) -> Shape:
    w = window_over(frame.raw())
    nodes = []
    for _ in range(read_count(w, 2)):
        plain = read_length(w) == PLAIN_NODE
        data = read_string(w)
        count: i64 = 1
        if not plain:
            count = int.from_bytes(data[4:LISTPACK_HEADER], "little")
        nodes.append(Node(count, len(data), plain))
    return Shape(nodes)
