"""Rebuild the manifest of a set of files from the files: their names, their numbers, and what snapshots say."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Final

from rdbtool.basics.numbers import natural
from rdbtool.errors import FormatError, InputError, RdbToolError, UsageError, reason
from rdbtool.io.source import open_input
from rdbtool.rdb.head import RdbHead
from rdbtool.rdb.reader import RdbReader

from .layout import DEFAULT_DIRECTORY, DEFAULT_NAME, LogFile, parts_beside
from .manifest import BASE, HISTORY, INCREMENT, Part, format_part, parse

NUMBERED: Final = re.compile(r"^(.*)\.(\d+)\.(base|incr)\.(rdb|aof)$")


@dataclass(slots=True)
class Rebuilt:
    """A manifest, ``text``, to be written to ``path``, whether one ``exists`` there; ``parts``: what it names;
    ``left_out``: files that it does not name, and why.
    """

    path: str
    exists: bool
    parts: list[Part] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> bytes:
        """The manifest as a server writes it."""
        return b"".join(format_part(part) for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """As data."""
        return {
            "path": self.path,
            "lines": os.fsdecode(self.text).splitlines(),
            "left_out": [{"file": name, "why": why} for name, why in self.left_out],
        }


def rebuild(path: str) -> Rebuilt:
    """Plan it for the directory, or the damaged manifest, at ``path``. Raises `UsageError` where the names of the files
    do not tell what they are, and `InputError`.
    """
    files = parts_beside(path)
    found = [(file, NUMBERED.match(os.path.basename(file.path))) for file in files]
    named = [(file, match) for file, match in found if match is not None]
    prefixes = {match.group(1) for _, match in named}
    is_directory = os.path.isdir(path)
    if not is_directory:
        prefixes &= {os.path.basename(path).removesuffix(".manifest")}
    if not prefixes:
        raise UsageError("no files beside it have names of parts of a log: nothing tells what it held", path=path)
    if len(prefixes) > 1:
        names = ", ".join(f"'{name}'" for name in sorted(prefixes))
        raise UsageError(f"parts of several logs, {names}: name the manifest that is to be rebuilt", path=path)
    prefix = prefixes.pop()
    manifest = _manifest_path(path, prefix, is_directory=is_directory)
    rebuilt = Rebuilt(manifest, os.path.exists(manifest))
    history = _history_in(manifest)
    bases: list[tuple[int, LogFile]] = []
    increments: list[tuple[int, LogFile]] = []
    for file, match in named:
        name = os.path.basename(file.path)
        if match.group(1) != prefix:
            continue
        if name in history:
            rebuilt.left_out.append((name, "what can be read of the old manifest calls it history"))
        elif match.group(3) == "base":
            bases.append((int(match.group(2)), file))
        else:
            increments.append((int(match.group(2)), file))
    made = base_seq = -1
    if bases:
        bases.sort(key=_number)
        base_seq, base = bases[-1]
        rebuilt.parts.append(Part(os.path.basename(base.path), base_seq, BASE, 0))
        for _, older in bases[:-1]:
            rebuilt.left_out.append((os.path.basename(older.path), "a later base is there"))
        if len(bases) > 1:
            made = _made_at(base.path)
    increments.sort(key=_number)
    for seq, file in increments:
        name = os.path.basename(file.path)
        # Each rewrite takes the next number for an increment, and where it comes to its end for a base: so what is
        # written behind a base has no lower number, unless rewrites were asked for while the log was off.
        if seq < base_seq <= increments[-1][0]:
            rebuilt.left_out.append((name, "a rewrite has replaced it: the number of the base is higher"))
        elif made >= 0 and os.stat(file.path).st_mtime < made:
            rebuilt.left_out.append((name, "it was last written before the base was made"))
        else:
            rebuilt.parts.append(Part(name, seq, INCREMENT, 0))
    return rebuilt


def _number(one: tuple[int, LogFile]) -> int:
    return one[0]


def _manifest_path(path: str, prefix: str, *, is_directory: bool) -> str:
    if not is_directory:
        return path
    inner = os.path.join(path, DEFAULT_DIRECTORY)
    return os.path.join(inner if os.path.isdir(inner) else path, (prefix or DEFAULT_NAME) + ".manifest")


def _history_in(path: str) -> set[str]:
    """Files that the readable lines of a damaged manifest call history."""
    names: set[str] = set()
    try:
        with open(path, "rb") as stream:
            lines = stream.read(1 << 20).splitlines(keepends=True)
    except FileNotFoundError:
        return names
    except OSError as e:
        raise InputError(f"cannot read: {reason(e)}", path=path) from e
    for line in lines:
        try:
            names |= {part.name for part in parse(line).parts if part.type == HISTORY}
        except FormatError:
            continue  # one that is damaged tells nothing
    return names


def _made_at(path: str) -> int:
    """When the snapshot at ``path`` was made, as it says; -1 where it does not."""
    try:
        with open_input(path) as source:
            made = RdbHead(RdbReader(source.window(), checksum=False)).aux.get(b"ctime", b"")
    except InputError:
        raise
    except RdbToolError:
        return -1
    return natural(made)
