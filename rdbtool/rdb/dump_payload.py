"""What DUMP answers and RESTORE takes: a type byte, a payload, the RDB version (2 bytes), and a checksum (8)."""

from __future__ import annotations

from typing import Final

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError
from rdbtool.io.window import window_over
from rdbtool.model import Value
from rdbtool.rdb.values.target_encodings import Limits

from .encode import encode
from .facts import Losses
from .opcodes import DIALECT_NAMES, MAX_VERSION, REDIS, VALKEY
from .reader import Frame, frame_of
from .targets import Target
from .types import KNOWN_BY_NAME, TABLE, TypeRow

FOOTER: Final = 10
"""Bytes behind the payload."""
FIRST_OF_VALKEY: Final = 80


def open_dump(data: bytes, *, key: bytes = b"") -> tuple[int, int, bytes]:
    """The dialect and the RDB version of a payload, and what stands before its footer.

    The version tells whose types they are: from 80 on Valkey's, below Redis'. Raises `FormatError` for a wrong
    checksum, `UnsupportedError` for a version that is not known.
    """
    if len(data) < FOOTER:
        raise _bad(f"{len(data)} bytes are too few for a DUMP payload", key)
    if int.from_bytes(data[-8:], "little") != crc64(data[:-8]):
        raise _bad("a DUMP payload with a wrong checksum", key)
    version = int.from_bytes(data[-FOOTER:-8], "little")
    dialect: int = VALKEY if version >= FIRST_OF_VALKEY else REDIS
    if version > MAX_VERSION[dialect]:
        raise UnsupportedError(f"a DUMP payload of RDB version {version}", doing="reading a DUMP payload", key=key)
    return dialect, version, data[:-FOOTER]


def parse_dump(data: bytes, *, key: bytes = b"", db: int = 0) -> Frame:
    """The frame of ``key`` that a DUMP payload holds.

    Raises what `open_dump` raises, `FormatError` for a payload that does not end where it should, and
    `UnsupportedError` for a type that is not known.
    """
    dialect, version, body = open_dump(data, key=key)
    if not body:
        raise _bad("a DUMP payload without a type", key)
    row = TABLE[dialect][body[0]]
    if row is None:
        what = KNOWN_BY_NAME.get((dialect, body[0]))
        raise UnsupportedError(
            f"unknown type {body[0]} in {DIALECT_NAMES[dialect]} RDB version {version}" + (f": {what}" if what else ""),
            doing="reading a DUMP payload",
            key=key,
        )
    raw = body[1:]
    w = window_over(raw, base=1)
    try:
        row.skip(w)
    except RdbToolError as e:
        e.key = key
        e.doing = e.doing or "reading a DUMP payload"
        raise
    if w.pos != w.end:
        raise _bad(f"{w.end - w.pos} bytes behind the value", key)
    frame = frame_of(db, key, row, raw)
    frame.value_offset = 1
    return frame


def _bad(message: str, key: bytes) -> FormatError:
    return FormatError(message, doing="reading a DUMP payload", key=key)


def build_dump(row: TypeRow, payload: bytes, rdb_version: int) -> bytes:
    """A DUMP payload of these parts."""
    body = bytes((row.byte,)) + payload + rdb_version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def dump(
    value: Value,
    target: Target,
    *,
    limits: Limits | None = None,
    compress: bool = True,
    losses: Losses | None = None,
) -> bytes:
    """What DUMP answers for ``value`` on the target's server."""
    row, payload = encode(value, target, limits=limits, compress=compress, losses=losses)
    return build_dump(row, payload, target.rdb_version)
