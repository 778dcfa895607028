"""Points in time: how far a log is to be replayed, and times as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, final

from mypy_extensions import i64

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


@dataclass(frozen=True, slots=True)
class Place:
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
    """How far to replay, and what to leave out.

    ``time_s``: Unix time, by the log's timestamp annotations: what is annotated later is not applied;
    ``offset``: commands that begin there or behind it are not applied; ``commands``: how many are;
    ``before``: stop before the ``nth`` command of that name (`LAST`: before the last one); ``without``:
    places of commands that are passed over.
    """

    time_s: int | None = None
    offset: Place | None = None
    commands: int | None = None
    before: str = ""
    nth: int | Literal["last"] = 1
    without: tuple[Place, ...] = ()

    @property
    def asked(self) -> bool:
        """Whether anything but the whole is asked for."""
        return self != WHOLE


WHOLE: Final = PointInTime()


NEVER: Final = 0x7FFF_FFFF_FFFF_FFFF


@final
class Until:
    """Where a replay stops, and what it leaves out.

    ``time_s``: at the first annotation after this Unix time; ``offset``: before the first command that
    begins at or after it; ``command``: after this many commands; ``before``: before the ``nth`` command of
    that name (upper case, with ``|`` before a subcommand); ``without``: offsets of commands not applied. A
    transaction that is open where the replay stops is not applied at all.
    """

    def __init__(
        self,
        *,
        time_s: int = NEVER,
        offset: int = NEVER,
        command: int = NEVER,
        before: bytes = b"",
        nth: int = 1,
        without: frozenset[int] = frozenset(),
    ) -> None:
        if nth < 1:
            raise UsageError("the number of a command counts from 1")
        self.time_s: i64 = time_s
        self.offset: i64 = offset
        self.command: i64 = command
        self.before = before
        self.nth: i64 = nth
        self.without = without
