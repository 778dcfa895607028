"""Read the files of a log in the server's order: the snapshot each may begin with, then its commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from rdbtool.errors import InputError
from rdbtool.io.source import Input, open_input
from rdbtool.io.window import Window
from rdbtool.rdb.reader import RdbReader

from .layout import Layout, LogFile
from .resp import MAX_BULK, CommandReader

MAGICS = (b"REDIS", b"VALKEY")


def has_preamble(window: Window) -> bool:
    """Whether an RDB begins at the window's position."""
    window.need(6 if window.size < 0 or window.size - window.offset() >= 6 else 5)
    return window.data[window.pos : window.pos + 6].startswith(MAGICS)


@final
class FileReader:
    """One file: read ``preamble`` to its end where it is not None, then ``log``.

    Both read from the same window; offsets are the file's. Use it as a context manager.
    """

    def __init__(self, file: LogFile, source: Input, *, max_bulk: int = MAX_BULK, checksum: bool = True) -> None:
        self.file = file
        self.window = source.window()
        self.preamble = RdbReader(self.window, checksum=checksum) if has_preamble(self.window) else None
        self.log = CommandReader(self.window, max_bulk)
        self._source = source

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()


def read_files(layout: Layout, *, max_bulk: int = MAX_BULK, checksum: bool = True) -> Iterator[FileReader]:
    """Readers of the files that a server loads, in its order. Each is closed when the next is asked for.

    Raises `InputError` for a file that is missing or cannot be read.
    """
    for file in layout.files:
        if file.missing:
            raise InputError(f"the manifest names this {file.role} file, and it is not there", path=file.path)
        with FileReader(file, open_input(file.path), max_bulk=max_bulk, checksum=checksum) as reader:
            yield reader
