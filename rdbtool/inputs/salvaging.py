"""Open a damaged snapshot for what can be read of it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO, Final

from rdbtool.errors import InputError, OutputError, reason
from rdbtool.io.random_access import Pages
from rdbtool.io.source import open_input
from rdbtool.io.window import CHUNK, Metered, Readable
from rdbtool.rdb.salvage.salvaged import Salvaged
from rdbtool.rdb.salvage.salvager import Salvager

from .detect import Progress

LINE_ENDS: Final = 4
"""CR LFs that a file must have, and no LF alone, to be taken for one whose LFs something has turned into them."""


@contextlib.contextmanager
def salvaged(path: str, *, partial: bool = False, progress: Progress | None = None) -> Iterator[tuple[Salvaged, Pages]]:
    """What can be read of the RDB at ``path``, ``-`` for standard input, compressed or not, and the open file.

    What is no plain file is first copied to a temporary one. ``partial``: keep what can be read of damaged
    collections. Raises `InputError`, `OutputError`.
    """
    with contextlib.ExitStack() as stack:
        pages = stack.enter_context(_pages(path, progress))
        result = Salvager(pages, partial=partial).run()
        if not result.whole and result.checksum != "bad":
            turned = _turned_back(pages)
            if turned is not None:
                copy = stack.enter_context(turned)
                other_pages = stack.enter_context(_open(copy, path))
                other = Salvager(other_pages, partial=partial).run()
                if other.lost_bytes < result.lost_bytes:
                    other.line_ends = True
                    result, pages = other, other_pages
        yield result, pages


@contextlib.contextmanager
def _pages(path: str, progress: Progress | None) -> Iterator[Pages]:
    with open_input(path) as source:
        if source.file is not None:
            with Pages(path) as pages:
                yield pages
            return
        stream: Readable = source.stream if progress is None else Metered(source.stream, source.size, progress)
        with _copied(stream, source.name) as copy, _open(copy, path) as pages:
            yield pages


def _open(copy: IO[bytes], path: str) -> Pages:
    pages = Pages(copy.name)
    pages.path = pages.file.path = path
    return pages


def _copied(stream: Readable, name: str) -> IO[bytes]:
    """The bytes of ``stream`` in a temporary file."""
    copy = _temporary()
    while True:
        try:
            data = stream.read(CHUNK)
        except (OSError, EOFError) as e:
            if copy.tell() == 0:
                copy.close()
                raise InputError(f"cannot read: {reason(e)}", path=name) from e
            break  # what was unpacked before a damaged place is what there is
        if not data:
            break
        _write(copy, data)
    copy.flush()
    return copy


def _temporary() -> IO[bytes]:
    try:
        return tempfile.NamedTemporaryFile(prefix="rdbtool-")
    except OSError as e:
        raise OutputError(f"cannot create a temporary file: {reason(e)}", path=tempfile.gettempdir()) from e


def _write(copy: IO[bytes], data: bytes) -> None:
    try:
        copy.write(data)
    except OSError as e:
        raise OutputError(f"cannot write a temporary file: {reason(e)}", path=copy.name) from e


def _turned_back(pages: Pages) -> IO[bytes] | None:
    """A copy in which each CR LF is an LF again; None where something else was done to the file, if anything."""
    pairs = 0
    at = 0
    last = b""
    while at < pages.size:
        data = pages.file.read(min(CHUNK, pages.size - at), at, True)
        ends = data.count(b"\n")
        both = data.count(b"\r\n") + (last == b"\r" and data[:1] == b"\n")
        if ends != both:
            return None
        pairs += both
        last = data[-1:]
        at += len(data)
    if pairs < LINE_ENDS:
        return None
    copy = _temporary()
    at = 0
    held = b""
    while at < pages.size:
        data = held + pages.file.read(min(CHUNK, pages.size - at), at, True)
        at += len(data) - len(held)
        held = b"\r" if data.endswith(b"\r") and at < pages.size else b""
        _write(copy, data[: len(data) - len(held)].replace(b"\r\n", b"\n"))
    copy.flush()
    return copy
