"""What the bytes of an RDB pass through on their way out."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.basics.crc64 import crc64
from rdbtool.io.output import Output, Writable
from rdbtool.io.window import Window


@final
class ChecksummedSink:
    """A sink that keeps the checksum and the length of what has passed."""

    def __init__(self, sink: Writable, *, checksum: bool) -> None:
        self.sink = sink
        self.checksum = checksum
        self.crc = 0
        self.written = 0

    def write(self, data: bytes) -> None:
        """Pass ``data`` on."""
        if self.checksum:
            self.crc = crc64(data, self.crc)
        self.written += len(data)
        self.sink.write(data)


@final
class Tap:
    """Takes what passes through a reader's window while a payload is copied that the window cannot hold.

    It stands before the window's observer. ``ahead``: bytes of the next run that do not belong to the payload.
    """

    def __init__(self, w: Window, output: Output) -> None:
        w.report()
        self.window = w
        self.next = w.observer
        self.output = output
        self.copying = False
        self.ahead: i64 = 0
        w.observe(self.take)

    def take(self, run: bytes) -> None:
        """Take a run of bytes that have been passed."""
        observer = self.next
        if observer is not None:
            observer(run)
        if self.copying:
            self.output.buffer.write(run[self.ahead :] if self.ahead else run)
            self.ahead = 0
            self.output.room()
