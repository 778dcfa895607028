"""What the names of the keys of a file have in common: a name that begins as others do is rather one of a key."""

from __future__ import annotations

import re
from typing import Final, final

from mypy_extensions import i64

BEGINNING: Final = re.compile(rb"[^\x00-\x20\x7f:./|_{}#-]+[:./|_{}#-]|[{][^\x00-\x20\x7f]+[}]|[A-Za-z]+(?=[0-9]+\Z)")
"""Of a name: up to the first sign that divides names into parts, a cluster's tag, or letters in front of a number."""
NUMBERS: Final = b"0"
"""Stands for the beginning of those that are stored as numbers."""
COMMON: Final = 3
FEW: Final = 2
"""Keys that must begin alike, and that must be numbers."""
ALL: Final[i64] = 1 << 10
ONE_IN: Final[i64] = 64
"""The first names are looked at, and some of all others."""
MANY: Final = 1 << 12


@final
class Names:
    """How many keys begin alike."""

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}
        self._seen: i64 = 0
        self.complete = False
        """Whether those of all keys that can be read were noted."""

    def add(self, key: bytes, coded: i64) -> None:
        """Note the name of a key, whose string begins with the byte ``coded``."""
        if self.complete:
            return
        self._seen += 1
        if self._seen > ALL and self._seen % ONE_IN != 0:
            return
        beginning = _beginning(key, coded)
        if beginning and (beginning in self._counts or len(self._counts) < MANY):
            self._counts[beginning] = self._counts.get(beginning, 0) + 1

    def know(self, key: bytes, coded: i64) -> bool:
        """Whether several keys begin like that."""
        return self._counts.get(_beginning(key, coded), 0) >= (FEW if is_number(coded) else COMMON)


def is_number(coded: i64) -> bool:
    """Whether a string is stored as a number that begins with the byte ``coded``."""
    return 0xC0 <= coded <= 0xC2


def _beginning(key: bytes, coded: i64) -> bytes:
    if is_number(coded):
        return NUMBERS
    found = BEGINNING.match(key)
    return b"" if found is None else found.group()
