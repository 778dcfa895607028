"""Telling a value to a visitor from the bytes of a file: no element becomes an object, and nothing is held but the
string or packed node at hand.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.lzf import decompress
from rdbtool.errors import FormatError, RdbToolError
from rdbtool.io.window import LARGE, Window

from .cursor import STRING, Cursor, tell_element
from .primitives import INT32, LZF, read_encoded_integer, read_length, read_length_or_encoding
from .visitor import Visitor

_INFINITY: Final = float("inf")


@final
class Visit:
    """What the visits of values carry along: whom a value is told to, and the first damage inside it.

    Damage inside a string or packed node does not put the stream out of step: it is noted in ``damage``, with its
    offset, and the rest of the payload is told and passed all the same.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.window = Window(None)
        self.damage: RdbToolError | None = None
        self.miscounted: i64 = 0
        """Streams that hold another number of entries than they say, in all values so far."""
        self.node_at: i64 = 0
        """Where in the file the node at hand begins."""

    def begin(self, w: Window) -> None:
        """Turn to the payload at the position of ``w``."""
        self.window = w
        self.damage = None

    def damaged(self, error: RdbToolError, at: i64) -> None:
        """Note damage at an offset of the file; the first one counts."""
        if self.damage is None:
            error.offset = at
            self.damage = error

    def damaged_node(self, error: RdbToolError) -> None:
        """Note damage inside the node at hand."""
        self.damaged(error, self.node_at)

    def string(self) -> None:
        """Tell the string at the window's position."""
        w = self.window
        at = w.base + w.pos  # `offset`, without a call for every string
        length = read_length_or_encoding(w)
        if length >= 0:
            if length > w.end - w.pos:
                if length > LARGE:
                    data = w.take(length)
                    self.visitor.text(data, 0, length)
                    return
                if not w.need(length):
                    raise w.truncated(length)
            pos = w.pos
            w.pos = pos + length
            self.visitor.text(w.data, pos, pos + length)
        elif length >= INT32:
            self.visitor.integer(read_encoded_integer(w, length))
        else:
            unpacked = self._decompressed(at, length)
            if unpacked is not None:
                self.visitor.text(unpacked, 0, len(unpacked))

    def node(self) -> bytes | None:
        """The string at the window's position, whole: a packed node, or a name. None, and the damage is noted, where
        it cannot be decompressed.
        """
        w = self.window
        at = w.offset()
        self.node_at = at
        length = read_length_or_encoding(w)
        if length >= 0:
            return w.take(length)
        if length >= INT32:
            return b"%d" % read_encoded_integer(w, length)
        return self._decompressed(at, length)

    def _decompressed(self, at: i64, encoding: i64) -> bytes | None:
        w = self.window
        if encoding != LZF:
            read_encoded_integer(w, encoding)  # raises
        packed = read_length(w)
        size = read_length(w)
        data = decompress(w.take(packed), size)
        if data is None:
            self.damaged(FormatError("invalid LZF data", doing="decompressing a string"), at)
        return data

    def elements(self, c: Cursor, width: i64) -> None:
        """Tell elements that are strings; ``width`` of them belong together: 2 for fields and values. Raises
        `FormatError`.
        """
        count = c.tell(self.visitor)
        if width == 2 and count & 1:
            raise FormatError("a field without a value", doing="decoding a hash")

    def scored(self, c: Cursor) -> None:
        """Tell members and scores in turn. Raises `FormatError`."""
        v = self.visitor
        while c.next():
            tell_element(v, c)
            if not c.next():
                raise FormatError("a member without a score", doing="decoding a sorted set")
            if c.kind == STRING:
                v.score_text(c.data, c.start, c.start + c.size)
            else:
                v.score_integer(c.number)

    def score(self, x: float, at: i64) -> None:
        """Tell a score that stands at an offset of the file."""
        if x <= _INFINITY:
            self.visitor.score(x)
        else:
            self.damaged(FormatError("a score that is not a number"), at)
