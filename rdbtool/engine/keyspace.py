"""The keys of a database: a hash table that can be asked for many keys at once.

A replay spends most of its time waiting for memory: looking up a key among millions touches three places that
depend on each other, and none of them is in the cache. So a replay reads commands ahead, and `Keyspace.touch` loads
into the cache what they will look up: for many keys at a time, so that the processor waits for all of them at once. A
dict cannot do that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast, final

from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from rdbtool.basics.hashing import hash_bytes, new_seed

from .cells.cell import HashCell, Held, SetCell

PLACE: Final[i64] = 0xFFFFFFFF
"""The lower half of a slot: 1 + the number of the key's entry, 0 where the slot is free."""
TAG: Final[i64] = ~0xFFFFFFFF
"""The upper half of a slot: its tag, which is a part of the key's hash. It tells where the slot goes when the table
grows, and two keys are compared only where their tags are the same.
"""
HASH: Final[i64] = 0x7FFFFFFF
"""The part of a hash that a tag holds."""
SMALLEST: Final[i64] = 8
NEAR: Final[i64] = 4096
"""Number of keys up to which the whole table is in the cache anyway."""
CHUNK: Final[i64] = 64
"""Entries that `Walk` loads into the cache at a time."""
AHEAD: Final = 32
"""Number of commands that are read before the first of them is applied, so that `Keyspace.touch` can load their keys
into the cache.
"""


def tag_of(key: bytes, seed: i64) -> i64:
    """The tag of a key's hash."""
    return (hash_bytes(key, 0, len(key), seed) & HASH) << 32


@final
@mypyc_attr(acyclic=True)
class Keyspace:
    """A mapping from keys to values (`Held`), in the order in which keys were added. It is used like a dict."""

    __slots__ = ("_entries", "_live", "_mask", "_seed", "_slots", "_tags")

    def __init__(self) -> None:
        self._entries: list[object] = []
        """Keys and values in turn; two None stand where a key was deleted. The type is `object`, because compiled code
        would check a narrower type at every access, and the check reads memory that may not be in the cache.
        """
        self._live: i64 = 0
        self._slots = vec[i64]([0] * SMALLEST)
        self._mask: i64 = SMALLEST - 1
        self._tags = vec[i64]([0] * AHEAD)
        self._seed: i64 = new_seed()

    def _find(self, key: bytes, tag: i64) -> i64:
        """The index of ``key`` among the entries, -1 where it is not there; ``tag`` is the key's."""
        slots = self._slots
        entries = self._entries
        mask = self._mask
        at = tag >> 32 & mask
        while True:
            slot = slots[at]
            place = slot & PLACE
            if place == 0:
                return -1
            if slot & TAG == tag:
                found = entries[2 * place - 2]
                if isinstance(found, bytes) and found == key:
                    return 2 * place - 2
            at = (at + 1) & mask

    def get(self, key: bytes) -> Held | None:
        """The value of ``key``; None where it is not there."""
        at = self._find(key, tag_of(key, self._seed))
        return None if at < 0 else cast("Held | None", self._entries[at + 1])

    def __getitem__(self, key: bytes) -> Held:
        held = self.get(key)
        if held is None:
            raise KeyError(key)
        return held

    def __setitem__(self, key: bytes, held: Held) -> None:
        tag = tag_of(key, self._seed)
        at = self._find(key, tag)
        if at >= 0:
            self._entries[at + 1] = held
        else:
            self._append(key, tag, held)

    def add(self, key: bytes, held: Held) -> bool:
        """Add a key, unless it is there; whether it was not."""
        tag = tag_of(key, self._seed)
        if self._find(key, tag) >= 0:
            return False
        self._append(key, tag, held)
        return True

    def remove(self, key: bytes) -> bool:
        """Delete a key; whether it was there."""
        at = self._find(key, tag_of(key, self._seed))
        if at < 0:
            return False
        self._entries[at] = None
        self._entries[at + 1] = None
        self._live -= 1
        return True

    def __delitem__(self, key: bytes) -> None:
        if not self.remove(key):
            raise KeyError(key)

    def __contains__(self, key: bytes) -> bool:
        return self._find(key, tag_of(key, self._seed)) >= 0

    def __len__(self) -> int:
        return self._live

    def __iter__(self) -> Iterator[bytes]:
        for key, _ in self.items():  # noqa: PERF102 - no dict
            yield key

    def items(self) -> Iterator[tuple[bytes, Held]]:
        """Every key with its value. Keys must not be added or deleted meanwhile."""
        walk = Walk(self)
        while walk.next():
            yield walk.key, walk.held

    def clear(self) -> None:
        """Delete every key."""
        self._entries = []
        self._live = 0
        self._slots = vec[i64]([0] * SMALLEST)
        self._mask = SMALLEST - 1

    def touch(self, commands: list[list[bytes]], count: i64) -> None:
        """Load into the cache what the first ``count`` of ``commands``, at most `AHEAD`, find under the key that is
        their first argument.
        """
        if self._live < NEAR:
            return
        tags = self._tags
        slots = self._slots
        mask = self._mask
        seed = self._seed
        i: i64 = 0
        while i < count:
            args = commands[i]
            # compiled, a conditional expression would make an int object
            if len(args) > 1:
                tags[i] = tag_of(args[1], seed)
            i += 1
        i = 0
        while i < count:
            tag = tags[i]
            at = tag >> 32 & mask
            slot = slots[at]
            while slot & PLACE != 0 and slot & TAG != tag:
                at = (at + 1) & mask
                slot = slots[at]
            tags[i] = slot & PLACE
            i += 1
        entries = self._entries
        i = 0
        while i < count:
            place = tags[i]
            if place:
                entries[2 * place - 2]
                entries[2 * place - 1]
            i += 1
        i = 0
        while i < count:
            place = tags[i]
            if place:
                held = entries[2 * place - 1]
                # compiled, asking for their common base would search the bases of each class
                if isinstance(held, HashCell):
                    held.run  # noqa: B018 - to read it is enough
                elif isinstance(held, SetCell):
                    held.run  # noqa: B018
            i += 1

    def _append(self, key: bytes, tag: i64, held: Held) -> None:
        size: i64 = len(self._entries)
        if size * 3 >= self._mask * 4:
            self._rebuild()
            size = len(self._entries)
        self._entries.append(key)
        self._entries.append(held)
        self._live += 1
        self._place(tag | ((size >> 1) + 1))

    def _place(self, slot: i64) -> None:
        slots = self._slots
        mask = self._mask
        at = slot >> 32 & mask
        while slots[at]:
            at = (at + 1) & mask
        slots[at] = slot

    def _rebuild(self) -> None:
        """Drop deleted entries, and make room for at least twice the keys."""
        size: i64 = SMALLEST
        while size < self._live * 3:
            size *= 2
        former = self._slots
        self._slots = vec[i64]([0] * size)
        self._mask = size - 1
        if self._live * 2 == len(self._entries):
            for slot in former:
                if slot:
                    self._place(slot)
            return
        entries: list[object] = []
        place: i64 = 0
        walk = Walk(self)
        while walk.next():
            entries.append(walk.key)
            entries.append(walk.held)
            place += 1
            self._place(tag_of(walk.key, self._seed) | place)
        self._entries = entries


@final
class Walk:
    """Goes through the keys of a keyspace: after `next` the key is ``key``, and its value is ``held``. Keys must not be
    added or deleted meanwhile.
    """

    def __init__(self, space: Keyspace) -> None:
        self.key = b""
        self.held: Held = b""
        self._space = space
        self._near: list[object] = []
        self._at: i64 = 0
        self._next: i64 = 0

    def next(self) -> bool:
        """Go on to the next key; False at the end."""
        while True:
            at = self._at
            if at >= len(self._near):
                entries = self._space._entries  # noqa: SLF001 - the same room
                start = self._next
                if start >= len(entries):
                    return False
                self._next = start + 2 * CHUNK
                self._near = entries[start : start + 2 * CHUNK]  # copying touches what is in it
                at = 0
            self._at = at + 2
            key = self._near[at]
            held = self._near[at + 1]
            if isinstance(key, bytes) and held is not None:
                self.key = key
                self.held = cast("Held", held)
                return True
