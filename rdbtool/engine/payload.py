"""DUMP payloads: a type byte, the value as in an RDB, the RDB version and a checksum."""

from __future__ import annotations

from typing import Final

from rdbtool.errors import RdbToolError
from rdbtool.rdb import opcodes
from rdbtool.rdb.crc64 import crc64
from rdbtool.rdb.reader import Frame, frame_of
from rdbtool.rdb.types import TABLE
from rdbtool.source import window_over

from .replies import CommandError

FOOTER: Final = 10
"""Bytes: RDB version (2, little-endian), CRC-64 of all before it (8)."""
VALKEY_SINCE: Final = 80
"""RDB versions from here on are Valkey's own."""
BAD_FOOTER: Final = "ERR DUMP payload version or checksum are wrong"
BAD_DATA: Final = "ERR Bad data format"


def frame_of_payload(db: int, key: bytes, payload: bytes) -> Frame:
    """The key that RESTORE makes of ``payload``. Raises `CommandError` with the server's text."""
    if len(payload) < FOOTER:
        raise CommandError(BAD_FOOTER)
    version = int.from_bytes(payload[-FOOTER:-8], "little")
    dialect = opcodes.VALKEY if version >= VALKEY_SINCE else opcodes.REDIS
    if version > opcodes.MAX_VERSION[dialect]:
        raise CommandError(BAD_FOOTER)
    if crc64(payload[:-8], 0) != int.from_bytes(payload[-8:], "little"):
        raise CommandError(BAD_FOOTER)
    row = TABLE[dialect][payload[0]] if len(payload) > FOOTER else None
    if row is None:
        raise CommandError(BAD_DATA)
    raw = payload[1:-FOOTER]
    window = window_over(raw)
    try:
        row.skip(window)
    except RdbToolError:
        raise CommandError(BAD_DATA) from None
    return frame_of(db, key, row, raw)
