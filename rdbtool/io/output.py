"""Bytes out of hot loops: one buffer, reused, in front of a sink."""

from __future__ import annotations

from typing import Final, Protocol, final

from librt.strings import BytesWriter
from mypy_extensions import i64

FLUSH: Final[i64] = 1 << 20
"""Bytes collected before they go to the sink. With 256 KiB, glibc gives the memory back and takes it anew each time."""
WHOLE: Final[i64] = 4 << 20
"""A record of up to this many bytes is held back until it is complete, so that it can be taken back."""

LONG: Final[i64] = 4 << 20
"""What has at least so many bytes is better not copied on its way out."""


class Writable(Protocol):
    """Anything that takes bytes."""

    def write(self, data: bytes, /) -> object:
        """Take ``data``, all of it."""


class File(Writable, Protocol):
    """An output that appears whole or not at all."""

    def commit(self) -> None:
        """Give it its name."""

    def abort(self) -> None:
        """Drop it."""


@final
class Output:
    """A buffer in front of ``sink``.

    Hot loops append to ``buffer`` and call `room` after each element. Between `begin` and `finish` is
    a record: it goes out whole, or, when it is larger than `WHOLE` or has something long, in pieces, and ``partial`` is
    set.
    """

    def __init__(self, sink: Writable) -> None:
        self.sink = sink
        self.buffer = BytesWriter()
        self.partial = False
        self._start: i64 = -1

    def begin(self) -> None:
        """Begin a record."""
        self.partial = False
        self._start = len(self.buffer)

    def room(self) -> None:
        """Empty the buffer if it is long and may be emptied."""
        held: i64 = len(self.buffer)
        if held >= FLUSH:
            if self._start < 0:
                self.flush()
            elif held - self._start >= WHOLE:
                self.flush()
                self.partial = True
                self._start = 0

    def write_long(self, data: bytes, start: i64, end: i64) -> None:
        """Write what is long, ``data[start:end]``, past the buffer, of which it would take two copies."""
        self.partial = self._start >= 0
        self.flush()
        while start < end:
            self.sink.write(data[start : min(start + FLUSH, end)])
            start += FLUSH
        if self.partial:
            self._start = 0

    def finish(self) -> None:
        """End the record; it will be written."""
        self._start = -1
        if len(self.buffer) >= FLUSH:
            self.flush()

    def take_back(self) -> bool:
        """Drop the record, as far as it has not gone out. Returns whether nothing of it has."""
        if self._start >= 0:
            self.buffer.truncate(self._start)
        self._start = -1
        return not self.partial

    def flush(self) -> None:
        """Hand everything to the sink."""
        buffer = self.buffer
        if len(buffer) > 0:
            data = buffer.getvalue()
            if len(data) > 4 * FLUSH:
                self.buffer = BytesWriter()  # one huge record must not keep its memory
            else:
                buffer.truncate(0)
            del buffer
            self.sink.write(data)
