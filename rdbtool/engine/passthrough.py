"""The part of a base that its log does not reach.

Where a log is short, it is read for the keys that it names first. All others need not wait for the replay: they are
passed on while the base is read, which takes neither memory nor a second look at the file.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.hashing import hash_bytes
from rdbtool.errors import FormatError
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa
from rdbtool.rdb.head import Aside
from rdbtool.rdb.layout.duplicates import Duplicates, spaced
from rdbtool.rdb.reader import Frame, RdbReader

PLACES: Final = 16
"""Of each name, one is marked."""


@final
class Names:
    """Keys that are named, by hashes made with ``seed``. A look at one bit tells most others: the bits stay near, where
    a set of keys is far.
    """

    def __init__(self, names: set[bytes], seed: i64) -> None:
        self.names = names
        places = 8
        while places < PLACES * len(names):
            places *= 2
        self._last: i64 = places - 1
        marks = bytearray(places // 8)
        for name in names:
            at = hash_bytes(name, 0, len(name), seed) & self._last
            marks[at >> 3] |= 1 << (at & 7)
        self._marks = bytes(marks)

    def have(self, key: bytes, value: i64) -> bool:
        """Whether ``key``, whose hash is ``value``, is named."""
        at = value & self._last
        return self._marks[at >> 3] >> (at & 7) & 1 != 0 and key in self.names


@final
class Passthrough:
    """Passes on to ``aside`` whatever is no key in ``named``. ``passed``: how many keys that were."""

    def __init__(self, named: set[bytes], aside: Aside) -> None:
        self.aside = aside
        self.passed: i64 = 0
        self._seen = Duplicates(keep=False)
        self._named = Names(named, self._seen.seed)

    def takes(self, reader: RdbReader, event: Event) -> bool:
        """Whether the event, the reader's last one, is of no concern to the dataset.

        Raises `FormatError` at the end where a key came twice, and `OutputError`, also for want of temporary space.
        """
        if isinstance(event, Frame):
            key = event.key
            value = hash_bytes(key, 0, len(key), self._seen.seed)
            if self._named.have(key, value):
                return False
            self._seen.add_hash(spaced(value, event.db), reader.key_offset)
            self.passed += 1
        elif isinstance(event, End):
            self._finish(reader)
            return False
        self.aside.take(event)
        # the dataset has to see libraries too: a server refuses a file with a wrong one
        return not isinstance(event, (Function, FunctionPreGa))

    def _finish(self, reader: RdbReader) -> None:
        seen = self._seen
        seen.finish()
        for _, later, key in seen.confirmed(reader.window.path):
            raise comes_twice(reader, key, later)


def comes_twice(reader: RdbReader, key: bytes | None, offset: i64) -> FormatError:
    """The error for a key that comes twice."""
    return FormatError(
        "the key comes twice: the server refuses the file", path=reader.window.path, offset=offset, key=key
    )
