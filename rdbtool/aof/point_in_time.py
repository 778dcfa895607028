"""The point in time up to which a log is replayed, and times as people write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from rdbtool.errors import UsageError

LAST: Final = "last"
"""In place of a number: the last of all."""
LATEST: Final = (1 << 63) // 1000 - 1
"""The last second whose milliseconds fit the 64 bits that files and servers keep them in."""


def parse_time(text: str) -> int:
    """Unix seconds, from a number or ISO 8601; a time without a zone is UTC. Raises `UsageError`."""
    if text.isascii() and text.isdigit():
        seconds = int(text) if len(text) < 20 else LATEST + 1
    else:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise UsageError(f"not a time: {text!r} (as in 1767225600, or 2026-01-01T00:00:00Z)") from None
        seconds = int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    if not 0 <= seconds <= LATEST:
        raise UsageError(f"not a time that a file can hold: {text!r}")
    return seconds


class Place(NamedTuple):
    """An offset in one of the input's files; ``file`` is "" where there is only one log."""

    offset: int
    file: str = ""

    @classmethod
    def parse(cls, text: str) -> Place:
        """From ``OFFSET`` or ``FILE:OFFSET``. Raises `UsageError`."""
        file, _, number = text.rpartition(":")
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            raise UsageError(f"not an offset: {text!r} (as in 4096, or appendonly.aof.2.incr.aof:4096)")
        return cls(int(number), file)


@dataclass(frozen=True, slots=True)
class PointInTime:
    """How far to replay, and what to leave out. Raises `UsageError` for a number ``nth`` below 1.

    ``time_s``: Unix time, by the log's timestamp annotations: what is annotated later is not applied;
    ``offset``: commands that begin there or behind it are not applied; ``commands``: how many are;
    ``before``: stop before the ``nth`` command of that name, in any case of letters, with a space before a
    subcommand (`LAST`: before the last one); ``without``: places of commands that are passed over. A
    transaction that is open at that point is not applied at all.
    """

    time_s: int | None = None
    offset: Place | None = None
    commands: int | None = None
    before: str = ""
    nth: int | Literal["last"] = 1
    without: tuple[Place, ...] = ()

    def __reduce__(self) -> tuple[object, ...]:
        facts = (self.time_s, self.offset, self.commands, self.before, self.nth, self.without)
        return PointInTime, facts

    def __post_init__(self) -> None:
        if self.nth != LAST and self.nth < 1:
            raise UsageError("the number of a command counts from 1")

    @property
    def asked(self) -> bool:
        """Whether anything but the whole is asked for."""
        return self != WHOLE

    @property
    def row_name(self) -> bytes:
        """``before`` as the table of commands names it: upper case, with ``|`` before a subcommand."""
        return b"|".join(self.before.upper().encode().split())

    def in_log(self, nth: int, offset: int | None, without: Iterable[int]) -> PointInTime:
        """The same point in one log: ``offset`` and ``without`` are offsets in it, and ``nth`` a number."""
        return PointInTime(
            self.time_s,
            None if offset is None else Place(offset),
            self.commands,
            self.before,
            nth,
            tuple(Place(at) for at in without),
        )


WHOLE: Final = PointInTime()
