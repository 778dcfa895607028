"""The elements of a value, node by node, from a window: what decoders and exporters are built on.

Nothing here holds more than one node, or one element where the value is not packed.
"""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.rdb.layout.cursor import INTEGER, STRING, Cursor
from rdbtool.rdb.layout.primitives import LZF, read_encoded_integer, read_length_or_encoding, read_lzf


class Elements:
    """The elements of one value.

    ``stride`` of them belong together: 1 in lists and sets; 2 in hashes (field, value) and sorted sets
    (member, score); 3 in hashes whose fields can expire (field, value, and the time in ms as an
    INTEGER, -1 for never).
    """

    def __init__(self, stride: i64) -> None:
        self.stride: i64 = stride

    def next_node(self) -> Cursor | None:
        """The next node's elements, or None. A node must be walked to its end before the next."""
        raise NotImplementedError


@final
class OneNode(Elements):
    """A value that is a single node."""

    def __init__(self, node: Cursor, stride: i64) -> None:
        super().__init__(stride)
        self.node: Cursor | None = node

    def next_node(self) -> Cursor | None:
        node = self.node
        self.node = None
        return node


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


def missing(what: str) -> FormatError:
    """The error for a node that ends inside a group of elements."""
    return FormatError(f"a node ends before a {what}", doing="decoding a value")
