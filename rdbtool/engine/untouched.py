"""The keys of a base that its log does not name.

They stay in the file, and are read from it again when they are written: a base of any size then takes the memory of
those keys that the log names.
"""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.model import NO_EXPIRY
from rdbtool.rdb.reader import Frame, RdbReader
from rdbtool.rdb.verify.duplicates import Duplicates
from rdbtool.source import Stored


@final
class Untouched:
    """Keys of the RDB ``stored`` that are not in ``named``, in any database.

    ``keys`` and ``expiring``: how many there are by database, and how many of them have an expiry.
    """

    def __init__(self, stored: Stored, named: set[bytes]) -> None:
        self.stored = stored
        self.named = named
        self.keys: dict[int, int] = {}
        self.expiring: dict[int, int] = {}
        self._seen = Duplicates()

    def takes(self, reader: RdbReader, frame: Frame) -> bool:
        """Whether this key, which comes from the file for the first time, is one of them.

        Raises `FormatError` where it is sure that it comes twice, `OutputError` for want of temporary space.
        """
        if frame.key in self.named:
            return False
        if self._seen.add(frame.key, reader.key_offset, frame.db):
            raise comes_twice(reader, frame.key, frame.offset)
        self.keys[frame.db] = self.keys.get(frame.db, 0) + 1
        if frame.expire_at_ms != NO_EXPIRY:
            self.expiring[frame.db] = self.expiring.get(frame.db, 0) + 1
        return True

    def finish(self, reader: RdbReader) -> None:
        """Compare what was too much to compare before. Raises as `takes` does."""
        if self._seen.kept is not None:
            return
        self._seen.finish()
        for _, later, key in self._seen.confirmed(reader.window.path):
            raise comes_twice(reader, key, later)

    def frames(self) -> UntouchedFrames:
        """The keys, from the file, in its order."""
        return UntouchedFrames(self)


@final
class UntouchedFrames:
    """A walk over `Untouched`. A frame is good until the next one is asked for."""

    def __init__(self, untouched: Untouched) -> None:
        self._named = untouched.named
        self._reader = RdbReader(untouched.stored.window(), checksum=False)

    def next(self) -> Frame | None:
        """The next key, or None. Raises what reading raises, also where the file has been changed."""
        reader = self._reader
        while True:
            event = reader.next()
            if event is None:
                return None
            if isinstance(event, Frame) and event.key not in self._named:
                return event


def comes_twice(reader: RdbReader, key: bytes | None, offset: i64) -> FormatError:
    """The error for a key that comes twice."""
    return FormatError(
        "the key comes twice: the server refuses the file", path=reader.window.path, offset=offset, key=key
    )
