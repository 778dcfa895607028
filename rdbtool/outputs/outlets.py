"""Where `convert` writes to: a file, or a directory that holds a multi-part append-only file."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from rdbtool.aof.layout import DEFAULT_NAME
from rdbtool.aof.manifest import BASE, INCREMENT, Part, format_part
from rdbtool.basics.text import AUTO
from rdbtool.errors import UsageError
from rdbtool.io.output import Output
from rdbtool.io.sink import DirectorySink, Pending, Sink, open_sink
from rdbtool.rdb.opcodes import VALKEY
from rdbtool.rdb.targets import Target

from .exporter import Exporter
from .jsonl import JsonLines
from .rdb import RdbOptions, RdbOut
from .registry import exporter
from .resp import Resp

if TYPE_CHECKING:
    from rdbtool.engine.replay import Carried

Kind: TypeAlias = Literal["rdb", "aof", "aof-set", "resp", "jsonl", "json", "csv"]

KINDS: Final[tuple[Kind, ...]] = ("rdb", "aof", "aof-set", "resp", "jsonl", "json", "csv")

_BY_ENDING: Final[dict[str, Kind]] = {
    ".rdb": "rdb",
    ".aof": "aof",
    ".resp": "resp",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
}


@dataclass(frozen=True, slots=True)
class OutputForm:
    """What is written.

    ``rdb``: how RDBs are written; its ``to`` also says for which server commands are; ``base``: of an AOF, ``rdb``
    or ``resp``, "" for the usual one (a set: rdb, a single file: resp); ``mode``: how bytes become text;
    ``lossless``: refuse what cannot be kept.
    """

    kind: Kind
    rdb: RdbOptions = field(default_factory=RdbOptions)
    base: Literal["", "rdb", "resp"] = ""
    mode: int = AUTO
    lossless: bool = False


def kind_of(path: str) -> Kind:
    """What to write to ``path``, by its name. Raises `UsageError`."""
    if path.endswith(os.sep) or os.path.isdir(path):
        return "aof-set"
    ending = os.path.splitext(path)[1].lower()
    if path == "-" or ending not in _BY_ENDING:
        endings = ", ".join(_BY_ENDING)
        raise UsageError(
            f"what to write to '{path}' is not clear: give a name that ends in one of {endings}, a directory with a "
            f"'/' behind it, or --to with one of {', '.join(KINDS)}"
        )
    return _BY_ENDING[ending]


class Outlet:
    """One output under construction: keys go to ``exporter``; ``carried`` commands are written behind them.

    Use it as a context manager; nothing shows under the final name before what `finish` returns is committed.
    """

    def __init__(self, path: str, sink: Sink, form: OutputForm, *, verify: bool) -> None:
        self.path = path
        self.exporter = _exporter(sink, form, verify=verify)
        self.carried: list[Carried] = []
        self.takes_commands = form.kind in {"aof", "aof-set", "resp"}
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

    def __init__(self, path: str, form: OutputForm, inputs: tuple[str, ...], *, verify: bool) -> None:
        self._directory = DirectorySink(path, inputs=inputs)
        ending = "aof" if form.base == "resp" else "rdb"
        self._base = Part(f"{DEFAULT_NAME}.1.base.{ending}", 1, BASE, 0)
        self._increment = Part(f"{DEFAULT_NAME}.1.incr.aof", 1, INCREMENT, 0)
        try:
            super().__init__(path, self._directory.file(self._base.name), form, verify=verify)
        except BaseException:
            self._directory.abort()
            raise

    def __exit__(self, *_: object) -> None:
        self._sink.abort()
        self._directory.abort()

    def finish(self) -> Pending:
        """Write the increment and the manifest."""
        self._sink.commit()
        with self._directory.file(self._increment.name) as sink:
            _write_carried(self.carried, sink)
        with self._directory.file(f"{DEFAULT_NAME}.manifest") as sink:
            sink.write(format_part(self._base) + format_part(self._increment))
        return self._directory


def open_outlet(path: str, form: OutputForm, inputs: tuple[str, ...], *, verify: bool = False) -> Outlet:
    """An output at ``path``, ``-`` for standard output. ``verify``: do not copy damaged values.

    Raises `OutputError`; none of ``inputs`` may be replaced.
    """
    if form.kind == "aof-set":
        if path == "-":
            raise UsageError("a set of files does not go to standard output")
        return SetOutlet(path, form, inputs, verify=verify)
    sink = open_sink(path, inputs=inputs, binary=form.kind in {"rdb", "aof", "resp"})
    try:
        return Outlet(path, sink, form, verify=verify)
    except BaseException:
        sink.abort()
        raise


def commands_for(to: Target | None, output: Output) -> Resp:
    """An exporter of the commands that the server ``to`` writes; of all that there are where it is None."""
    return Resp(output) if to is None else Resp(output, to.rdb_version, valkey=to.dialect == VALKEY)


def _exporter(sink: Sink, form: OutputForm, *, verify: bool) -> Exporter:
    kind = form.kind
    is_log = kind in {"aof", "aof-set"}
    base = form.base or ("rdb" if kind == "aof-set" else "resp")
    if kind == "rdb" or (is_log and base == "rdb"):
        return RdbOut(sink, form.rdb, aof=is_log, verify=verify)
    output = Output(sink)
    if is_log or kind == "resp":
        return commands_for(form.rdb.to, output)
    if kind == "jsonl":
        return JsonLines(output, form.mode, header=True)
    return exporter(kind, output, form.mode)


def _write_carried(carried: list[Carried], sink: Sink) -> None:
    if carried:
        from .saving import save_carried

        output = Output(sink)
        save_carried(carried, output)
        output.flush()
