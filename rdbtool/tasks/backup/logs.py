"""Copy the log of a running server, so that the copy is what the log was at one moment."""

from __future__ import annotations

import os
from typing import Final

from rdbtool.aof.check import TRUNCATED
from rdbtool.aof.layout import MANIFEST_LIMIT
from rdbtool.aof.manifest import INCREMENT, Manifest, parse
from rdbtool.errors import InputError, OutputError, reason
from rdbtool.io.copying import copy_file, write_all
from rdbtool.io.progress import Progress
from rdbtool.io.window import Readable
from rdbtool.tasks.check_aof import check_aof

TRIES: Final = 100
"""Rewrites that may come between, one after the other."""


class _Beginning:
    """As much of a file as there was when it was opened: whoever writes it goes on."""

    def __init__(self, stream: Readable, size: int) -> None:
        self.stream = stream
        self.left = size

    def read(self, n: int, /) -> bytes:
        """Up to ``n`` bytes."""
        data = self.stream.read(min(n, self.left))
        self.left -= len(data)
        return data


def copy_log(log: str, directory: str, progress: Progress | None = None) -> None:
    """Copy a log, a single file or the set of a manifest, into ``directory``, which is empty: up to its last whole
    command and transaction. ``progress`` is told the bytes that were copied.

    What the server no longer writes shares its blocks with the copy where the file system can do that; nothing is
    linked, because servers cut and repair tools mend logs in place. Raises `InputError`, `OutputError`, and
    `FormatError` for a manifest that a server refuses.
    """
    copied = _Told(progress)
    if log.endswith(".manifest"):
        _copy_set(log, directory, copied)
        return
    _copy_written(log, os.path.join(directory, os.path.basename(log)), copied)


class _Told:
    """Turns steps into progress."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.done = 0

    def __call__(self, step: int) -> None:
        self.done += step
        if self.progress is not None:
            self.progress(self.done, -1)


def _copy_set(path: str, directory: str, copied: _Told) -> None:
    """Copy the parts that the manifest names. Where it names others at the end, the server has rewritten its log
    meanwhile, and what is missing is copied again.
    """
    source = os.path.dirname(path)
    kept: set[str] = set()
    """Parts that are copied whole: no server changes one when it writes to the next."""
    for _ in range(TRIES):
        data = _read(path)
        manifest = parse(data, path)
        missing = _copy_parts(manifest, source, directory, kept, copied)
        if _read(path) == data:
            if missing is not None:
                raise missing
            _finish(manifest, os.path.basename(path), directory)
            return
    raise InputError("the server rewrites its log faster than it can be copied", path=path)


def _copy_parts(manifest: Manifest, source: str, directory: str, kept: set[str], copied: _Told) -> InputError | None:
    """Copy the parts, up to one that is not there, which is returned as an error."""
    parts = manifest.loaded()
    for part in parts:
        origin, copy = os.path.join(source, part.name), os.path.join(directory, part.name)
        if part.name in kept:
            continue
        _remove(copy)
        try:
            if part is parts[-1] and part.type == INCREMENT:
                _copy_written(origin, copy, copied)
            else:
                if copy_file(origin, copy, copied):
                    copied(os.path.getsize(copy))
                kept.add(part.name)
        except InputError as e:
            if os.path.exists(origin):
                raise
            _remove(copy)
            return e
    return None


def _finish(manifest: Manifest, name: str, directory: str) -> None:
    """Remove parts that the manifest no longer names, and write it, without those that no server reads."""
    named = {part.name for part in manifest.loaded()}
    for part in set(os.listdir(directory)) - named:
        _remove(os.path.join(directory, part))
    place = os.path.join(directory, name)
    try:
        with open(place, "xb") as stream:
            stream.write(manifest.without(manifest.history()))
    except OSError as e:
        raise OutputError(f"cannot write the copy: {reason(e)}", path=place) from e


def _copy_written(origin: str, copy: str, copied: _Told) -> None:
    """Copy a file that a server goes on writing at its end, up to where it is a log that nothing is missing from."""
    try:
        stream = open(origin, "rb", buffering=0)  # noqa: SIM115 - entered below
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=origin) from e
    with stream:
        write_all(_Beginning(stream, os.fstat(stream.fileno()).st_size), origin, copy, copied)
    (verdict,) = check_aof(copy).files
    if verdict.verdict == TRUNCATED:
        try:
            os.truncate(copy, verdict.cut_by(True))
        except OSError as e:
            raise OutputError(f"cannot write the copy: {reason(e)}", path=copy) from e


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(MANIFEST_LIMIT)
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as e:
        raise OutputError(f"cannot remove: {reason(e)}", path=path) from e
