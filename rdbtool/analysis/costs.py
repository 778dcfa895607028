"""What strings, tables and keys take on a server: the structures of a release, in the size classes of an allocator."""

from __future__ import annotations

import math
from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.servers.memory import (
    BARE_ENTRIES,
    BUCKETS,
    ENTRIES,
    IN_OBJECT,
    JEMALLOC,
    SEPARATE,
    Allocator,
    Layout,
)
from rdbtool.servers.releases import Release

SHORT: Final[i64] = 32
"""Strings of less bytes have the smallest header (SDS_TYPE_5)."""
TEMPLATE: Final[i64] = 704
"""A template of hashes beside the names in it, with what registers it."""
TEMPLATE_COUNTED: Final[i64] = 80
"""What MEMORY USAGE counts of that."""
KNOWN: Final[i64] = 1024
"""Lengths of strings whose cost is looked up."""
LEVELS: Final = 12
"""Levels of a skip list that are told apart; higher ones are as good as never there."""
BUCKET: Final[i64] = 64
IN_BUCKET: Final[i64] = 7
EMBEDDED_ENTRY: Final[i64] = 128
"""The largest entry of a hash of Valkey that holds its value itself."""
RESERVES_EXPIRY: Final[i64] = 128
"""Names of so many bytes have room for an expiry in Valkey."""


def sds_size(n: i64) -> i64:
    """A string of ``n`` bytes with its header and its NUL (sds.c)."""
    if n < SHORT:
        return n + 2
    return eight_bit_sds_size(n)


def eight_bit_sds_size(n: i64) -> i64:
    """The same with the smallest header that knows what is free."""
    if n < 256:
        return n + 4
    if n < 65536:
        return n + 6
    if n < 1 << 32:
        return n + 10
    return n + 18


@final
class Costs:
    """Bytes on a server of ``release`` with that allocator.

    ``reported``: as MEMORY USAGE of that release counts, which takes structures for as large as they are declared, and
    some releases more of it (`Layout`); otherwise as the allocator does. ``shared_integers``: strings that are numbers
    below 10,000 are shared, as they are unless the server evicts by use.
    """

    def __init__(self, release: Release, allocator: str = JEMALLOC, *, reported: bool = False) -> None:
        self.layout = Layout(release)
        self.allocator = Allocator(allocator)
        self.reported = reported
        layout = self.layout
        self.entry: i64 = self.fixed(layout.entry)
        self.robj: i64 = self.fixed(layout.robj)
        self.names: i64 = layout.names
        self._nominal = reported and layout.counts_nominally
        self._nominal_strings = reported and layout.counts_strings_nominally
        self._nominal_objects = reported and layout.counts_objects_nominally
        self._sds: vec[i64] = vec[i64]([self._string(n) for n in range(KNOWN)])
        self.levels: list[tuple[float, int]] = []
        chance = 0.75
        for level in range(1, LEVELS + 1):
            self.levels.append((chance, 16 * level))
            chance /= 4
        self.znode: float = sum(p * float(self.allocator.size(24 + more)) for p, more in self.levels)
        """What a node of a skip list takes on average that points to its member."""
        self._znodes: vec[i64] = vec[i64]([])
        if layout.embeds_members:
            self._znodes = vec[i64]([self._znode_with(n) for n in range(KNOWN)])
        self.zset: i64 = self.fixed(16) + self.fixed(32) + self.allocator.size(24 + 16 * layout.skiplist_levels)

    def fixed(self, n: i64) -> i64:
        """A structure of ``n`` bytes."""
        return n if self.reported else self.allocator.size(n)

    def _string(self, n: int) -> int:
        size = sds_size(n)
        return int(size) if n < SHORT and self._nominal_strings else int(self.allocator.size(size))

    def string(self, n: i64) -> i64:
        """A string of ``n`` bytes."""
        if n < KNOWN:
            return self._sds[n]
        return self.allocator.size(sds_size(n))

    def packed(self, n: i64) -> i64:
        """A packed value of ``n`` bytes."""
        return n if self._nominal else self.allocator.size(n)

    def key(self, length: i64, expires: bool) -> i64:
        """A key whose name has ``length`` bytes: its object, its name, its entry, its expiry; not its value, and not
        the tables of the database.
        """
        layout = self.layout
        if layout.names == IN_OBJECT:
            size = self._object(length, expires) + 8
            if self.reported:
                return size if self._nominal_objects else self.allocator.size(size)
            more = self.entry_in(layout.keys)
            return self.allocator.size(size) + (2 * more if expires else more)
        total = self.robj + self.entry
        if layout.names == SEPARATE:
            total += self.string(length)
        else:
            total += self.allocator.size(layout.entry - 8 + 1 + sds_size(length)) - self.entry
        if expires and not self.reported:
            total += self.entry
        return total

    def entry_in(self, kind: i64) -> i64:
        """What an entry of a table takes beside the table, on average where that differs."""
        if kind == BUCKETS:
            return 0
        if kind == BARE_ENTRIES:
            return 8
        return self.entry

    def _object(self, length: i64, expires: bool) -> i64:
        """An object that holds the name, without the pointer to its value."""
        size = self.layout.robj - 8 + 1 + sds_size(length)
        return size + 8 if expires or length >= RESERVES_EXPIRY else size

    def string_key(self, length: i64, expires: bool, n: i64) -> i64:
        """A key with a string of ``n`` bytes that is no number."""
        layout = self.layout
        if layout.names == IN_OBJECT:
            if not self.is_embedded(length, expires, n):
                return self.key(length, expires) + self.string(n)
            alone = self._object(length, expires) + 8
            if not self._nominal_objects:
                alone = self.allocator.size(alone)
            return self.allocator.size(self._whole(length, expires, n)) + self.key(length, expires) - alone
        if n > layout.embedded:
            return self.key(length, expires) + self.string(n)
        size = layout.robj + 3 + n + 1
        value = layout.robj + n + 2 if self._nominal else self.allocator.size(size)
        return self.key(length, expires) - self.robj + value

    def is_embedded(self, length: i64, expires: bool, n: i64) -> bool:
        """Whether a string of ``n`` bytes shares the allocation of its object."""
        layout = self.layout
        if layout.names != IN_OBJECT:
            return n <= layout.embedded
        size = self._whole(length, expires, n)
        if expires and layout.keys == BARE_ENTRIES:
            size -= 8
        return size <= layout.shared

    def _whole(self, length: i64, expires: bool, n: i64) -> i64:
        """An object that holds the name and a string of ``n`` bytes."""
        layout = self.layout
        size = layout.robj - 8 + 1 + sds_size(length) + (8 if expires else 0)
        return size + layout.pointer_in_embedded + eight_bit_sds_size(n)

    def integer_key(self, length: i64, expires: bool, shared: bool) -> i64:
        """A key with a string that is a number; ``shared``: one that many keys can have."""
        total = self.key(length, expires)
        if shared and self.layout.shares_integers and not self.reported:
            return total - self.robj
        return total

    def table(self, n: i64, kind: i64) -> i64:
        """A hash table of ``n`` entries, without what they point to."""
        if kind == BUCKETS:
            return self.fixed(self.layout.table) + self.buckets(n)
        return self.fixed(self.layout.dict) + self.slots(n) + self.links(n, kind)

    def slots(self, n: i64) -> i64:
        """The slots of a table of chains."""
        if n == 0:
            return 0
        size: i64 = 4
        while size < n:
            size *= 2
        return self.fixed(8 * size)

    def links(self, n: i64, kind: i64) -> i64:
        """The entries of a table of chains."""
        if kind == BARE_ENTRIES and n > 0:
            if self.reported and self.layout.counted_link >= 0:
                return n * self.layout.counted_link
            size: i64 = 4
            while size < n:
                size *= 2
            alone = float(size) * (1.0 - math.exp(-float(n) / float(size)))
            return i64((float(n) - alone) * float(self.fixed(16)))
        return n * self.entry

    def buckets(self, n: i64) -> i64:
        """The buckets of a table, and on average those behind full ones."""
        if n == 0:
            return 0
        count: i64 = 1
        while count * IN_BUCKET < n:
            count *= 2
        return count * BUCKET + i64(float(count) * _behind(float(n) / float(count), count)) * BUCKET

    def template(self, names: list[bytes]) -> i64:
        """A template of hashes with these names of fields (measured of Redis 8.10.2)."""
        total: i64 = TEMPLATE_COUNTED if self.reported else TEMPLATE
        for name in names:
            total += 8 + self.allocator.size(sds_size(len(name)))
        return total

    def keyspace(self, keys: i64, expires: i64) -> i64:
        """The tables of a database: of its keys, and of those that expire."""
        if self.layout.keys == BUCKETS:
            return self.buckets(keys) + self.buckets(expires)
        return self.slots(keys) + self.slots(expires)

    def overhead(self, keys: i64, expires: i64) -> i64:
        """What of `key` INFO does not take for ``used_memory_dataset``, besides `keyspace`: objects and entries, for as
        large as they are declared.
        """
        layout = self.layout
        entry = layout.entry if layout.keys == ENTRIES else self.entry_in(layout.keys)
        return keys * (layout.robj + entry) + expires * entry

    def field(self, field: i64, value: i64, expires: bool) -> i64:
        """A field of a hash in a table, with its value, beside what is the table's."""
        layout = self.layout
        if not layout.embeds_values:
            return self.string(field) + self.string(value)
        more: i64 = 0
        if expires:
            more = 8 if layout.hashes == BUCKETS else 16
        name = eight_bit_sds_size(field) if expires else sds_size(field)
        whole = name + more + eight_bit_sds_size(value)
        if whole <= EMBEDDED_ENTRY:
            return whole if self._nominal_strings else self.allocator.size(whole)
        whole = eight_bit_sds_size(field) + more + 8
        return (whole if self._nominal_strings else self.allocator.size(whole)) + self.string(value)

    def member(self, n: i64) -> i64:
        """A member of a sorted set in a table, without what `znode` and the table are."""
        if not self.layout.embeds_members:
            return self.string(n)
        if n < KNOWN:
            return self._znodes[n]
        return self._znode_with(n)

    def _znode_with(self, n: i64) -> i64:
        """A node of a skip list that holds its member, on average."""
        fixed = 16 + self.layout.before_member + sds_size(n)
        return int(sum(p * float(self.allocator.size(fixed + more)) for p, more in self.levels) + 0.5)

    def members(self, n: i64) -> i64:
        """A sorted set of ``n`` members in a table, without what `member` counts."""
        total = self.zset + self.table(n, self.layout.zsets)
        if self.reported:
            total -= n * self.layout.uncounted_of_member
        return total if self.layout.embeds_members else total + i64(self.znode * float(n))


def _behind(load: float, count: i64) -> float:
    """How many buckets there are behind a bucket on average, where so many entries fall to each (Poisson)."""
    if count == 1:
        return 0.0  # a table that small grows before
    p = math.exp(-load)
    total = 0.0
    k = 0
    while k < 60:
        if k > 7:
            total += p * float(1 + (k - 8) // 6)
        k += 1
        p *= load / float(k)
    return total
