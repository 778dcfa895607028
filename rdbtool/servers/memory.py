"""How servers hold keys in memory: the size classes of allocators, and the structures of each release.

Sizes are those of 64-bit builds, in bytes (server.h, dict.h, hashtable.c, quicklist.h, stream.h and rax.c of each
release).
`Layout` is measured for Redis 6.2, 7.0, 8.2, 8.6 and 8.10 and Valkey 9.1, and follows the sources elsewhere.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from .features import HASH_TEMPLATES
from .releases import Release

JEMALLOC: Final = "jemalloc"
"""What Redis and Valkey bring and are built with on Linux: classes 8 bytes apart up to 64."""
SYSTEM_JEMALLOC: Final = "system-jemalloc"
"""What distributions link instead, such as Debian: classes 16 bytes apart up to 128."""
LIBC: Final = "libc"
"""malloc of glibc: builds with ``MALLOC=libc``."""

ALLOCATORS: Final = (JEMALLOC, SYSTEM_JEMALLOC, LIBC)

_MMAP_THRESHOLD: Final[i64] = 128 << 10
_PAGE: Final[i64] = 4096

SEPARATE: Final[i64] = 0
IN_ENTRY: Final[i64] = 1
IN_OBJECT: Final[i64] = 2
"""Where the name of a key is: in an allocation of its own, in the entry of the table, or in the object."""

ENTRIES: Final[i64] = 0
BARE_ENTRIES: Final[i64] = 1
BUCKETS: Final[i64] = 2
"""Hash tables: chains of entries; chains whose first link is the key itself where nothing belongs to it; buckets of 64
bytes that hold 7 pointers."""


@final
class Allocator:
    """What ``malloc`` takes of memory, by the name of the allocator."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._libc = name == LIBC
        self._step: i64 = 16 if name == SYSTEM_JEMALLOC else 8

    def size(self, n: i64) -> i64:
        """What an allocation of ``n`` bytes takes; 0 for none."""
        if n <= 0:
            return 0
        if self._libc:
            block = (n + 8 + 15) // 16 * 16
            if block >= _MMAP_THRESHOLD:
                return (block + 8 + _PAGE - 1) // _PAGE * _PAGE - 16
            return max(block - 8, 24)
        if n <= 8:
            return 8
        step = self._step
        if n > 8 * step:
            # Four classes between powers of two.
            step = 32
            while n > 8 * step:
                step *= 2
            if n <= 4 * step:
                step //= 2
        return (n + step - 1) // step * step


@final
class Layout:
    """The structures of a release.

    ``robj``, ``entry``, ``dict``, ``table`` (a table of buckets) and so on: sizes of structures. ``embedded``: the
    longest string that shares the allocation of its object; ``shared``: so much, object, name and string together, is
    one allocation, 0 where names do not. ``embeds_values``: a field of a hash is one allocation with its value, where
    that is short; ``embeds_members``: a node of a skip list holds its member, behind ``before_member`` bytes.
    ``templates``: hashes may have their names from a template, and are an array of values then, behind
    ``template_array`` bytes. ``refers_to_groups``: a stream knows in which groups an entry is pending;
    ``lists_groups``: by a list for each entry. ``quicklists``: lists are made of nodes, before that one ziplist or
    linked; ``small_lists``: a list of one node is that node.

    What MEMORY USAGE counts: ``counts_nominally``: packed values without what the allocator rounds up;
    ``counts_strings_nominally``, ``counts_objects_nominally``: short strings so, and objects with their names;
    ``uncounted_of_member``: so much of each member of a sorted set is left out; ``counted_link``: what it takes each
    link of a chain for that holds nothing but a key, -1 for what there is of them;
    ``counts_trees_roughly``: 30 words per node of a radix tree.
    """

    def __init__(self, release: Release) -> None:
        version = release.version
        valkey = release.valkey
        redis = not valkey
        buckets = valkey and version >= (8, 1)
        self.release = release
        self.robj: i64 = 16
        self.entry: i64 = 24
        self.dict: i64 = 96 if version < (7, 0) else 56
        self.table: i64 = 80
        self.names: i64 = SEPARATE
        if buckets or (redis and version >= (8, 2)):
            self.names = IN_OBJECT
        elif valkey and version >= (8, 0):
            self.names = IN_ENTRY
        self.keys: i64 = ENTRIES
        self.sets: i64 = ENTRIES
        self.hashes: i64 = ENTRIES
        self.zsets: i64 = ENTRIES
        self.embeds_values = buckets or (redis and version >= (8, 6))
        self.embeds_members = self.embeds_values
        self.before_member: i64 = 1 if valkey else 0
        if buckets:
            self.keys = self.sets = self.hashes = self.zsets = BUCKETS
        elif version >= (7, 2):
            self.sets = BARE_ENTRIES
            if self.names == IN_OBJECT:
                self.keys = BARE_ENTRIES
            if self.embeds_values:
                self.hashes = self.zsets = BARE_ENTRIES
        self.embedded: i64 = 44
        if version < (3, 2):
            self.embedded = 39 if version >= (3, 0) else -1
        self.shared: i64 = 0
        if self.names == IN_OBJECT:
            self.shared = 128 if valkey and version >= (9, 1) else 64
        self.pointer_in_embedded: i64 = 0 if valkey and version >= (9, 1) else 8
        self.shares_integers = self.names != IN_OBJECT
        self.quicklists = version >= (3, 2)
        self.small_lists = version >= (7, 2)
        self.listpacks = version >= (7, 0)
        self.set_listpacks = version >= (7, 2)
        self.linked_list: i64 = 48
        self.link: i64 = 24
        self.quicklist: i64 = 40
        self.quicklist_node: i64 = 40 if version >= (7, 0) else 32
        self.skiplist_levels: i64 = 32
        self.expiring_listpack: i64 = 24 if redis and version >= (8, 2) else 32
        self.templates = release.does(HASH_TEMPLATES)
        self.template_array: i64 = 16
        self.stream: i64 = 40 if version < (7, 0) else 80
        self.group: i64 = 32 if version < (7, 0) else 40
        self.nack: i64 = 24
        self.refers_to_groups = redis and version >= (8, 2)
        self.lists_groups = self.refers_to_groups and version < (8, 8)
        if self.refers_to_groups:
            self.stream = 112
            self.group = 80
            self.nack = 32
            if version >= (8, 6):
                self.stream = 160
                self.group = 144
                self.nack = 64
        self.consumer: i64 = 24 if version < (7, 2) else 32
        self.rax: i64 = 24
        self.counts_strings_nominally = redis and version >= (8, 6)
        self.counts_objects_nominally = redis and version >= (8, 8)
        self.counts_nominally = version < (7, 0) or self.counts_strings_nominally
        self.uncounted_of_member: i64 = 8 if redis and (8, 2) <= version < (8, 6) else 0
        self.counted_link: i64 = -1
        if redis and version >= (8, 2):
            self.counted_link = 16 if self.counts_objects_nominally else 24
        self.counts_trees_roughly = version < (8, 0) or (redis and version < (8, 6))
