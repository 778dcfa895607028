"""The beginning of an RDB, which says what the file is."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64, mypyc_attr

from .events import Aux, Event, Header
from .opcodes import REDIS
from .reader import RdbReader


@final
class RdbHead:
    """What stands in front of an RDB's keys: ``dialect``, ``version``, ``aux`` fields, and the first event behind
    them, ``next``.
    """

    def __init__(self, reader: RdbReader) -> None:
        self.reader = reader
        self.dialect: i64 = REDIS
        self.version: i64 = 0
        self.aux: dict[bytes, bytes] = {}
        self.next: Event | None = None
        while True:
            event = reader.next()
            if isinstance(event, Aux):
                self.aux[event.name] = event.value
            elif isinstance(event, Header):
                self.dialect = event.dialect
                self.version = event.version
            else:
                self.next = event
                return


@mypyc_attr(allow_interpreted_subclasses=True)
class Aside:
    """Takes an RDB, or parts of it, while somebody else reads it: `begin`, then `take` for each event. A frame is good
    until the next one.
    """

    def begin(self, head: RdbHead) -> None:
        """What stands in front of the keys."""
        raise NotImplementedError

    def take(self, event: Event) -> None:
        """A function library, a key, or anything else but the end. Raises what writing raises."""
        raise NotImplementedError
