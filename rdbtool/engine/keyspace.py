"""The keys of a database: a hash table that can be asked for many keys at once.

A replay spends most of its time waiting for memory: looking up a key among millions touches three places that
depend on each other, and none of them is in the cache. So a replay reads commands ahead, and `Keyspace.touch` brings
near what they will look up, for many keys at a time, which the processor does side by side. A dict cannot do that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from .cells import HashCell, Held

PLACE: Final[i64] = 0xFFFFFFFF
"""Of a slot: where in the entries stands what the key holds, 0 for a free slot."""
TAG: Final[i64] = ~0xFFFFFFFF
"""Of a slot: the high bits of the key's hash, so that few other keys are looked at."""
SMALLEST: Final[i64] = 8
NEAR: Final[i64] = 4096
"""Keys up to which all of it is in the cache anyway."""
CHUNK: Final[i64] = 128
"""Places of entries that `Keyspace.items` brings near at a time."""
MOST: Final = 128
"""Commands that `Keyspace.touch` takes at most."""


@final
@mypyc_attr(acyclic=True)
class Keyspace:
    """Key -> what it holds, in the order in which keys were added, as in a dict, and used like one."""

    __slots__ = ("_entries", "_live", "_mask", "_places", "_slots")

    def __init__(self) -> None:
        self._entries: list[Held | None] = []
        """A key, what it holds, the next key ...: side by side, as they are needed. None twice: deleted."""
        self._live: i64 = 0
        self._slots = vec[i64]([0] * SMALLEST)
        self._mask: i64 = SMALLEST - 1
        self._places = vec[i64]([0] * MOST)

    def _find(self, key: bytes) -> i64:
        """Where in the entries stands what ``key`` holds, or -1."""
        slots = self._slots
        entries = self._entries
        mask = self._mask
        h: i64 = hash(key)
        tag = h & TAG
        at = h & mask
        while True:
            slot = slots[at]
            place = slot & PLACE
            if place == 0:
                return -1
            if slot & TAG == tag:
                found = entries[place - 1]
                if isinstance(found, bytes) and found == key:
                    return place
            at = (at + 1) & mask

    def get(self, key: bytes) -> Held | None:
        """What ``key`` holds."""
        at = self._find(key)
        return None if at < 0 else self._entries[at]

    def __getitem__(self, key: bytes) -> Held:
        held = self.get(key)
        if held is None:
            raise KeyError(key)
        return held

    def __setitem__(self, key: bytes, held: Held) -> None:
        at = self._find(key)
        if at >= 0:
            self._entries[at] = held
            return
        used: i64 = len(self._entries)
        if used * 3 >= self._mask * 4:
            self._rebuild()
            used = len(self._entries)
        self._entries.append(key)
        self._entries.append(held)
        self._live += 1
        self._place(hash(key), used + 1)

    def __delitem__(self, key: bytes) -> None:
        at = self._find(key)
        if at < 0:
            raise KeyError(key)
        self._entries[at] = None
        self._entries[at - 1] = None
        self._live -= 1

    def __contains__(self, key: bytes) -> bool:
        return self._find(key) >= 0

    def __len__(self) -> int:
        return self._live

    def __iter__(self) -> Iterator[bytes]:
        for key, _ in self.items():  # noqa: PERF102 - no dict
            yield key

    def values(self) -> Iterator[Held]:
        """What the keys hold."""
        for _, held in self.items():  # noqa: PERF102 - no dict
            yield held

    def items(self) -> Iterator[tuple[bytes, Held]]:
        """Every key with what it holds. Keys must not be added or deleted meanwhile."""
        for near in self.portions():
            for i in range(0, len(near), 2):
                key = near[i]
                held = near[i + 1]
                if isinstance(key, bytes) and held is not None:
                    yield key, held

    def portions(self) -> Iterator[list[Held | None]]:
        """The same for loops that must be fast: lists of a key, what it holds, the next key ...; or None twice."""
        start: i64 = 0
        total: i64 = len(self._entries)
        while start < total:
            yield self._entries[start : start + CHUNK]  # copying a list touches what is in it
            start += CHUNK

    def clear(self) -> None:
        """Delete every key."""
        self._entries = []
        self._live = 0
        self._slots = vec[i64]([0] * SMALLEST)
        self._mask = SMALLEST - 1

    def touch(self, commands: list[list[bytes]], count: i64) -> None:
        """Bring near what the first ``count`` of ``commands``, `MOST` at most, find at their first argument."""
        if self._live < NEAR:
            return
        places = self._places
        slots = self._slots
        entries = self._entries
        mask = self._mask
        i: i64 = 0
        while i < count:
            args = commands[i]
            h: i64 = hash(args[1]) if len(args) > 1 else 0
            places[i] = h & mask
            i += 1
        i = 0
        while i < count:
            places[i] = slots[places[i]] & PLACE
            i += 1
        i = 0
        while i < count:
            place = places[i]
            if place:
                entries[place - 1]
                entries[place]
            i += 1
        i = 0
        while i < count:
            place = places[i]
            if place:
                held = entries[place]
                if isinstance(held, HashCell):
                    held.run  # noqa: B018 - to touch it
            i += 1

    def _place(self, h: i64, place: i64) -> None:
        slots = self._slots
        mask = self._mask
        at = h & mask
        while slots[at] & PLACE:
            at = (at + 1) & mask
        slots[at] = h & TAG | place

    def _rebuild(self) -> None:
        """Drop deleted entries, and make room for at least as many keys again."""
        if self._live * 2 < len(self._entries):
            kept: list[Held | None] = []
            for key, held in self.items():
                kept.append(key)
                kept.append(held)
            self._entries = kept
        size: i64 = SMALLEST
        while size < self._live * 3:
            size *= 2
        self._slots = vec[i64]([0] * size)
        self._mask = size - 1
        place: i64 = 1
        for key in self:
            self._place(hash(key), place)
            place += 2
