"""Function libraries, kept as data: nobody runs them while a log is loaded, only their headers are read."""

from __future__ import annotations

from rdbtool.errors import FormatError
from rdbtool.rdb.libraries import library_header

from .dataset import Dataset
from .replies import CommandError


def loadable_name(code: bytes) -> bytes:
    """The name in a library's first line, ``#!lua name=...``. Raises `CommandError` with the server's text."""
    try:
        engine, name = library_header(code)
    except FormatError as e:
        raise CommandError(f"ERR {e.message}") from None
    if engine.lower() != b"lua":
        raise CommandError(f"ERR Engine '{engine.decode('latin-1')}' not found")
    return name


def load_library(dataset: Dataset, code: bytes, *, replace: bool = False) -> bytes:
    """Add a library by its code; its name. Raises `CommandError` with the server's text."""
    name = loadable_name(code)
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
