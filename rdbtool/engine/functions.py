"""Function libraries, kept as data: nobody runs them while a log is loaded, only their headers are read."""

from __future__ import annotations

import re
from typing import Final

from .dataset import Dataset
from .replies import CommandError

_NAME: Final = re.compile(rb"[A-Za-z0-9_]+")
BAD_NAME: Final = (
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
)


def library_name(code: bytes) -> bytes:
    """The name in a library's first line, ``#!lua name=...``. Raises `CommandError` with the server's text."""
    if code[:2] != b"#!":
        raise CommandError("ERR Missing library metadata")
    header, newline, _ = code.partition(b"\n")
    parts = header[2:].split()
    if not newline or not parts:
        raise CommandError("ERR Invalid library metadata")
    name: bytes | None = None
    for part in parts[1:]:
        if part[:5].lower() != b"name=":
            raise CommandError(f"ERR Invalid metadata value given: {part.decode('latin-1')}")
        if name is not None:
            raise CommandError("ERR Invalid metadata value, name argument was given multiple times")
        name = part[5:].strip(b"\"'")
    if name is None:
        raise CommandError("ERR Library name was not given")
    if not _NAME.fullmatch(name):
        raise CommandError(BAD_NAME)
    if parts[0].lower() != b"lua":
        raise CommandError(f"ERR Engine '{parts[0].decode('latin-1')}' not found")
    return name


def load_library(dataset: Dataset, code: bytes, *, replace: bool = False) -> bytes:
    """Add a library by its code; its name. Raises `CommandError` with the server's text."""
    name = library_name(code)
    if name in dataset.functions and not replace:
        raise CommandError(f"ERR Library '{name.decode()}' already exists")
    dataset.functions[name] = code
    return name


def pre_release_library(args: list[bytes]) -> tuple[bool, bytes]:
    """What FUNCTION LOAD of the pre-releases of Redis 7.0 says, with the name among the arguments: whether to
    replace, and the library's code with the header line it would have had since.
    """
    if len(args) < 5:
        raise CommandError("ERR Function code is missing")
    replace = False
    i = 4
    while i < len(args) - 1:
        option = args[i].upper()
        if option == b"REPLACE":
            replace = True
        elif option == b"DESCRIPTION" and i + 2 < len(args):
            i += 1
        else:
            raise CommandError(f"ERR Unknown option given: {args[i].decode('latin-1')}")
        i += 1
    return replace, with_header(args[3], args[-1])


def with_header(name: bytes, code: bytes) -> bytes:
    """A library of a pre-release of Redis 7.0, whose code does not say its name, as every release knows it."""
    return b"#!lua name=" + name + b"\n" + code
