"""A record whose length is wrong, and that ends where another one does: what it swallows shows by the count of keys."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import InputError, RdbToolError
from rdbtool.io.random_access import Pages
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader

from .effort import Effort
from .salvaged import Salvaged
from .search import Search

LEAST: Final[i64] = 5
"""Bytes that a record has at least which is swallowed."""
UNSAID: Final[i64] = 3
"""Keys that there must be in the record where nothing tells how many are missing."""
SEARCHED: Final[i64] = 1 << 26
"""Bytes in which such records are looked for, at most."""


@final
class Swallowed:
    """Looks in an RDB that was read in step, and whose checksum is not right, for a record that swallows others."""

    def __init__(self, pages: Pages, result: Salvaged) -> None:
        self.pages = pages
        self.result = result

    def find(self) -> tuple[i64, i64] | None:
        """Where such a record begins, and where the first one in it; None where none is, or nothing tells.

        Databases say how many keys they have. It must be those that are there, and those in the record; where they do
        not (before RDB version 7), there must be several. Raises `InputError`.
        """
        missing: i64 = 0
        said = False
        for run in self.result.runs:
            for part in run.parts:
                if part.said >= 0:
                    missing += part.said - part.keys
                    said = True
        if not said and self.result.checksum == "bad":
            missing = UNSAID
        if missing <= 0:
            return None
        w = self.pages.window(self.result.start, self.pages.size)
        reader = RdbReader(w, checksum=False)
        left = SEARCHED
        effort = Effort(self.pages.size)
        try:
            while left > 0:
                at = w.offset()
                event = reader.next()
                if event is None:
                    return None
                if not isinstance(event, Frame):
                    continue
                event.skip()
                size = w.offset() - at
                if size >= missing * LEAST:
                    left -= size
                    search = Search(self.pages, self.result.dialect, self.result.version)
                    search.templates = self.result.templates
                    search.effort = effort
                    place = search.leads_to(reader.key_offset + 1, w.offset())
                    if place >= 0 and (search.run_keys == missing if said else search.run_keys >= UNSAID):
                        return at, place
        except InputError:
            raise
        except RdbToolError:
            return None  # it could be read a moment ago
        return None
