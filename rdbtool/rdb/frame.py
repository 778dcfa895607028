"""A key of an RDB with its raw value, which is still in the reader's window until somebody takes or keeps it."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

from rdbtool.errors import RdbToolError, UsageError, shortened
from rdbtool.io.random_access import Stored
from rdbtool.io.window import Window, passed, window_over
from rdbtool.model import Value

from .events import Event
from .types import TypeRow

SMALL: Final[i64] = 64
"""Bytes of a payload that takes no more memory than the frame itself: holding it costs less than reading it again."""


@final
class Unread:
    """The payload at a reader's window that nobody has passed yet: of the type ``row``, at the offset ``at``; None
    where there is none.
    """

    def __init__(self, window: Window) -> None:
        self.window = window
        self.row: TypeRow | None = None
        self.at: i64 = -1

    def frame_here(self, db: i64, key: bytes, type_row: TypeRow) -> Frame:
        """A frame of the payload that the window stands at."""
        self.row = type_row
        self.at = self.window.offset()
        return Frame(self, self.at, self.at, db, key, type_row)

    def check(self, frame: Frame) -> None:
        """See that it is the payload of ``frame``; raises `UsageError`."""
        if self.row is None or self.at != frame.value_offset:
            raise UsageError(
                "the reader has moved on from this key: a frame that is needed later has to be kept (keep)",
                path=self.window.path,
                offset=frame.offset,
                key=frame.key,
            )

    def leave(self, frame: Frame) -> None:
        """Leave the payload of ``frame`` to whoever walks the window."""
        self.check(frame)
        self.row = None

    def skip(self, frame: Frame) -> None:
        """Pass the payload of ``frame``."""
        self.leave(frame)
        try:
            frame.type.skip(self.window)
        except RdbToolError as e:
            raise self._located(e, frame) from None

    def take(self, frame: Frame) -> bytes:
        """The payload of ``frame``, passed."""
        self.leave(frame)
        try:
            return passed(self.window, frame.type.skip)
        except RdbToolError as e:
            raise self._located(e, frame) from None

    def _located(self, error: RdbToolError, frame: Frame) -> RdbToolError:
        error.path = error.path or self.window.path
        error.key = frame.key if error.key is None else error.key
        error.doing = f"reading a value: {error.doing}" if error.doing else "reading a value"
        return error


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class Frame(Event):
    """A key with its raw value.

    ``expire_at_ms``: absolute, -1 for none; ``idle_s`` and ``freq``: -1 where absent; ``type``: the row
    of the type table; ``meta``: module metadata of the key (Redis 8.6) as in the file, after its opcode;
    ``offset`` is that of the record's first byte (its opcodes included), ``value_offset`` that of the payload;
    ``size`` is the payload's in bytes, -1 as long as nobody has measured it.

    A frame is good until its reader moves on, and after `keep`, `raw` or `value` at any time. Replays hold one for
    every key, so it is small, and never part of a reference cycle.
    """

    __slots__ = ("_at", "db", "expire_at_ms", "freq", "idle_s", "key", "meta", "size", "type", "value_offset")

    def __init__(
        self, at: Unread | Stored | bytes, offset: i64, value_offset: i64, db: i64, key: bytes, type_row: TypeRow
    ) -> None:
        self.offset: i64 = offset
        self.db: i64 = db
        self.key = key
        self.type = type_row
        self.expire_at_ms: i64 = -1
        self.idle_s: i64 = -1
        self.freq: i64 = -1
        self.meta = b""
        self.value_offset: i64 = value_offset
        self.size: i64 = -1
        self._at: Unread | Stored | bytes = at
        """Where the payload is."""

    @property
    def holds_payload(self) -> bool:
        """Whether the payload's bytes are here."""
        return isinstance(self._at, bytes)

    def copy(self) -> Frame:
        """Another one of the same payload, for another key. Raises `UsageError` for one that was not kept."""
        if isinstance(self._at, Unread):
            raise UsageError("a frame that is not kept cannot be copied", key=self.key)
        frame = Frame(self._at, self.offset, self.value_offset, self.db, self.key, self.type)
        frame.expire_at_ms = self.expire_at_ms
        frame.idle_s = self.idle_s
        frame.freq = self.freq
        frame.meta = self.meta
        frame.size = self.size
        return frame

    def keep(self, small: i64 = SMALL) -> None:
        """Make the frame good at any time, in little memory where the input can be read again: of a payload of more
        than ``small`` bytes, or that has left the window, only the place is kept then. Raises what reading raises.
        """
        at = self._at
        if isinstance(at, Unread):
            stored = at.window.stored()
            if stored is None:
                self.raw()
                return
            at.skip(self)
            self._hold(at.window, stored, small)

    def skip(self) -> None:
        """Let the reader pass the payload, unless it has done so. Raises what reading raises."""
        at = self._at
        if isinstance(at, Unread):
            at.skip(self)

    def _hold(self, w: Window, stored: Stored, small: i64) -> None:
        """Remember the payload that the window has just passed."""
        self.size = w.offset() - self.value_offset
        if self.size <= small and self.size <= w.pos:
            self._at = w.data[w.pos - self.size : w.pos]
        else:
            self._at = stored

    def raw(self) -> bytes:
        """The payload, exactly as in the file. Raises what reading raises."""
        at = self._at
        if isinstance(at, bytes):
            return at
        if isinstance(at, Stored):
            return at.window_at(self.value_offset, self.size).take(self.size)
        raw = at.take(self)
        self._at = raw
        self.size = len(raw)
        return raw

    def window(self) -> Window:
        """A window at the payload's first byte, to be walked exactly to the payload's end: the reader's own, or after
        `keep` or `raw` one over those bytes, good until another frame's is asked for.
        """
        at = self._at
        if isinstance(at, bytes):
            # the names of a template's fields, which stand elsewhere in the file, are put in front of the payload
            before = len(at) - self.size if self.size >= 0 else 0
            return window_over(at, base=self.value_offset - before)
        if isinstance(at, Stored):
            return at.window_at(self.value_offset, self.size)
        at.leave(self)
        return at.window

    def peek(self) -> Window:
        """A window at the payload's first byte, only to be looked at: its position must stay."""
        at = self._at
        if isinstance(at, Unread):
            at.check(self)
            return at.window
        return self.window()

    def value(self) -> Value:
        """The decoded value, a new one on each call. It keeps the frame, as `keep` does.

        Raises `FormatError`, `TruncatedError` or `UnsupportedError`, after which only a frame that was kept before
        leaves its reader in step; `UsageError` where the reader has moved on from a frame that was not kept.
        """
        at = self._at
        w = self.window()
        kept: Stored | None = None
        if isinstance(at, Unread):
            kept = w.stored()
            if kept is None:
                w.pin = w.pos
        try:
            value = self.type.value(w)
        except RdbToolError as e:
            w.pin = -1
            e.path = e.path or w.path
            e.offset = self.value_offset if e.offset < 0 else e.offset
            e.key = self.key
            e.doing = e.doing or "decoding a value"
            raise
        if kept is not None:
            self._hold(w, kept, SMALL)
        elif isinstance(at, Unread):
            raw = w.unpin()
            self._at = raw
            self.size = len(raw)
        return value

    def __repr__(self) -> str:
        expiry = "" if self.expire_at_ms < 0 else f" expire_at_ms={self.expire_at_ms}"
        kind = f"{self.type.redis_type} ({self.type.name})"
        return f"<Frame db={self.db} key={shortened(self.key)} {kind}{expiry} at {self.offset}>"


def frame_of(db: int, key: bytes, type_row: TypeRow, raw: bytes) -> Frame:
    """A frame made from bytes at hand, such as a DUMP payload's: they begin with the payload."""
    return Frame(raw, -1, -1, db, key, type_row)
