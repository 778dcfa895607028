"""Keys of a base that no command of its log names: they go straight to the output.

A short log is read for the keys that its commands name, before its base is read. Every other key of the base can then
be written out as soon as it is read. This takes no memory, and the file need not be read a second time.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.hashing import hash_bytes
from rdbtool.errors import FormatError
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.head import Aside
from rdbtool.rdb.layout.duplicates import Duplicates, spaced
from rdbtool.rdb.reader import RdbReader

BITS_PER_NAME: Final = 16
"""Bits of the filter for each name that it knows."""


@final
class Names:
    """A set of keys with a filter in front of it, which has a bit for each hash (made with ``seed``).

    Most keys that are not in the set are recognized by one bit. The filter is small enough for the processor's cache,
    and the set is not.
    """

    def __init__(self, names: set[bytes], seed: i64) -> None:
        self.names = names
        bits = 8
        while bits < BITS_PER_NAME * len(names):
            bits *= 2
        self._mask: i64 = bits - 1
        found = bytearray(bits // 8)
        for name in names:
            at = hash_bytes(name, 0, len(name), seed) & self._mask
            found[at >> 3] |= 1 << (at & 7)
        self._filter = bytes(found)

    def have(self, key: bytes, value: i64) -> bool:
        """Whether ``key`` is in the set; ``value`` is its hash."""
        at = value & self._mask
        return self._filter[at >> 3] >> (at & 7) & 1 != 0 and key in self.names


@final
class Passthrough:
    """Gives ``aside`` everything in a base but the keys in ``named``. ``passed`` counts the keys that it gave."""

    def __init__(self, named: set[bytes], aside: Aside) -> None:
        self.aside = aside
        self.passed: i64 = 0
        self._seen = Duplicates(keep=False)
        self._named = Names(named, self._seen.seed)

    def takes(self, reader: RdbReader, event: Event) -> bool:
        """Give ``event``, the reader's last one, to ``aside`` unless it is for the dataset; whether the dataset can do
        without it.

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
    """The error for a key that stands twice in a file; ``offset`` is that of the second."""
    return FormatError(
        "the key comes twice: the server refuses the file", path=reader.window.path, offset=offset, key=key
    )
