"""Commands inside a snapshot (Valkey 9.2), in the form of an append-only file. Facts: Valkey's source before 9.2."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window

LONGEST_NUMBER: Final[i64] = 20
_DOING: Final = "reading a command inside a snapshot"


def read_command(w: Window) -> list[bytes]:
    """Pass a command, ``*n`` and then ``$length`` and the bytes of each word. Raises what reading raises."""
    left = _number(w, 42)
    words: list[bytes] = []
    while left > 0:
        words.append(w.take(_number(w, 36)))
        _line_end(w)
        left -= 1
    if not words:
        raise FormatError("a command without a name", offset=w.offset(), doing=_DOING)
    return words


def _number(w: Window, kind: i64) -> i64:
    at = w.offset()
    if w.u8() != kind:
        raise FormatError(f"no '{chr(kind)}' where one should be", offset=at, doing=_DOING)
    digits: i64 = 0
    number: i64 = 0
    byte = w.u8()
    while 48 <= byte <= 57 and digits < LONGEST_NUMBER - 2:
        number = number * 10 + byte - 48
        digits += 1
        byte = w.u8()
    if byte != 13 or digits == 0 or w.u8() != 10:
        raise FormatError("no number in a line where one should be", offset=at, doing=_DOING)
    return number


def _line_end(w: Window) -> None:
    if w.take(2) != b"\r\n":
        raise FormatError("no line end behind a word", offset=w.offset() - 2, doing=_DOING)
