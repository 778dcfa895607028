"""Tar archives, read from front to back: their files as streams, none of which is unpacked to disk."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, cast

from rdbtool.errors import InputError, reason

from .window import Readable, Window

HEAD: Final = 265
"""Bytes in which an archive shows."""


def is_tar(w: Window) -> bool:
    """Whether a tar archive begins at the window's position."""
    want = HEAD if w.size < 0 else min(HEAD, int(w.size - w.offset()))
    w.need(want)
    return w.data[w.pos + 257 : w.pos + 262] == b"ustar"


@dataclass(slots=True)
class Member:
    """A file in an archive, good until the next one: its ``name`` there, ``size`` in bytes, Unix time of its last
    change, and its bytes. Reading raises `OSError` or `EOFError` where the archive is damaged or cut short.
    """

    name: str
    size: int
    changed_s: int
    stream: Readable


class Rest:
    """What is left of a window's input, as a stream."""

    def __init__(self, window: Window) -> None:
        self._window = window

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes."""
        w = self._window
        if w.at_end():
            return b""
        end = min(w.pos + n, w.end)
        data = w.data[w.pos : end]
        w.pos = end
        return data


class _Checked:
    """A member's bytes, of which none may be missing."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, n: int, /) -> bytes:
        try:
            data = self._stream.read(min(n, self._left))
        except tarfile.TarError as e:
            raise OSError(f"the archive is damaged: {e}") from e
        if not data and self._left and n:
            raise EOFError("the archive is cut short")
        self._left -= len(data)
        return data


def members(window: Window) -> Iterator[Member]:
    """The plain files of the archive that begins at the window's position, in their order.

    Raises `InputError` where the archive itself is damaged or cut short.
    """
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", Rest(window)), mode="r|") as archive:
            for info in archive:
                if info.isreg():
                    stream = archive.extractfile(info)
                    assert stream is not None, "it is a plain file"
                    yield Member(info.name, info.size, int(info.mtime), _Checked(stream, info.size))
    except (tarfile.TarError, EOFError, OSError) as e:
        message = f"the archive is damaged or cut short: {reason(e)}"
        raise InputError(message, path=window.path, offset=int(window.offset())) from e
