"""How far processes of this machine are: each notes it where the one that waits looks."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, final

from rdbtool.inputs.partitioned import Partitioned, Share
from rdbtool.io.progress import Progress

SLOT: Final = 8
"""Bytes of a note."""
NOTED: Final = 1 << 20
"""Bytes that are read between two notes."""


@final
@dataclass(slots=True)
class Note:
    """A `Progress` that writes down the bytes read, in the slot ``number`` of the file at ``path``."""

    path: str
    number: int
    handle: int = -1
    last: int = -NOTED

    def __call__(self, done: int, _: int) -> None:
        """Note it, now and then."""
        if done < self.last + NOTED:
            return
        self.last = done
        try:
            if self.handle < 0:
                self.handle = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
            os.pwrite(self.handle, done.to_bytes(SLOT, "little"), self.number * SLOT)
        except OSError:  # whoever waited for it is gone, or on another machine
            self.last = 1 << 62

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Write no more."""
        self.last = 1 << 62
        handle, self.handle = self.handle, -1
        if handle >= 0:
            os.close(handle)


def noted(path: str, count: int) -> list[int]:
    """The bytes read as the first ``count`` notes in the file say."""
    with open(path, "rb") as file:
        notes = file.read(count * SLOT)
    return [int.from_bytes(notes[i * SLOT : (i + 1) * SLOT], "little") for i in range(count)]


@final
class Watch:
    """Tells ``progress`` how far all replays of ``found`` are together, as if one replayed all keys. When it is called,
    it looks at the notes in the file ``path``, which those of the partitions `of` leave there.
    """

    def __init__(self, found: Partitioned, path: str) -> None:
        self.progress: Progress | None = found.progress
        self._path = path
        self._buckets = found.buckets
        self._total = max(int(found.buckets.left), 1)
        self._size = max(sum(size for size, _ in found.stamps), 1)
        self._weights: list[int] = []
        self._most = 0

    def of(self, share: Share) -> Share:
        """The same partition, whose replay leaves notes."""
        if self.progress is None:
            return share
        self._weights.append(int(self._buckets.weight(share.number)[1]))
        return share._replace(note=Note(self._path, len(self._weights) - 1))

    def forget(self) -> None:
        """Those before are done, or will be done again."""
        self._weights = []
        if self.progress is not None:
            with open(self._path, "wb"):
                pass

    def __call__(self) -> None:
        """Look how far they are."""
        if self.progress is None:
            return
        done = self._total - int(self._buckets.left) - sum(self._weights)
        for weight, read in zip(self._weights, noted(self._path, len(self._weights)), strict=True):
            done += weight * min(read, self._size) // self._size
        self._most = max(self._most, self._size * max(done, 0) // self._total)
        self.progress(min(self._most, self._size), self._size)


@contextmanager
def watched(found: Partitioned) -> Iterator[Watch]:
    """What watches the replays of a log's partitions, while they take place."""
    if found.progress is None:
        yield Watch(found, "")
        return
    with tempfile.NamedTemporaryFile(prefix="rdbtool-") as file:
        yield Watch(found, file.name)
