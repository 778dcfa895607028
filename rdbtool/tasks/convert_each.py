"""Several inputs, each into an output of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rdbtool.inputs.detect import Progress
from rdbtool.io.sink import without_compression

from .convert import ConvertReport, convert
from .dump_files import make_directory_of, shard_names

NAME: Final = "{name}"
"""What stands in an output's name for that of its input."""


def outputs_by_name(paths: Sequence[str], output: str) -> dict[str, str]:
    """Where each input goes: ``output``, with the input's name, without its ending, for `NAME`. Raises `UsageError` for
    an input that is there twice.
    """
    names = [name.replace("/", "-") for name in shard_names(paths)]
    stems = [os.path.splitext(without_compression(name))[0] for name in names]
    if len(set(stems)) == len(stems):
        names = stems
    return {path: output.replace(NAME, name) for path, name in zip(paths, names, strict=True)}


def convert_each(
    path: str, outputs: Mapping[str, str], arguments: Mapping[str, Any], progress: Progress | None = None
) -> ConvertReport:
    """`convert` the input at ``path`` to its output, whose directory is made. ``arguments``: further ones of `convert`.

    Raises as that does.
    """
    output = outputs[path]
    make_directory_of(output)
    selection = arguments.get("selection")
    if selection is not None:
        selection.kept = 0  # it may have chosen from another file
    report = convert([path], output, progress=progress, **arguments)
    report.kept = None  # it stays where it was read
    return report
