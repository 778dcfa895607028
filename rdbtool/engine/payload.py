"""What RESTORE and FUNCTION RESTORE make of a DUMP payload, with the server's own errors."""

from __future__ import annotations

from typing import Final

from rdbtool.errors import RdbToolError, UnsupportedError
from rdbtool.io.window import window_over
from rdbtool.model import Value
from rdbtool.rdb import opcodes
from rdbtool.rdb.dump_payload import DumpPayload, open_dump
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.primitives import read_string

from .replies import CommandError, NotRunError

BAD_FOOTER: Final = "ERR DUMP payload version or checksum are wrong"
BAD_DATA: Final = "ERR Bad data format"


def _opened(payload: bytes) -> DumpPayload:
    try:
        return open_dump(payload)
    except UnsupportedError as e:
        raise NotRunError(e.message) from None
    except RdbToolError:
        raise CommandError(BAD_FOOTER) from None


def frame_of_payload(db: int, key: bytes, payload: bytes) -> tuple[Frame, Value]:
    """The key that RESTORE makes of ``payload``, and its value.

    Raises `CommandError` with the server's text, and `NotRunError` for what newer servers take.
    """
    opened = _opened(payload)
    try:
        frame = opened.frame(db, key)
        return frame, frame.value()
    except UnsupportedError as e:
        raise NotRunError(e.message) from None
    except RdbToolError:
        raise CommandError(BAD_DATA) from None


def functions_of_payload(payload: bytes) -> list[bytes]:
    """The codes of the libraries in a payload of FUNCTION DUMP. Raises `CommandError`."""
    window = window_over(_opened(payload).body)
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
