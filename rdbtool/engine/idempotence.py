"""What a stream remembers of idempotent producers (Redis 8.6): which of their messages it has already added.

While a log is loaded nothing is forgotten for its age, so that a repeated message is recognized as it was
when it came.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import mypyc_attr

from rdbtool.rdb.primitives import encode_length, read_u64
from rdbtool.source import window_over

DURATION_S: Final = 100
"""stream-idmp-duration."""
MAX_SIZE: Final = 100
"""stream-idmp-maxsize: messages remembered per producer."""


@final
@mypyc_attr(acyclic=True)
class Idempotence:
    """The settings and counters that a snapshot holds, and the producers' messages, which it holds only briefly."""

    __slots__ = ("added", "duplicates", "duration_s", "max_size", "producers")

    def __init__(self, encoded: bytes = b"") -> None:
        self.duration_s = DURATION_S
        self.max_size = MAX_SIZE
        self.added = 0
        self.duplicates = 0
        self.producers: dict[bytes, dict[bytes, int]] = {}
        """Producer -> its message -> the id of the entry that was added for it."""
        if encoded:
            window = window_over(encoded)
            self.duration_s = read_u64(window)
            self.max_size = read_u64(window)
            read_u64(window)  # producers: files that have some are refused when they are read
            self.added = read_u64(window)
            self.duplicates = read_u64(window)

    def find(self, producer: bytes, message: bytes) -> int | None:
        """The id of the entry that was added for a message."""
        messages = self.producers.get(producer)
        return None if messages is None else messages.get(message)

    def remember(self, producer: bytes, message: bytes, entry: int) -> None:
        """Note that the entry was added for a message; the producer's oldest one is forgotten if there are too many."""
        messages = self.producers.get(producer)
        if messages is None:
            messages = {}
            self.producers[producer] = messages
        if len(messages) >= self.max_size:
            del messages[next(iter(messages))]
        messages[message] = entry
        self.added += 1

    def configure(self, duration_s: int, max_size: int) -> None:
        """Change the settings; a change makes it forget all messages."""
        if (duration_s, max_size) != (self.duration_s, self.max_size):
            self.producers.clear()
        self.duration_s = duration_s
        self.max_size = max_size

    def encoded(self) -> bytes:
        """The form that a snapshot has, without the messages."""
        numbers = (self.duration_s, self.max_size, 0, self.added, self.duplicates)
        return b"".join(encode_length(number) for number in numbers)
