"""The keys of a database: a hash table that can be asked for many keys at once.

A replay spends most of its time waiting for memory: looking up a key among millions touches three places that
depend on each other, and none of them is in the cache. So a replay reads commands ahead, and `Keyspace.touch` brings
near what they will look up, for many keys at a time, which the processor does side by side. A dict cannot do that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, final

from librt.strings import read_i64_le
from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from .cells import Held

PLACE: Final[i64] = 0xFFFFFFFF
"""Of a slot: 1 + the number of the key's entry, 0 for a free slot."""
TAG: Final[i64] = ~0xFFFFFFFF
"""Of a slot: the high bits of the key's hash, so that few other keys are looked at."""
SMALLEST: Final[i64] = 8
NEAR: Final[i64] = 4096
"""Keys up to which all of it is in the cache anyway."""
CHUNK: Final[i64] = 64
"""Entries that `Walk` brings near at a time."""
AHEAD: Final = 32
"""Commands that are read before the first of them is applied, so that `Keyspace.touch` can bring their keys near."""
BITS: Final[i64] = (1 << 61) - 1
"""Of a hash. Compiled, a constant beyond 62 bits would be an object."""
MULTIPLIER: Final[i64] = 0x1E3779B97F4A7C15
"""Odd, and its bits look random."""


def hash_of(key: bytes, seed: i64) -> i64:
    """A hash, without the int object that compiled code gets from ``hash``."""
    n: i64 = len(key)
    h = seed ^ n
    if n >= 8:
        i: i64 = 8
        while i < n:
            h = (h ^ read_i64_le(key, i - 8)) * MULTIPLIER & BITS
            h ^= h >> 32
            i += 8
        h ^= read_i64_le(key, n - 8)
    else:
        tail: i64 = 0
        i = 0
        while i < n:
            tail = tail << 8 | key[i]
            i += 1
        h ^= tail
    h = h * MULTIPLIER & BITS
    h ^= h >> 32
    h = h * MULTIPLIER & BITS
    return h ^ h >> 29


@final
@mypyc_attr(acyclic=True)
class Keyspace:
    """Key -> what it holds, in the order in which keys were added, as in a dict, and used like one."""

    __slots__ = ("_held", "_keys", "_live", "_mask", "_places", "_seed", "_slots")

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._held: list[Held | None] = []
        """What the keys hold; None: the key was deleted."""
        self._live: i64 = 0
        self._slots = vec[i64]([0] * SMALLEST)
        self._mask: i64 = SMALLEST - 1
        self._places = vec[i64]([0] * AHEAD)
        self._seed: i64 = int.from_bytes(os.urandom(7), "little")
        """No file can be made so that its keys collide."""

    def _find(self, key: bytes, h: i64) -> i64:
        """The number of the entry of ``key``, whose hash is ``h``, or -1."""
        slots = self._slots
        keys = self._keys
        mask = self._mask
        tag = h & TAG
        at = h & mask
        while True:
            slot = slots[at]
            place = slot & PLACE
            if place == 0:
                return -1
            # the key of a deleted entry is empty, as a key may be
            if slot & TAG == tag and keys[place - 1] == key and (key or self._held[place - 1] is not None):
                return place - 1
            at = (at + 1) & mask

    def get(self, key: bytes) -> Held | None:
        """What ``key`` holds."""
        at = self._find(key, hash_of(key, self._seed))
        return None if at < 0 else self._held[at]

    def __getitem__(self, key: bytes) -> Held:
        held = self.get(key)
        if held is None:
            raise KeyError(key)
        return held

    def __setitem__(self, key: bytes, held: Held) -> None:
        h = hash_of(key, self._seed)
        at = self._find(key, h)
        if at >= 0:
            self._held[at] = held
        else:
            self._append(key, h, held)

    def add(self, key: bytes, held: Held) -> bool:
        """Add a key, unless it is there; whether it was not."""
        h = hash_of(key, self._seed)
        if self._find(key, h) >= 0:
            return False
        self._append(key, h, held)
        return True

    def remove(self, key: bytes) -> bool:
        """Delete a key; whether it was there."""
        at = self._find(key, hash_of(key, self._seed))
        if at < 0:
            return False
        self._held[at] = None
        self._keys[at] = b""
        self._live -= 1
        return True

    def __delitem__(self, key: bytes) -> None:
        if not self.remove(key):
            raise KeyError(key)

    def __contains__(self, key: bytes) -> bool:
        return self._find(key, hash_of(key, self._seed)) >= 0

    def __len__(self) -> int:
        return self._live

    def __iter__(self) -> Iterator[bytes]:
        for key, _ in self.items():  # noqa: PERF102 - no dict
            yield key

    def items(self) -> Iterator[tuple[bytes, Held]]:
        """Every key with what it holds. Keys must not be added or deleted meanwhile."""
        walk = Walk(self)
        while walk.next():
            yield walk.key, walk.held

    def clear(self) -> None:
        """Delete every key."""
        self._keys = []
        self._held = []
        self._live = 0
        self._slots = vec[i64]([0] * SMALLEST)
        self._mask = SMALLEST - 1

    def touch(self, commands: list[list[bytes]], count: i64) -> None:
        """Bring near what the first ``count`` of ``commands``, `AHEAD` at most, find at their first argument."""
        if self._live < NEAR:
            return
        places = self._places
        slots = self._slots
        mask = self._mask
        seed = self._seed
        i: i64 = 0
        while i < count:
            args = commands[i]
            # compiled, a conditional expression would make an int object
            if len(args) > 1:
                places[i] = hash_of(args[1], seed)
            i += 1
        i = 0
        while i < count:
            h = places[i]
            at = h & mask
            slot = slots[at]
            while slot & PLACE != 0 and (slot ^ h) & TAG != 0:
                at = (at + 1) & mask
                slot = slots[at]
            places[i] = slot & PLACE
            i += 1
        keys = self._keys
        held = self._held
        i = 0
        while i < count:
            place = places[i]
            if place:
                keys[place - 1]
                held[place - 1]
            i += 1

    def _append(self, key: bytes, h: i64, held: Held) -> None:
        used: i64 = len(self._keys)
        if used * 3 >= self._mask * 2:
            self._rebuild()
            used = len(self._keys)
        self._keys.append(key)
        self._held.append(held)
        self._live += 1
        self._place(h, used + 1)

    def _place(self, h: i64, place: i64) -> None:
        slots = self._slots
        mask = self._mask
        at = h & mask
        while slots[at] & PLACE:
            at = (at + 1) & mask
        slots[at] = h & TAG | place

    def _rebuild(self) -> None:
        """Drop deleted entries, and make room for at least as many keys again."""
        if self._live < len(self._keys):
            keys: list[bytes] = []
            kept: list[Held | None] = []
            walk = Walk(self)
            while walk.next():
                keys.append(walk.key)
                kept.append(walk.held)
            self._keys = keys
            self._held = kept
        size: i64 = SMALLEST
        while size < self._live * 3:
            size *= 2
        self._slots = vec[i64]([0] * size)
        self._mask = size - 1
        place: i64 = 1
        for key in self._keys:
            self._place(hash_of(key, self._seed), place)
            place += 1


@final
class Walk:
    """Every key of a keyspace, one by one: `next`, then ``key`` and ``held``. Keys must not be added or deleted
    meanwhile.
    """

    def __init__(self, space: Keyspace) -> None:
        self.key = b""
        self.held: Held = b""
        self._space = space
        self._keys: list[bytes] = []
        self._near: list[Held | None] = []
        self._at: i64 = 0
        self._next: i64 = 0

    def next(self) -> bool:
        """Go on to the next key; False at the end."""
        while True:
            at = self._at
            if at >= len(self._near):
                space = self._space
                start = self._next
                if start >= len(space._keys):  # noqa: SLF001 - the same room
                    return False
                self._next = start + CHUNK
                self._keys = space._keys[start : start + CHUNK]  # noqa: SLF001 - copying touches what is in it
                self._near = space._held[start : start + CHUNK]  # noqa: SLF001
                at = 0
            self._at = at + 1
            held = self._near[at]
            if held is not None:
                self.key = self._keys[at]
                self.held = held
                return True
