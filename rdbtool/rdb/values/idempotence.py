"""What a stream remembers of idempotent producers (Redis 8.6): which of their messages it has already added.

While a log is loaded nothing is forgotten for its age, so that a repeated message is recognized as it was
when it came. What is said here was seen of Redis 8.6.2 and 8.10.2.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import mypyc_attr

from rdbtool.errors import FormatError, RdbToolError
from rdbtool.io.window import window_over
from rdbtool.rdb.layout.encoders import put_string, put_u64
from rdbtool.rdb.layout.primitives import read_string
from rdbtool.rdb.layout.producers import Producers

from .stream_nodes import of_pair, pair_of

DURATION_S: Final = 100
"""stream-idmp-duration."""
MAX_SIZE: Final = 100
"""stream-idmp-maxsize: messages remembered per producer."""


@final
@mypyc_attr(acyclic=True)
class Idempotence:
    """The settings, the producers' messages and the counters, as a snapshot holds them: `encoded`.

    Made from what is nothing of the kind, or has settings that servers refuse, raises `FormatError`.
    """

    __slots__ = ("added", "duplicates", "duration_s", "max_size", "producers")

    def __init__(self, encoded: bytes = b"") -> None:
        self.duration_s = DURATION_S
        self.max_size = MAX_SIZE
        self.added = 0
        self.duplicates = 0
        self.producers: dict[bytes, dict[bytes, int]] = {}
        """Producer -> its message -> the id of the entry that was added for it."""
        if encoded:
            try:
                self._decode(encoded)
            except RdbToolError as e:
                raise FormatError(e.message, doing="reading the state of idempotent producers") from None

    def _decode(self, encoded: bytes) -> None:
        window = window_over(encoded)
        state = Producers(window)
        while state.next_producer():
            messages = self.producers.setdefault(read_string(window), {})
            while state.next_message():
                message = read_string(window)
                state.read_entry()
                messages[message] = of_pair((state.ms, state.seq))
        self.duration_s = state.duration_s
        self.max_size = state.max_size
        self.added = state.added
        self.duplicates = state.duplicates
        if not window.at_end():
            raise FormatError("bytes behind it")
        if not state.has_valid_settings:
            raise state.settings_error()

    @property
    def is_configured(self) -> bool:
        """Whether the settings are others than a server's own."""
        return (self.duration_s, self.max_size) != (DURATION_S, MAX_SIZE)

    def same(self, other: Idempotence) -> bool:
        """Whether both say the same, in whatever order and encoding."""
        settings = (self.duration_s, self.max_size, self.added, self.duplicates)
        return settings == (other.duration_s, other.max_size, other.added, other.duplicates) and (
            self.producers == other.producers
        )

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
        """The form that a snapshot has."""
        out = BytesWriter()
        put_u64(out, self.duration_s)
        put_u64(out, self.max_size)
        put_u64(out, len(self.producers))
        for producer, messages in self.producers.items():
            put_string(out, producer, True)
            put_u64(out, len(messages))
            for message, entry in messages.items():
                put_string(out, message, True)
                ms, seq = pair_of(entry)
                put_u64(out, ms)
                put_u64(out, seq)
        put_u64(out, self.added)
        put_u64(out, self.duplicates)
        return out.getvalue()
