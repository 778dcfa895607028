"""THE table of output formats: their names, what they are for, what they keep, and how their exporters are made.

The commands and their options are made from it. A format is added as one file with an `Exporter`, and one row here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias, final

from rdbtool.aof.command_writer import SAYABLE
from rdbtool.errors import UsageError
from rdbtool.io.sink import without_compression
from rdbtool.rdb.layout import facts
from rdbtool.rdb.layout.facts import ABOUT_THE_FILE, ALL, Losses, all_but
from rdbtool.rdb.targets import kept_by

from .options import OutputOptions

if TYPE_CHECKING:
    from rdbtool.io.output import Output
    from rdbtool.rdb.targets import Target

    from .exporter import Exporter

Maker: TypeAlias = "Callable[[Output, Losses, OutputOptions], Exporter]"
"""Makes the exporter of a format. Its module is imported then: no run needs all of them."""


@final
class OutputFormat:
    """A row of the table.

    ``keeps``: the `rdb.facts` that it keeps; ``make``: makes its exporter, ``make_summary`` the one for keys
    without values, None where there is none; ``dump``, ``convert``: whether these commands offer it; ``endings``:
    of the names of such files; ``binary``: it does not go to a terminal; ``text``: bytes become text, by a mode,
    and ``json``: in JSON's strings; ``view``: it is for people to look at, and what it leaves out is no loss;
    ``for_server``: it is written for a release, and keeps what that release has; ``drops_modules``: what modules
    own can be left out of it; ``takes_commands``: commands can follow behind the keys; ``base``: it is an
    append-only file, and begins, if nothing else is asked for, with what the format of this name writes;
    ``directory``: it is a directory; ``live``: it is a server, which `restore.Receiver` reaches: `tasks.load` has it;
    ``by_key``: it is without values unless they are asked for; ``parted``: its records, but for the first, do not
    depend on those before, or what does is said by `Exporter.append`.
    """

    def __init__(
        self,
        name: str,
        keeps: frozenset[str],
        make: Maker,
        *,
        make_summary: Maker | None = None,
        dump: bool = False,
        convert: bool = False,
        endings: tuple[str, ...] = (),
        binary: bool = False,
        text: bool = False,
        json: bool = False,
        view: bool = False,
        for_server: bool = False,
        drops_modules: bool = False,
        takes_commands: bool = False,
        base: str = "",
        directory: bool = False,
        live: bool = False,
        by_key: bool = False,
        parted: bool = False,
    ) -> None:
        self.name = name
        self.keeps = keeps
        self.make = make
        self.make_summary = make_summary
        self.dump = dump
        self.convert = convert
        self.endings = endings
        self.binary = binary
        self.text = text
        self.json = json
        self.view = view
        self.for_server = for_server
        self.drops_modules = drops_modules
        self.takes_commands = takes_commands
        self.base = base
        self.directory = directory
        self.live = live
        self.by_key = by_key
        self.parted = parted


def _jsonl(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .jsonl import JsonLines

    return JsonLines(output, losses, options.mode, header=options.header)


def _jsonl_summary(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .summary import SummaryLines

    return SummaryLines(output, losses, options.mode)


def _json(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .json_document import JsonDocument

    return JsonDocument(output, losses, options.mode)


def _csv(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .csv import Csv

    return Csv(output, losses, options.mode, safe=options.csv_safe)


def _csv_summary(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .summary import SummaryRows

    return SummaryRows(output, losses, options.mode, safe=options.csv_safe)


def _parquet(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .parquet import ParquetElements

    return ParquetElements(output, losses, options.mode)


def _parquet_summary(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .parquet import ParquetKeys

    return ParquetKeys(output, losses, options.mode)


def _table(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .table import Table

    return Table(output, losses, options.mode, width=options.width, values=options.values)


def _plain(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .table import Plain

    return Plain(output, losses, options.mode)


def _keys(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .keys import Keys

    return Keys(output, losses, options.mode, nul=options.nul)


def _rdb(output: Output, _losses: Losses, options: OutputOptions) -> Exporter:
    from .rdb import RdbOut

    return RdbOut(output.sink, options.rdb, aof=bool(BY_NAME[options.format].base))


def _resp(output: Output, losses: Losses, options: OutputOptions) -> Exporter:
    from .resp import Resp

    def keeps_for(to: Target | None) -> frozenset[str]:
        return keeps(options, to)

    return Resp(output, losses, options.rdb.to, keeps_for, replace=options.replace)


def _server(output: Output, losses: Losses, _options: OutputOptions) -> Exporter:
    from .restore import Restore

    return Restore(output, losses)


_RECORDS: Final = all_but(facts.SLOT_IMPORTS)
_ROWS: Final = all_but(
    facts.AUX,
    facts.ARRAY_CURSORS,
    facts.EMPTY_PATH_HASHES,
    facts.EMPTY_STREAMS,
    facts.STREAM_COUNTERS,
    facts.GROUPS,
    facts.IDEMPOTENCE,
    facts.MODULE_VERSIONS,
    facts.MODULE_AUX,
    facts.FUNCTIONS,
    facts.ACCESS_TIMES,
    facts.KEY_META,
    facts.SLOT_IMPORTS,
)
_SNAPSHOT: Final = ALL - ABOUT_THE_FILE
_RESTORED: Final = all_but(facts.AUX, facts.KEY_META, facts.MODULE_AUX, facts.SLOT_IMPORTS)

FORMATS: Final = (
    OutputFormat(
        "rdb",
        _SNAPSHOT,
        _rdb,
        convert=True,
        endings=(".rdb",),
        binary=True,
        for_server=True,
        drops_modules=True,
        parted=True,
    ),
    OutputFormat(
        "aof",
        SAYABLE,
        _resp,
        convert=True,
        endings=(".aof",),
        binary=True,
        for_server=True,
        takes_commands=True,
        base="resp",
    ),
    OutputFormat(
        "aof-set",
        _SNAPSHOT,
        _rdb,
        convert=True,
        binary=True,
        for_server=True,
        drops_modules=True,
        takes_commands=True,
        base="rdb",
        directory=True,
    ),
    OutputFormat(
        "resp",
        SAYABLE,
        _resp,
        dump=True,
        convert=True,
        endings=(".resp",),
        binary=True,
        for_server=True,
        takes_commands=True,
        parted=True,
    ),
    OutputFormat(
        "jsonl",
        _RECORDS,
        _jsonl,
        make_summary=_jsonl_summary,
        dump=True,
        convert=True,
        endings=(".jsonl", ".ndjson"),
        text=True,
        json=True,
        parted=True,
    ),
    OutputFormat(
        "json",
        _RECORDS - ABOUT_THE_FILE,
        _json,
        dump=True,
        convert=True,
        endings=(".json",),
        text=True,
        json=True,
    ),
    OutputFormat(
        "csv",
        _ROWS,
        _csv,
        make_summary=_csv_summary,
        dump=True,
        convert=True,
        endings=(".csv",),
        text=True,
        parted=True,
    ),
    OutputFormat(
        "parquet",
        _ROWS,
        _parquet,
        make_summary=_parquet_summary,
        dump=True,
        endings=(".parquet",),
        binary=True,
        by_key=True,
    ),
    OutputFormat("server", _RESTORED, _server, binary=True, for_server=True, live=True),
    OutputFormat("table", facts.NOTHING, _table, make_summary=_table, dump=True, text=True, view=True),
    OutputFormat("plain", facts.NOTHING, _plain, make_summary=_plain, text=True, view=True),
    OutputFormat("keys", facts.NOTHING, _keys, make_summary=_keys, text=True, view=True),
)
BY_NAME: Final[dict[str, OutputFormat]] = {row.name: row for row in FORMATS}
DUMPED: Final = tuple(row.name for row in FORMATS if row.dump)
CONVERTED: Final = tuple(row.name for row in FORMATS if row.convert)
_BY_ENDING: Final[dict[str, OutputFormat]] = {ending: row for row in FORMATS for ending in row.endings}


def dumped_by_default(*, terminal: bool, keys_only: bool, named: bool) -> str:
    """The format of a dump where none is asked for; ``named``: single keys are."""
    if keys_only:
        return "keys"
    if named:
        return "plain"
    return "table" if terminal else "jsonl"


def format_of_path(path: str, *, dump: bool = False) -> str:
    """The format to write to ``path``, by its name; ``dump``: it is that command which writes. Raises `UsageError`."""
    if not dump and (path.endswith(os.sep) or os.path.isdir(path)):
        return next(row.name for row in FORMATS if row.directory)
    row = _BY_ENDING.get(os.path.splitext(without_compression(path))[1].lower())
    if path != "-" and row is not None and (row.dump if dump else row.convert):
        return row.name
    if row is not None and row.dump:
        raise UsageError(f"convert does not write {row.name}: take dump --format {row.name} -o {path}")
    endings = ", ".join(ending for ending, row in _BY_ENDING.items() if (row.dump if dump else row.convert))
    if dump:
        raise UsageError(
            f"what to write to '{path}' is not clear: give a name that ends in one of {endings}, or --format with one "
            f"of {', '.join(DUMPED)}"
        )
    raise UsageError(
        f"what to write to '{path}' is not clear: give a name that ends in one of {endings}, a directory with a '/' "
        f"behind it, or --to with one of {', '.join(CONVERTED)}"
    )


def row_of(name: str) -> OutputFormat:
    """The row of the format of that name. Raises `UsageError`."""
    row = BY_NAME.get(name)
    if row is None:
        raise UsageError(f"unknown format '{name}'; known are {', '.join(BY_NAME)}")
    return row


def keeps(options: OutputOptions, written_for: Target | None = None) -> frozenset[str]:
    """The facts that an output keeps: those of its format that the release has for which it is written.

    ``written_for``: that release, where ``options`` leave it to the input.
    """
    row = row_of(options.format)
    written = row_of(options.base) if row.base and options.base else row
    kept = written.keeps
    to = options.rdb.to or written_for
    if row.for_server and to is not None:
        had = kept_by(to)
        kept &= had
        if facts.STREAM_COUNTERS not in had and facts.STREAMS in had:
            kept |= {facts.DELETED_PENDING}  # XCLAIM takes entries that are gone, before Redis 7.0
    if options.rdb.drop_modules and written.drops_modules:
        kept -= {facts.MODULE_VALUES, facts.MODULE_VERSIONS, facts.MODULE_AUX, facts.KEY_META}
    return kept


def make_exporter(output: Output, options: OutputOptions) -> Exporter:
    """The exporter of ``options.format``. Raises `UsageError` for what there is not."""
    row = row_of(options.format)
    make = row_of(options.base).make if row.base and options.base else row.make
    is_view = row.view
    if not options.values:
        if row.make_summary is None:
            summaries = ", ".join(other.name for other in FORMATS if other.dump and other.make_summary is not None)
            raise UsageError(f"{row.name} without values is not to be had: take {summaries}, or keys only")
        make = row.make_summary
        is_view = True
    kept = facts.NOTHING if is_view else keeps(options)
    exporter = make(output, Losses(row.name, kept, untold=ALL if is_view else ABOUT_THE_FILE), options)
    exporter.verify = options.verify
    return exporter
