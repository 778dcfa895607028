"""Where an RDB can be cut into parts that are read by themselves: between two keys, found by passing over values."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import RdbToolError
from rdbtool.io.window import Window

from . import opcodes
from .events import Aux, End, HashTemplate, Header, Update
from .layout.primitives import skip_string
from .reader import NOWHERE, Frame, RdbReader
from .types import TABLE


@final
class RdbPart:
    """The records that begin at offsets ``start`` to ``end``, which is `NOWHERE` for the last part.

    ``first``: it begins with the header; the others are of a file of this ``dialect`` and ``version``, and begin in
    database ``db``.
    """

    def __init__(self, start: int, end: int, dialect: int, version: int, db: int, *, first: bool = False) -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.dialect: i64 = dialect
        self.version: i64 = version
        self.db: i64 = db
        self.first = first

    def __reduce__(self) -> tuple[object, ...]:
        return RdbPart, (0, 0, 0, 0, 0), self.__getstate__()

    def open(self, w: Window) -> RdbReader:
        """A reader of the part, with its checksum, from a window at ``start``."""
        reader = RdbReader(w)
        if not self.first:
            reader.resume(self.dialect, self.version, self.db, {})
            reader.observe()
        reader.until = self.end
        return reader


@final
class Cutter:
    """Cuts an RDB into parts, from a window at its first byte.

    The last part holds the end, and whatever is damaged: nothing is told of that here. So it does what makes records
    depend on those before. ``head``: the header, and the
    auxiliary fields behind it, once a part is cut.
    """

    def __init__(self, window: Window) -> None:
        self.reader = RdbReader(window, checksum=False)
        self.head: list[Header | Aux] = []
        self._in_head = True
        self._start: i64 = window.offset()
        self._db: i64 = 0
        self._first = True
        self._done = False

    def next(self, size: i64) -> RdbPart | None:
        """The part behind the one before, of ``size`` bytes and what is left of a key then; None behind the last."""
        if self._done:
            return None
        start = self._start
        first = self._first
        db = self._db
        end = NOWHERE
        try:
            if self._pass(start + size):
                end = self.reader.window.offset()
        except RdbToolError:  # whoever reads the part will meet it
            self._done = True
        reader = self.reader
        self._done = end == NOWHERE
        self._first = False
        self._start = end
        self._db = reader.db
        return RdbPart(start, end, reader.dialect, reader.version, db, first=first)

    def _pass(self, until: i64) -> bool:
        """Pass records, to the first key that ends at ``until`` or behind; False where no cut is possible any more."""
        reader = self.reader
        while True:
            event = reader.next()
            if self._in_head:
                if isinstance(event, Header | Aux):
                    self.head.append(event)
                    continue
                self._in_head = False
                if any(isinstance(each, Aux) and each.value.startswith(b"df-") for each in self.head):
                    return False  # Dragonfly, which has records of its own
            if isinstance(event, Frame):
                reader.skip_payload(event)
                if reader.window.offset() >= until or self._pass_keys(until):
                    return True
            elif event is None or isinstance(event, End | HashTemplate | Update):
                return False
            if reader.is_capture or reader.is_enterprise:
                return False

    def _pass_keys(self, until: i64) -> bool:
        """Pass keys as most are; True if the last of them ends at ``until`` or behind."""
        w = self.reader.window
        table = TABLE[self.reader.dialect]
        at: i64
        byte: i64
        while w.end - w.pos >= 16 or w.need(16):
            at = w.pos
            byte = w.data[at]
            if byte == opcodes.EXPIRE_MS:
                at += 9
                byte = w.data[at]
            if byte >= opcodes.LOWEST or (byte == 0 and w.data[at + 1] == 0):
                return False
            row = table[byte]
            if row is None:
                return False
            w.pos = at + 1
            skip_string(w)
            row.skip(w)
            if w.offset() >= until:
                return True
        return False
