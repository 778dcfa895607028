"""Dumps as files: one per input, each there when it is whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import OutputError, UsageError, reason
from rdbtool.inputs.detect import Progress
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.remote import is_remote, local_path
from rdbtool.io.sink import commit_all
from rdbtool.outputs.options import OutputOptions
from rdbtool.outputs.outlets import open_outlet
from rdbtool.outputs.registry import row_of

from .dump import DumpReport, dump


class DumpOptions(NamedTuple):
    """What is dumped of each input, and how: see `dump`. ``output``: the format, and how it is written."""

    output: OutputOptions
    selection: Selection
    keep_going: bool = False
    point: PointInTime = WHOLE
    unknown: str = "stop"
    commands: bool = False
    server: Server = STOCK_SERVER


def dump_file(
    path: str, options: DumpOptions, outputs: Mapping[str, str], progress: Progress | None = None
) -> DumpReport:
    """Write the keys at ``path`` to its file of ``outputs``, whose directory is made; nothing is written where
    something fails, but for a damaged key that is left out. Raises as `dump` does.
    """
    output = outputs[path]
    selection = options.selection
    selection.kept = 0  # it may have chosen from another file
    make_directory_of(output)
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
            report.loss = report.mended = False  # nothing is lost where nothing is written
        else:
            commit_all([outlet.finish()])
            report.output = output
    return report


def make_directory_of(output: str) -> None:
    """Make the directory that a file will be in, if it is not there. Raises `OutputError`."""
    path = local_path(output)
    directory = os.path.dirname(path.rstrip(os.sep))
    if directory and not is_remote(path):
        try:
            os.makedirs(directory, exist_ok=True)
        except OSError as e:
            raise OutputError(f"cannot create the directory: {reason(e)}", path=output) from e


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
