"""Copy the log of a running server, so that the copy is what the log was at one moment, and check it on the way."""

from __future__ import annotations

import os
from io import FileIO
from typing import Final, TypeAlias

from rdbtool.aof.check import FileVerdict, verify_log_in
from rdbtool.aof.config import DEFAULT, LogConfig
from rdbtool.aof.layout import MANIFEST_LIMIT, Layout, LogFile, set_in_archive
from rdbtool.aof.manifest import INCREMENT, ROLES, Manifest, Part, parse
from rdbtool.errors import InputError, OutputError, reason
from rdbtool.findings import Findings
from rdbtool.io.copying import Copying, clone
from rdbtool.io.progress import Progress
from rdbtool.io.source import open_stream
from rdbtool.io.window import Readable

TRIES: Final = 100
"""Rewrites that may come between, one after the other."""
Checked: TypeAlias = dict[str, tuple[FileVerdict, Findings]]
"""What was found in each file, by its name, while it was not known whether it is the last of its set."""


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


def copy_log(
    log: str, directory: str, config: LogConfig = DEFAULT, progress: Progress | None = None
) -> tuple[Layout, Checked]:
    """Copy a log, a single file or the set of a manifest, into ``directory``, which is empty: up to its last whole
    command and transaction. What is copied, as it is called at its source, and what was found in it.

    Each file is read once, and checked as its bytes are copied; only one whose end is cut off is read again as it is
    then. What the server no longer writes shares its blocks with the copy where the file system can do that, and is
    checked there; nothing is linked, because servers cut and repair tools mend logs in place. ``config``: of the
    server; ``progress`` is told the bytes that were copied. Raises `InputError`, `OutputError`, and `FormatError` for a
    manifest that a server refuses.
    """
    job = _Job(directory, config, _Told(progress))
    if log.endswith(".manifest"):
        return job.copy_set(log), job.checked
    job.copy_part(log, "aof", written=True)
    return Layout(log, [LogFile(log, "aof")]), job.checked


class _Told:
    """Turns steps into progress."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress
        self.done = 0

    def __call__(self, step: int) -> None:
        self.done += step
        if self.progress is not None:
            self.progress(self.done, -1)


class _Job:
    """A log that is being copied into a ``directory``; ``checked``: what was found in the parts so far."""

    def __init__(self, directory: str, config: LogConfig, copied: _Told) -> None:
        self.directory = directory
        self.config = config
        self.copied = copied
        self.checked: Checked = {}
        self.kept: set[str] = set()
        """Parts that are copied whole: no server changes one when it writes to the next."""

    def copy_set(self, path: str) -> Layout:
        """Copy the parts that the manifest names. Where it names others at the end, the server has rewritten its log
        meanwhile, and what is missing is copied again.
        """
        source = os.path.dirname(path)
        for _ in range(TRIES):
            data = _read(path)
            manifest = parse(data, path)
            missing = self.copy_parts(manifest, source)
            if _read(path) == data:
                if missing is not None:
                    raise missing
                written = self.finish(manifest, os.path.basename(path))
                return set_in_archive(path, written, self.checked)
        raise InputError("the server rewrites its log faster than it can be copied", path=path)

    def copy_parts(self, manifest: Manifest, source: str) -> InputError | None:
        """Copy the parts, up to one that is not there, which is returned as an error."""
        parts = manifest.loaded()
        for part in parts:
            if part.name in self.kept:
                continue
            origin = os.path.join(source, part.name)
            self.drop(part.name)
            try:
                written = part is parts[-1] and part.type == INCREMENT
                self.copy_part(origin, ROLES[part.type], written=written, part=part)
                if not written:
                    self.kept.add(part.name)
            except InputError as e:
                if os.path.exists(origin):
                    raise
                self.drop(part.name)
                return e
        return None

    def finish(self, manifest: Manifest, name: str) -> bytes:
        """Remove parts that the manifest no longer names, and write it, without those that no server reads."""
        named = {part.name for part in manifest.loaded()}
        for part in set(os.listdir(self.directory)) - named:
            self.drop(part)
        place = os.path.join(self.directory, name)
        data = manifest.without(manifest.history())
        try:
            with open(place, "xb") as stream:
                stream.write(data)
        except OSError as e:
            raise OutputError(f"cannot write the copy: {reason(e)}", path=place) from e
        return data

    def drop(self, name: str) -> None:
        """Forget a part, and remove its copy."""
        self.checked.pop(name, None)
        path = os.path.join(self.directory, name)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as e:
            raise OutputError(f"cannot remove: {reason(e)}", path=path) from e

    def copy_part(self, origin: str, role: str, *, written: bool, part: Part | None = None) -> None:
        """Copy a file as long as it is now, and check it. ``written``: a server goes on writing it at its end, and it
        is copied up to where it is a log that nothing is missing from.
        """
        name = os.path.basename(origin)
        copy = os.path.join(self.directory, name)
        file = LogFile(origin, role, part)
        with _open(origin) as stream:
            size = os.fstat(stream.fileno()).st_size
            if not written and clone(stream.fileno(), copy):
                self.copied(size)
                checked = self.check_copy(file, copy)
            else:
                with Copying(_Beginning(stream, size), origin, copy, self.copied) as copying:
                    checked = self.check(copying, file, size)
                    copying.rest()
        verdict = checked[0]
        if written and verdict.cuttable and verdict.fault is not None and verdict.fault.truncated:
            try:
                os.truncate(copy, verdict.cut_by(True))
            except OSError as e:
                raise OutputError(f"cannot write the copy: {reason(e)}", path=copy) from e
            checked = self.check_copy(file, copy)
        self.checked[name] = checked

    def check_copy(self, file: LogFile, copy: str) -> tuple[FileVerdict, Findings]:
        """Check what was copied, called as it is at its source."""
        with _open(copy) as stream:
            return self.check(stream, file, os.fstat(stream.fileno()).st_size)

    def check(self, stream: Readable, file: LogFile, size: int) -> tuple[FileVerdict, Findings]:
        """Check a file of so many bytes."""
        findings = Findings()
        with open_stream(stream, file.path, size) as opened:
            return verify_log_in(opened.window(), file, findings, last=None, config=self.config), findings


def _open(path: str) -> FileIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e


def _read(path: str) -> bytes:
    with _open(path) as stream:
        try:
            return stream.read(MANIFEST_LIMIT)
        except OSError as e:
            raise InputError(f"cannot read: {reason(e)}", path=path) from e
