"""Where keys come from: one stream of events, whatever the input is."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64, mypyc_attr

from rdbtool.io.window import Window
from rdbtool.model import Entry
from rdbtool.rdb.cutting import RdbPart
from rdbtool.rdb.dump_payload import open_dump, parse_dump
from rdbtool.rdb.empty import is_empty
from rdbtool.rdb.events import Aux, End, Event, Header, Update
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.head import RdbHead
from rdbtool.rdb.layout.facts import NOTHING
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.reader import RdbReader


@final
class Facts:
    """What a file says of itself: ``dialect`` and ``version`` of the RDB (0: it is none), auxiliary fields.

    ``is_old``: nothing in a log that does not say who wrote it asks for a server that counts entries of streams.
    """

    def __init__(self, dialect: int = REDIS, version: int = 0) -> None:
        self.dialect: i64 = dialect
        self.version: i64 = version
        self.aux: dict[bytes, bytes] = {}
        self.is_old = False


def facts_of(head: RdbHead | None) -> Facts:
    """What the beginning of an RDB says; where there is none, nothing."""
    if head is None:
        return Facts()
    facts = Facts(head.dialect, head.version)
    facts.aux = head.aux
    return facts


@final
class EntryEvent(Event):
    """A key that comes with its value decoded."""

    def __init__(self, entry: Entry, offset: int = -1) -> None:
        super().__init__(offset)
        self.entry = entry


@mypyc_attr(allow_interpreted_subclasses=True)
class KeySource:
    """A stream of `Function`, `ModuleAux`, `Frame`, `EntryEvent` and, where there is one, `End` events.

    ``facts`` are complete when the first of them has come. ``path`` is for messages; ``made``: the `rdb.facts` that
    the input does not hold, although the keys have them; ``lost``: what it holds and none of the events tells, by kind;
    ``distinct``: no key comes twice; ``empty``: collections without elements, which are left out, as servers do.
    """

    def __init__(self, path: str, *, distinct: bool = False) -> None:
        self.path = path
        self.distinct = distinct
        self.facts = Facts()
        self.made = NOTHING
        self.lost: dict[str, int] = {}
        self.empty: i64 = 0

    def next(self) -> Event | None:
        """The next event, or None. Raises what reading raises; there is nothing more after that."""
        raise NotImplementedError


@final
class RdbSource(KeySource):
    """The keys of an RDB, from a window at its first byte. ``checksum``: as `End.checksum`, "" before the end. Or those
    of a ``part`` of one, from a window at that; then ``end`` is kept and not told: only all parts have the checksum,
    unless ``crc`` is that of all bytes before it.
    """

    def __init__(
        self, window: Window, *, checksum: bool = True, part: RdbPart | None = None, crc: int | None = None
    ) -> None:
        super().__init__(window.path)
        self.reader = RdbReader(window, checksum=checksum) if part is None else part.open(window)
        self.lost = self.reader.lost
        self.checksum = ""
        self.is_part = part is not None and crc is None
        if crc is not None:
            self.reader.crc = crc
        self.end: End | None = None

    def next(self) -> Event | None:
        while True:
            event = self.reader.next()
            if isinstance(event, Frame):
                if not is_empty(event):
                    return event
                self.empty += 1
            elif isinstance(event, Aux):
                self.facts.aux[event.name] = event.value
            elif isinstance(event, Update):
                raise event.refusal(self.path)
            elif isinstance(event, Header):
                self.facts.dialect = event.dialect
                self.facts.version = event.version
            elif self.is_part and isinstance(event, End):
                self.end = event
            else:
                if isinstance(event, End):
                    self.checksum = event.checksum
                return event


@final
class PayloadSource(KeySource):
    """The one key that the answer of DUMP holds, under a name that it does not hold."""

    def __init__(self, path: str, data: bytes, key: bytes) -> None:
        super().__init__(path, distinct=True)
        payload = open_dump(data, key=key)
        self.facts.dialect = payload.dialect
        self.facts.version = payload.rdb_version
        self._frame: Frame | None = parse_dump(data, key=key)

    def next(self) -> Event | None:
        frame = self._frame
        self._frame = None
        return frame
