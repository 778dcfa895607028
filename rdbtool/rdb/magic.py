"""What begins like no RDB: captures of a replication link, which hold one, and other files that people have at hand."""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from rdbtool.basics.crc64 import crc64
from rdbtool.io.window import Window

from .opcodes import MAGICS

_CAPTURE: Final = re.compile(rb"\n*\$(?:EOF:([0-9a-f]{40})|[0-9]{1,19})\r\n")
"""What a master sends before a snapshot: a mark that comes again behind it, or its length (replication.c)."""
CAPTURE_HEAD: Final[i64] = 64
"""Bytes in which the beginning of a capture shows."""
LONGEST_PAYLOAD: Final[i64] = 1 << 16
"""Bytes of a DUMP payload that is recognized."""
_HEAD: Final[i64] = 512

_NAMED: Final[tuple[tuple[bytes, str], ...]] = (
    (b"BZh", "it is compressed with bzip2: unpack it first, with bunzip2"),
    (b"\xfd7zXZ\0", "it is compressed with xz: unpack it first, with unxz"),
    (b"\x04\x22\x4d\x18", "it is compressed with lz4: unpack it first, with unlz4"),
    (b"PK\x03\x04", "it is a zip archive: unpack it first, with unzip"),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive: unpack it first, with 7z x"),
    (b"SQLite format 3\0", "it is a database of SQLite"),
    (b"HTTP/", "it begins with the header of an answer over HTTP, behind which the file itself may stand"),
    (b"+FULLRESYNC", "it is a captured replication link: the RDB begins behind the line that begins with '$'"),
    (b"+CONTINUE", "it is a captured replication link without a snapshot: only commands follow"),
    (b"+OK\r\n", "it is what a server answered, and no snapshot: redis-cli --rdb FILE fetches one"),
    (b"-", "it is an error that a server answered, and no snapshot: redis-cli --rdb FILE fetches one"),
)
_PAGES: Final = (b"<!doctype html", b"<html", b"<?xml")


def head_of(w: Window, want: i64) -> bytes:
    """Up to ``want`` bytes from the window's position, which stays."""
    if w.size >= 0:
        want = min(want, w.size - w.offset())
    w.need(want)
    return w.data[w.pos : min(w.pos + want, w.end)]


def capture_in(head: bytes) -> tuple[int, bytes] | None:
    """Where the RDB begins in a capture with this ``head``, and the mark that ends it, b"" for none; None for another
    file.
    """
    found = _CAPTURE.match(head)
    if found is None or not head[found.end() :].startswith(MAGICS):
        return None
    return found.end(), found.group(1) or b""


def what_else(w: Window) -> str:
    """What begins at the window's position, if it is known, and the way out; else ""."""
    head = head_of(w, _HEAD)
    for magic, text in _NAMED:
        if head.startswith(magic):
            return text
    if head[257:262] == b"ustar":
        return "it is a tar archive: verify reads it; else unpack it first, with tar -xf"
    if head.lstrip()[:20].lower().startswith(_PAGES):
        return "it is a web page, perhaps the error of a download"
    zeros: i64 = len(head) - len(head.lstrip(b"\0"))
    if zeros >= 5:
        return f"its first {zeros} bytes are zeros: the header is lost, or all of it"
    if is_payload(w):
        return "it is the answer of DUMP for one key: RESTORE takes it, and --key NAME reads it as the key of that name"
    return ""


def is_payload(w: Window) -> bool:
    """Whether all of the input is what DUMP answers for a key, and not long."""
    if w.size < 0 or w.size > LONGEST_PAYLOAD or w.offset() != 0:
        return False
    data = head_of(w, LONGEST_PAYLOAD)
    return len(data) > 10 and int.from_bytes(data[-8:], "little") == crc64(data[:-8])
