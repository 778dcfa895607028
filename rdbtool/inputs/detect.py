"""What an input is: asked here once, of its first bytes, and opened accordingly."""

from __future__ import annotations

import os
from typing import Final, final

from mypy_extensions import i64

from rdbtool.aof import detect
from rdbtool.aof.command_text import first_command
from rdbtool.errors import FormatError, RdbToolError
from rdbtool.io.progress import Progress as Progress  # noqa: PLC0414 - named again to be exported
from rdbtool.io.source import Input, open_input
from rdbtool.io.window import Metered, Window, window_over
from rdbtool.rdb.events import Aux, Event, Header, Update
from rdbtool.rdb.opcodes import VALKEY
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.commands import CONTROL, WRITE, find
from rdbtool.servers.releases import CHECKSUM_SINCE, UPDATES_SINCE

SNAPSHOT: Final = "snapshot"
"""An RDB that nothing follows."""
BASE: Final = "base"
"""An RDB that says of itself that it belongs to an append-only file: a base, or a preamble with a log behind it."""
LOG: Final = detect.LOG
TEXT: Final = "text"
"""Commands as one types them."""
JSON_LINES: Final = detect.JSON_LINES
DIRECTORY: Final = "directory"
MANIFEST: Final = detect.MANIFEST
EMPTY: Final = detect.EMPTY
OTHER: Final = detect.OTHER
"""None of these."""

UPDATE: Final = "update"
"""The code of the finding for a snapshot with commands in it."""
CHECKSUM: Final = 8
"""Bytes of the checksum behind an RDB; all 0 where it was saved without."""
_SELECT: Final = b"SELECT"


def kind_at(w: Window) -> str:
    """What begins at the window's position: one of the kinds above, but for directories and manifests."""
    kind = detect.kind_at(w)
    if kind == detect.RDB:
        return BASE if _belongs_to_log(w) else SNAPSHOT
    if kind == detect.LOG and w.data[w.pos] == 42:  # *
        return kind
    if kind not in {detect.JSON_LINES, detect.EMPTY} and _is_text(w):
        return TEXT
    return kind


def is_rdb(w: Window) -> bool:
    """Whether an RDB begins at the window's position."""
    return detect.kind_at(w) == detect.RDB


def _belongs_to_log(w: Window) -> bool:
    """Whether the RDB at the window's position says of itself that it belongs to an append-only file."""
    want: i64 = detect.HEAD
    if w.size >= 0:
        want = min(want, w.size - w.offset())
    w.need(want)
    reader = RdbReader(window_over(w.data[w.pos : min(w.pos + want, w.end)]), checksum=False)
    try:
        while True:
            event = reader.next()
            if isinstance(event, Aux):
                if event.name in {b"aof-preamble", b"aof-base"} and event.value == b"1":
                    return True
            elif not isinstance(event, Header):
                return False
    except RdbToolError:
        return False  # the fields at the head are short: what is wrong shows when it is read


def has_commands(w: Window) -> bool:
    """Whether there are commands in the RDB at the window's position, up to where it can be read: only Valkey 9.2 and
    later send such, and files of others are not read for it.
    """
    reader = RdbReader(w, checksum=False)
    try:
        if not _may_have_commands(reader.next()):
            return False
        while (event := reader.next()) is not None:
            if isinstance(event, Update):
                return True
    except RdbToolError:
        pass  # whoever reads the keys tells it
    return False


def is_updated(opened: Opened) -> bool:
    """Whether an input is a file that begins with an RDB in which there are commands, so that it has to be replayed."""
    w = opened.window
    if opened.kind not in {SNAPSHOT, BASE} or not os.path.isfile(opened.path):
        return False
    if not _may_have_commands(header_of(w)):
        return False
    with open_input(opened.path) as again:
        return has_commands(again.window())


def is_vouched_for(path: str, *, again: bool = True) -> bool:
    """Whether a checksum can tell, at the end of what is at ``path``, that no value in it is damaged: a file may have
    been saved without, and of a pipe that is known too late. So it is of what is compressed, unless it can be read
    ``again``. Raises `InputError`.
    """
    if not os.path.isfile(path):
        return False
    with open_input(path) as stream:
        w = stream.window()
        if not is_rdb(w):
            return True
        if stream.file is None:
            return again and stream.envelope is None
        header = header_of(w)
        if header is None or header.version < CHECKSUM_SINCE:
            return False
        return os.pread(stream.file.fileno(), CHECKSUM, stream.size - CHECKSUM) != bytes(CHECKSUM)


def header_of(w: Window) -> Header | None:
    """The header of the RDB that begins at the window's position, which stays; None where it cannot be read."""
    try:
        event = RdbReader(window_over(w.data[w.pos : min(w.pos + detect.HEAD, w.end)]), checksum=False).next()
    except RdbToolError:
        return None
    return event if isinstance(event, Header) else None


def _may_have_commands(header: Event | None) -> bool:
    return isinstance(header, Header) and header.dialect == VALKEY and header.version >= UPDATES_SINCE


def _is_text(w: Window) -> bool:
    """Whether a text begins with a command that fills a dataset: prose begins with HELLO or TIME, too."""
    args = first_command(w)
    row = find(args) if args else None
    return row is not None and (row.flags & (WRITE | CONTROL) != 0 or row.name == _SELECT) and row.fits(len(args))


@final
class Opened:
    """An input that is open at its beginning: what it is, its ``stream`` and a ``window`` on it.

    A `DIRECTORY` has an empty window, and no stream. Use it as a context manager, or call ``close``.
    """

    def __init__(self, path: str, kind: str, stream: Input | None, window: Window) -> None:
        self.path = path
        self.kind = kind
        self.stream = stream
        self.window = window

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self.stream is not None:
                self.stream.refuse_change(error, may_grow=self.kind in {LOG, BASE})
        finally:
            self.close()

    def close(self) -> None:
        """Close what was opened; standard input stays open."""
        if self.stream is not None:
            self.stream.close()


def refuse_empty_snapshot(opened: Opened) -> None:
    """Raise `FormatError` for an empty file that is an RDB by its name: servers refuse it, but not an empty log."""
    name = os.path.basename(opened.path).lower()
    if opened.kind == EMPTY and name.removesuffix(".gz").removesuffix(".zst").endswith(".rdb"):
        raise FormatError("the file is empty: servers refuse an RDB without its header", path=opened.path, offset=0)


def open_detected(path: str, progress: Progress | None = None) -> Opened:
    """Open what is at ``path``, ``-`` for standard input, and tell what it is. Raises `InputError`.

    ``progress`` is told how many bytes have been read, and of how many.
    """
    if os.path.isdir(path):
        return Opened(path, DIRECTORY, None, Window(None))
    stream = open_input(path)
    try:
        if progress is not None:
            stream.stream = Metered(stream.stream, stream.size, progress)
        w = stream.window()
        kind = MANIFEST if path.endswith(".manifest") and not is_rdb(w) else kind_at(w)
        return Opened(path, kind, stream, w)
    except BaseException:
        stream.close()
        raise
