"""Carry a repair out: on the files themselves, or as a copy.

On the files themselves every moment leaves, for a server that starts then, the old state or the new one:

1. What is cut is saved beside each file, in ``FILE.cut-OFFSET``, and synced.
2. If one step makes the difference, it is taken: a file that loses its end is cut where it is; any
   other is written anew beside it, synced and renamed over it; a manifest likewise.
3. If several files change, the manifest makes the difference: the old files get second names (hard
   links), and a manifest with those takes the place of the old one, which changes nothing. Then the new
   files take the old names, and last the new manifest takes its place. Second names go at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Final, final

from rdbtool.aof.check import EMPTY, OK, verify_log
from rdbtool.aof.layout import LogFile
from rdbtool.aof.manifest import format_part
from rdbtool.errors import InputError, OutputError, UsageError, reason
from rdbtool.findings import Findings
from rdbtool.io.sink import adopt_mode, open_sink, sync_directory

from .plan import FilePlan, RepairPlan

BLOCK: Final = 1 << 20
MANY: Final = 100
"""Cuts of one file that are saved one by one; with more, the whole old file is kept instead."""
SECOND: Final = ".before-repair"
"""Appended to the name of an old file while several change."""


def apply_in_place(plan: RepairPlan) -> list[str]:
    """Repair the files themselves; returns the shell commands that undo it.

    Raises `OutputError` where something cannot be written, or has changed since it was checked; then
    nothing has changed but for saved cuts that may lie beside the files.
    """
    for file in plan.files:
        _refuse_changed(file)
    manifest = plan.manifest_bytes()
    undo: list[str] = []
    try:
        with _Saved() as saved:
            undo += [_save_cuts(file, saved) for file in plan.files]
            if manifest is not None:
                undo.append(_save_manifest(plan, saved))
        if len(plan.files) + (manifest is not None) > 1:
            _switch(plan, manifest)
        elif manifest is not None:
            _replace_bytes(plan.layout.manifest_path, manifest)
        elif plan.files:
            _one_step(plan, plan.files[0])
    except OSError as e:
        raise OutputError(f"cannot repair: {reason(e)}", path=plan.layout.path) from e
    return undo


def _refuse_changed(file: FilePlan) -> None:
    path = file.file.path
    try:
        size = os.stat(path).st_size
    except OSError as e:
        raise InputError(f"cannot read: {reason(e)}", path=path) from e
    if size != file.size:
        raise OutputError(
            f"it had {file.size} bytes when it was checked and has {size} now: stop the server that writes it",
            path=path,
        )


@final
class _Saved:
    """What was saved so far. If not all of it can be, nothing has changed, and it goes again: it takes room."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __enter__(self) -> _Saved:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            for name in self.names:
                with contextlib.suppress(OSError):
                    os.unlink(name)

    def name(self, path: str) -> str:
        """A free name for what is saved next."""
        name = _free_name(path)
        self.names.append(name)
        return name


def _save_cuts(file: FilePlan, saved: _Saved) -> str:
    """Save what a file loses; returns how to undo the repair."""
    path = os.path.realpath(file.file.path)
    if len(file.cuts) > MANY:
        whole = saved.name(f"{path}.cut-0")
        os.link(path, whole)
        sync_directory(os.path.dirname(path))
        return f"mv {_quote(whole)} {_quote(path)}"
    names = []
    for cut in file.cuts:
        name = saved.name(f"{path}.cut-{int(cut.start)}")
        names.append(name)
        with open(path, "rb") as source, open_sink(name, inputs=(path,), like=path) as sink:
            _copy(source.fileno(), int(cut.start), int(cut.end), sink.write)
    return _undo(path, file, names)


def _undo(path: str, file: FilePlan, names: list[str]) -> str:
    """The shell command that puts saved cuts back."""
    if file.is_tail:
        return f"cat {_quote(names[0])} >> {_quote(path)}"
    parts = []
    before = 0
    at = 0
    for cut, name in zip(file.cuts, names, strict=True):
        kept = int(cut.start) - before
        if kept:
            parts.append(
                f"tail -c +{at + 1} {_quote(path)} | head -c {kept}" if at else f"head -c {kept} {_quote(path)}"
            )
        parts.append(f"cat {_quote(name)}")
        at += kept + len(cut.insert)
        before = int(cut.end)
    if before < file.size:
        parts.append(f"tail -c +{at + 1} {_quote(path)}")
    return f"{{ {'; '.join(parts)}; }} > {_quote(path + '.undo')} && mv {_quote(path + '.undo')} {_quote(path)}"


def _save_manifest(plan: RepairPlan, kept: _Saved) -> str:
    path = os.path.realpath(plan.layout.manifest_path)
    saved = kept.name(f"{path}.cut-0")
    with open(path, "rb") as source:
        data = source.read()
    with open_sink(saved, inputs=(path,), like=path) as sink:
        sink.write(data)
    return f"mv {_quote(saved)} {_quote(path)}"


def _one_step(plan: RepairPlan, file: FilePlan) -> None:
    path = os.path.realpath(file.file.path)
    if not file.is_tail:
        os.replace(_write_new(plan, file), path)
        sync_directory(os.path.dirname(path))
        return
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.fstat(handle).st_size != file.size:
            raise OutputError("it has changed since it was checked: stop the server that writes it", path=path)
        os.ftruncate(handle, int(file.cuts[0].start))
        os.fsync(handle)
    finally:
        os.close(handle)


def _switch(plan: RepairPlan, manifest: bytes | None) -> None:
    """Make several changes one: see the top."""
    layout = plan.layout
    assert layout.manifest is not None
    old = b"".join(layout.manifest.lines)
    changed = {f.file.path: f for f in plan.files}
    new_files: dict[str, str] = {}
    seconds: list[str] = []
    switched = False
    try:
        for path, file in changed.items():
            new_files[path] = _write_new(plan, file)
        for path in changed:
            second = path + SECOND
            with contextlib.suppress(FileNotFoundError):
                os.unlink(second)
            os.link(path, second)
            seconds.append(second)
        sync_directory(os.path.dirname(layout.manifest_path))
        _replace_bytes(layout.manifest_path, _with_second_names(plan))
        switched = True
        for path, new in new_files.items():
            os.replace(new, path)
        sync_directory(os.path.dirname(layout.manifest_path))
        _replace_bytes(layout.manifest_path, manifest if manifest is not None else old)
    except BaseException:
        with contextlib.suppress(OSError):
            if switched:
                for path in changed:
                    spare = path + ".back"
                    os.link(path + SECOND, spare)
                    os.replace(spare, path)
                _replace_bytes(layout.manifest_path, old)
            for second in seconds:
                os.unlink(second)
        for new in new_files.values():
            with contextlib.suppress(OSError):
                os.unlink(new)
        raise
    for second in seconds:
        os.unlink(second)


def _with_second_names(plan: RepairPlan) -> bytes:
    """The old manifest, with the second names of the files that change."""
    manifest = plan.layout.manifest
    assert manifest is not None
    changed = {f.file.part.line for f in plan.files if f.file.part is not None}
    lines = list(manifest.lines)
    for part in manifest.parts:
        if part.line in changed:
            name = part.name
            part.name = name + SECOND
            lines[part.line - 1] = format_part(part)
            part.name = name
    return b"".join(lines)


def _write_new(plan: RepairPlan, file: FilePlan) -> str:
    """Write a repaired file beside the old one, synced and checked; returns its temporary name."""
    path = os.path.realpath(file.file.path)
    directory, name = os.path.split(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=directory)
    try:
        with open(handle, "wb") as out, open(path, "rb") as source:
            adopt_mode(out.fileno(), path)
            _write_kept(file, source.fileno(), out.write)
            out.flush()
            os.fsync(out.fileno())
        checked = verify_log(
            LogFile(temporary, file.file.role), Findings(), max_bulk=plan.max_bulk, allowed=plan.allowed
        )
        if checked.verdict not in {OK, EMPTY}:
            raise OutputError("what is left would not be whole: the file stays as it is", path=path)
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


def _write_kept(file: FilePlan, source: int, write: Callable[[bytes], object]) -> None:
    at = 0
    for cut in file.cuts:
        _copy(source, at, int(cut.start), write)
        if cut.insert:
            write(cut.insert)
        at = int(cut.end)
    _copy(source, at, file.size, write)


def _replace_bytes(path: str, data: bytes) -> None:
    with open_sink(os.path.realpath(path), like=path) as sink:
        sink.write(data)


def _copy(source: int, start: int, end: int, write: Callable[[bytes], object]) -> None:
    while start < end:
        data = os.pread(source, min(BLOCK, end - start), start)
        if not data:
            raise OSError("the file has become shorter")
        write(data)
        start += len(data)


def _free_name(path: str) -> str:
    """``path``, or with a number behind it where a file has that name."""
    name = path
    number = 1
    while os.path.lexists(name):
        name = f"{path}.{number}"
        number += 1
    return name


def _quote(path: str) -> str:
    import shlex

    return shlex.quote(path)


def write_copy(plan: RepairPlan, output: str) -> None:
    """Write the repaired log to ``output``: a file, or for a set a new directory. The input stays as it is.

    Raises `OutputError`.
    """
    try:
        if plan.layout.is_set:
            _copy_set(plan, output)
        elif len(plan.layout.files) == 1:
            _copy_file(plan, output)
        else:
            raise UsageError("parts without a manifest cannot be copied as a set", path=plan.layout.path)
    except OSError as e:
        raise OutputError(f"cannot write: {reason(e)}", path=output) from e


def _copy_set(plan: RepairPlan, output: str) -> None:
    if os.path.lexists(output) and (not os.path.isdir(output) or os.listdir(output)):
        raise OutputError("exists, and is not an empty directory", path=output)
    parent, name = os.path.split(os.path.abspath(output))
    temporary = tempfile.mkdtemp(prefix=f".{name}.", suffix=".tmp", dir=parent)
    try:
        _fill(plan, temporary)
        os.chmod(temporary, 0o755 & ~_umask())
        sync_directory(temporary)
        os.rename(temporary, output)
        sync_directory(parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _copy_file(plan: RepairPlan, output: str) -> None:
    only = plan.layout.files[0].path
    file = plan.files[0] if plan.files else FilePlan(plan.layout.files[0], os.stat(only).st_size, [])
    with open(only, "rb") as source, open_sink(output, inputs=(only,), like=only) as sink:
        _write_kept(file, source.fileno(), sink.write)


def _fill(plan: RepairPlan, directory: str) -> None:
    """Write the files that stay in the manifest, and the manifest, into a new directory."""
    layout = plan.layout
    manifest = layout.manifest
    assert manifest is not None
    changed = {f.file.path: f for f in plan.files}
    for file in layout.files:
        if file in plan.dropped or file.part is None:
            continue
        what = changed.get(file.path) or FilePlan(file, os.stat(file.path).st_size, [])
        target = os.path.join(directory, file.part.name)
        with open(file.path, "rb") as source, open_sink(target, like=file.path) as sink:
            _write_kept(what, source.fileno(), sink.write)
    gone = [f.part for f in [*plan.dropped, *layout.history] if f.part is not None]
    name = os.path.basename(layout.manifest_path)
    with open_sink(os.path.join(directory, name), like=layout.manifest_path) as sink:
        sink.write(manifest.without(gone))
