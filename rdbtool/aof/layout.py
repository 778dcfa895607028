"""What a path holds: one log, or the set of files that a manifest makes one."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from rdbtool.errors import (
    ChangedError,
    FormatError,
    InputError,
    NoLogError,
    RdbToolError,
    UsageError,
    printable_text,
    reason,
)
from rdbtool.findings import Finding, Severity
from rdbtool.io.source import opener_of

from .detect import HEAD, MANIFEST, kind_of
from .manifest import BASE, HISTORY, INCREMENT, ROLES, Manifest, Part, parse

MANIFEST_LIMIT: Final = 16 << 20
"""A manifest of more bytes is none: a server's has a line per rewrite that did not finish."""
DEFAULT_DIRECTORY: Final = "appendonlydir"
DEFAULT_NAME: Final = "appendonly.aof"
SAVED_CUT: Final = re.compile(r"\.cut-\d+(\.\d+)?$")
"""How a repair names what it cut."""
PART_NAME: Final = re.compile(r"\.(\d+)\.(base|incr)\.(rdb|aof)$")
"""How the name of a part of a set ends: its number, its role, how it begins."""


@dataclass(slots=True)
class LogFile:
    """A file of a set, or the only one. ``role``: ``aof`` (old style), ``base``, ``incr`` or ``history``."""

    path: str
    role: str
    part: Part | None = None
    missing: bool = False


@dataclass(slots=True)
class Layout:
    """The files a server would load, in order, and what is wrong with the set.

    ``manifest_path`` is "" for a single file and for parts without a manifest.
    """

    path: str
    files: list[LogFile] = field(default_factory=list)
    history: list[LogFile] = field(default_factory=list)
    manifest_path: str = ""
    manifest: Manifest | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of all files that make up the input."""
        paths = [file.path for file in self.files]
        return tuple(paths + ([self.manifest_path] if self.manifest_path else []))

    def stamps(self) -> list[tuple[int, int]]:
        """Size in bytes and time of change in ns of each of the files, to see whether somebody writes to them; (-1, -1)
        for one that is not there.
        """
        found = []
        for file in self.files:
            try:
                status = os.stat(file.path)
            except OSError:
                found.append((-1, -1))
            else:
                found.append((status.st_size, status.st_mtime_ns))
        return found

    @property
    def is_set(self) -> bool:
        """Whether a manifest names the files."""
        return self.manifest is not None

    def note(self, severity: Severity, code: str, message: str, path: str) -> None:
        """Add a finding about the set."""
        self.findings.append(Finding(severity, code, message, path, doing="looking at the set of files"))


def refuse_rewritten(layout: Layout, error: InputError) -> None:
    """Raise `ChangedError` where a file of a set cannot be opened because its manifest names others by now: a rewrite
    has ended.
    """
    if layout.manifest is None:
        return
    try:
        now = locate(layout.path)
    except RdbToolError:
        return
    if now.manifest is not None and now.manifest.parts != layout.manifest.parts:
        message = "the set changed while it was read: a rewrite has replaced the file: ask again"
        raise ChangedError(message, path=error.path) from error


def is_absent(path: str) -> bool:
    """Whether there is no log, as before the first start of a server: no such path, or a directory without one.

    Raises as `locate` does, but for a manifest that a server refuses.
    """
    if opener_of(path) is not None:
        from rdbtool.io.remote import exists, is_remote

        return is_remote(path) and not exists(path)
    if not os.path.lexists(path):
        return path != "-"
    try:
        locate(path)
    except NoLogError:
        return True
    except FormatError:
        return False
    return False


def locate(path: str) -> Layout:
    """Find out what ``path`` holds. Raises `InputError`, `NoLogError` among them, `UsageError`, and `FormatError` for a
    manifest that a server refuses.
    """
    if path == "-" or opener_of(path) is not None:
        return Layout(path, [LogFile(path, "aof")])
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return _directory(path)
        if not stat.S_ISREG(mode):
            return Layout(path, [LogFile(path, "aof")])
        with open(path, "rb") as stream:
            head = stream.read(HEAD)
            if kind_of(head, path) != MANIFEST:
                return Layout(path, [LogFile(path, "aof")])
            data = head + stream.read(MANIFEST_LIMIT)
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e
    return layout_by(path, data)


def _directory(path: str) -> Layout:
    names = sorted(os.listdir(path))
    manifests = [n for n in names if n.endswith(".manifest") and not n.startswith("temp-")]
    if len(manifests) > 1:
        raise UsageError(f"several manifests, name one: {', '.join(manifests)}", path=path)
    if manifests:
        return locate(os.path.join(path, manifests[0]))
    parts = [n for n in names if PART_NAME.search(n)]
    if parts:
        return _without_manifest(path, parts)
    inner = os.path.join(path, DEFAULT_DIRECTORY)
    if os.path.isdir(inner) and any(n.endswith(".manifest") or PART_NAME.search(n) for n in os.listdir(inner)):
        return _directory(inner)
    old = [n for n in names if n.endswith(".aof")]
    if DEFAULT_NAME in old:
        return locate(os.path.join(path, DEFAULT_NAME))
    if len(old) == 1:
        return locate(os.path.join(path, old[0]))
    raise NoLogError("no manifest and no append-only file in this directory", path=path)


def _without_manifest(path: str, names: list[str]) -> Layout:
    layout = Layout(path)
    layout.note(
        Severity.ERROR,
        "no-manifest",
        "files of a multi-part AOF without a manifest: a server starts empty here, and ignores them",
        path,
    )
    layout.files += _by_name(path, names)
    return layout


def _by_name(directory: str, names: list[str]) -> list[LogFile]:
    """The parts among ``names``, bases first and then by their numbers."""
    ranked = []
    for name in names:
        found = PART_NAME.search(name)
        if found:
            ranked.append((found.group(2) != "base", int(found.group(1)), name))
    return [LogFile(os.path.join(directory, name), "incr" if late else "base") for late, _, name in sorted(ranked)]


def parts_beside(path: str) -> list[LogFile]:
    """What the names say to be parts of a log in the directory ``path``, or in the one of the manifest ``path``."""
    inner = os.path.join(path, DEFAULT_DIRECTORY)
    directory = (inner if os.path.isdir(inner) else path) if os.path.isdir(path) else os.path.dirname(path)
    try:
        names = os.listdir(directory or ".")
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=directory) from e
    return [file for file in _by_name(directory, names) if os.path.isfile(file.path)]


def set_in_archive(path: str, data: bytes | None, names: Collection[str]) -> Layout:
    """The set in a directory of an archive that holds files of these ``names``: that of the manifest with this path and
    ``data``, or without one what the names say. Raises `FormatError` for a manifest that a server refuses.
    """
    if data is None:
        return _without_manifest(os.path.dirname(path), sorted(names))
    return layout_by(path, data, names)


def layout_by(path: str, data: bytes, names: Collection[str] | None = None) -> Layout:
    """The files that the manifest ``data`` names, if it stood at ``path``; ``names``: of the files beside it, where
    they are not those of a directory. Raises as `locate` does.
    """
    manifest = parse(data, path)
    layout = Layout(path, manifest_path=path, manifest=manifest)
    directory = os.path.dirname(path)
    for part in manifest.loaded():
        layout.files.append(_member(layout, directory, part, names))
    for part in manifest.history():
        layout.history.append(_member(layout, directory, part, names))
    if not layout.files:
        layout.note(Severity.WARNING, "no-parts", "the manifest names no file to load: a server starts empty", path)
    _check_names(layout, manifest)
    if names is None:
        _check_directory(layout, manifest, directory)
    return layout


def _member(layout: Layout, directory: str, part: Part, names: Collection[str] | None) -> LogFile:
    file = LogFile(os.path.join(directory, part.name), ROLES[part.type], part)
    if names is not None and part.name in names:
        return file
    if names is None and os.path.exists(file.path):
        if not os.path.isfile(file.path):
            raise InputError("is no plain file, and a set is made of those", path=file.path)
        return file
    assert layout.manifest is not None
    beside = os.path.join(directory or ".", os.pardir, part.name)
    if names is None and part.type == BASE and len(layout.manifest.loaded()) == 1 and os.path.exists(beside):
        file.path = beside
        layout.note(
            Severity.NOTE,
            "unfinished-upgrade",
            "the base is still beside the directory: an upgrade to multi-part was interrupted, and a server "
            "finishes it",
            beside,
        )
        return file
    file.missing = True
    if part.type == HISTORY:
        layout.note(Severity.NOTE, "history-gone", "a history file is not there; no server needs it", file.path)
    else:
        layout.note(
            Severity.ERROR,
            "missing-file",
            f"the manifest names this {file.role} file, and it is not there: the server refuses to start",
            file.path,
        )
    return file


def _check_names(layout: Layout, manifest: Manifest) -> None:
    seen: set[str] = set()
    for part in manifest.loaded():
        if part.name in seen:
            layout.note(
                Severity.ERROR, "named-twice", f"'{part.name}' stands in the manifest twice", layout.manifest_path
            )
        seen.add(part.name)
    increments = [p for p in manifest.parts if p.type == INCREMENT]
    for before, after in pairwise(increments):
        if after.seq != before.seq + 1:
            layout.note(
                Severity.WARNING,
                "sequence-gap",
                f"increment {after.seq} follows {before.seq}: the server loads it; what was between is not in "
                "the manifest",
                layout.manifest_path,
            )


def _check_directory(layout: Layout, manifest: Manifest, directory: str) -> None:
    """Findings for files that the manifest does not name."""
    named = {p.name for p in manifest.parts} | {os.path.basename(layout.manifest_path)}
    prefix = os.path.basename(layout.manifest_path).removesuffix(".manifest")
    try:
        names = sorted(os.listdir(directory or "."))
    except OSError:  # the manifest could be read, so its directory may stay closed
        return
    for name in names:
        path = os.path.join(directory, name)
        if name in named or SAVED_CUT.search(name) or not os.path.isfile(path):
            continue
        shown = printable_text(name)
        if name.startswith("temp-"):
            message = f"'{shown}' is a temporary file of a rewrite that did not finish; no server reads it"
            layout.note(Severity.NOTE, "leftover", message, path)
        elif PART_NAME.search(name) and name.startswith(prefix):
            message = (
                f"'{shown}' is part of a set by its name, and not in the manifest: no server reads it; a rewrite that "
                "was killed leaves such files"
            )
            layout.note(Severity.WARNING, "not-in-manifest", message, path)
        elif name.startswith(prefix):
            layout.note(Severity.NOTE, "not-in-manifest", f"the manifest does not name '{shown}'", path)
