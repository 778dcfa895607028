"""An RDB that is read more than once: from its start, and key by key."""

from __future__ import annotations

import os
import tempfile
from typing import Final, final

from rdbtool.errors import InputError, OutputError
from rdbtool.rdb.compare import Kept
from rdbtool.rdb.reader import Frame, RdbReader, frame_of
from rdbtool.source import CHUNK, Input, Readable, Window, open_input, reason

WHOLE: Final = CHUNK
"""Payloads up to this many bytes are read at once, longer ones through a window."""


@final
class _Tail:
    """Reads an open file from an offset on, beside other readers of it."""

    def __init__(self, handle: int, offset: int) -> None:
        self._handle = handle
        self._offset = offset

    def read(self, n: int, /) -> bytes:
        data = os.pread(self._handle, n, self._offset)
        self._offset += len(data)
        return data


@final
class _Copying:
    """Passes a source on, and keeps what it gave in a file."""

    def __init__(self, source: Readable, handle: int, path: str) -> None:
        self._source = source
        self._handle = handle
        self._path = path

    def read(self, n: int, /) -> bytes:
        data = self._source.read(n)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._handle, view) :]
        except OSError as e:
            raise OutputError(f"cannot keep the input in a temporary file: {reason(e)}", path=self._path) from e
        return data


@final
class Snapshot:
    """An RDB at ``path``. Pipes and compressed files are kept, as they are read, in a temporary file.

    ``name`` is for messages; ``size`` is in bytes, -1 for a pipe or compressed file; ``version`` is that of the
    RDB on the right side, known from the first difference on.
    """

    def __init__(self, path: str, *, name: str = "") -> None:
        self._input: Input = open_input(path)
        self.name = name or self._input.name
        self.size = self._input.size
        self.version = 0
        self._first = True
        try:
            if self.size >= 0:
                self._handle = os.open(path, os.O_RDONLY)
            else:
                self._handle, temporary = tempfile.mkstemp(prefix="rdbtool-diff-")
                os.unlink(temporary)
        except OSError as e:
            self._input.close()
            raise InputError(f"cannot open: {reason(e)}", path=path) from e

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the input; a temporary file is gone with that."""
        self._input.close()
        os.close(self._handle)

    def window(self) -> Window:
        """A window at the first byte. The first one of an input that cannot seek must be used up before the next."""
        if self.size >= 0:
            return Window(_Tail(self._handle, 0), path=self.name, size=self.size)
        if self._first:
            self._first = False
            return Window(_Copying(self._input.stream, self._handle, self.name), path=self.name)
        return Window(_Tail(self._handle, 0), path=self.name, size=os.fstat(self._handle).st_size)

    def frame(self, db: int, key: bytes, kept: Kept) -> Frame:
        """The key again, its value unread; of a value of more than `WHOLE` bytes only what is needed is held."""
        size = int(kept.size)
        offset = int(kept.offset)
        if size <= WHOLE:
            raw = b""
            while len(raw) < size:
                more = os.pread(self._handle, size - len(raw), offset + len(raw))
                if not more:
                    raise InputError("the file got shorter while it was read", path=self.name, offset=offset)
                raw += more
            frame = frame_of(db, key, kept.type, raw)
        else:
            window = Window(_Tail(self._handle, offset), path=self.name, size=offset + size, base=offset)
            frame = Frame(RdbReader(window, checksum=False), offset, db, key, kept.type)
        frame.value_offset = offset
        frame.expire_at_ms = kept.expire_at_ms
        frame.idle_s = kept.idle_s
        frame.freq = kept.freq
        frame.meta = kept.meta
        return frame
