"""Buckets of keys: those of keys that have to stay together are joined, and dealt out to partitions."""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.basics.hashing import hash_bytes

FEWEST: Final = 1 << 10
MOST: Final = 1 << 18
"""Buckets: as many as make groups small, and as fit in the processor's cache, one bit each."""
BYTES_PER_BUCKET: Final = 256
SLACK: Final = 8
"""A partition may weigh more than it should by this part."""
NOBODY: Final = 0
"""In place of the number of a partition."""
OPENING: Final = 123
CLOSING: Final = 125


def buckets_for(size: int) -> int:
    """How many buckets are of use for ``size`` bytes of input: a power of two."""
    count = FEWEST
    while count < MOST and count * BYTES_PER_BUCKET < size:
        count *= 2
    return count


def hash_of_key(data: bytes, pos: i64, size: i64, seed: i64) -> i64:
    """The hash of the key at ``data[pos:pos + size]``: of its hash tag, where it has one (see `servers.slots`)."""
    end = pos + size
    at = pos
    while at < end and data[at] != OPENING:
        at += 1
    if at < end:
        at += 1
        close = at
        while close < end and data[close] != CLOSING:
            close += 1
        if at < close < end:
            return hash_bytes(data, at, close - at, seed)
    return hash_bytes(data, pos, size, seed)


@final
class Buckets:
    """Groups of buckets, and the partitions that have them: numbers from 1 on. ``left``: what those weigh that are in
    none.

    ``count``: of buckets, a power of two; ``seed``: of the hash; ``weights``: of a bucket, or once groups were joined,
    of the group whose root it is.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count: i64 = count
        self.seed: i64 = seed
        self.weights = vec[i64]([0] * count)
        self.partitions: i64 = 0
        self.left: i64 = 0
        self._parents = vec[i64](list(range(count)))
        self._owners = vec[i64]([0] * count)

    def bucket(self, key: bytes) -> i64:
        """The bucket of a key."""
        return hash_of_key(key, 0, len(key), self.seed) & (self.count - 1)

    def root(self, bucket: i64) -> i64:
        """The bucket that stands for the group of ``bucket``."""
        parents = self._parents
        while parents[bucket] != bucket:
            parents[bucket] = parents[parents[bucket]]
            bucket = parents[bucket]
        return bucket

    def join(self, one: i64, other: i64) -> None:
        """Make one group of those of two buckets."""
        one = self.root(one)
        other = self.root(other)
        if one != other:
            self._parents[other] = one

    def gather(self) -> None:
        """Add up the weights of each group: to be called once, when all are joined."""
        bucket: i64 = 0
        while bucket < self.count:
            root = self.root(bucket)
            if root != bucket:
                self.weights[root] += self.weights[bucket]
                self.weights[bucket] = 0
            bucket += 1
        bucket = 0
        while bucket < self.count:
            self.left += self.weights[bucket]
            bucket += 1

    def take(self, weight: i64) -> int:
        """Make a partition of groups that weigh about so much, of those that none has; its number."""
        self.partitions += 1
        number = self.partitions
        most = weight + weight // SLACK
        load: i64 = 0
        bucket: i64 = 0
        while bucket < self.count:
            if self._owners[bucket] == NOBODY and self._parents[bucket] == bucket:
                more = self.weights[bucket]
                if load == 0 or (load < weight and load + more <= most):
                    self._owners[bucket] = number
                    load += more
            bucket += 1
        self.left -= load
        self._follow_roots()
        return int(number)

    def give_back(self, partition: i64) -> None:
        """Undo `take`."""
        bucket: i64 = 0
        while bucket < self.count:
            if self._owners[bucket] == partition:
                self._owners[bucket] = NOBODY
                self.left += self.weights[bucket]
            bucket += 1

    def weight(self, partition: i64) -> tuple[int, int]:
        """How many groups with keys a partition has, and what they weigh."""
        groups: i64 = 0
        total: i64 = 0
        bucket: i64 = 0
        while bucket < self.count:
            if self._owners[bucket] == partition and self.weights[bucket]:
                groups += 1
                total += self.weights[bucket]
            bucket += 1
        return int(groups), int(total)

    def _follow_roots(self) -> None:
        """Let every bucket belong to the partition that has its group's root."""
        bucket: i64 = 0
        while bucket < self.count:
            self._owners[bucket] = self._owners[self.root(bucket)]
            bucket += 1

    def bits(self, partition: i64) -> bytes:
        """A bit for each bucket: whether the partition has it."""
        found = bytearray(self.count // 8)
        bucket: i64 = 0
        while bucket < self.count:
            if self._owners[bucket] == partition:
                found[bucket >> 3] |= 1 << (bucket & 7)
            bucket += 1
        return bytes(found)
