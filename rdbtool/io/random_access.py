"""Reading at offsets: an open plain file, windows over parts of it, and a page at hand for short looks."""

from __future__ import annotations

import os
from io import FileIO
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import InputError, reason

from .window import CHUNK, Readable, Window, window_over

PAGE: Final = 1 << 18
PORTION: Final = 1 << 16
GAP: Final = 1 << 14
"""Bytes between two payloads up to which reading on is cheaper than reading anew."""
LOOKS: Final[i64] = 64
"""Payloads read by themselves between two looks whether their file has changed: one takes longer than one of them."""


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
class OpenFile:
    """The descriptor of an open plain file, closed when nobody holds this any more.

    What was read once and is read again must still be the same: a file that has become shorter or was written to
    is refused, sooner or later. One that has only grown, as the log of a running server does, is taken. ``size`` is
    what it was at first. ``put`` is read in the place of bytes ``put_at`` to ``put_end``, if that is not negative.
    """

    def __init__(self, handle: int, path: str) -> None:
        self.handle = handle
        self.path = path
        self.put = b""
        self.put_at: i64 = -1
        self.put_end: i64 = -1
        status = os.fstat(handle)
        self.size: i64 = status.st_size
        self.changed_ns = status.st_mtime_ns

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close it now."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def read(self, n: i64, offset: i64, look: bool) -> bytes:
        """Some bytes from ``offset`` on, ``n`` at most and one at least. ``look`` whether the file has changed.

        Raises `InputError`.
        """
        if self.put_at >= 0 and offset + n > self.put_at:
            return self._read_replaced(n, offset, look)
        return self._read(n, offset, look)

    def _read_replaced(self, n: i64, offset: i64, look: bool) -> bytes:
        """The same where some of it is, or stands behind, what takes the place of other bytes."""
        head = self._read(self.put_at - offset, offset, look) if offset < self.put_at else b""
        pos = max(0, offset - self.put_at)
        size: i64 = len(self.put)
        if pos < size:
            head += self.put[pos : min(size, pos + n - len(head))]
        behind = self.put_end + max(0, offset - self.put_at - size)
        left = min(n - len(head), self.size - behind)
        return head + self._read(left, behind, look) if left > 0 else head

    def _read(self, n: i64, offset: i64, look: bool) -> bytes:
        try:
            data = os.pread(self.handle, n, offset)
            status = os.fstat(self.handle) if look else None
        except OSError as e:
            raise InputError(f"cannot read: {reason(e)}", path=self.path, offset=offset) from e
        if not data:
            raise InputError("the file became shorter while it was in use", path=self.path, offset=offset)
        if status is not None and status.st_mtime_ns != self.changed_ns and status.st_size <= self.size:
            raise InputError("the file was changed while it was in use", path=self.path, offset=offset)
        return data


@final
class Span:
    """A source (`Readable`): bytes ``start`` to ``end`` of an open file, up to ``portion`` at a time."""

    def __init__(self, file: OpenFile, start: i64, end: i64, portion: int = CHUNK) -> None:
        self.file = file
        self.at: i64 = start
        self.end: i64 = end
        self.portion = portion

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; b"" at the end."""
        want = min(n, self.portion, self.end - self.at)
        if want <= 0:
            return b""
        data = self.file.read(want, self.at, True)
        self.at += len(data)
        return data


@final
class Stored:
    """A plain file whose payloads are read when somebody needs them, whatever becomes of its name meanwhile.

    Payloads that are asked for in the order of the file are read in chunks, any other by itself. The file is open
    as long as somebody holds this.
    """

    def __init__(self, file: FileIO, path: str) -> None:
        self.path = path
        try:
            self._file = OpenFile(os.dup(file.fileno()), path)
        except OSError as e:
            raise InputError(f"cannot keep it open: {reason(e)}", path=path) from e
        self._sliding: Window | None = None
        self._next: i64 = -1
        """Where the last payload ended that was read by itself."""
        self._read: i64 = 0
        """How many were."""

    def window_at(self, offset: i64, n: i64) -> Window:
        """A window over the ``n`` bytes at ``offset``, good until another is asked for. It, or reading on in it,
        raises `InputError`.
        """
        w = self._sliding
        if w is not None:
            at = offset - w.base
            gap = at - w.end
            if at >= 0 and gap <= GAP:
                w.size = offset + n
                w.pin = -1
                if gap <= 0:
                    w.pos = at
                else:
                    w.pos = w.end
                    w.skip(gap)
                return w
        gap = offset - self._next
        if n > CHUNK or (self._next >= 0 and 0 <= gap <= GAP):
            rest = Span(self._file, offset, self._file.size)
            w = Window(rest, path=self.path, size=offset + n, base=offset)
            self._sliding = w
            return w
        self._next = offset + n
        look = self._read % LOOKS == 0
        self._read += 1
        data = self._file.read(n, offset, look) if n > 0 else b""
        while len(data) < n:
            data += self._file.read(n - len(data), offset + len(data), look)
        return window_over(data, path=self.path, base=offset)


@final
class Pages:
    """An open file, read a page at a time wherever one looks. ``size`` is fixed when it is opened.

    Use it as a context manager. Raises `InputError`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self.file = OpenFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path)
        except OSError as e:
            raise InputError(f"cannot open: {reason(e)}", path=path) from e
        self.size: i64 = self.file.size
        self.page = b""
        self.base: i64 = 0
        # The page before: a length is looked at here, and then what it leads to far ahead.
        self._other = b""
        self._other_base: i64 = 0

    def window(self, start: i64, end: i64) -> Window:
        """A window over bytes ``start`` to ``end``; its offsets are the file's."""
        return Window(Span(self.file, start, end, PORTION), path=self.path, size=end, base=start)

    def replace(self, start: i64, end: i64, put: bytes) -> None:
        """Read ``put`` in the place of bytes ``start`` to ``end`` of the file, and nothing else in that of others."""
        self.file.put = put
        self.file.put_at = start
        self.file.put_end = end
        self.size = self.file.size if start < 0 else self.file.size + len(put) - (end - start)
        self.page = self._other = b""
        self.base = self._other_base = 0

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def look(self, at: i64, n: i64) -> i64:
        """Make bytes ``at`` to ``at + n`` part of the page, as far as the file has them; where ``at`` is in it."""
        have = len(self.page)
        if at < self.base or at + n > self.base + have:
            if at >= self.base and self.base + have >= self.size:
                return min(at - self.base, have)
            self.page, self._other = self._other, self.page
            self.base, self._other_base = self._other_base, self.base
            have = len(self.page)
            if at >= self.base and (at + n <= self.base + have or (have > 0 and self.base + have >= self.size)):
                return min(at - self.base, have)
            want = min(max(PAGE, n), self.size - at)
            self.page = self.file.read(want, at, True) if want > 0 else b""
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
