"""What OBJECT ENCODING answers: it shows what a server makes of a value, and what we do."""

from __future__ import annotations

from rdbtool.basics.numbers import is_integer
from rdbtool.engine.cells.arrays import ArrayCell
from rdbtool.engine.cells.cell import (
    HASHTABLE,
    INTSET,
    LISTPACK,
    LISTPACKEX,
    NATURAL,
    RAW,
    Cell,
    FrameCell,
    HashCell,
    SetCell,
    StringCell,
)
from rdbtool.engine.cells.lists import ListCell
from rdbtool.engine.cells.path_hash import PathHashCell
from rdbtool.engine.cells.stream import StreamCell
from rdbtool.engine.cells.zset import SortedSetCell
from rdbtool.servers.features import (
    EMBEDDED_128,
    EMBEDDED_KEYS,
    EMBEDDED_STRINGS,
    EMBEDDED_STRINGS_44,
    LISTPACKS,
    PACKED_VALUES,
    SMALL_OBJECT_HEADERS,
    STREAM_ENCODING,
    ZIPLIST_HASHES,
)
from rdbtool.servers.releases import Release


def encoding_name(release: Release, key: bytes, cell: Cell) -> str:
    """What OBJECT ENCODING answers for an opened cell at ``key``."""
    if isinstance(cell, StringCell):
        return _string_name(release, key, cell)
    if isinstance(cell, StreamCell):
        return "stream" if release.has(STREAM_ENCODING) else "unknown"
    if isinstance(cell, HashCell):
        if cell.encoding == HASHTABLE:
            return "hashtable"
        return "listpackex" if cell.encoding == LISTPACKEX else _packed_name(release, "zipmap")
    if isinstance(cell, ListCell):
        return cell.encoding() if release.has(PACKED_VALUES) else "raw"
    if isinstance(cell, SetCell):
        if not release.has(PACKED_VALUES):
            return "raw"
        return "intset" if cell.encoding == INTSET else "listpack" if cell.encoding == LISTPACK else "hashtable"
    if isinstance(cell, SortedSetCell):
        if not release.has(PACKED_VALUES):
            return "raw"
        return _packed_name(release, "ziplist") if cell.encoding == LISTPACK else "skiplist"
    if isinstance(cell, ArrayCell):
        return "sliced-array"
    if isinstance(cell, PathHashCell):
        return "path-hash"
    assert not isinstance(cell, FrameCell)
    return "raw"


def _packed_name(release: Release, oldest: str) -> str:
    if release.has(LISTPACKS):
        return "listpack"
    return "ziplist" if release.has(ZIPLIST_HASHES) else oldest


def _string_name(release: Release, key: bytes, cell: StringCell) -> str:
    if cell.state == NATURAL and is_integer(cell.data) and cell.buffer is None:
        return "int"
    if cell.state == RAW or not release.has(EMBEDDED_STRINGS):
        return "raw"
    return "embstr" if len(cell) <= _embedded_limit(release, len(key)) else "raw"


def _embedded_limit(release: Release, key: int) -> int:
    """The longest string that is kept within its object, where the key, of ``key`` bytes, may be kept as well."""
    if not release.has(EMBEDDED_KEYS):
        return 44 if release.has(EMBEDDED_STRINGS_44) else 39
    header = 8 if release.has(SMALL_OBJECT_HEADERS) else 16
    allocation = 128 if release.has(EMBEDDED_128) else 64
    # The key comes with its header and two bytes; the value has a header of three bytes and a final zero.
    around = header + key + (3 if key < 32 else 5) + 4
    return allocation - around
