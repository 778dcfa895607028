"""What is compared: an RDB that can be read more than once, from its start and key by key."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Final, final

from rdbtool.aof.names import uncarried
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import IncompleteError, InputError, OutputError, UnsupportedError, reason
from rdbtool.findings import Finding
from rdbtool.inputs.dataset import DatasetSource
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.keys import EntryEvent, KeySource, RdbSource
from rdbtool.inputs.opening import OpenedKeys, open_keys
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.window import CHUNK, Readable, Window
from rdbtool.rdb.compare import Kept
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.features import IDEMPOTENT_PRODUCERS
from rdbtool.servers.releases import NEWEST, newest

AT_ONCE: Final = CHUNK
"""Payloads up to this many bytes are read at once, longer ones through a window."""
TARGETS: Final = (newest("redis", without=IDEMPOTENT_PRODUCERS).name, NEWEST.name, newest("valkey").name)
"""The dataset of a replayed log is written for one of these servers, the first for which nothing is lost."""


@final
class _Tail:
    """Reads an open file from an offset on, beside other readers of it."""

    def __init__(self, handle: int, offset: int, on_read: Callable[[int], None] | None = None) -> None:
        self._handle = handle
        self._offset = offset
        self._on_read = on_read

    def read(self, n: int, /) -> bytes:
        data = os.pread(self._handle, n, self._offset)
        self._offset += len(data)
        if self._on_read is not None:
            self._on_read(len(data))
        return data


@final
class _TemporaryFile:
    """A temporary file without a name, written from its start."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            with tempfile.TemporaryFile(prefix="rdbtool-diff-") as temporary:  # where that can be, it never has a name
                self.handle = os.dup(temporary.fileno())
        except OSError as e:
            raise self._error(e) from e

    def write(self, data: bytes, /) -> None:
        """Append ``data``. Raises `OutputError`."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.handle, view) :]
        except OSError as e:
            raise self._error(e) from e

    def restart(self) -> None:
        """Forget what was written."""
        os.lseek(self.handle, 0, os.SEEK_SET)
        os.ftruncate(self.handle, 0)

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"cannot keep the input in a temporary file: {reason(error)}", path=self._path)


@final
class _Copying:
    """Passes a source on, and keeps what it gave."""

    def __init__(self, source: Readable, copy: _TemporaryFile) -> None:
        self._source = source
        self._copy = copy

    def read(self, n: int, /) -> bytes:
        data = self._source.read(n)
        self._copy.write(data)
        return data


@final
class Snapshot:
    """An RDB that is open as ``handle``; `open_snapshot` makes it. Use it as a context manager.

    ``name`` is for messages; ``size`` is in bytes, -1 for a pipe or compressed file. Of those, ``first`` is the
    window of the first pass, which keeps what it reads in the file that ``handle`` is. ``findings``, ``loss``: what
    a replay said, and whether not all could be replayed; ``replayed``: it was a log. ``plain``: it is the RDB at the
    path ``name`` itself. ``on_read`` is told of bytes read in passes.
    """

    def __init__(
        self,
        name: str,
        handle: int,
        size: int,
        *,
        opened: OpenedKeys | None = None,
        first: Window | None = None,
        plain: bool = False,
    ) -> None:
        self.name = name
        self.size = size
        self.findings: list[Finding] = []
        self.loss = False
        self.replayed = False
        self.plain = plain
        self.on_read: Callable[[int], None] | None = None
        self._opened = opened
        self._handle = handle
        self._first = first

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the input; a temporary file is gone with that."""
        if self._opened is not None:
            self._opened.__exit__(None, None, None)
        os.close(self._handle)

    def status(self) -> os.stat_result:
        """What the system says of the open file."""
        return os.fstat(self._handle)

    def window(self) -> Window:
        """A window at the first byte. The one of the first pass must be used up before the next is asked for."""
        first = self._first
        if first is not None:
            self._first = None
            return first
        size = self.status().st_size if self.size < 0 else self.size
        return Window(_Tail(self._handle, 0, self.on_read), path=self.name, size=size)

    def frame(self, db: int, key: bytes, kept: Kept) -> Frame:
        """The key again, its value unread; of a value of more than `AT_ONCE` bytes only what is needed is held."""
        size = int(kept.size)
        offset = int(kept.offset)
        if size <= AT_ONCE or kept.names:
            raw = b""
            while len(raw) < size:
                more = os.pread(self._handle, size - len(raw), offset + len(raw))
                if not more:
                    raise InputError("the file got shorter while it was read", path=self.name, offset=offset)
                raw += more
            frame = frame_of(db, key, kept.type, kept.names + raw)
            frame.size = size
        else:
            window = Window(_Tail(self._handle, offset), path=self.name, size=offset + size, base=offset)
            frame = RdbReader(window, checksum=False).frame_here(db, key, kept.type)
        frame.value_offset = offset
        frame.expire_at_ms = kept.expire_at_ms
        frame.idle_s = kept.idle_s
        frame.freq = kept.freq
        frame.meta = kept.meta
        return frame


def open_snapshot(
    path: str,
    *,
    point: PointInTime = WHOLE,
    unknown: str = "stop",
    server: Server = STOCK_SERVER,
    commands: bool = False,
    now_ms: int | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """Open whatever is at ``path`` for comparison; the options are those of `inputs.opening.open_keys`, and ``now_ms``
    must be the same for both sides.

    An RDB is read where it is. What is read from a pipe or compressed file is copied to a temporary file as it comes;
    of a log, the dataset that its replay gives is written to one, and so are the keys of JSON lines. Raises what
    opening and replaying raise, and `OutputError`.
    """
    try:
        opened = open_keys(
            path,
            point=point,
            unknown=uncarried(unknown),
            commands=commands,
            now_ms=now_ms,
            progress=progress,
            server=server,
        )
    except IncompleteError as e:  # of a comparison, that must not read as "different"
        raise UnsupportedError(e.message, path=e.path, offset=e.offset, doing=e.doing, key=e.key) from None
    try:
        source = opened.source
        if isinstance(source, DatasetSource):
            return _of_dataset(path, opened, source)
        if not isinstance(source, RdbSource):
            return _of_stream(path, opened)
        window = source.reader.window
        if window.file is not None:
            return Snapshot(window.path, os.open(path, os.O_RDONLY), int(window.size), opened=opened, plain=True)
        copy = _TemporaryFile(window.path)
        copy.write(window.data)
        assert window.source is not None
        window.source = _Copying(window.source, copy)
        return Snapshot(window.path, copy.handle, -1, opened=opened, first=window)
    except OSError as e:
        opened.__exit__(None, None, None)
        raise InputError(f"cannot open: {reason(e)}", path=path) from e
    except BaseException:
        opened.__exit__(None, None, None)
        raise


def _of_dataset(path: str, opened: OpenedKeys, keys: DatasetSource) -> Snapshot:
    """The snapshot of a replayed log. The dataset is not kept."""
    copy = _TemporaryFile(path)
    try:
        for target in TARGETS:
            if _write(copy, target, DatasetSource(path, keys.dataset, keys.facts, keys.module_aux)):
                break
    except BaseException:
        os.close(copy.handle)
        raise
    snapshot = _written(path, opened, copy)
    snapshot.replayed = True
    return snapshot


def _of_stream(path: str, opened: OpenedKeys) -> Snapshot:
    """The snapshot of keys that can be read only once: JSON lines."""
    copy = _TemporaryFile(path)
    try:
        with opened:
            _write(copy, NEWEST.name, opened.source, lossless=True)
    except BaseException:
        os.close(copy.handle)
        raise
    return _written(path, opened, copy)


def _written(path: str, opened: OpenedKeys, copy: _TemporaryFile) -> Snapshot:
    snapshot = Snapshot(path, copy.handle, os.fstat(copy.handle).st_size)
    snapshot.findings = opened.findings
    snapshot.loss = opened.loss
    return snapshot


def _write(copy: _TemporaryFile, target: str, source: KeySource, *, lossless: bool = False) -> bool:
    """Write all keys for the server ``target``, and answer whether nothing was lost; ``lossless``: raise
    `UnsupportedError` for that.
    """
    copy.restart()
    writer = open_rdb_writer(copy, target, compress=False, lossless=lossless)
    while (event := source.next()) is not None:
        if isinstance(event, EntryEvent):
            writer.entry(event.entry)
        else:
            writer.event(event)
    writer.close()
    return not writer.losses.counts
