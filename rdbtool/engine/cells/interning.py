"""One object for equal names: fields and members that come up in many keys are kept once."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

MOST: Final = 1 << 15
"""Names that are remembered."""
LONGEST: Final = 64
"""Bytes of the longest name that is worth it."""
TRIAL: Final = 1 << 16
"""Questions after which it shows whether names come up again."""


@final
@mypyc_attr(acyclic=True)
class InternedNames:
    """Gives back the first of equal names. It gives up where hardly any comes up twice."""

    __slots__ = ("_asked", "_found", "_known")

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] | None = {}
        self._asked: i64 = 0
        self._found: i64 = 0

    def one(self, name: bytes) -> bytes:
        """The object to keep for ``name``."""
        known = self._known
        if known is None or len(name) > LONGEST:
            return name
        first = known.get(name)
        self._asked += 1
        if first is not None:
            self._found += 1
            return first
        if len(known) < MOST:
            known[name] = name
        if self._asked >= TRIAL:
            if self._found * 4 < self._asked:
                self._known = None
            self._asked = 0
            self._found = 0
        return name
