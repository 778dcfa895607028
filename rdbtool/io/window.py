"""The window that slides over an input: one `bytes` object and an integer position in it.

Everything that reads a format reads through a `Window`. A window asks its source for more only when it runs out, so
a source is anything with ``read(n)``.
"""

from __future__ import annotations

from collections.abc import Callable
from io import SEEK_END, BytesIO, FileIO
from typing import TYPE_CHECKING, Final, Protocol, final

from mypy_extensions import i64

from rdbtool.errors import InputError, TruncatedError, reason

if TYPE_CHECKING:
    from .random_access import Stored

CHUNK: Final = 1 << 17
"""Bytes asked of a source at a time: large enough to make calls rare, small enough for the cache and the allocator."""

LARGE: Final[i64] = 1 << 20
"""Bytes from which on a second copy of a value is avoided."""


class Readable(Protocol):
    """Anything bytes can be pulled from. An empty answer means the end."""

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes."""


@final
class Envelope:
    """What a snapshot stands in where it is compressed as a whole and not by whoever keeps it (`io.vcs`).

    Its source gives no bytes behind it before ``left`` is set, by whoever has read it to its end.
    """

    def __init__(self) -> None:
        self.left = False

    def leave(self, w: Window) -> bool:
        """Let ``w`` read on behind the envelope; False if something is left in it. Raises what reading raises."""
        if w.need(1):
            return False
        self.left = True
        w.drained = False
        return True


@final
class Window:
    """A run of a source's bytes, and a position in it.

    ``data[pos:end]`` is what has been read from the source and not yet passed; ``base`` is the offset
    of ``data[0]`` in the source. Hot loops take ``data`` and ``pos`` into locals, stay below ``end``
    and store ``pos`` back; everybody else calls the methods. ``size`` is the source's length in bytes
    where it is known, else -1: with it, a length read from the input is checked before memory is
    reserved for it; without it, memory grows only as bytes arrive. While ``pin`` is not negative, the
    bytes from ``data[pin]`` on stay. ``file`` is the plain file that the bytes come from, where they do; ``envelope``
    what the first of them came out of.
    """

    def __init__(
        self, source: Readable | None, *, path: str = "", size: int = -1, data: bytes = b"", base: int = 0
    ) -> None:
        self.source = source
        self.path = path
        self.size: i64 = size
        self.data = data
        self.pos: i64 = 0
        self.end: i64 = len(data)
        self.base: i64 = base
        self.drained = source is None
        self.observer: Callable[[bytes], object] | None = None
        self.observed: i64 = 0
        self.pin: i64 = -1
        self.file: FileIO | None = None
        self.envelope: Envelope | None = None
        self._stored: Stored | None = None

    def stored(self) -> Stored | None:
        """The input, to be read again later; None where that cannot be: a pipe, a compressed file, a closed one.

        Raises `InputError`.
        """
        if self._stored is None and self.file is not None and not self.file.closed:
            from .random_access import Stored  # it makes windows itself

            self._stored = Stored(self.file, self.path)
        return self._stored

    def offset(self) -> i64:
        """Offset in the source of the next byte."""
        return self.base + self.pos

    def observe(self, observer: Callable[[bytes], object] | None) -> None:
        """Hand every byte that is passed from here on to ``observer``, in order, in runs."""
        self.observed = self.pos
        self.observer = observer

    def report(self) -> None:
        """Hand the observer what has been passed up to the position."""
        observer = self.observer
        if observer is not None and self.pos > self.observed:
            if self.observed == 0 and self.pos == self.end:
                observer(self.data)
            else:
                while self.pos - self.observed > LARGE:
                    observer(self.data[self.observed : self.observed + LARGE])
                    self.observed += LARGE
                observer(self.data[self.observed : self.pos])
        self.observed = self.pos

    def _pull(self, n: i64) -> bytes:
        if self.source is None:
            return b""
        try:
            return self.source.read(n)
        except (OSError, EOFError) as e:
            raise InputError(f"cannot read: {reason(e)}", path=self.path, offset=self.base + self.end) from e

    def need(self, n: i64) -> bool:
        """Make ``n`` bytes available from the position on; False if the source ends before."""
        have = self.end - self.pos
        if have >= n:
            return True
        if self.drained or (self.size >= 0 and n > self.size - self.base - self.pos):
            return False
        self.report()
        keep = self.pos
        if self.pin >= 0:
            keep = self.pin
            self.pin = 0
        if self.end - keep + n - have > LARGE:
            return self._grow(keep, n)
        parts = [self.data[keep:]]
        while have < n:
            chunk = self._pull(CHUNK)
            if not chunk:
                self.drained = True
                break
            parts.append(chunk)
            have += len(chunk)
        self._hold(parts[1] if len(parts) == 2 and not parts[0] else b"".join(parts), keep)
        return have >= n

    def _hold(self, data: bytes, first: i64) -> None:
        """Let ``data`` be what the window holds, from the byte on that was at the position ``first``."""
        self.base += first
        self.pos -= first
        self.observed = self.pos
        self.data = data
        self.end = len(data)

    def _grow(self, keep: i64, n: i64) -> bool:
        """The same of much: what is there grows in place, from ``keep`` on."""
        held = self.data[keep:] if keep > 0 else self.data
        have = self.end - self.pos
        self._hold(held, keep)
        self.data = b""
        growing = BytesIO(held)
        held = b""  # what somebody else holds would be copied
        growing.seek(0, SEEK_END)
        try:
            while have < n:
                chunk = self._pull(CHUNK)
                if not chunk:
                    self.drained = True
                    break
                growing.write(chunk)
                have += len(chunk)
        finally:
            self.data = growing.getvalue()
            self.end = len(self.data)
        return have >= n

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.pos >= self.end and not self.need(1)

    def truncated(self, n: i64) -> TruncatedError:
        """The error for ``n`` bytes that are not there."""
        left = self.size - self.base - self.pos if self.size >= 0 else self.end - self.pos
        if self.size < 0 and not self.drained:
            message = f"input ends inside an item of {n} bytes"
        else:
            message = f"input ends: {n} byte{'' if n == 1 else 's'} needed, {left} left"
        return TruncatedError(message, path=self.path, offset=self.base + self.pos)

    def take(self, n: i64) -> bytes:
        """The next ``n`` bytes, passed. Raises `TruncatedError`."""
        pos = self.pos
        if n > self.end - pos:
            if self.pin < 0 and pos < self.end and n < CHUNK and not self.drained:
                return self._take_across(n)
            if not self.need(n):
                raise self.truncated(n)
            if n > LARGE and self.pin < 0:
                self.pos += n
                return self.passed_from(self.pos - n)
            pos = self.pos
        self.pos = pos + n
        return self.data[pos : pos + n]

    def passed_from(self, start: i64) -> bytes:
        """The bytes from ``start``, a position, up to the position; many are not copied, and leave the window."""
        if start > 0 or self.pos <= LARGE or self.pin >= 0:
            return self.data[start : self.pos]
        self.report()
        held, self.data = self.data, self.data[self.pos :]
        passed = BytesIO(held)
        held = b""  # what somebody else holds would be copied
        passed.truncate(self.pos)
        self.base += self.pos
        self.end -= self.pos
        self.pos = 0
        self.observed = 0
        return passed.getvalue()

    def _take_across(self, n: i64) -> bytes:
        """The next ``n`` bytes, of which the last are not in the window: what is read for them is not joined to what is
        there, which would copy it. Raises `TruncatedError`.
        """
        if self.size >= 0 and n > self.size - self.base - self.pos:
            raise self.truncated(n)
        head = self.data[self.pos :]
        rest = n - len(head)
        chunk = self._pull(CHUNK)
        if len(chunk) < rest:  # a pipe gives what there is
            self.report()
            self._hold(head + chunk, self.pos)
            self.drained = not chunk
            if not self.need(n):
                raise self.truncated(n)
            self.pos = n
            return self.data[:n]
        self.pos = self.end
        self.report()
        self._hold(chunk, self.end)
        self.pos = rest
        return head + chunk[:rest]

    def skip(self, n: i64) -> None:
        """Pass ``n`` bytes without keeping them. Raises `TruncatedError`."""
        left = n - (self.end - self.pos)
        if left <= 0:
            self.pos += n
            return
        if self.drained or (self.size >= 0 and n > self.size - self.base - self.pos):
            raise self.truncated(n)
        if self.pin >= 0:
            if not self.need(n):
                raise self.truncated(n)
            self.pos += n
            return
        while left > 0:
            self.pos = self.end
            self.report()
            self.base += self.end
            self.data = b""
            self.pos = 0
            self.observed = 0
            self.end = 0
            self.data = self._pull(CHUNK)
            self.end = len(self.data)
            if self.end == 0:
                self.drained = True
                raise TruncatedError(f"input ends: {n} bytes needed, {n - left} left", path=self.path, offset=self.base)
            if left <= self.end:
                self.pos = left
            left -= self.end

    def place_of(self, n: i64) -> i64:
        """Pass the next ``n`` bytes; where in ``data`` they stand. Raises `TruncatedError`."""
        if n > self.end - self.pos and not self.need(n):
            raise self.truncated(n)
        pos = self.pos
        self.pos = pos + n
        return pos

    def unpin(self) -> bytes:
        """The bytes from the pin to the position; the pin is taken off, and must be there."""
        assert self.pin >= 0
        start = self.pin
        self.pin = -1
        return self.passed_from(start)

    def u8(self) -> i64:
        """The next byte, passed. Raises `TruncatedError`."""
        pos = self.pos
        if pos >= self.end:
            if not self.need(1):
                raise self.truncated(1)
            pos = self.pos
        self.pos = pos + 1
        return self.data[pos]


@final
class Metered:
    """A source that tells how much of it was read: ``progress(bytes so far, size or -1)``."""

    def __init__(self, source: Readable, size: int, progress: Callable[[int, int], object]) -> None:
        self.source = source
        self.size = size
        self.progress = progress
        self.done = 0

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes."""
        data = self.source.read(n)
        self.done += len(data)
        self.progress(self.done, self.size)
        return data


def passed(w: Window, skip: Callable[[Window], None]) -> bytes:
    """The bytes that ``skip`` passes. It may call this too, as may one that has pinned the window: their pin stays.

    Raises what ``skip`` raises.
    """
    at = w.offset()
    outermost = w.pin < 0
    if outermost:
        w.pin = w.pos
    try:
        skip(w)
    finally:
        if outermost:
            w.pin = -1
    return w.passed_from(at - w.base)


def window_over(data: bytes, *, path: str = "", base: int = 0) -> Window:
    """A window over bytes at hand; offsets are told from ``base`` on."""
    return Window(None, path=path, size=base + len(data), data=data, base=base)
