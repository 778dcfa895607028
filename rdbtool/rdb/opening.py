"""Open an RDB, wherever it is, and read it event by event."""

from __future__ import annotations

import os
from typing import final

from rdbtool.io.source import Input, open_input, open_stream
from rdbtool.io.window import Readable

from .events import Event
from .reader import RdbReader


@final
class RdbEvents:
    """The events of an opened RDB, in their order. Iterate once; `close` it, or use it as a context manager.

    Iterating raises `FormatError`, `TruncatedError`, `UnsupportedError` or `InputError`; nothing comes after that.
    ``reader`` knows the version, the dialect and the place.
    """

    def __init__(self, source: Input) -> None:
        self.source = source
        self.reader = RdbReader(source.window())

    def __enter__(self) -> RdbEvents:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def __iter__(self) -> RdbEvents:
        return self

    def __next__(self) -> Event:
        event = self.reader.next()
        if event is None:
            self.close()
            raise StopIteration
        return event

    def close(self) -> None:
        """Close what was opened."""
        self.source.close()


def open_rdb(source: str | os.PathLike[str] | Readable) -> RdbEvents:
    """Open the RDB at a path, on standard input (``-``), or that anything with ``.read(n)`` gives.

    gzip and zstd are opened. Keys come as `Frame`, good until the next event unless it is kept (`Frame.keep`): a value
    that is not asked for is never decoded. Raises `InputError`.
    """
    if isinstance(source, (str, os.PathLike)):
        return RdbEvents(open_input(os.fspath(source)))
    return RdbEvents(open_stream(source))
