"""Names of commands that one server has and others have not: from a module, or by ``rename-command``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, final

from rdbtool.errors import UsageError, printable_text
from rdbtool.servers.commands import is_known, row_of

STOP: Final = "stop"
SKIP: Final = "skip"
CARRY: Final = "carry"
"""What a replay does about commands that no server has: it ends there, leaves them out, or keeps them for an output
that holds commands."""


def uncarried(unknown: str) -> str:
    """What to do about unknown commands where nothing is written that could hold them: `CARRY` becomes `SKIP`."""
    return SKIP if unknown == CARRY else unknown


@final
class CommandNames:
    """What is known of a server's names; all in upper case.

    ``allowed``: commands it has in addition, of which nothing else is known; ``real``: a name of its own -> the name
    that the table of commands has.
    """

    def __init__(self, allowed: frozenset[bytes] = frozenset(), real: dict[bytes, bytes] | None = None) -> None:
        self.allowed = allowed
        self.real: dict[bytes, bytes] = real or {}

    @classmethod
    def parse(cls, allow: Iterable[str], rename: Iterable[str] = ()) -> CommandNames:
        """From names, and from ``NAME=REAL`` for what `rename-command` made of REAL. Raises `UsageError`."""
        real: dict[bytes, bytes] = {}
        for text in rename:
            name, equals, known = (os.fsencode(part).upper() for part in text.partition("="))
            if not (name and equals and known):
                raise UsageError(f"not NAME=REAL: '{printable_text(text)}' (as in XFLUSH=FLUSHALL)")
            if not is_known(known):
                raise UsageError(f"no server has the command '{printable_text(text.partition('=')[2])}'")
            if real.setdefault(name, known) != known:
                raise UsageError(f"two commands cannot both be called '{printable_text(text.partition('=')[0])}'")
        return cls(frozenset(os.fsencode(name).upper() for name in allow), real)

    def __repr__(self) -> str:
        return f"<CommandNames allowed={sorted(self.allowed)[:8]} real={dict(list(self.real.items())[:8])}>"

    @property
    def empty(self) -> bool:
        """Whether they are those of a server as it comes."""
        return not (self.allowed or self.real)

    def resolve(self, name: bytes) -> bytes:
        """The name in the table of commands of the one that this server calls ``name``, in upper case."""
        upper = name.upper()
        return self.real.get(upper, upper)

    def knows(self, name: bytes) -> bool:
        """Whether the server has a command of that name, in any case of letters; one of a module, if it is allowed."""
        upper = name.upper()
        return upper in self.real or upper in self.allowed or row_of(upper) is not None


STOCK: Final = CommandNames()
"""Those of a server as it comes."""
