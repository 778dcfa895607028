"""The right to change a log where it is: nobody else does, no server writes to it, and it is what it seems."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rdbtool.errors import InputError, OutputError, UsageError, printable_text, reason
from rdbtool.findings import Finding, Severity
from rdbtool.io.lock import locked
from rdbtool.io.open_files import writers_of

from .layout import Layout


def directory_of(layout: Layout) -> str:
    """The directory in which something changes."""
    first = layout.manifest_path or (layout.files[0].path if layout.files else layout.path)
    return os.path.dirname(os.path.realpath(first))


@contextmanager
def alone(files: Callable[[], Layout], *, force: bool = False) -> Iterator[tuple[Layout, list[Finding]]]:
    """Hold the lock on the log's directory; yields the log's files, and remarks on what could not be made sure.

    ``files``: tells the files; it is asked for the directory, and again under the lock, because who held it before may
    have changed them. ``force``: go on where a process has a file of the log open for writing. Raises `OutputError`
    where another process changes files in the directory, or writes to the log, and `UsageError` for a set with a part
    that is no plain file in its directory.
    """
    directory = directory_of(files())
    with locked(directory) as held:
        layout = files()
        remarks = []
        if not held:
            message = "the file system has no locks: make sure that nothing else changes the files"
            remarks.append(Finding(Severity.WARNING, "not-locked", message, directory))
        if layout.is_set:
            _refuse_strangers(layout, directory)
        remarks += _refuse_writers(layout, force)
        yield layout, remarks


def _refuse_strangers(layout: Layout, directory: str) -> None:
    for file in [*layout.files, *layout.history]:
        if file.missing:
            continue
        try:
            mode = os.stat(file.path).st_mode
        except OSError as e:
            raise InputError(f"cannot read: {reason(e)}", path=file.path) from e
        if not stat.S_ISREG(mode):
            raise UsageError("is no plain file: a set with such a part is not changed", path=file.path)
        if os.path.islink(file.path) and os.path.dirname(os.path.realpath(file.path)) != directory:
            target = printable_text(os.path.realpath(file.path))
            raise UsageError(f"leads out of the directory, to {target}: that is not changed", path=file.path)


def _refuse_writers(layout: Layout, force: bool) -> list[Finding]:
    writers = writers_of(layout.paths)
    for pid, name, path in writers.found:
        message = f"process {pid} ({printable_text(name)}) has it open for writing"
        if not force:
            raise OutputError(f"{message}: stop it first, or --force", path=path)
        return [Finding(Severity.WARNING, "open-for-writing", f"{message}: what it writes may be lost", path)]
    if writers.complete:
        return []
    message = "not all processes could be looked at: make sure that no server has the log open"
    return [Finding(Severity.NOTE, "writers-unknown", message, layout.path)]
