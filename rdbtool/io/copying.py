"""Copies of files, which share their blocks with the original where the file system can do that."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Final, final

from rdbtool.errors import InputError, OutputError, reason

from .output import Writable
from .window import CHUNK, Readable

FICLONE: Final = 0x40049409
"""Let one file share all blocks of another, each of which is copied when one of the two changes (ioctl_ficlone(2))."""


class Tee:
    """A source whose bytes go to ``sink`` as they are read."""

    def __init__(self, source: Readable, sink: Writable) -> None:
        self.source = source
        self.sink = sink

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; none at the end."""
        data = self.source.read(n)
        if data:
            self.sink.write(data)
        return data


def copy_file(
    source: str,
    destination: str,
    progress: Callable[[int], object] | None = None,
    *,
    only_shared: bool = False,
) -> bool:
    """Copy a file to one that is not there yet; whether they share their blocks. It is never a link.

    ``progress`` is told the bytes of each step; ``only_shared``: copy nothing where they cannot. Raises `InputError`,
    `OutputError`.
    """
    try:
        stream = open(source, "rb", buffering=0)  # noqa: SIM115 - entered below
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=source) from e
    with stream:
        if clone(stream.fileno(), destination):
            return True
        if not only_shared:
            write_all(stream, source, destination, progress)
    return False


def clone(handle: int, destination: str) -> bool:
    """Let a new file share the blocks of an open one; False where that cannot be, and then there is no new file.

    Raises `OutputError`.
    """
    try:
        made = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise OutputError(f"cannot create: {reason(e)}", path=destination) from e
    try:
        fcntl.ioctl(made, FICLONE, handle)
    except OSError:
        os.unlink(destination)
        return False
    finally:
        os.close(made)
    return True


@final
class Copying:
    """A stream whose bytes go to a new file, for nobody else to read, as they are read; a context manager.

    ``source`` is for messages; ``progress`` is told the bytes of each step. Raises `InputError` and `OutputError`.
    """

    def __init__(
        self, stream: Readable, source: str, destination: str, progress: Callable[[int], object] | None = None
    ) -> None:
        self.stream = stream
        self.source = source
        self.destination = destination
        self.progress = progress
        try:
            self._made = os.open(destination, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise OutputError(f"cannot create: {reason(e)}", path=destination) from e

    def __enter__(self) -> Copying:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        os.close(self._made)

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes, which are copied then."""
        try:
            data = self.stream.read(n)
        except (OSError, EOFError) as e:
            raise InputError(f"cannot read: {reason(e)}", path=self.source) from e
        written = 0
        while written < len(data):
            try:
                written += os.write(self._made, data[written:])
            except OSError as failed:  # a name of its own: compiled, a name has one type
                raise OutputError(f"cannot write the copy: {reason(failed)}", path=self.destination) from failed
        if self.progress is not None and data:
            self.progress(len(data))
        return data

    def rest(self) -> None:
        """Copy what was not read yet."""
        while self.read(CHUNK * 8):
            pass


def write_all(stream: Readable, source: str, destination: str, progress: Callable[[int], object] | None = None) -> None:
    """Write the rest of a stream to a new file, as `Copying` does. Raises `InputError` and `OutputError`."""
    with Copying(stream, source, destination, progress) as copying:
        copying.rest()
