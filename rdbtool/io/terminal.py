"""Text on its way to a terminal, which must not act on what a file holds."""

from __future__ import annotations

import json
from typing import final

from .output import Writable


@final
class ForTerminal:
    r"""Passes UTF-8 on to ``sink`` with escapes for all that is not printable, except line ends: controls, of which
    terminals act on some, and what changes the direction of text. ``as_json``: as JSON's ``\u00HH``, so that the text
    stays the same JSON; otherwise as `basics.text.to_people` does.
    """

    def __init__(self, sink: Writable, *, as_json: bool) -> None:
        self.sink = sink
        self.as_json = as_json
        self._held = b""

    def write(self, data: bytes, /) -> None:
        """Take ``data``; a character that it cuts waits for the rest of it."""
        data = self._held + data
        whole = len(data) - _cut_character(data)
        self._held = data[whole:]
        self.sink.write(escaped_text(data[:whole].decode("utf-8", "backslashreplace"), as_json=self.as_json).encode())


def escaped_text(text: str, *, as_json: bool = False) -> str:
    """``text`` with escapes for what is not printable, except line ends."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escape(c, as_json=as_json) for c in text)


def _escape(c: str, *, as_json: bool) -> str:
    number = ord(c)
    if as_json:
        return "\\u007f" if number == 0x7F else json.dumps(c)[1:-1]
    if number >= 0x10000:
        return f"\\U{number:08x}"
    return f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}"


def _cut_character(data: bytes) -> int:
    """How many bytes at the end of ``data`` are the beginning of a character."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte >= 0xC0:
            return back if back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) else 0
        if byte < 0x80:
            break
    return 0
