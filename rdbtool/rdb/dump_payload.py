"""What DUMP answers and RESTORE takes: a type byte, a payload, the RDB version (2 bytes), and a checksum (8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, final

from librt.strings import BytesWriter

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError
from rdbtool.model import Value
from rdbtool.servers.limits import Limits
from rdbtool.servers.releases import FIRST_OF_VALKEY, MAX_RDB_VERSION, UNCHECKED_DUMPS_SINCE

from .encode import encode
from .frame import Frame, frame_of
from .layout.encoders import put_string
from .layout.facts import Losses
from .opcodes import DIALECT_NAMES, FUNCTION, REDIS, VALKEY
from .targets import Target
from .types import TABLE, TypeRow

FOOTER: Final = 10
"""Bytes behind the payload."""
FUNCTIONS_SINCE: Final = 10
"""The RDB version of the first server with functions; later ones take what it wrote."""


@final
class DumpPayload:
    """A payload that was opened: whose types it has, its RDB version, and what stands before its footer."""

    def __init__(self, dialect: int, rdb_version: int, body: bytes) -> None:
        self.dialect = dialect
        self.rdb_version = rdb_version
        self.body = body

    def frame(self, db: int, key: bytes) -> Frame:
        """The frame of ``key``, whose payload nobody has looked at.

        Raises `FormatError` for a type that is not known, or none.
        """
        body = self.body
        if not body:
            raise _bad("a DUMP payload without a type", key)
        row = TABLE[self.dialect][body[0]]
        if row is None:
            name = DIALECT_NAMES[self.dialect]
            raise _bad(f"unknown type {body[0]} in {name} RDB version {self.rdb_version}", key)
        frame = frame_of(db, key, row, body[1:])
        frame.value_offset = 1
        return frame


def open_dump(data: bytes, *, key: bytes = b"") -> DumpPayload:
    """Open what DUMP or FUNCTION DUMP answered.

    The version tells whose types they are: from 80 on Valkey's, below Redis'. Raises `FormatError` for a wrong
    checksum, `UnsupportedError` for a version that is not known.
    """
    if len(data) < FOOTER:
        raise _bad(f"{len(data)} bytes are too few for a DUMP payload", key)
    checksum = int.from_bytes(data[-8:], "little")
    version = int.from_bytes(data[-FOOTER:-8], "little")
    dialect: int = VALKEY if version >= FIRST_OF_VALKEY else REDIS
    is_unchecked = checksum == 0 and dialect == REDIS and version >= UNCHECKED_DUMPS_SINCE
    if not is_unchecked and checksum != crc64(data[:-8]):
        raise _bad("a DUMP payload with a wrong checksum", key)
    if version > MAX_RDB_VERSION[dialect]:
        raise UnsupportedError(f"a DUMP payload of RDB version {version}", doing="reading a DUMP payload", key=key)
    return DumpPayload(dialect, version, data[:-FOOTER])


def parse_dump(data: bytes, *, key: bytes = b"", db: int = 0) -> Frame:
    """The frame of ``key`` that a DUMP payload holds.

    Raises what `open_dump` and `DumpPayload.frame` raise, and `FormatError` for a payload that does not end where it
    should.
    """
    frame = open_dump(data, key=key).frame(db, key)
    w = frame.window()
    try:
        frame.type.skip(w)
    except RdbToolError as e:
        e.key = key
        e.doing = e.doing or "reading a DUMP payload"
        raise
    if w.pos != w.end:
        raise _bad(f"{w.end - w.pos} bytes behind the value", key)
    return frame


def _bad(message: str, key: bytes) -> FormatError:
    return FormatError(message, doing="reading a DUMP payload", key=key)


def build_dump(row: TypeRow, payload: bytes, rdb_version: int) -> bytes:
    """A DUMP payload of these parts."""
    body = bytes((row.byte,)) + payload + rdb_version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def build_functions(libraries: Iterable[bytes], rdb_version: int = FUNCTIONS_SINCE) -> bytes:
    """What FUNCTION DUMP answers for libraries of this code, and FUNCTION RESTORE takes."""
    out = BytesWriter()
    for code in libraries:
        out.append(FUNCTION)
        put_string(out, code, False)
    out.write(rdb_version.to_bytes(2, "little"))
    body = out.getvalue()
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
