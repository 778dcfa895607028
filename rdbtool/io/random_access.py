"""Random access to a file's bytes: windows over a part of it, and a page at hand for short looks."""

from __future__ import annotations

import os
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import InputError, reason

from .window import Readable, Window

PAGE: Final = 1 << 18
PORTION: Final = 1 << 16


@final
class Portions:
    """Another source's bytes in small portions: memory of this size is used again, where larger pieces are new
    pages from the system each time, which take longer to get than what is in them to check.
    """

    def __init__(self, source: Readable) -> None:
        self.source = source

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes, and never more than `PORTION`."""
        return self.source.read(min(n, PORTION))


@final
class FileSpan:
    """A source (`Readable`): bytes ``start`` to ``end`` of an open file."""

    def __init__(self, handle: int, start: i64, end: i64) -> None:
        self.handle = handle
        self.at: i64 = start
        self.end: i64 = end

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; b"" at the end."""
        want = min(n, PORTION, self.end - self.at)
        if want <= 0:
            return b""
        data = os.pread(self.handle, want, self.at)
        self.at += len(data)
        return data


@final
class Pages:
    """An open file, read a page at a time wherever one looks. ``size`` is fixed when it is opened.

    Use it as a context manager. Raises `InputError`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self.handle: int = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as e:
            raise InputError(f"cannot open: {reason(e)}", path=path) from e
        self.size: i64 = os.fstat(self.handle).st_size
        self.page = b""
        self.base: i64 = 0

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)

    def window(self, start: i64, end: i64) -> Window:
        """A window over bytes ``start`` to ``end``; its offsets are the file's."""
        return Window(FileSpan(self.handle, start, end), path=self.path, size=end, base=start)

    def look(self, at: i64, n: i64) -> i64:
        """Make bytes ``at`` to ``at + n`` part of the page, as far as the file has them; where ``at`` is in it."""
        have = len(self.page)
        if at < self.base or at + n > self.base + have:
            if at >= self.base and self.base + have >= self.size:
                return min(at - self.base, have)
            try:
                self.page = os.pread(self.handle, max(PAGE, n), at)
            except OSError as e:
                raise InputError(f"cannot read: {reason(e)}", path=self.path, offset=at) from e
            self.base = at
        return at - self.base

    def take(self, at: i64, n: i64) -> bytes:
        """Bytes from ``at``: ``n``, or what is left."""
        pos = self.look(at, n)
        return self.page[pos : pos + n]

    def byte(self, at: i64) -> i64:
        """The byte at ``at``, or -1 behind the end."""
        if at >= self.size:
            return -1
        pos = self.look(at, 1)
        if pos >= len(self.page):
            return -1
        return self.page[pos]

    def find(self, what: bytes, at: i64, end: i64) -> i64:
        """Offset of ``what`` within bytes ``at`` to ``end``, or -1."""
        size: i64 = len(what)
        while end - at >= size:
            pos = self.look(at, size)
            have: i64 = len(self.page)
            stop = min(have, end - self.base)
            found: i64 = self.page.find(what, pos, stop)
            if found >= 0:
                return self.base + found
            step = stop - pos - size + 1
            if step <= 0:
                return -1
            at += step
        return -1
