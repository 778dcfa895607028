"""Strings: the value of that type, and the elements of whatever is not packed."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.io.window import Window

from .cursor import INTEGER, STRING, Cursor
from .elements import Elements, OneNode
from .inspection import Inspection, pass_string
from .primitives import LZF, read_encoded_integer, read_length_or_encoding, read_lzf
from .visit import Visit


def check_string(w: Window, ins: Inspection) -> None:
    """A string."""
    pass_string(w, ins)


def visit_string(visit: Visit) -> None:
    """A string."""
    visit.string()


def string_elements(w: Window) -> Elements:
    """A string, as one element."""
    return OneNode(StringsCursor(w, 1), 1)


class StringsCursor(Cursor):
    """``left`` strings that stand one after another in a window."""

    def __init__(self, w: Window, left: i64) -> None:
        super().__init__(b"")
        self.window = w
        self.left: i64 = left

    def next(self) -> bool:
        if self.left == 0:
            return False
        self.left -= 1
        self.read()
        return True

    def read(self) -> None:
        """Move onto the window's next string."""
        w = self.window
        pos = w.pos
        if pos < w.end:
            data = w.data
            short: i64 = data[pos]
            if short < 64 and short < w.end - pos:
                self.data = data
                self.kind = STRING
                self.start = pos + 1
                self.size = short
                w.pos = pos + 1 + short
                return
        at = w.offset()
        length = read_length_or_encoding(w)
        if length >= 0:
            if length > w.end - w.pos and not w.need(length):
                raise w.truncated(length)
            self.data = w.data
            self.kind = STRING
            self.start = w.pos
            self.size = length
            w.pos += length
        elif length == LZF:
            self.data = read_lzf(w, at)
            self.kind = STRING
            self.start = 0
            self.size = len(self.data)
        else:
            self.number = read_encoded_integer(w, length)
            self.kind = INTEGER
