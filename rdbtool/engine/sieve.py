"""The part of a base that its log does not reach.

Where a log is short, it is read for the keys that it names first. All others need not wait for the replay: they are
passed on while the base is read, which takes neither memory nor a second look at the file.
"""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa
from rdbtool.rdb.head import Aside
from rdbtool.rdb.reader import Frame, RdbReader
from rdbtool.rdb.verify.duplicates import Duplicates


@final
class Sieve:
    """Passes on to ``aside`` whatever is no key in ``named``. ``passed``: how many keys that were."""

    def __init__(self, named: set[bytes], aside: Aside) -> None:
        self.named = named
        self.aside = aside
        self.passed: i64 = 0
        self._seen = Duplicates()

    def takes(self, reader: RdbReader, event: Event) -> bool:
        """Whether the event, the reader's last one, is of no concern to the dataset.

        Raises `FormatError` for a key that certainly came before, and `OutputError`, also for want of temporary space.
        """
        if isinstance(event, Frame):
            if event.key in self.named:
                return False
            if self._seen.add(event.key, reader.key_offset, event.db):
                raise comes_twice(reader, event.key, event.offset)
            self.passed += 1
        elif isinstance(event, End):
            self._finish(reader)
            return False
        self.aside.take(event)
        # the dataset has to see libraries too: a server refuses a file with a wrong one
        return not isinstance(event, (Function, FunctionPreGa))

    def _finish(self, reader: RdbReader) -> None:
        """Compare what was too much to compare before."""
        seen = self._seen
        if seen.kept is None:
            seen.finish()
            for _, later, key in seen.confirmed(reader.window.path):
                raise comes_twice(reader, key, later)


def comes_twice(reader: RdbReader, key: bytes | None, offset: i64) -> FormatError:
    """The error for a key that comes twice."""
    return FormatError(
        "the key comes twice: the server refuses the file", path=reader.window.path, offset=offset, key=key
    )
