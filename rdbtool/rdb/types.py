"""THE table of types: the only place that knows what a type byte means.

A new type or encoding is one row here, a shape in `skip`, a check in `verify` and a decoder in `values`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.model import Value
from rdbtool.rdb.layout.elements import Elements
from rdbtool.rdb.layout.inspection import Inspection

from . import skip
from .layout.primitives import skip_string
from .opcodes import REDIS, VALKEY
from .values import hashes, lists, modules, sets, streams, strings, zsets
from .verify import stream as check_streams
from .verify import values as checks

_BUILD: Final[dict[str, Callable[[Elements], Value]]] = {
    "string": strings.decode,
    "list": lists.decode,
    "set": sets.decode,
    "hash": hashes.decode,
    "zset": zsets.decode,
}


@final
class TypeRow:
    """One type byte of one dialect.

    ``byte``; ``name``: of the encoding in the file; ``redis_type``: what the TYPE command answers;
    ``since``: the first RDB version that may hold it; ``elements`` opens a payload to be read element by element,
    except for streams and modules.
    """

    def __init__(
        self,
        byte: int,
        name: str,
        redis_type: str,
        since: int,
        skip_: Callable[[Window], None],
        verify: Callable[[Window, Inspection], None],
        elements: Callable[[Window], Elements] | None = None,
        *,
        decode: Callable[[Window], Value] | None = None,
    ) -> None:
        self.byte: i64 = byte
        self.name = name
        self.redis_type = redis_type
        self.since: i64 = since
        self.elements = elements
        self._skip = skip_
        self._verify = verify
        self._decode = decode
        self._build = _BUILD.get(redis_type)

    def is_loaded(self, rdb_version: int) -> bool:
        """Whether servers that write this RDB version load it. None loads modules' values of pre-releases."""
        return self.since <= rdb_version and self.name != "module-pre-ga"

    # Locals are called here, not attributes: those compiled code looks up by their names, for each value anew.

    def skip(self, w: Window) -> None:
        """Pass a payload. Raises what reading raises."""
        skip_ = self._skip
        skip_(w)

    def verify(self, w: Window, inspection: Inspection) -> None:
        """Pass a payload, and report what is wrong with it. Raises what reading raises."""
        verify = self._verify
        verify(w, inspection)

    def value(self, w: Window) -> Value:
        """Decode a payload, and pass it. Raises `FormatError`, `TruncatedError` or `UnsupportedError`."""
        elements = self.elements
        build = self._build
        if elements is not None and build is not None:
            return build(elements(w))
        decode = self._decode
        assert decode is not None
        return decode(w)


_SHARED: Final = (
    TypeRow(0, "string", "string", 1, skip_string, checks.check_string, strings.plain),
    TypeRow(1, "list", "list", 1, skip.skip_strings, checks.check_list, lists.plain),
    TypeRow(2, "set", "set", 1, skip.skip_strings, checks.check_set, sets.plain),
    TypeRow(3, "zset", "zset", 1, skip.skip_zset, checks.check_zset, zsets.plain),
    TypeRow(4, "hash", "hash", 1, skip.skip_string_pairs, checks.check_hash, hashes.plain),
    TypeRow(5, "zset2", "zset", 8, skip.skip_zset2, checks.check_zset2, zsets.plain2),
    TypeRow(
        6,
        "module-pre-ga",
        "module",
        8,
        skip.skip_module_pre_ga,
        checks.check_module_pre_ga,
        decode=modules.decode_pre_ga,
    ),
    TypeRow(7, "module2", "module", 8, skip.skip_module, checks.check_module, decode=modules.decode),
    TypeRow(9, "hash-zipmap", "hash", 2, skip_string, checks.check_hash_zipmap, hashes.zipmap),
    TypeRow(10, "list-ziplist", "list", 2, skip_string, checks.check_list_ziplist, lists.ziplist),
    TypeRow(11, "set-intset", "set", 2, skip_string, checks.check_set_intset, sets.intset),
    TypeRow(12, "zset-ziplist", "zset", 2, skip_string, checks.check_zset_ziplist, zsets.ziplist),
    TypeRow(13, "hash-ziplist", "hash", 4, skip_string, checks.check_hash_ziplist, hashes.ziplist),
    TypeRow(14, "list-quicklist", "list", 7, skip.skip_strings, checks.check_quicklist, lists.quicklist),
    TypeRow(15, "stream-listpacks", "stream", 9, skip.skip_stream, check_streams.check_stream, decode=streams.decode1),
    TypeRow(16, "hash-listpack", "hash", 10, skip_string, checks.check_hash_listpack, hashes.listpack),
    TypeRow(17, "zset-listpack", "zset", 10, skip_string, checks.check_zset_listpack, zsets.listpack),
    TypeRow(18, "list-quicklist2", "list", 10, skip.skip_quicklist2, checks.check_quicklist2, lists.quicklist2),
    TypeRow(
        19, "stream-listpacks2", "stream", 10, skip.skip_stream2, check_streams.check_stream2, decode=streams.decode2
    ),
    TypeRow(20, "set-listpack", "set", 11, skip_string, checks.check_set_listpack, sets.listpack),
    TypeRow(
        21, "stream-listpacks3", "stream", 11, skip.skip_stream3, check_streams.check_stream3, decode=streams.decode3
    ),
)

_REDIS: Final = (
    TypeRow(
        22,
        "hash-metadata-pre-ga",
        "hash",
        12,
        skip.skip_hash_metadata_pre_ga,
        checks.check_hash_metadata_pre_ga,
        hashes.metadata_pre_ga,
    ),
    TypeRow(
        23,
        "hash-listpack-ex-pre-ga",
        "hash",
        12,
        skip_string,
        checks.check_hash_listpack_ex_pre_ga,
        hashes.listpack_ex_pre_ga,
    ),
    TypeRow(24, "hash-metadata", "hash", 12, skip.skip_hash_metadata, checks.check_hash_metadata, hashes.metadata),
    TypeRow(
        25,
        "hash-listpack-ex",
        "hash",
        12,
        skip.skip_hash_listpack_ex,
        checks.check_hash_listpack_ex,
        hashes.listpack_ex,
    ),
    TypeRow(
        26, "stream-listpacks4", "stream", 13, skip.skip_stream4, check_streams.check_stream4, decode=streams.decode4
    ),
    TypeRow(
        27, "stream-listpacks5", "stream", 14, skip.skip_stream5, check_streams.check_stream5, decode=streams.decode5
    ),
)

_VALKEY: Final = (TypeRow(22, "hash2", "hash", 80, skip.skip_hash2, checks.check_hash2, hashes.hash2),)

KNOWN_BY_NAME: Final[dict[tuple[i64, i64], str]] = {
    (REDIS, 28): "an array (Redis 8.8)",
    (REDIS, 29): "a hash with a template (Redis 8.10)",
    (REDIS, 30): "a hash with a template (Redis 8.10)",
    (REDIS, 31): "a hash with a template (Redis 8.10)",
    (REDIS, 32): "a hash with a template (Redis 8.10)",
    (VALKEY, 23): "a type of a Valkey after 9.1",
}
"""Types whose payload is not known for sure: reading ends there, with this text."""


def _by_byte(rows: tuple[TypeRow, ...]) -> list[TypeRow | None]:
    table: list[TypeRow | None] = [None] * 256
    for row in rows:
        assert table[row.byte] is None
        table[row.byte] = row
    return table


TABLE: Final = (_by_byte(_SHARED + _REDIS), _by_byte(_SHARED + _VALKEY))
"""Rows by dialect and type byte."""


def row_of(dialect: int, name: str) -> TypeRow:
    """The row of that name. Raises `KeyError`."""
    for row in TABLE[dialect]:
        if row is not None and row.name == name:
            return row
    raise KeyError(name)
