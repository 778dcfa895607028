"""What a file is, by its first bytes and its name. `inputs.detect` tells more, for what the commands below need."""

from __future__ import annotations

import os
import re
from typing import Final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.rdb.magic import CAPTURE_HEAD, capture_in
from rdbtool.rdb.opcodes import MAGICS

from .manifest import is_manifest

RDB: Final = "rdb"
"""An RDB; whether commands follow it shows only at its end."""
LOG: Final = "log"
"""Commands as an append-only file holds them."""
MANIFEST: Final = "manifest"
JSON_LINES: Final = "jsonl"
EMPTY: Final = "empty"
OTHER: Final = "other"

HEAD: Final = 4096
"""Bytes of a file in which its kind shows: a manifest may begin with comments."""
COMMAND_HEAD: Final = 96
"""Bytes in which a log shows."""
_MAGIC: Final[i64] = CAPTURE_HEAD
"""As many bytes as have to be looked at, of what is no manifest."""

_LOG: Final = re.compile(rb"\*(?:[0-9]*(?:\r?\Z|\r*\n(?:\$|\Z))|.{,80}?\n\$)", re.DOTALL)
"""How a command begins: its number of words, and the length of the first, of which either may be damaged, or cut off.
"""

ARCHIVE_HEAD: Final[i64] = 265
"""Bytes in which an archive shows."""
_ARCHIVES: Final = (
    (257, b"ustar", "a tar archive, which verify reads: else unpack it"),
    (0, b"PK\x03\x04", "a zip archive: unpack it"),
    (0, b"BZh", "compressed by bzip2: unpack it"),
    (0, b"\xfd7zXZ\0", "compressed by xz: unpack it"),
    (0, b"<!DOCTYPE", "an HTML page"),
    (0, b"<html", "an HTML page"),
)


def archive_of(head: bytes) -> str:
    """What else a file is that begins with ``head``, and what to do about it; "" for nothing that is known."""
    for at, magic, what in _ARCHIVES:
        if head[at : at + len(magic)] == magic:
            return what
    return ""


def kind_of(head: bytes, name: str = "") -> str:
    """What begins with ``head`` and is called ``name``: one of the kinds above.

    A log begins with a command, ``*`` and a number, or with an annotation, ``#TS:``; a text of commands with a comment,
    which looks like that, or like nothing that is known here.
    """
    if head.startswith(MAGICS) or capture_in(head) is not None:
        return RDB
    if is_manifest(head, os.path.basename(name)):
        return MANIFEST
    if not head:
        return EMPTY
    if head[0] == 123:  # {
        return JSON_LINES
    return LOG if head[0] == 35 or _LOG.match(head) else OTHER  # #


def kind_at(w: Window) -> str:
    """What begins at the window's position; a manifest is not looked for."""
    want = _MAGIC
    if w.size >= 0:
        want = min(want, w.size - w.offset())
    w.need(want)
    kind = kind_of(w.data[w.pos : min(w.pos + _MAGIC, w.end)])
    return OTHER if kind == MANIFEST else kind
