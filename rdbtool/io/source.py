"""Where input comes from: a file, standard input, or any stream, compressed or not."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from io import FileIO
from typing import Final, TypeAlias, final

from rdbtool.errors import ChangedError, FormatError, InputError, RdbToolError, reason

from .window import CHUNK, Envelope, Readable, Window


@final
class Input:
    """An opened input: ``name`` to show, ``size`` in bytes or -1, a `Readable`, ``file`` where it is a plain one,
    ``envelope`` where it begins with a snapshot in one; ``sent``: a server sends it.

    Use it as a context manager, or call ``close``.
    """

    def __init__(self, name: str, stream: Readable, size: int, close: Callable[[], None]) -> None:
        self.name = name
        self.stream = stream
        self.size = size
        self.file: FileIO | None = None
        self.envelope: Envelope | None = None
        self.sent = False
        self._close = close
        self._opened: FileIO | None = None
        self._before: os.stat_result | None = None

    def watch(self, opened: FileIO, before: os.stat_result) -> None:
        """Let `changed` compare what was opened with what it was then."""
        self._opened = opened
        self._before = before

    def changed(self) -> str:
        """What has happened to the file since it was opened, as "it shrank to 5 bytes"; "" for nothing, and for what is
        no file. Ask before it is closed: then it is not known, and "".
        """
        opened, before = self._opened, self._before
        if opened is None or before is None or opened.closed:
            return ""
        now = os.fstat(opened.fileno())
        if now.st_size != before.st_size:
            return f"it {'grew' if now.st_size > before.st_size else 'shrank'} to {now.st_size} bytes"
        if now.st_mtime_ns != before.st_mtime_ns:
            return "it was written to"
        return ""

    def refuse_change(self, error: BaseException | None = None, *, may_grow: bool = False) -> None:
        """Raise `ChangedError` where the file did not stay as it was, and its reading ended well, or with the ``error``
        that it is damaged: neither holds then. ``may_grow``: a server appends to it, and that is no error.

        Of what is ``sent`` the rest is read before it counts as damaged: `InputError` where that does not come.
        """
        if error is not None and not isinstance(error, FormatError):
            return
        if error is not None and self.sent:
            while self.stream.read(CHUNK):
                pass
        change = self.changed()
        if change and not (may_grow and error is None and change.startswith("it grew")):
            raise ChangedError(f"the file changed while it was read: {change}: ask again", path=self.name) from error

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def window(self) -> Window:
        """A window at the start of the input."""
        w = Window(self.stream, path=self.name, size=self.size)
        w.file = self.file
        w.envelope = self.envelope
        return w

    def close(self) -> None:
        """Close what was opened; standard input stays open."""
        self._close()


Opener: TypeAlias = Callable[[str], Input]

_openers: Final[dict[str, Opener]] = {}
"""Who opens URLs, by scheme."""


def register_opener(scheme: str, opener: Opener) -> None:
    """Let ``opener`` open what is named ``scheme://...``."""
    _openers[scheme] = opener


def opener_of(path: str) -> Opener | None:
    """Who opens it, where that is a URL of a file elsewhere or of a registered scheme, and not a path."""
    scheme, separator, _ = path.partition("://")
    if not separator:
        return None
    from .remote import is_remote, open_remote

    return open_remote if is_remote(path) else _openers.get(scheme)


def open_input(path: str) -> Input:
    """Open a file, ``-`` for standard input, or either of them compressed with gzip, zstd, or as Valkey 9.2 does; or
    what is at a URL.

    What it is, is told by its first bytes. Raises `InputError`; for zstd without a decoder
    (Python 3.14, or the package ``zstandard``), `UnsupportedError`.
    """
    opener = opener_of(path)
    if opener is not None:
        return opener(path)
    if path == "-":
        return detected("standard input", sys.stdin.buffer, -1, _keep_open)
    try:
        stream = open(path, "rb", buffering=0)  # noqa: SIM115 - the Input closes it
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e
    try:
        status = os.fstat(stream.fileno())
        is_file = stat.S_ISREG(status.st_mode)  # a device can be sought in too, and does not say its size
        opened = detected(path, stream, status.st_size if is_file else -1, stream.close)
        if is_file:
            opened.watch(stream, status)
            if opened.size >= 0:
                opened.file = stream
        return opened
    except OSError as e:
        stream.close()
        raise InputError(f"cannot read: {reason(e)}", path=path) from e
    except RdbToolError:  # it is compressed, and what unpacks it is not installed
        stream.close()
        raise


def is_plain(path: str) -> bool:
    """Whether the file at ``path`` can be read anywhere: it is no pipe, and its bytes are not compressed. Raises
    `InputError`.
    """
    with open_input(path) as source:
        return source.file is not None


def open_stream(stream: Readable, name: str = "input", size: int = -1) -> Input:
    """The same for anything with ``.read(n)``, which stays open; ``name`` stands in errors, ``size``: bytes that it
    gives, or -1. Raises `InputError`.
    """
    try:
        return detected(name, stream, size, _keep_open)
    except OSError as e:
        raise InputError(f"cannot read: {reason(e)}", path=name) from e


def _keep_open() -> None:
    pass


@final
class _Peeked:
    """A source whose first bytes were looked at: they are given out again first. ``size``: where it ends, although more
    may be written meanwhile, or -1.
    """

    def __init__(self, head: bytes, stream: Readable, size: int = -1) -> None:
        self.head = head
        self.stream = stream
        self.left = size - len(head) if size >= 0 else -1

    def read(self, n: int, /) -> bytes:
        if self.head:
            head, self.head = self.head[:n], self.head[n:]
            return head
        if self.left < 0:
            return self.stream.read(n)
        data = self.stream.read(min(n, self.left))
        self.left -= len(data)
        return data


def detected(name: str, stream: Readable, size: int, close: Callable[[], None]) -> Input:
    """The input that ``stream`` is, of ``size`` bytes or -1: as it is, or compressed."""
    head = b""
    while len(head) < 4:
        more = stream.read(4 - len(head))
        if not more:
            break
        head += more
    peeked = _Peeked(head, stream)
    if head[:2] == b"\x1f\x8b":
        from .compression import gzip_reader

        return Input(name, gzip_reader(peeked), -1, close)
    if head == b"\x28\xb5\x2f\xfd":
        from .compression import zstd_reader

        return Input(name, zstd_reader(peeked, name), -1, close)
    if head[:3] == b"VCS":
        from .vcs import VcsReader

        vcs = VcsReader(peeked, name)
        opened = Input(name, vcs, -1, close)
        opened.envelope = vcs.envelope
        return opened
    return Input(name, _Peeked(head, stream, size), size, close)
