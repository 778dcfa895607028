"""Several inputs that are parts of one set: the base and the increments of an append-only file without their manifest.

To merge their keys would bring back what the increments delete: they are replayed, one behind the other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final

from rdbtool.aof.layout import Layout, LogFile
from rdbtool.errors import FormatError, UsageError, printable_text
from rdbtool.findings import Severity
from rdbtool.io.source import Input

from .detect import BASE, LOG, open_detected
from .opening import is_alone

_PART: Final = re.compile(r"(?P<prefix>.+)\.(?P<seq>\d+)\.(?P<type>base|incr)\.(rdb|aof)")


def set_of(paths: Sequence[str]) -> Layout | None:
    """The set whose parts ``paths`` are, in the order in which a server loads them; None where each is an input of its
    own.

    They are parts by their names, or by what an RDB says of itself: that it is the base of a log. Raises `UsageError`
    where several bases leave open what belongs together, and `InputError`.
    """
    if len(paths) < 2 or any(path == "-" or not os.path.isfile(path) for path in paths):
        return None
    files = _by_name(paths) or _by_content(paths)
    if files is None:
        return None
    layout = Layout(files[0].path, files)
    names = ", ".join(printable_text(os.path.basename(file.path)) for file in files)
    layout.note(Severity.NOTE, "one-set", f"parts of one set, replayed in this order: {names}", files[0].path)
    return layout


def _by_name(paths: Sequence[str]) -> list[LogFile] | None:
    """Files that are called as servers call parts of one set."""
    ranked = []
    for path in paths:
        found = _PART.fullmatch(os.path.basename(path))
        if found is None:
            return None
        ranked.append((found["prefix"], found["type"] != "base", int(found["seq"]), path))
    if len({(os.path.dirname(path), prefix) for prefix, _, _, path in ranked}) > 1:
        return None
    _check_bases([path for _, late, _, path in ranked if not late])
    return [LogFile(path, "incr" if late else "base") for _, late, _, path in sorted(ranked)]


def _by_content(paths: Sequence[str]) -> list[LogFile] | None:
    """A base, and the logs that are given with it, in that order."""
    bases: list[str] = []
    logs: list[str] = []
    for path in paths:
        with open_detected(path) as opened:
            if opened.kind == LOG:
                logs.append(path)
            elif opened.kind == BASE and opened.stream is not None and _is_base(path, opened.stream):
                bases.append(path)
            else:
                return None
    if not bases or not logs:
        return None
    _check_bases(bases)
    return [LogFile(bases[0], "base"), *(LogFile(path, "incr") for path in logs)]


def _is_base(path: str, stream: Input) -> bool:
    try:
        return is_alone(path, stream)
    except FormatError:
        return True  # damaged, of which its replay will tell


def _check_bases(bases: list[str]) -> None:
    if len(bases) > 1:
        names = ", ".join(printable_text(path) for path in bases)
        raise UsageError(
            f"{names} are bases of append-only files, and which log belongs to which is not known: give the directory "
            "of each set"
        )
