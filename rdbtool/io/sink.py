"""Bytes out: written beside the final name, synced, and renamed when whole."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import BinaryIO, Final, final

from rdbtool.errors import OutputError, reason

BUFFER: Final = 1 << 20
"""Bytes collected before they are written."""


@final
class Sink:
    """An output under construction. Nothing shows under the final name before `commit`.

    Use it as a context manager: leaving it normally commits, leaving it by an exception removes the
    temporary file. For ``-`` bytes go to standard output as they come.
    """

    def __init__(self, path: str, stream: BinaryIO, temporary: str) -> None:
        self.path = path
        self.written = 0
        self._stream = stream
        self._temporary = temporary
        self._parts: list[bytes] = []
        self._held = 0

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()

    def write(self, data: bytes) -> None:
        """Append ``data``. Raises `OutputError`; a broken pipe stays `BrokenPipeError`."""
        self._parts.append(data)
        self._held += len(data)
        self.written += len(data)
        if self._held >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hand what is collected to the system."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts = []
        self._held = 0
        try:
            view = memoryview(data)
            while view:
                view = view[self._stream.write(view) or 0 :]
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as e:
            raise OutputError(f"cannot write: {reason(e)}", path=self.path, offset=self.written - len(data)) from e

    def commit(self) -> None:
        """Sync and give the output its final name. Raises `OutputError`."""
        try:
            self.flush()
            if self._temporary:
                os.fsync(self._stream.fileno())
                self._stream.close()
                os.replace(self._temporary, self.path)
                self._temporary = ""
                sync_directory(os.path.dirname(self.path))
        except OSError as e:
            self.abort()
            if isinstance(e, BrokenPipeError):
                raise
            raise OutputError(f"cannot write: {reason(e)}", path=self.path) from e
        except OutputError:
            self.abort()
            raise

    def abort(self) -> None:
        """Drop the output; what was there under its name before stays."""
        self._parts = []
        if self._temporary:
            with contextlib.suppress(OSError):
                self._stream.close()
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = ""


def open_sink(path: str, *, inputs: tuple[str, ...] = (), binary: bool = True, like: str = "") -> Sink:
    """An output at ``path``, or standard output for ``-``.

    ``inputs`` are files that must not be replaced; ``binary`` output refuses a terminal; ``like``
    names a file whose permission bits and owner the new one takes. Raises `OutputError`.
    """
    if path == "-":
        if binary and sys.stdout.isatty():
            raise OutputError(
                "binary output does not go to a terminal: name a file, or redirect", path="standard output"
            )
        return Sink("standard output", sys.stdout.buffer, "")
    refuse_input_as_output(path, inputs)
    if os.path.isdir(path):
        raise OutputError("is a directory", path=path)
    directory, name = os.path.split(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=directory or ".")
    except OSError as e:
        raise OutputError(f"cannot create: {reason(e)}", path=path) from e
    try:
        adopt_mode(handle, like or path)
    except OSError as e:
        os.close(handle)
        os.unlink(temporary)
        raise OutputError(f"cannot set the mode: {reason(e)}", path=path) from e
    return Sink(path, open(handle, "wb", buffering=0), temporary)


def adopt_mode(handle: int, like: str) -> None:
    """Give an open new file the mode and owner of ``like``, or what the umask leaves where it is absent."""
    try:
        model = os.stat(like)
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(handle, 0o666 & ~mask)
        return
    os.fchmod(handle, model.st_mode & 0o777)
    with contextlib.suppress(PermissionError):  # only root can give files away
        os.fchown(handle, model.st_uid, model.st_gid)


def refuse_input_as_output(path: str, inputs: tuple[str, ...]) -> None:
    """Raise `OutputError` when ``path`` is one of the files being read."""
    for name in inputs:
        try:
            same = os.path.samefile(name, path)
        except OSError:
            same = False
        if same:
            raise OutputError("is an input of this run, and would be overwritten", path=path)


def sync_directory(directory: str) -> None:
    """Make renames in ``directory`` survive a crash."""
    handle = os.open(directory or ".", os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
