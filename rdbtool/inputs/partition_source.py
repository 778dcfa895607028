"""The keys of partitions that were written as an RDB each, as one source: database by database."""

from __future__ import annotations

import resource
from collections.abc import Collection, Sequence
from typing import Final, final

from mypy_extensions import i64

from rdbtool.io.source import Input, open_input
from rdbtool.model import Entry
from rdbtool.rdb.events import Event, Function, ModuleAux
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader

from .keys import EntryEvent, Facts, KeySource

BESIDE: Final = 128
"""Files that a program has open beside those of partitions."""


@final
class _Part:
    """An RDB whose databases come in order; ``frame``: its next key, which is ``decoded`` for whoever asks for it."""

    def __init__(self, stream: Input, *, decoded: bool) -> None:
        self.stream = stream
        self.decoded = decoded
        self.reader = RdbReader(stream.window(), checksum=False)
        self.frame: Frame | None = None
        self.advance()

    def advance(self) -> None:
        """Go on to the next key."""
        while True:
            event = self.reader.next()
            if event is None or isinstance(event, Frame):
                self.frame = event
                return


@final
class PartitionSource(KeySource):
    """The keys of the RDBs at ``files``, behind function libraries and ``module_aux``; those in the ones of ``decoded``
    come decoded. ``facts``: of the snapshot in front of the log, as of a `DatasetSource`. Use it as a context manager.
    """

    def __init__(
        self,
        path: str,
        facts: Facts,
        functions: Sequence[bytes],
        module_aux: Sequence[ModuleAux],
        files: Sequence[str],
        decoded: Collection[str] = (),
    ) -> None:
        super().__init__(path, distinct=True)
        self.facts = facts
        self._beside: list[Event] = [Function(-1, code) for code in functions]
        self._beside += module_aux
        self._beside.reverse()
        self._parts: list[_Part] = []
        self._at: i64 = 0
        self._db: i64 = 0
        self._passes = False
        _allow_open(len(files))
        try:
            for file in files:
                self._parts.append(_Part(open_input(file), decoded=file in decoded))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PartitionSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        for part in self._parts:
            part.stream.close()

    def next(self) -> Event | None:
        """The next event, or None."""
        if self._beside:
            return self._beside.pop()
        while True:
            while self._at < len(self._parts):
                part = self._parts[self._at]
                if self._passes:
                    self._passes = False
                    part.advance()
                frame = part.frame
                if frame is not None and frame.db == self._db:
                    self._passes = True
                    if part.decoded:
                        return EntryEvent(Entry(int(frame.db), frame.key, frame.value(), frame.expire_at_ms))
                    return frame
                self._at += 1
            dbs = [int(part.frame.db) for part in self._parts if part.frame is not None]
            if not dbs:
                return None
            self._db = min(dbs)
            self._at = 0


def _allow_open(files: int) -> None:
    """Ask the system for so many open files more than a program has anyway."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files + BESIDE if hard == resource.RLIM_INFINITY else min(files + BESIDE, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
