"""Where an RDB can be cut into parts that are read by themselves: between two keys, found by passing over values."""

from __future__ import annotations

import re
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import RdbToolError, TruncatedError
from rdbtool.io.random_access import OpenFile, Span
from rdbtool.io.window import Window, window_over
from rdbtool.servers.releases import HASH_TEMPLATES_SINCE, UPDATES_SINCE

from . import opcodes
from .events import Aux, End, Event, HashTemplate, Header, Update
from .frame import Frame
from .layout.primitives import skip_string
from .reader import NOWHERE, RdbReader
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
    depend on those before. ``head``: the header, and the auxiliary fields behind it, once a part is cut.

    With a ``file``, the one that is open in the window, it guesses where records begin and reads hardly anything. A
    guess is proven when the part before it ends there, in its database; `missed` is told where one was wrong.
    """

    def __init__(self, window: Window, file: OpenFile | None = None) -> None:
        self.reader = RdbReader(window, checksum=False)
        self.head: list[Header | Aux] = []
        self.file = file
        self._guesses = False
        self._parts: i64 = 0
        self._missed: i64 = 0
        self._stuck = False
        self._in_head = True
        self._key: Frame | None = None
        """The first one, that comes next."""
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
            if first:
                self._guesses = self._pass_head()
                self._db = self.reader.db
            end = self._cut(start + size)
        except RdbToolError:  # whoever reads the part will meet it
            pass
        reader = self.reader
        self._done = end == NOWHERE
        self._first = False
        self._start = end
        self._parts += 1
        return RdbPart(start, end, reader.dialect, reader.version, db, first=first)

    def missed(self, at: i64, db: i64) -> None:
        """Be told that a guess was wrong: a record begins at ``at``, in this database. Where too many are, guess no
        more, but pass over values from there on.
        """
        guessed = self._guesses
        self._count_miss()
        if self._done or not guessed:
            return
        if self._guesses:
            self._db = db
            return
        self._resume(at, db)
        try:
            if at < self._start:
                self._stuck = not self._pass(self._start)
        except RdbToolError:
            self._stuck = True
        if not self._stuck:
            self._start = self.reader.window.offset()
            self._db = self.reader.db

    def _count_miss(self) -> None:
        self._missed += 1
        if self._missed > LEAST_MISSED + self._parts // MISSED:
            self._guesses = False

    def _cut(self, at: i64) -> i64:
        """Where to cut at the offset ``at`` or behind; `NOWHERE` for no more cuts."""
        file = self.file
        if self._guesses and file is not None:
            if at >= file.size:
                return NOWHERE
            end = boundary_near(file, at, self.reader.dialect, self.reader.version)
            if end >= 0:
                return end
            self._count_miss()
            if not self._first:
                self._resume(self._start, self._db)
        if self._stuck or not self._pass(at):
            return NOWHERE
        self._db = self.reader.db
        return self.reader.window.offset()

    def _resume(self, at: i64, db: i64) -> None:
        """Walk on from ``at``."""
        file = self.file
        assert file is not None
        before = self.reader
        w = Window(Span(file, at, file.size), path=file.path, size=file.size, base=at)
        self.reader = RdbReader(w, checksum=False)
        self.reader.resume(before.dialect, before.version, db, {})

    def _pass_head(self) -> bool:
        """Read on to the first key; whether it can be guessed where those behind it begin."""
        reader = self.reader
        while True:
            event = reader.next()
            if isinstance(event, Header | Aux) and self._in_head:
                self.head.append(event)
                continue
            self._in_head = False
            is_dragonfly = any(isinstance(each, Aux) and each.value.startswith(b"df-") for each in self.head)
            if is_dragonfly or reader.is_capture or self._ends(event):  # Dragonfly has records of its own
                self._stuck = True
                return False
            if isinstance(event, Frame):
                self._key = event
                return self.file is not None and reader.version < UNREAD_BEFORE[reader.dialect]

    def _ends(self, event: Event | None) -> bool:
        """Whether no cut is possible from an event on."""
        return event is None or isinstance(event, End | HashTemplate | Update) or self.reader.is_enterprise

    def _pass(self, until: i64) -> bool:
        """Pass records, to the first key that ends at ``until`` or behind; False where no cut is possible any more."""
        reader = self.reader
        while True:
            event: Event | None = self._key
            if event is None:
                event = reader.next()
            self._key = None
            if self._ends(event):
                return False
            if isinstance(event, Frame):
                event.skip()
                if reader.window.offset() >= until or self._pass_keys(until):
                    return True

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


LOOKED_AT: Final = 1 << 18, 1 << 22
"""Bytes in which the beginning of a record is searched for, and where there is none."""
PROBED: Final = 8
"""Records that can be read from where one seems to begin."""
FEW: Final = 3
LEAST_MISSED: Final = 4
"""Wrong guesses that are none too many: of a file of few databases, those that were made before one was seen to end."""
MISSED: Final = 8
"""Of so many guesses one may be wrong: what began at it is read twice, but passing over all values takes longer."""
CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
UNREAD_BEFORE: Final = (HASH_TEMPLATES_SINCE, UPDATES_SINCE)
"""By dialect, the versions from which on records can depend on those before."""
BEGINNING: Final = re.compile(rb"[\x00-\x1f][\x01-\x3f](?=[ -~]{2})|\xfc.{6}\x00\x00[\x00-\x1f]", re.DOTALL)
"""A type and a short printable name, or an expiry."""


def boundary_near(file: OpenFile, at: i64, dialect: i64, version: i64) -> i64:
    """Where a record behind ``at`` seems to begin: soon behind one from which on several can be read, all with names
    without control characters; -1 where there are none. What begins inside a value can be read for a record or two, and
    be in step with the records then. Raises `InputError`.
    """
    for looked_at in LOOKED_AT:
        data = file.read(min(looked_at, file.size - at), at, True)
        is_rest = at + len(data) >= file.size
        for found in BEGINNING.finditer(data):
            w = window_over(data)
            w.pos = found.start()
            border = _boundary_from(w, is_rest, dialect, version)
            if border >= 0:
                return at + border
        if is_rest:
            break
    return -1


def _boundary_from(w: Window, is_rest: bool, dialect: i64, version: i64) -> i64:
    """`boundary_near`, of what is read where a window stands, which holds the rest of the file or a piece."""
    reader = RdbReader(w, checksum=False)
    reader.resume(dialect, version, 0, {})
    border: i64 = -1
    records = 0
    try:
        while records < PROBED:
            event = reader.next()
            if isinstance(event, Frame):
                if CONTROL.search(event.key) is not None:
                    return -1
                event.skip()
                records += 1
                if records <= FEW:
                    border = w.pos
            elif event is None or isinstance(event, End):
                return border if is_rest and w.at_end() else -1
    except TruncatedError:
        return border if is_rest and records > FEW else -1
    except RdbToolError:
        return -1
    return border
