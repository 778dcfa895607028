"""Where `convert` writes to: a file, or a directory that holds a multi-part append-only file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rdbtool.aof.layout import DEFAULT_NAME
from rdbtool.aof.manifest import BASE, INCREMENT, Part, format_part
from rdbtool.errors import UsageError
from rdbtool.io.output import Output, Writable
from rdbtool.io.remote import is_remote
from rdbtool.io.sink import CompressedSink, DirectorySink, Pending, PendingFile, Sink, open_named, open_sink
from rdbtool.io.terminal import ForTerminal
from rdbtool.servers.features import LZ4_SNAPSHOTS

from .options import OutputOptions
from .registry import make_exporter, row_of

if TYPE_CHECKING:
    from rdbtool.engine.replay.carrying import Carried


class Outlet:
    """One output under construction: keys go to ``exporter``; ``carried`` commands are written behind them.

    Use it as a context manager; nothing shows under the final name before what `finish` returns is committed.
    """

    def __init__(self, path: str, sink: PendingFile, options: OutputOptions) -> None:
        self.path = path
        self.exporter = make_exporter(Output(shown_safely(sink, options.format)), options)
        self.carried: list[Carried] = []
        self.takes_commands = row_of(options.format).takes_commands
        self._sink = sink

    def __enter__(self) -> Outlet:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.abort()  # does nothing after a commit

    def finish(self) -> Pending:
        """The output, written to its end, for `sink.commit_all`; the exporter has ended."""
        _write_carried(self.carried, self._sink)
        return self._sink


class SetOutlet(Outlet):
    """A directory with a base, an empty increment and a manifest."""

    def __init__(self, path: str, options: OutputOptions, inputs: tuple[str, ...]) -> None:
        self._directory = DirectorySink(path, inputs=inputs)
        ending = "aof" if options.base == "resp" else "rdb"
        self._base = Part(f"{DEFAULT_NAME}.1.base.{ending}", 1, BASE, 0)
        self._increment = Part(f"{DEFAULT_NAME}.1.incr.aof", 1, INCREMENT, 0)
        try:
            self._base_file: Sink = self._directory.file(self._base.name)
            super().__init__(path, self._base_file, options)
        except BaseException:
            self._directory.abort()
            raise

    def __exit__(self, *_: object) -> None:
        self._sink.abort()
        self._directory.abort()

    def finish(self) -> Pending:
        """Write the increment and the manifest."""
        self._base_file.commit()
        with self._directory.file(self._increment.name) as sink:
            _write_carried(self.carried, sink)
        with self._directory.file(f"{DEFAULT_NAME}.manifest") as sink:
            sink.write(format_part(self._base) + format_part(self._increment))
        return self._directory


def shown_safely(sink: PendingFile, name: str) -> Writable:
    """``sink``, behind what keeps a terminal from acting on text in the format of that name."""
    row = row_of(name)
    if not row.text or not isinstance(sink, Sink) or not sink.is_terminal:
        return sink
    return ForTerminal(sink, as_json=row.json)


def open_outlet(path: str, options: OutputOptions, inputs: tuple[str, ...]) -> Outlet:
    """An output at ``path``, ``-`` for standard output. Raises `OutputError`; none of ``inputs`` may be replaced."""
    row = row_of(options.format)
    if row.directory:
        if path == "-":
            raise UsageError("a set of files does not go to standard output")
        if is_remote(path):
            raise UsageError("a set of files goes into a directory of this machine", path=path)
        return SetOutlet(path, options, inputs)
    if options.rdb.envelope:
        sink = _open_in_envelope(path, options, inputs)
    else:
        sink = open_named(path, inputs=inputs, binary=row.binary)
    try:
        return Outlet(path, sink, options)
    except BaseException:
        sink.abort()
        raise


def _open_in_envelope(path: str, options: OutputOptions, inputs: tuple[str, ...]) -> PendingFile:
    """A snapshot that is compressed as a whole. Raises `UsageError` where no server would read that."""
    from rdbtool.io.compression import VCS

    to = options.rdb.to
    if options.format != "rdb" or to is None or not to.release.does(LZ4_SNAPSHOTS):
        raise UsageError(
            "only Valkey 9.2 reads snapshots that are compressed as a whole: an RDB with --target valkey-9.2"
        )
    sink = open_sink(path, inputs=inputs)
    try:
        return CompressedSink(sink, VCS)
    except BaseException:
        sink.abort()
        raise


def _write_carried(carried: list[Carried], sink: PendingFile) -> None:
    if carried:
        from .saving import save_carried

        output = Output(sink)
        save_carried(carried, output)
        output.flush()
