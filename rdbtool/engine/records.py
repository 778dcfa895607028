"""A key of a dataset as a frame or an entry: what outputs take."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.model import Entry
from rdbtool.rdb.frame import Frame

from .cells.cell import FrameCell, Held


def placed(frame: Frame, db: int, key: bytes, expire_at_ms: i64) -> Frame:
    """A frame that the log may have renamed, moved or given another expiry since, with what it has now."""
    frame.db = db
    frame.key = key
    frame.expire_at_ms = expire_at_ms
    return frame


def frame_of_held(db: int, key: bytes, held: Held) -> Frame | None:
    """The frame of a key of a dataset, placed, where its value is as it stands in an RDB file."""
    if isinstance(held, Frame):
        held.db = db
        held.key = key
        return held
    return placed(held.frame, db, key, held.expire_at_ms) if isinstance(held, FrameCell) else None


def entry_of(db: int, key: bytes, held: Held) -> Entry:
    """A key of a dataset, decoded."""
    if isinstance(held, bytes):
        return Entry(db, key, held)
    return Entry(db, key, held.value(), held.expire_at_ms)
