"""Zipmap: small hashes before Redis 2.6 (zipmap.c). Read only: no server that is a target writes it.

Number of pairs (1 byte; 254 and up: not kept), pairs, 0xFF. A pair is a field and a value, each after
its length (1 byte, or 0xFE and 4 little-endian); between a value's length and the value stands the number
of unused bytes that follow it.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i32_le
from mypy_extensions import i64

from .cursor import Cursor, corrupt

WHAT: Final = "zipmap"


@final
class ZipmapCursor(Cursor):
    """Fields and values in turn. ``announced``: the number of both, or -1."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        size: i64 = len(data)
        if size < 2:
            raise corrupt(WHAT, "no room for a header", 0)
        self.end: i64 = size - 1
        if data[self.end] != 255:
            raise corrupt(WHAT, "no end mark", self.end)
        pairs: i64 = data[0]
        self.announced: i64 = -1 if pairs >= 254 else 2 * pairs
        self.passed: i64 = 0
        self.pos = 1

    def next(self) -> bool:
        data = self.data
        pos = self.pos
        end = self.end
        if pos >= end:
            if self.passed & 1 or (self.announced >= 0 and self.announced != self.passed):
                raise corrupt(WHAT, f"{self.announced} elements announced, {self.passed} there,", 0)
            return False
        size: i64 = data[pos]
        pos += 1
        if size >= 254:
            if size == 255:
                raise corrupt(WHAT, "an end mark before the end", pos - 1)
            if end - pos < 4:
                raise corrupt(WHAT, "an element passes the end", self.pos)
            size = i64(read_i32_le(data, pos))
            size &= 0xFFFFFFFF
            pos += 4
        unused: i64 = 0
        if self.passed & 1:
            if pos >= end:
                raise corrupt(WHAT, "an element passes the end", self.pos)
            unused = data[pos]
            pos += 1
        if size + unused > end - pos:
            raise corrupt(WHAT, "an element passes the end", self.pos)
        self.start = pos
        self.size = size
        self.pos = pos + size + unused
        self.passed += 1
        return True
