"""The state of idempotent producers, which a stream keeps since Redis 8.6: their messages that it has already added.

Duration in s, greatest number of messages, producers with the messages that are remembered of each, messages added,
duplicates seen.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window, passed, window_over

from .inspection import Inspection, check_name, checked_string
from .primitives import read_count, read_u64, skip_string
from .visit import Visit

LONGEST_S: Final = 86400
MOST_KEPT: Final = 10000
"""Bounds of the settings (XCFGSET)."""


@final
class Producers:
    """A walk over the state; the caller passes the names.

    After `next_producer` answered True the window stands at the producer's name; after `next_message` at the message,
    behind which `read_entry` reads ``ms`` and ``seq``, the id of the entry that was added for it. Each walk goes to its
    end before the next one; when there is no further producer, ``added`` and ``duplicates`` have been read.
    """

    def __init__(self, w: Window) -> None:
        self.window = w
        self.duration_s = read_u64(w)
        self.max_size = read_u64(w)
        self.added = 0
        self.duplicates = 0
        self.ms = 0
        self.seq = 0
        self._producers: i64 = read_count(w, 2)
        self._messages: i64 = -1

    @property
    def has_valid_settings(self) -> bool:
        """Whether servers take the settings."""
        return 1 <= self.duration_s <= LONGEST_S and 1 <= self.max_size <= MOST_KEPT

    def settings_error(self) -> FormatError:
        """The error for settings that servers do not take."""
        return FormatError(
            f"{self.max_size} messages kept for {self.duration_s} s", doing="reading the state of idempotent producers"
        )

    def next_producer(self) -> bool:
        """Move onto the next producer; False, and the counters are read, where there is none."""
        if self._producers == 0:
            self.added = read_u64(self.window)
            self.duplicates = read_u64(self.window)
            return False
        self._producers -= 1
        self._messages = -1
        return True

    def next_message(self) -> bool:
        """Move onto the producer's next message; False where there is none."""
        if self._messages < 0:
            self._messages = read_count(self.window, 3)
        if self._messages == 0:
            return False
        self._messages -= 1
        return True

    def read_entry(self) -> None:
        """Pass the id of the entry that was added for the message."""
        self.ms = read_u64(self.window)
        self.seq = read_u64(self.window)


def skip_producers(w: Window) -> None:
    """Pass the state."""
    producers = Producers(w)
    while producers.next_producer():
        skip_string(w)
        while producers.next_message():
            skip_string(w)
            producers.read_entry()


def take_producers(w: Window) -> bytes:
    """The bytes of the state, passed."""
    return passed(w, skip_producers)


def check_producers(w: Window, ins: Inspection) -> None:
    """Check the state as Redis 8.6.2 does; 8.10.2 first drops messages that are old."""
    at = w.offset()
    producers = Producers(w)
    if not producers.has_valid_settings:
        message = f"idempotent producers with {producers.max_size} messages kept for {producers.duration_s} s"
        ins.report("producer-settings", message, at)
    names: set[bytes] = set()
    while producers.next_producer():
        check_name(w, ins, names, "duplicate-producer", "an idempotent producer twice in a stream")
        while producers.next_message():
            checked_string(w, ins)
            producers.read_entry()


def visit_producers(visit: Visit) -> None:
    """Tell the bytes of the state."""

    def visit_names(w: Window) -> None:
        producers = Producers(w)
        while producers.next_producer():
            visit.node()
            while producers.next_message():
                visit.node()
                producers.read_entry()

    at = visit.window.offset()
    raw = passed(visit.window, visit_names)
    producers = Producers(window_over(raw))
    if not producers.has_valid_settings:
        visit.damaged(producers.settings_error(), at)
    visit.visitor.idempotence(raw)
