"""How values are held: the names that servers have for it, and which walk measures each type of a file."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

ENCODINGS: Final = (
    "int",
    "embstr",
    "raw",
    "listpack",
    "ziplist",
    "quicklist",
    "linkedlist",
    "intset",
    "hashtable",
    "skiplist",
    "listpackex",
    "stream",
    "module",
    "template-listpack",
    "template-array",
    "sliced-array",
    "path-hash",
)
"""What OBJECT ENCODING answers."""

INT: Final[i64] = 0
EMBSTR: Final[i64] = 1
RAW: Final[i64] = 2
LISTPACK: Final[i64] = 3
ZIPLIST: Final[i64] = 4
QUICKLIST: Final[i64] = 5
LINKED_LIST: Final[i64] = 6
INTSET: Final[i64] = 7
HASHTABLE: Final[i64] = 8
SKIPLIST: Final[i64] = 9
LISTPACKEX: Final[i64] = 10
STREAM: Final[i64] = 11
MODULE: Final[i64] = 12
TEMPLATE_LISTPACK: Final[i64] = 13
TEMPLATE_ARRAY: Final[i64] = 14
SLICED_ARRAY: Final[i64] = 15
PATH_HASH: Final[i64] = 16

WALK_STRING: Final[i64] = 0
WALK_LIST: Final[i64] = 1
WALK_SET: Final[i64] = 2
WALK_ZSET: Final[i64] = 3
WALK_ZSET2: Final[i64] = 4
WALK_HASH: Final[i64] = 5
WALK_ZIPMAP: Final[i64] = 6
WALK_ZIPLIST: Final[i64] = 7
WALK_ZIPLIST_PAIRS: Final[i64] = 8
WALK_INTSET: Final[i64] = 9
WALK_LISTPACK: Final[i64] = 10
WALK_LISTPACK_PAIRS: Final[i64] = 11
WALK_QUICKLIST: Final[i64] = 12
WALK_QUICKLIST2: Final[i64] = 13
WALK_STREAM: Final[i64] = 14
WALK_HASH2: Final[i64] = 15
WALK_METADATA: Final[i64] = 16
WALK_METADATA_PRE_GA: Final[i64] = 17
WALK_LISTPACK_EX: Final[i64] = 18
WALK_LISTPACK_EX_PRE_GA: Final[i64] = 19
WALK_MODULE: Final[i64] = 20
WALK_ZIPLIST_SCORES: Final[i64] = 21
WALK_LISTPACK_SCORES: Final[i64] = 22
WALK_TEMPLATE_LISTPACK: Final[i64] = 23
WALK_TEMPLATE_ARRAY: Final[i64] = 24
WALK_ARRAY: Final[i64] = 25
WALK_PATH_HASH: Final[i64] = 26

WALKS: Final[dict[str, int]] = {
    "string": WALK_STRING,
    "list": WALK_LIST,
    "set": WALK_SET,
    "zset": WALK_ZSET,
    "zset2": WALK_ZSET2,
    "hash": WALK_HASH,
    "hash-zipmap": WALK_ZIPMAP,
    "list-ziplist": WALK_ZIPLIST,
    "zset-ziplist": WALK_ZIPLIST_SCORES,
    "hash-ziplist": WALK_ZIPLIST_PAIRS,
    "set-intset": WALK_INTSET,
    "set-listpack": WALK_LISTPACK,
    "hash-listpack": WALK_LISTPACK_PAIRS,
    "zset-listpack": WALK_LISTPACK_SCORES,
    "list-quicklist": WALK_QUICKLIST,
    "list-quicklist2": WALK_QUICKLIST2,
    "hash2": WALK_HASH2,
    "hash-metadata": WALK_METADATA,
    "hash-metadata-pre-ga": WALK_METADATA_PRE_GA,
    "hash-listpack-ex": WALK_LISTPACK_EX,
    "hash-listpack-ex-pre-ga": WALK_LISTPACK_EX_PRE_GA,
    "module2": WALK_MODULE,
    "module-pre-ga": WALK_MODULE,
    "hash-template-listpack": WALK_TEMPLATE_LISTPACK,
    "hash-template-array": WALK_TEMPLATE_ARRAY,
    "array": WALK_ARRAY,
    "path-hash": WALK_PATH_HASH,
}
"""How the payload of a type is walked; streams are not in it."""
