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
    """Looks in an RDB that is damaged, for all that is known, for records that were read in step and swallow others."""

    def __init__(self, pages: Pages, result: Salvaged) -> None:
        self.pages = pages
        self.result = result
        self.effort = Effort(pages.size)

    def find_in_bad(self) -> dict[int, int]:
        """Where records begin that have a bad value and swallow others, and where the first of those begins. There
        must be several, or all that the databases say is missing. Raises `InputError`.
        """
        found: dict[int, int] = {}
        missing, said = self._missing()
        left = SEARCHED
        for lost in self.result.lost:
            size = lost.end - lost.start
            if not (lost.in_step and lost.is_key) or size < LEAST or left < size or (said and missing <= 0):
                continue
            left -= size
            search = self._search()
            place = search.leads_to(lost.start + 1, lost.end)
            several = search.run_keys >= UNSAID and (not said or search.run_keys <= missing)
            if place >= 0 and (several or search.run_keys == missing):
                missing -= search.run_keys
                found[int(lost.start)] = int(place)
        return found

    def find(self) -> tuple[i64, i64] | None:
        """Where such a record begins, and where the first one in it; None where none is, or nothing tells.

        Databases say how many keys they have. It must be those that are there, and those in the record; where they do
        not (before RDB version 7), there must be several. Raises `InputError`.
        """
        missing, said = self._missing()
        if not said and self.result.checksum == "bad":
            missing = UNSAID
        if missing <= 0:
            return None
        w = self.pages.window(self.result.start, self.pages.size)
        reader = RdbReader(w, checksum=False)
        left = SEARCHED
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
                    search = self._search()
                    place = search.leads_to(reader.key_offset + 1, w.offset())
                    if place >= 0 and (search.run_keys == missing if said else search.run_keys >= UNSAID):
                        return at, place
        except InputError:
            raise
        except RdbToolError:
            return None  # it could be read a moment ago
        return None

    def _missing(self) -> tuple[i64, bool]:
        """How many keys less there are than databases say, and whether one does."""
        missing: i64 = 0
        said = False
        for run in self.result.runs:
            for part in run.parts:
                if part.said >= 0:
                    missing += part.said - part.keys
                    said = True
        return missing, said

    def _search(self) -> Search:
        search = Search(self.pages, self.result.dialect, self.result.version)
        search.templates = self.result.templates
        search.effort = self.effort
        return search
