"""Strings as they are passed, and packed values by what stands at their beginning: size, and number of elements."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.lzf import beginning, decompress
from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.rdb.layout.cursor import STRING, Cursor
from rdbtool.rdb.layout.primitives import (
    INT32,
    LZF,
    read_encoded_integer,
    read_length,
    read_length_or_encoding,
)

HEAD: Final[i64] = 10
"""Bytes at the beginning of a packed value that tell how many elements it has."""
AHEAD: Final[i64] = 40
"""Compressed bytes in which the head hardly ever does not stand."""
UNKNOWN: Final[i64] = 65535
"""In place of the number of elements: so many or more."""
NOWHERE: Final[i64] = -1


@final
class Packed:
    """The packed value that was passed last: ``size`` in bytes; ``compressed``: bytes in the file, -1 where it is not
    compressed there; ``head``: its first bytes; ``whole``: all of it, where it was asked for or its head does not tell
    the number of elements.

    What `walk` found: ``elements``, and ``largest``, the size of the largest string.
    """

    def __init__(self) -> None:
        self.size: i64 = 0
        self.compressed: i64 = -1
        self.head = b""
        self.whole: bytes | None = None
        self.elements: i64 = 0
        self.largest: i64 = 0

    def take(self, w: Window, count_at: i64, whole: bool) -> None:
        """Pass a packed value whose number of elements stands at ``count_at`` in two bytes; ``whole``: open it."""
        self.whole = None
        self.compressed = -1
        n = read_length_or_encoding(w)
        if n >= 0:
            self.size = n
            first = min(n, HEAD)
            if not w.need(first):
                raise w.truncated(n)
            self.head = w.data[w.pos : w.pos + first]
            if whole or self._is_unknown(count_at):
                self.whole = w.take(n)
            else:
                w.skip(n)
            return
        if n != LZF:
            self.head = b"%d" % read_encoded_integer(w, n)
            self.size = len(self.head)
            self.whole = self.head
            return
        at = w.offset()
        compressed = read_length(w)
        size = read_length(w)
        self.size = size
        self.compressed = compressed
        if not whole:
            first = min(compressed, AHEAD)
            if not w.need(first):
                raise w.truncated(compressed)
            self.head = beginning(w.data, w.pos, w.pos + first, HEAD)
            if len(self.head) >= min(HEAD, size) and not self._is_unknown(count_at):
                w.skip(compressed)
                return
        out = decompress(w.take(compressed), size)
        if out is None:
            raise FormatError("invalid LZF data", offset=at, doing="decompressing a value")
        self.whole = out
        self.head = out[:HEAD]

    def _is_unknown(self, count_at: i64) -> bool:
        return count_at >= 0 and number_at(self.head, count_at, 2) == UNKNOWN

    def walk(self, cursor: Cursor, width: i64, numbered: bool) -> None:
        """Count elements of ``width`` strings each, and find the largest string; ``numbered``: the last of each is a
        score or a time, and does not count for that. Raises `FormatError`.
        """
        count: i64 = 0
        largest: i64 = 0
        turn: i64 = 0
        while cursor.next():
            turn += 1
            if turn < width or not numbered:
                n = cursor.size if cursor.kind == STRING else digits(cursor.number)
                largest = max(largest, n)
            if turn == width:
                turn = 0
                count += 1
        self.elements = count
        self.largest = largest


def string_length(w: Window) -> i64:
    """Pass a string; its length. Raises what reading raises."""
    pos = w.pos
    if pos < w.end:
        short: i64 = w.data[pos]
        if short < 64 and short < w.end - pos:
            w.pos = pos + 1 + short
            return short
    n = read_length_or_encoding(w)
    if n >= 0:
        w.skip(n)
        return n
    if n >= INT32:
        return digits(read_encoded_integer(w, n))
    return pass_lzf(w, n)


def pass_lzf(w: Window, encoding: i64) -> i64:
    """Pass the rest of a compressed string; its length."""
    if encoding != LZF:
        read_encoded_integer(w, encoding)  # raises
    compressed = read_length(w)
    size = read_length(w)
    w.skip(compressed)
    return size


def number_at(head: bytes, at: i64, width: i64) -> i64:
    """A little-endian number; 0 where the value is too short to have it."""
    number: i64 = 0
    if len(head) < at + width:
        return 0
    at += width
    while width > 0:
        at -= 1
        byte: i64 = head[at]
        number = number << 8 | byte
        width -= 1
    return number


def digits(n: i64) -> i64:
    """The length of a number as text."""
    count: i64 = 1
    if n < 0:
        count = 2
        if n == -n:
            return 20  # the least number has no positive one
        n = -n
    while n >= 10:
        n //= 10
        count += 1
    return count
