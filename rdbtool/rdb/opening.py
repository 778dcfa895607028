"""Open an RDB, wherever it is, and read it event by event; or open one to be written."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, final

from rdbtool.io.output import Writable
from rdbtool.io.source import Input, open_input, open_stream
from rdbtool.io.window import Readable
from rdbtool.servers.features import MULTI_PART_LOGS
from rdbtool.servers.limits import Limits

from .events import Event
from .reader import RdbReader

if TYPE_CHECKING:
    from .targets import Target
    from .writer import RdbWriter


@final
class RdbEvents:
    """The events of an opened RDB, in their order. Iterate once; `close` it, or use it as a context manager.

    Iterating raises `FormatError`, `TruncatedError`, `UnsupportedError` or `InputError`; nothing comes after that.
    ``reader`` knows the version, the dialect and the place.
    """

    def __init__(self, source: Input) -> None:
        self.source: Input = source
        self.reader: RdbReader = RdbReader(source.window())

    def __enter__(self) -> RdbEvents:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def __iter__(self) -> RdbEvents:
        return self

    def __next__(self) -> Event:
        event = self.reader.next()
        if event is None:
            self.close()
            raise StopIteration
        return event

    def __repr__(self) -> str:
        return f"<RdbEvents of {self.source.name} at {self.reader.window.offset()}>"

    def close(self) -> None:
        """Close what was opened."""
        self.source.close()


def open_rdb(source: str | os.PathLike[str] | Readable) -> RdbEvents:
    """Open the RDB at a path, on standard input (``-``), or that anything with ``.read(n)`` gives.

    gzip and zstd are opened. Keys come as `Frame`, good until the next event unless it is kept (`Frame.keep`): a value
    that is not asked for is never decoded. Raises `InputError`.
    """
    if isinstance(source, (str, os.PathLike)):
        return RdbEvents(open_input(os.fspath(source)))
    return RdbEvents(open_stream(source))


def open_rdb_writer(
    sink: str | os.PathLike[str] | Writable,
    to: Target | str,
    *,
    compress: bool = True,
    checksum: bool = True,
    lossless: bool = False,
    drop_modules: bool = False,
    limits: Limits | None = None,
    ctime: int | None = None,
    used_mem: int | None = None,
    aof: bool = False,
) -> RdbWriter:
    """A writer of an RDB for the server ``to``, such as ``redis-7.2``, or for an RDB version, ``rdb-11``: its magic and
    auxiliary fields are written.

    ``sink``: a path, whose file appears when the writer is closed, whole, and not at all if the context is left by an
    exception; ``-`` for standard output; or anything with ``.write``, which stays open. ``compress``: strings, by LZF;
    ``checksum``: at the end; ``lossless``: raise `UnsupportedError` for what the target cannot keep, instead of
    counting it; ``drop_modules``: leave out what modules own; ``limits``: up to where values that are built anew are
    packed; ``ctime``: seconds, now by default; ``used_mem``: bytes, left out by default; ``aof``: the RDB is the base
    or the preamble of an AOF. Raises `UsageError` for a target that there is not, and `OutputError`.
    """
    from .layout.facts import Losses
    from .targets import target
    from .writer import RdbWriter

    goal = target(to) if isinstance(to, str) else to
    release = goal.release
    file = None
    if isinstance(sink, (str, os.PathLike)):
        from rdbtool.io.sink import open_sink

        sink = file = open_sink(os.fspath(sink))
    try:
        writer = RdbWriter(
            sink,
            goal,
            limits=limits,
            losses=Losses(goal.name, lossless=lossless),
            compress=compress,
            checksum=checksum,
            drop_modules=drop_modules,
        )
        writer.file = file
        writer.aux(f"{release.product}-ver".encode(), f"{release.number}.0".encode())
        writer.aux(b"redis-bits", b"64")
        writer.aux(b"ctime", b"%d" % (int(time.time()) if ctime is None else ctime))
        if used_mem is not None:
            writer.aux(b"used-mem", b"%d" % used_mem)
        writer.aux(b"aof-base" if release.has(MULTI_PART_LOGS) else b"aof-preamble", b"1" if aof else b"0")
    except BaseException:
        if file is not None:
            file.abort()
        raise
    return writer
