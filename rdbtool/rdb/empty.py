"""Collections without elements, whose keys servers skip when they load a snapshot (rdb.c: RDB_LOAD_ERR_EMPTY_KEY)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import RdbToolError
from rdbtool.findings import Findings, Severity
from rdbtool.io.window import window_over

from .foreign import next_bytes
from .frame import Frame
from .layout.inspection import Inspection

LONGEST: Final[i64] = 1 << 12
"""Bytes that an empty collection takes at most, but for lists of very many empty nodes."""


def is_empty(frame: Frame) -> bool:
    """Whether the value of ``frame``, which stays unread, is a collection without elements that a server skips.

    Raises what reading raises.
    """
    row = frame.type
    at = row.empty_at
    if at < 0:
        return False
    w = frame.peek()
    if w.end - w.pos <= at and not w.need(at + 1):
        return False
    data = w.data
    if data[w.pos + at] != row.empty_byte and data[w.pos] != 0:
        return False
    return _is_empty(frame)


def _is_empty(frame: Frame) -> bool:
    ahead = window_over(next_bytes(frame.peek(), LONGEST))
    findings = Findings()
    inspection = Inspection(findings)
    try:
        frame.type.verify(ahead, inspection)
    except RdbToolError:
        return False
    return inspection.empty and findings.worst is not Severity.ERROR
