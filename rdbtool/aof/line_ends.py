"""Turn back what a copy as text did to a log: CR LF became LF, or LF became CR LF; a byte order mark came in front.

The lengths in the log prove that this is all that happened: each argument must have the bytes that its header says.
Where a value held line ends that were changed to other lengths, they do not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.findings import Findings
from rdbtool.io.random_access import PORTION, Pages
from rdbtool.io.window import Window

from .config import DEFAULT, LogConfig
from .resp import END, LF, LINE
from .scan import Scanner

MARK: Final = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8."""


@final
class TurnedBack:
    """A source (`Readable`): the log from ``begin`` on as it was. Raises `FormatError` where lengths do not fit."""

    def __init__(self, pages: Pages, begin: i64) -> None:
        start = begin + len(MARK) if pages.take(begin, len(MARK)) == MARK else begin
        head = pages.take(start, LINE)
        line = head[: head.find(b"\n") + 1]
        w = pages.window(start, pages.size)
        if line.endswith(b"\r\r\n"):
            self._pieces = _shortened(w)
        elif line.endswith(b"\r\n"):
            self._pieces = _as_they_are(w)
        else:
            self._pieces = _lengthened(w)
        self._rest = b""

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes; b"" at the end."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        piece = self._rest[:n]
        self._rest = self._rest[n:]
        return piece


def _as_they_are(w: Window) -> Iterator[bytes]:
    while not w.at_end():
        yield w.take(w.end - w.pos)


def _shortened(w: Window) -> Iterator[bytes]:
    """Every LF lost the CR that was put in front of it."""
    held = b""
    while not w.at_end():
        data = held + w.take(w.end - w.pos)
        held = b"\r" if data.endswith(b"\r") else b""
        piece = data[: len(data) - len(held)].replace(b"\r\n", b"\n")
        if piece:
            yield piece
    if held:
        yield held


def _lengthened(w: Window) -> Iterator[bytes]:
    """CR LF for each LF that ends a header or an argument."""
    parts: list[bytes] = []
    size = 0
    while not w.at_end():
        line = _line(w)
        parts += [line, b"\r\n"]
        size += len(line) + 2
        if line[:1] == b"*":
            left = _number(w, line)
            while left > 0:
                header = _line(w)
                if header[:1] != b"$":
                    raise _error(w)
                length = _number(w, header)
                parts += [header, b"\r\n"]
                while length > 0:
                    piece = w.take(min(length, PORTION))
                    length -= len(piece)
                    parts.append(piece)
                    size += len(piece)
                    if size >= PORTION:
                        yield b"".join(parts)
                        parts = []
                        size = 0
                if w.u8() != LF:
                    raise _error(w)
                parts.append(b"\r\n")
                size += len(header) + 4
                left -= 1
        elif line[:1] != b"#":
            raise _error(w)
        if size >= PORTION:
            yield b"".join(parts)
            parts = []
            size = 0
    if parts:
        yield b"".join(parts)


def _line(w: Window) -> bytes:
    """The next line, without the LF that ends it, which is passed."""
    w.need(LINE if w.size < 0 else min(LINE, w.size - w.offset()))
    found: i64 = w.data.find(b"\n", w.pos, min(w.end, w.pos + LINE))
    if found < 0:
        raise _error(w)
    line = w.take(found - w.pos)
    w.skip(1)
    return line


def _number(w: Window, line: bytes) -> i64:
    digits = line[1:]
    if not digits.isdigit() or len(digits) > 12:
        raise _error(w)
    return int(digits)


def _error(w: Window) -> FormatError:
    return FormatError("what is here does not fit the lengths", path=w.path, offset=w.offset(), doing="reading lines")


def can_turn_back(pages: Pages, begin: i64, config: LogConfig = DEFAULT) -> bool:
    """Whether the log from ``begin`` on is whole when its line ends are turned back."""
    source = TurnedBack(pages, begin)
    try:
        return Scanner(Window(source, path=pages.path), Findings(), config).run() == END
    except FormatError:
        return False
