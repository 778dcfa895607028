"""THE table of types: the only place that knows what a type byte means.

A new type or encoding is one row here, its layout in `layout`, and where it is a new Redis type or is written, its
values in `values`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.model import Value

from .layout import (
    arrays,
    counted,
    expiring_hash,
    intset,
    listpack,
    modules,
    path_hash,
    quicklist,
    strings,
    templates,
    ziplist,
    zipmap,
)
from .layout.elements import Elements
from .layout.inspection import Inspection
from .layout.primitives import skip_string
from .layout.stream import STREAM_VERSIONS, StreamLayout
from .layout.visit import Visit
from .layout.visitor import KINDS, STRING
from .values import hashes, lists, sets, streams, zsets
from .values import modules as module_values
from .values import strings as string_values

_BUILD: Final[dict[str, Callable[[Elements], Value]]] = {
    "string": string_values.decode,
    "list": lists.decode,
    "set": sets.decode,
    "hash": hashes.decode,
    "zset": zsets.decode,
}


_EMPTY: Final[dict[str, tuple[int, int]]] = {
    "list-ziplist": (0, 11),
    "zset-ziplist": (0, 11),
    "hash-ziplist": (0, 11),
    "list-quicklist": (1, 11),
    "hash-listpack": (0, 7),
    "zset-listpack": (0, 7),
    "set-listpack": (0, 7),
    "list-quicklist2": (2, 7),
    "hash-metadata": (8, 0),
    "hash-listpack-ex": (8, 7),
    "hash-listpack-ex-pre-ga": (0, 7),
    "hash-template-listpack": (-1, 0),
    "hash-template-array": (-1, 0),
}
"""Where in the payload of an empty collection which byte stands, if not a count of 0 at its beginning: the length of
an empty ziplist or listpack, or the count behind a time. -1: none is."""


@final
class TypeRow:
    """One type byte of one dialect.

    ``byte``; ``name``: of the encoding in the file; ``redis_type``: what the TYPE command answers, ``kind`` the same as
    a number; ``since``: the first RDB version that may hold it.

    ``elements`` opens a payload, to be read element by element; values that have no such elements, which are streams,
    modules, arrays and path hashes, have ``decode`` instead. ``unordered`` is (strings, bytes behind them): what an
    element is made of in a payload that is a count and then elements in no order; (0, 0) for all others.
    ``stream_version`` is that of the format, 0 for what is no stream. A collection can be empty only if the byte
    ``empty_at`` of its payload is ``empty_byte``, or the first one is 0; ``empty_at`` is -1 for what never is.
    """

    def __init__(
        self,
        byte: int,
        name: str,
        redis_type: str,
        since: int,
        skip: Callable[[Window], None],
        verify: Callable[[Window, Inspection], None],
        visit: Callable[[Visit], None],
        elements: Callable[[Window], Elements] | None = None,
        *,
        decode: Callable[[Window], Value] | None = None,
        unordered: tuple[int, int] = (0, 0),
        expires: Callable[[Window], bool] | None = None,
        stream_version: int = 0,
    ) -> None:
        assert (elements is None) != (decode is None), name
        self.byte: i64 = byte
        self.name = name
        self.redis_type = redis_type
        self.kind: i64 = KINDS[redis_type]
        self.since: i64 = since
        self.elements = elements
        self.element_strings: i64 = unordered[0]
        self.element_bytes: i64 = unordered[1]
        self.stream_version: i64 = stream_version
        at, value = _EMPTY.get(name, (0, 0))
        self.empty_at: i64 = at if redis_type in {"list", "set", "zset", "hash"} else -1
        self.empty_byte: i64 = value
        self._skip = skip
        self._verify = verify
        self._visit = visit
        self._decode = decode
        self._expires = expires
        self._build = _BUILD.get(redis_type)

    def is_loaded(self, rdb_version: int) -> bool:
        """Whether servers that write this RDB version load it. None loads modules' values of pre-releases."""
        return self.since <= rdb_version and self.name != "module-pre-ga"

    # Functions are called through locals: an attribute that is called is looked up by its name for each value anew.

    def skip(self, w: Window) -> None:
        """Pass a payload. Raises what reading raises."""
        if self.kind == STRING:  # most keys, and called by its name
            skip_string(w)
            return
        skip = self._skip
        skip(w)

    def verify(self, w: Window, inspection: Inspection) -> None:
        """Pass a payload, and report what is wrong with it. Raises what reading raises."""
        if self.kind == STRING:
            strings.check_string(w, inspection)
            return
        verify = self._verify
        verify(w, inspection)

    def visit(self, visit: Visit) -> None:
        """Pass a payload, and tell what is in it; the visitor's `begin` and `end` are the caller's. Raises what reading
        raises; what is wrong inside of it is noted.
        """
        if self.kind == STRING:
            visit.string()
            return
        tell = self._visit
        tell(visit)

    def expires(self, w: Window) -> bool:
        """Whether fields of the hash at the position of ``w``, which stays, expire, as far as its beginning says."""
        expires = self._expires
        return expires is not None and expires(w)

    def value(self, w: Window) -> Value:
        """Decode a payload, and pass it. Raises `FormatError`, `TruncatedError` or `UnsupportedError`."""
        elements = self.elements
        build = self._build
        if elements is not None and build is not None:
            return build(elements(w))
        decode = self._decode
        assert decode is not None
        return decode(w)


def _stream(byte: int, version: int, since: int) -> TypeRow:
    layout = StreamLayout(version)
    return TypeRow(
        byte,
        STREAM_VERSIONS[version],
        "stream",
        since,
        layout.skip,
        layout.check,
        layout.visit,
        decode=streams.StreamDecoder(version).decode,
        stream_version=version,
    )


_SHARED: Final = (
    TypeRow(
        0,
        "string",
        "string",
        1,
        skip_string,
        strings.check_string,
        strings.visit_string,
        strings.string_elements,
    ),
    TypeRow(
        1,
        "list",
        "list",
        1,
        counted.skip_strings,
        counted.check_list,
        counted.visit_strings,
        counted.strings_elements,
    ),
    TypeRow(
        2,
        "set",
        "set",
        1,
        counted.skip_strings,
        counted.check_set,
        counted.visit_strings,
        counted.strings_elements,
        unordered=(1, 0),
    ),
    TypeRow(
        3,
        "zset",
        "zset",
        1,
        counted.skip_zset,
        counted.check_zset,
        counted.visit_zset,
        counted.zset_elements,
    ),
    TypeRow(
        4,
        "hash",
        "hash",
        1,
        counted.skip_string_pairs,
        counted.check_hash,
        counted.visit_string_pairs,
        counted.string_pairs_elements,
        unordered=(2, 0),
    ),
    TypeRow(
        5,
        "zset2",
        "zset",
        8,
        counted.skip_zset2,
        counted.check_zset2,
        counted.visit_zset2,
        counted.zset2_elements,
        unordered=(1, 8),
    ),
    TypeRow(
        6,
        "module-pre-ga",
        "module",
        8,
        modules.skip_module_pre_ga,
        modules.check_module_pre_ga,
        modules.visit_module_pre_ga,
        decode=module_values.decode_pre_ga,
    ),
    TypeRow(
        7,
        "module2",
        "module",
        8,
        modules.skip_module,
        modules.check_module,
        modules.visit_module,
        decode=module_values.decode,
    ),
    TypeRow(
        9,
        "hash-zipmap",
        "hash",
        2,
        skip_string,
        zipmap.check_hash_zipmap,
        zipmap.visit_zipmap,
        zipmap.zipmap_elements,
    ),
    TypeRow(
        10,
        "list-ziplist",
        "list",
        2,
        skip_string,
        ziplist.check_list_ziplist,
        ziplist.visit_ziplist,
        ziplist.ziplist_elements,
    ),
    TypeRow(
        11,
        "set-intset",
        "set",
        2,
        skip_string,
        intset.check_set_intset,
        intset.visit_intset,
        intset.intset_elements,
    ),
    TypeRow(
        12,
        "zset-ziplist",
        "zset",
        2,
        skip_string,
        ziplist.check_zset_ziplist,
        ziplist.visit_scored_ziplist,
        ziplist.ziplist_pairs_elements,
    ),
    TypeRow(
        13,
        "hash-ziplist",
        "hash",
        4,
        skip_string,
        ziplist.check_hash_ziplist,
        ziplist.visit_ziplist_pairs,
        ziplist.ziplist_pairs_elements,
    ),
    TypeRow(
        14,
        "list-quicklist",
        "list",
        7,
        counted.skip_strings,
        quicklist.check_quicklist,
        quicklist.visit_quicklist,
        quicklist.quicklist_elements,
    ),
    _stream(15, 1, since=9),
    TypeRow(
        16,
        "hash-listpack",
        "hash",
        10,
        skip_string,
        listpack.check_hash_listpack,
        listpack.visit_listpack_pairs,
        listpack.listpack_pairs_elements,
    ),
    TypeRow(
        17,
        "zset-listpack",
        "zset",
        10,
        skip_string,
        listpack.check_zset_listpack,
        listpack.visit_scored_listpack,
        listpack.listpack_pairs_elements,
    ),
    TypeRow(
        18,
        "list-quicklist2",
        "list",
        10,
        quicklist.skip_quicklist2,
        quicklist.check_quicklist2,
        quicklist.visit_quicklist2,
        quicklist.quicklist2_elements,
    ),
    _stream(19, 2, since=10),
    TypeRow(
        20,
        "set-listpack",
        "set",
        11,
        skip_string,
        listpack.check_set_listpack,
        listpack.visit_listpack,
        listpack.listpack_elements,
    ),
    _stream(21, 3, since=11),
)

_REDIS: Final = (
    TypeRow(
        22,
        "hash-metadata-pre-ga",
        "hash",
        12,
        expiring_hash.skip_metadata_pre_ga,
        expiring_hash.check_metadata_pre_ga,
        expiring_hash.visit_metadata_pre_ga,
        expiring_hash.metadata_elements_pre_ga,
        expires=expiring_hash.any_may_expire,
    ),
    TypeRow(
        23,
        "hash-listpack-ex-pre-ga",
        "hash",
        12,
        skip_string,
        expiring_hash.check_listpack_ex_pre_ga,
        expiring_hash.visit_listpack_ex_pre_ga,
        expiring_hash.listpack_ex_elements_pre_ga,
        expires=expiring_hash.any_may_expire,
    ),
    TypeRow(
        24,
        "hash-metadata",
        "hash",
        12,
        expiring_hash.skip_metadata,
        expiring_hash.check_metadata,
        expiring_hash.visit_metadata,
        expiring_hash.metadata_elements,
        expires=expiring_hash.least_is_set,
    ),
    TypeRow(
        25,
        "hash-listpack-ex",
        "hash",
        12,
        expiring_hash.skip_listpack_ex,
        expiring_hash.check_listpack_ex,
        expiring_hash.visit_listpack_ex,
        expiring_hash.listpack_ex_elements,
        expires=expiring_hash.least_is_set,
    ),
    _stream(26, 4, since=13),
    _stream(27, 5, since=14),
    TypeRow(28, "array", "array", 14, arrays.skip, arrays.check, arrays.visit, decode=arrays.decode),
    TypeRow(
        29,
        "hash-template-listpack",
        "hash",
        15,
        templates.skip_packed,
        templates.check_packed,
        templates.visit_packed,
        templates.packed_elements,
    ),
    TypeRow(
        31,
        "hash-template-array",
        "hash",
        15,
        templates.skip_plain,
        templates.check_plain,
        templates.visit_plain,
        templates.plain_elements,
    ),
)

_VALKEY: Final = (
    TypeRow(
        22,
        "hash2",
        "hash",
        80,
        expiring_hash.skip_hash2,
        expiring_hash.check_hash2,
        expiring_hash.visit_hash2,
        expiring_hash.hash2_elements,
        unordered=(2, 8),
        expires=expiring_hash.any_may_expire,
    ),
    TypeRow(
        23, "path-hash", "path-hash", 81, path_hash.skip, path_hash.check, path_hash.visit, decode=path_hash.decode
    ),
)


def _by_byte(rows: tuple[TypeRow, ...]) -> list[TypeRow | None]:
    table: list[TypeRow | None] = [None] * 256
    for row in rows:
        assert table[row.byte] is None
        table[row.byte] = row
    return table


TABLE: Final = (_by_byte(_SHARED + _REDIS), _by_byte(_SHARED + _VALKEY))
"""Rows by dialect and type byte."""


def row_of(dialect: int, name: str) -> TypeRow:
    """The row of that name; of a type that only the other product has, its row there. Raises `KeyError`."""
    for rows in (TABLE[dialect], TABLE[1 - dialect]):
        for row in rows:
            if row is not None and row.name == name:
                return row
    raise KeyError(name)
