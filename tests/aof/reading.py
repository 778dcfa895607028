"""Read the files of a log in the server's order: the snapshot each may begin with, then its commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from rdbtool.aof.detect import RDB, kind_at
from rdbtool.aof.layout import Layout, LogFile
from rdbtool.aof.resp import MAX_BULK, CommandReader
from rdbtool.errors import InputError
from rdbtool.io.source import Input, open_input
from rdbtool.rdb.reader import RdbReader


@final
class FileReader:
    """One file: read ``preamble`` to its end where it is not None, then ``log``.

    Both read from the same window; offsets are the file's. Use it as a context manager.
    """

    def __init__(self, file: LogFile, source: Input, *, max_bulk: int = MAX_BULK, checksum: bool = True) -> None:
        self.file = file
        self.window = source.window()
        self.preamble = RdbReader(self.window, checksum=checksum) if kind_at(self.window) == RDB else None
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
