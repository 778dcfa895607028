"""What a repair cuts off, kept in files of its own, and the shell commands that put it back."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from shlex import quote
from typing import Final, final

from rdbtool.io.sink import Sink, commit_all, open_sink

from .plan import FilePlan, RepairPlan, lasting

BLOCK: Final = 1 << 20
MANY: Final = 100
"""Cuts of one file that are saved one by one; with more, the whole old file is kept instead."""


def save_cuts(plan: RepairPlan, directory: str = "") -> list[str]:
    """Save what the files lose, all of it or nothing, and the manifest where that changes.

    ``directory``: where to, "" for beside each file. Returns the shell commands that undo the repair. Raises
    `OSError` and `OutputError`.
    """
    with _Saving(directory) as saving:
        undo = [saving.file(file) for file in plan.files]
        if plan.manifest_bytes() is not None:
            undo.append(saving.manifest(plan.layout.manifest_path))
        saving.commit()
    return undo


@final
class _Saving:
    """Files that are being saved; unless all of them are, none stays: they take room."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.sinks: list[Sink] = []
        self.names: set[str] = set()
        self.links: list[str] = []

    def __enter__(self) -> _Saving:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for sink in self.sinks:
            sink.abort()
        if kind is not None:
            for link in self.links:
                with contextlib.suppress(OSError):
                    os.unlink(link)

    def commit(self) -> None:
        commit_all(self.sinks)

    def file(self, file: FilePlan) -> str:
        """Save what a file loses; returns how to undo its repair."""
        source = os.path.realpath(file.file.path)
        path = lasting(source)
        if len(file.cuts) > MANY:
            whole = self._name(f"{path}.cut-0")
            if self.directory:
                self._save(source, whole, 0, file.size)
            else:
                os.link(source, whole)
                self.links.append(whole)
            return f"mv {quote(whole)} {quote(path)}"
        names = []
        for cut in file.cuts:
            name = self._name(f"{path}.cut-{int(cut.start)}")
            self._save(source, name, int(cut.start), int(cut.end))
            names.append(name)
        return _undo(path, file, names)

    def manifest(self, path: str) -> str:
        """Save a manifest; returns how to undo its change."""
        path = os.path.realpath(path)
        name = self._name(f"{path}.cut-0")
        self._save(path, name, 0, os.stat(path).st_size)
        return f"mv {quote(name)} {quote(path)}"

    def _save(self, path: str, name: str, start: int, end: int) -> None:
        sink = open_sink(name, inputs=(path,), like=path, exclusive=True)
        self.sinks.append(sink)
        with open(path, "rb") as source:
            copy(source.fileno(), start, end, sink.write)

    def _name(self, path: str) -> str:
        """A free name for what is saved next: ``path``, or with a number behind it."""
        if self.directory:
            path = os.path.join(os.path.realpath(self.directory), os.path.basename(path))
        name = path
        number = 1
        while name in self.names or os.path.lexists(name):
            name = f"{path}.{number}"
            number += 1
        self.names.add(name)
        return name


def _undo(path: str, file: FilePlan, names: list[str]) -> str:
    """The shell command that puts saved cuts back."""
    if file.is_tail:
        return f"cat {quote(names[0])} >> {quote(path)}"
    parts = []
    before = 0
    at = 0
    for cut, name in zip(file.cuts, names, strict=True):
        kept = int(cut.start) - before
        if kept:
            parts.append(f"tail -c +{at + 1} {quote(path)} | head -c {kept}" if at else f"head -c {kept} {quote(path)}")
        parts.append(f"cat {quote(name)}")
        at += kept + len(cut.insert)
        before = int(cut.end)
    if before < file.size:
        parts.append(f"tail -c +{at + 1} {quote(path)}")
    return f"{{ {'; '.join(parts)}; }} > {quote(path + '.undo')} && mv {quote(path + '.undo')} {quote(path)}"


def copy(source: int, start: int, end: int, write: Callable[[bytes], object]) -> None:
    """Hand the bytes ``start`` to ``end`` of an open file to ``write``. Raises `OSError` where they are not there."""
    while start < end:
        data = os.pread(source, min(BLOCK, end - start), start)
        if not data:
            raise OSError("the file has become shorter")
        write(data)
        start += len(data)
