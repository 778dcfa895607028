"""Where `convert` writes to: a file, or a directory that holds a multi-part append-only file."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from rdbtool.aof.layout import DEFAULT_NAME
from rdbtool.aof.manifest import BASE, INCREMENT, Part, format_part
from rdbtool.errors import OutputError, UsageError, reason
from rdbtool.io.output import Output
from rdbtool.io.sink import Sink, open_sink, sync_directory

from .options import OutputOptions
from .registry import make_exporter, row_of

if TYPE_CHECKING:
    from rdbtool.engine.replay.replay import Carried


class Outlet:
    """One output under construction: keys go to ``exporter``; ``carried`` commands are written behind them.

    Use it as a context manager; without `commit`, nothing shows under the final name.
    """

    def __init__(self, path: str, sink: Sink, options: OutputOptions) -> None:
        self.path = path
        self.exporter = make_exporter(Output(sink), options)
        self.carried: list[Carried] = []
        self.takes_commands = row_of(options.format).takes_commands
        self._sink = sink

    def __enter__(self) -> Outlet:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.abort()  # does nothing after a commit

    def commit(self) -> None:
        """Give the output its final name; the exporter has ended."""
        _write_carried(self.carried, self._sink)
        self._sink.commit()


class SetOutlet(Outlet):
    """A directory with a base, an empty increment and a manifest, made beside its final name."""

    def __init__(self, path: str, options: OutputOptions) -> None:
        self._final = path.rstrip(os.sep) or os.sep
        if os.path.isdir(self._final):
            if os.listdir(self._final):
                raise OutputError("the directory is not empty: a set goes into a new one", path=path)
        elif os.path.lexists(self._final):
            raise OutputError("is no directory", path=path)
        parent, name = os.path.split(self._final)
        try:
            self._temporary = tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=parent or ".")
        except OSError as e:
            raise OutputError(f"cannot create: {reason(e)}", path=path) from e
        ending = "aof" if options.base == "resp" else "rdb"
        self._base = Part(f"{DEFAULT_NAME}.1.base.{ending}", 1, BASE, 0)
        self._increment = Part(f"{DEFAULT_NAME}.1.incr.aof", 1, INCREMENT, 0)
        sink = open_sink(os.path.join(self._temporary, self._base.name))
        super().__init__(path, sink, options)

    def __exit__(self, *_: object) -> None:
        self._sink.abort()
        shutil.rmtree(self._temporary, ignore_errors=True)  # gone already after a commit

    def commit(self) -> None:
        """Write the increment and the manifest, and rename the directory."""
        self._sink.commit()
        with open_sink(os.path.join(self._temporary, self._increment.name)) as sink:
            _write_carried(self.carried, sink)
        with open_sink(os.path.join(self._temporary, f"{DEFAULT_NAME}.manifest")) as sink:
            sink.write(format_part(self._base) + format_part(self._increment))
        mask = os.umask(0)
        os.umask(mask)
        try:
            os.chmod(self._temporary, 0o777 & ~mask)
            os.rename(self._temporary, self._final)
            sync_directory(os.path.dirname(self._final))
        except OSError as e:
            raise OutputError(f"cannot create: {reason(e)}", path=self.path) from e


def open_outlet(path: str, options: OutputOptions, inputs: tuple[str, ...]) -> Outlet:
    """An output at ``path``, ``-`` for standard output. Raises `OutputError`; none of ``inputs`` may be replaced."""
    row = row_of(options.format)
    if row.directory:
        if path == "-":
            raise UsageError("a set of files does not go to standard output")
        return SetOutlet(path, options)
    return Outlet(path, open_sink(path, inputs=inputs, binary=row.binary), options)


def _write_carried(carried: list[Carried], sink: Sink) -> None:
    if carried:
        from .saving import save_carried

        output = Output(sink)
        save_carried(carried, output)
        output.flush()
