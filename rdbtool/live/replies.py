"""Replies of a server, from bytes as they come (RESP 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from rdbtool.basics.numbers import natural
from rdbtool.errors import FormatError, printable, shortened

Reply: TypeAlias = "bytes | int | list[Reply] | Refusal | None"

MOST: Final = 1 << 20
"""Elements of a reply that is an answer to what this program asks."""
LINE: Final = 1 << 16
"""Bytes of the longest line of a reply."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error reply; ``words``: the server's, to be shown."""

    words: str

    @property
    def code(self) -> str:
        """The first word."""
        return self.words.partition(" ")[0]


class Replies:
    """Bytes are added, and replies are taken once they are whole. Raises `FormatError` for what no server sends."""

    def __init__(self) -> None:
        self._held = b""
        self._at = 0
        self._more: list[bytes] = []
        """What was added behind ``_held``, and is joined to it when a reply is whole that is known to be long."""
        self._length = 0
        self._wanted = 0

    @property
    def empty(self) -> bool:
        """Whether nothing is left of what was added."""
        return self._at == len(self._held) and not self._more

    def add(self, data: bytes) -> None:
        """Add what came next."""
        self._more.append(data)
        self._length += len(data)

    def take(self) -> tuple[Reply] | None:
        """The next reply, or None where it is not whole yet."""
        if self._more:
            if len(self._held) - self._at + self._length < self._wanted:
                return None
            self._held = b"".join((self._held[self._at :], *self._more))
            self._more.clear()
            self._length = self._at = 0
        self._wanted = 0
        found = self._read(self._at, 0)
        if found is None:
            return None
        reply, self._at = found
        return (reply,)

    def _read(self, at: int, depth: int) -> tuple[Reply, int] | None:
        held = self._held
        end = held.find(b"\r\n", at)
        if end < 0:
            if len(held) - at > LINE or (len(held) > at and held[at] not in b"+-:$*"):
                raise self._garbage(at)
            return None
        kind, text, at_next = held[at : at + 1], held[at + 1 : end], end + 2
        if kind == b"+":
            return text, at_next
        if kind == b"-":
            return Refusal(printable(text, 1000).rstrip(".")), at_next
        if kind not in {b":", b"$", b"*"} or natural(text.removeprefix(b"-")) < 0 or depth > 8:
            raise self._garbage(at)
        number = int(text)
        if kind == b":":
            return number, at_next
        if number < 0:
            return None, at_next
        if kind == b"$":
            if len(held) < at_next + number + 2:
                self._wanted = at_next + number + 2 - self._at
                return None
            return held[at_next : at_next + number], at_next + number + 2
        if number > MOST:
            raise self._garbage(at)
        parts: list[Reply] = []
        for _ in range(number):
            found = self._read(at_next, depth + 1)
            if found is None:
                return None
            parts.append(found[0])
            at_next = found[1]
        return parts, at_next

    def _garbage(self, at: int) -> FormatError:
        return FormatError(f"what came is no reply of a server: {shortened(self._held[at : at + 80])}")
