"""DUMP payloads: a type byte, the value as in an RDB, the RDB version and a checksum."""

from __future__ import annotations

from typing import Final

from rdbtool.errors import RdbToolError
from rdbtool.model import Value
from rdbtool.rdb import opcodes
from rdbtool.rdb.crc64 import crc64
from rdbtool.rdb.primitives import read_string
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


def _checked(payload: bytes) -> tuple[int, bytes]:
    """The dialect of a payload and what stands in front of its footer."""
    if len(payload) < FOOTER:
        raise CommandError(BAD_FOOTER)
    version = int.from_bytes(payload[-FOOTER:-8], "little")
    dialect: int = opcodes.VALKEY if version >= VALKEY_SINCE else opcodes.REDIS
    if version > opcodes.MAX_VERSION[dialect] or crc64(payload[:-8], 0) != int.from_bytes(payload[-8:], "little"):
        raise CommandError(BAD_FOOTER)
    return dialect, payload[:-FOOTER]


def frame_of_payload(db: int, key: bytes, payload: bytes) -> tuple[Frame, Value]:
    """The key that RESTORE makes of ``payload``, and its value. Raises `CommandError` with the server's text."""
    dialect, body = _checked(payload)
    row = TABLE[dialect][body[0]] if body else None
    if row is None:
        raise CommandError(BAD_DATA)
    frame = frame_of(db, key, row, body[1:])
    try:
        window = frame.window()
        value = row.value(window)
    except RdbToolError:
        raise CommandError(BAD_DATA) from None
    return frame, value


def functions_of_payload(payload: bytes) -> list[bytes]:
    """The codes of the libraries in a payload of FUNCTION DUMP. Raises `CommandError`."""
    _, body = _checked(payload)
    window = window_over(body)
    codes = []
    try:
        while not window.at_end():
            opcode = window.u8()
            if opcode == opcodes.FUNCTION_PRE_GA:
                raise CommandError("ERR Pre-GA function format not supported")
            if opcode != opcodes.FUNCTION:
                raise CommandError("ERR given type is not a function")
            codes.append(read_string(window))
    except RdbToolError:
        raise CommandError("ERR failed loading the given functions payload") from None
    return codes
