"""Which partitions of the keys a command concerns."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.servers.commands import CONTROL, EVERYWHERE, IDLE, SCRIPT, UNSUPPORTED, CommandRow

BY_KEYS: Final[i64] = 0
"""It concerns the keys that it names, all together."""
BY_EACH_KEY: Final[i64] = 1
"""It does with each key that it names what it would do with that one alone."""
FIRST_ONLY: Final[i64] = 2
"""It changes no key, whatever keys there are: one partition takes note of it."""
ALL: Final[i64] = 3
"""It is for every partition."""
ANY_KEY: Final[i64] = 4
"""It may reach any key."""
NOT_OURS: Final[i64] = 5
"""The engine does not carry it out."""

EACH: Final = frozenset({b"DEL", b"UNLINK", b"MSET", b"EXISTS", b"TOUCH"})
"""Commands that treat each of their keys by itself."""


def route_of(row: CommandRow | None, args: list[bytes]) -> i64:
    """Which partitions a command concerns: one of the constants above. ``row``: what `find` says."""
    if row is None:
        return NOT_OURS
    if row.flags & CONTROL:
        return ALL
    if not row.fits(len(args)):
        return FIRST_ONLY  # it fails before it looks at a key
    if row.flags & UNSUPPORTED or row.name == b"FCALL":
        return NOT_OURS
    if row.flags & EVERYWHERE:
        return ALL
    if row.flags & IDLE:
        return FIRST_ONLY
    if row.effect == SCRIPT:
        return ANY_KEY
    if row.name == b"SORT":
        for word in args[2:]:
            if b"*" in word:  # in BY or GET it stands for any key
                return ANY_KEY
    if row.first == 0 and row.keys_of is None:
        return FIRST_ONLY
    if row.name in EACH:
        return FIRST_ONLY if row.step == 2 and len(args) % 2 == 0 else BY_EACH_KEY
    return BY_KEYS
