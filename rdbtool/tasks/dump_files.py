"""Dumps as files: one per input, each there when it is whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import UsageError
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.remote import is_remote, local_path
from rdbtool.io.sink import commit_all
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.outlets import open_outlet
from rdbtool.outputs.registry import row_of

from .dump import DumpReport, dump


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """What is dumped of each input, and how: see `dump`. ``output``: the format, and how it is written."""

    output: OutputOptions
    selection: Selection = field(default_factory=Selection)
    keep_going: bool = False
    point: PointInTime = WHOLE
    unknown: str = "stop"
    commands: bool = False
    server: Server = STOCK_SERVER


def dump_file(path: str, output: str, options: DumpOptions, progress: Progress | None = None) -> DumpReport:
    """Write the keys at ``path`` to the file ``output``, whose directory is made; nothing is written where something
    fails, but for a damaged key that is left out. Raises as `dump` does.
    """
    selection = options.selection
    selection.kept = 0  # it may have chosen from another file
    directory = os.path.dirname(local_path(output))
    if directory and not is_remote(directory):
        os.makedirs(directory, exist_ok=True)
    with open_outlet(output, options.output, (path,)) as outlet:
        report = dump(
            path,
            outlet.exporter,
            selection,
            keep_going=options.keep_going,
            point=options.point,
            unknown=options.unknown,
            commands=options.commands,
            progress=progress,
            server=options.server,
            to=output,
        )
        if report.failed:
            report.loss = False  # nothing is lost where nothing is written
        else:
            commit_all([outlet.finish()])
            report.output = output
    return report


def dump_unit(path: str, output: Any, options: Any) -> DumpReport:  # noqa: ANN401 - what a unit of work takes
    """`dump_file` as the function of a unit of work."""
    return dump_file(path, output, options)


def shard_outputs(paths: Sequence[str], directory: str, options: OutputOptions) -> list[str]:
    """Where the keys of each input go in ``directory``: Parquet as DuckDB, Spark and the like expect a table that is
    partitioned by ``shard``, other formats under the inputs' names. Raises `UsageError` where two would be one.
    """
    row = row_of(options.format)
    ending = row.endings[0] if row.endings else f".{row.name}"
    outputs = []
    for shard in shard_names(paths):
        name = quote(shard, safe="-._~ ")
        if row.by_key:
            part = "elements" if options.values else "keys"
            outputs.append(os.path.join(directory, f"shard={name}", f"{part}{ending}"))
        else:
            outputs.append(os.path.join(directory, f"{name}{ending}"))
    return outputs


def shard_names(paths: Sequence[str]) -> list[str]:
    """Names that tell the inputs apart: those of the files, with as much of what stands before as it takes. Raises
    `UsageError` for one that is there twice.
    """
    parts = [path.rstrip("/").split("/") for path in paths]
    for count in range(1, max((len(each) for each in parts), default=0) + 1):
        names = ["/".join(each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    raise UsageError("an input is given twice")
