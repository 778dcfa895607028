"""Stream ids: 128-bit integers, the time in ms above the sequence number; and how commands spell them."""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from .replies import CommandError

SEQUENCE: Final = (1 << 64) - 1
"""Mask of the sequence number, and its greatest value."""
LAST: Final = (1 << 128) - 1
"""The greatest id."""
INVALID_ID: Final = "ERR Invalid stream ID specified as stream command argument"
LONGEST: Final = 127
"""Bytes of an id that the server looks at."""

_C_UNSIGNED: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
"""What C's strtoull reads to the end."""


def text_of(entry: int) -> bytes:
    """An id as replies show it."""
    return f"{entry >> 64}-{entry & SEQUENCE}".encode()


def _unsigned(text: bytes) -> int:
    """A part of an id. Raises `CommandError`."""
    n: i64 = len(text)
    if 0 < n < 19:
        i: i64 = 0
        value: i64 = 0
        while i < n and 48 <= text[i] <= 57:
            value = value * 10 + (text[i] - 48)
            i += 1
        if i == n:
            return value
    found = _C_UNSIGNED.fullmatch(text)
    if found is None:
        raise CommandError(INVALID_ID)
    number = int(found[2])
    if number > SEQUENCE:
        raise CommandError(INVALID_ID)
    if found[1] != b"-":
        return number
    if number == 0 or found[2][:1] != b"0":  # a canonical negative number is refused; strtoull takes the others
        if found[0][:1] == b"-" and number:
            raise CommandError(INVALID_ID)
    return -number & SEQUENCE


def parse(text: bytes, missing: int = 0) -> int:
    """An id such as ``ms-seq`` or ``ms``, with ``missing`` for the sequence number. Raises `CommandError`."""
    n: i64 = len(text)
    if n > LONGEST:
        raise CommandError(INVALID_ID)
    i: i64 = 0
    ms: i64 = 0
    while i < n and i < 18 and 48 <= text[i] <= 57:
        ms = ms * 10 + (i64(text[i]) - 48)
        i += 1
    if 0 < i < n and text[i] == 45:  # -
        end = min(n, i + 19)
        i += 1
        seq: i64 = 0
        while i < end and 48 <= text[i] <= 57:
            seq = seq * 10 + (i64(text[i]) - 48)
            i += 1
        if i == n and text[n - 1] != 45:
            return int(ms) << 64 | int(seq)
    return _parse_odd(text, missing)


def _parse_odd(text: bytes, missing: int) -> int:
    if text.find(b"\0") >= 0:
        text = text.partition(b"\0")[0]
    ms, dash, seq = text.partition(b"-")
    high = _unsigned(ms)
    return high << 64 | (_unsigned(seq) if dash else missing)


def parse_end(text: bytes, missing: int = 0) -> int:
    """The same where ``-`` and ``+`` stand for the lowest and the highest id."""
    if text == b"-":
        return 0
    if text == b"+":
        return LAST
    return parse(text, missing)


def parse_start(text: bytes) -> int:
    """The start of an interval: ``(`` in front leaves the id itself out. Raises `CommandError`."""
    if len(text) > 1 and text[:1] == b"(":
        start = parse(text[1:])
        if start == LAST:
            raise CommandError("ERR invalid start ID for the interval")
        return start + 1
    return parse_end(text)
