"""The first line of a function library, ``#!lua name=mylib``, which says its engine and its name (functions.c)."""

from __future__ import annotations

import re
from typing import Final

from rdbtool.errors import FormatError

_NAME: Final = re.compile(rb"[A-Za-z0-9_]+")
BAD_NAME: Final = (
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
)


def library_header(code: bytes) -> tuple[bytes, bytes]:
    """The engine and the name of a library. Raises `FormatError` with the message of the server."""
    if code[:2] != b"#!":
        raise _error("Missing library metadata")
    header, newline, _ = code.partition(b"\n")
    parts = header[2:].split()
    if not newline or not parts:
        raise _error("Invalid library metadata")
    name: bytes | None = None
    for part in parts[1:]:
        if part[:5].lower() != b"name=":
            raise _error(f"Invalid metadata value given: {part.decode('latin-1')}")
        if name is not None:
            raise _error("Invalid metadata value, name argument was given multiple times")
        name = part[5:].strip(b"\"'")
    if name is None:
        raise _error("Library name was not given")
    if not _NAME.fullmatch(name):
        raise _error(BAD_NAME)
    return parts[0], name


_LITERALS: Final = re.compile(
    rb"--\[(=*)\[.*?(?:\]\1\]|\Z)|--[^\n]*|\[(=*)\[.*?(?:\]\2\]|\Z)"
    rb"|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?",
    re.DOTALL,
)
"""Comments and strings of Lua. Those that nothing closes go up to the end, or that of the line: to look for another
beginning in them would take quadratic time.
"""
_TOKENS: Final = re.compile(rb"\b(?:function|do|if|repeat|end|until)\b|(?<![\w.:])server\s*[.\[]")
_OWN_SERVER: Final = re.compile(rb"(?<![\w.:])server\s*=(?!=)")


def needs_server_table(code: bytes) -> bool:
    """Whether a library, as it is loaded, uses the name ``server``, which Valkey knows and Redis does not.

    What is inside of a function runs only when that is called. A library that gives something that name by itself, such
    as ``server = server or redis``, is taken to know.
    """
    bare = _LITERALS.sub(b" ", code.partition(b"\n")[2])
    if _OWN_SERVER.search(bare) is not None:
        return False
    blocks: list[bytes] = []
    for token in _TOKENS.findall(bare):
        if token in {b"end", b"until"}:
            if blocks:
                blocks.pop()
        elif not token.startswith(b"server"):
            blocks.append(token)
        elif b"function" not in blocks:
            return True
    return False


def _error(message: str) -> FormatError:
    return FormatError(message, doing="reading the first line of a function library")


def library_name(code: bytes) -> bytes:
    """The name of a library; the whole first line where that does not say it."""
    try:
        return library_header(code)[1]
    except FormatError:
        return code.split(b"\n", 1)[0]
