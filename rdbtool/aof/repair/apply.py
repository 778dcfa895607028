"""Carry a repair out: on the files themselves, or as a copy.

On the files themselves every moment leaves, for a server that starts then, the old state or the new one:

1. What is cut is saved beside each file, in ``FILE.cut-OFFSET``, and synced.
2. If one step makes the difference, it is taken: a file that loses its end is cut where it is; any
   other is written anew beside it, synced and renamed over it; a manifest likewise.
3. If several files change, the manifest makes the difference, see `switch`.
"""

from __future__ import annotations

import os

from rdbtool.aof.check import verify_log
from rdbtool.aof.cuts import Cuts
from rdbtool.aof.layout import LogFile
from rdbtool.aof.line_ends import TurnedBack
from rdbtool.errors import InputError, NotSyncedError, OutputError, UsageError, reason
from rdbtool.findings import Findings
from rdbtool.io.random_access import PORTION, Pages
from rdbtool.io.sink import DirectorySink, Sink, open_sink

from .plan import FilePlan, RepairPlan, lasting
from .saved import copy, save_cuts
from .switch import remove_leftovers, switch, unfinished


def apply_in_place(plan: RepairPlan, *, save: bool = True, save_to: str = "") -> tuple[list[str], str]:
    """Repair the files themselves. Returns the shell commands that undo it, and, where all is done but a power cut
    may undo it, why.

    ``save``: keep what is cut, in the directory ``save_to``, "" for beside each file; otherwise there is no way back.
    Raises `OutputError` where something cannot be written, or has changed since it was checked; then nothing has
    changed but for saved cuts that may lie beside the files.
    """
    for file in plan.files:
        _refuse_changed(file)
    _refuse_changed_manifest(plan)
    remove_leftovers(plan)
    manifest = plan.manifest_bytes()
    undo: list[str] = []
    try:
        if save:
            undo = _save(plan, save_to)
        if len(plan.files) + (manifest is not None) > 1 or unfinished(plan):
            _several(plan)
        elif manifest is not None:
            with open_sink(plan.layout.manifest_path) as sink:
                sink.write(manifest)
        elif plan.files:
            _one_step(plan, plan.files[0])
    except NotSyncedError as e:
        return undo, str(e)
    except OSError as e:
        raise OutputError(f"cannot repair: {reason(e)}", path=plan.layout.path) from e
    return undo, ""


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


def _refuse_changed_manifest(plan: RepairPlan) -> None:
    manifest = plan.layout.manifest
    if manifest is None:
        return
    path = plan.layout.manifest_path
    try:
        with open(path, "rb") as stream:
            same = stream.read() == b"".join(manifest.lines)
    except OSError as e:
        raise InputError(f"cannot read: {reason(e)}", path=path) from e
    if not same:
        raise OutputError("it has changed since it was read: something else is changing the set", path=path)


def _save(plan: RepairPlan, directory: str) -> list[str]:
    try:
        return save_cuts(plan, directory)
    except NotSyncedError as e:
        raise OutputError(f"what is cut would not be safe: {e.message}", path=e.path) from e


def _one_step(plan: RepairPlan, file: FilePlan) -> None:
    if not file.is_tail:
        _write_new(plan, file).commit()
        return
    path = os.path.realpath(file.file.path)
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.fstat(handle).st_size != file.size:
            raise OutputError("it has changed since it was checked: stop the server that writes it", path=path)
        os.ftruncate(handle, int(file.cuts[0].start))
        try:
            os.fsync(handle)
        except OSError as e:
            raise NotSyncedError(f"is cut, but a power cut may undo that: {reason(e)}", path=path) from e
    finally:
        os.close(handle)


def _several(plan: RepairPlan) -> None:
    sinks: list[Sink] = []
    try:
        sinks.extend(_write_new(plan, file) for file in plan.files)
        switch(plan, sinks)
    finally:
        for sink in sinks:
            sink.abort()


def _write_new(plan: RepairPlan, file: FilePlan) -> Sink:
    """Write a repaired file beside the old one, synced and checked; it still has to get its name."""
    path = file.file.path
    sink = open_sink(lasting(path), like=path)
    try:
        with open(path, "rb") as source:
            _write_kept(file, source.fileno(), sink)
        sink.sync()
        _verify(plan, file, sink)
    except BaseException:
        sink.abort()
        raise
    return sink


def _verify(plan: RepairPlan, file: FilePlan, sink: Sink) -> None:
    """Raise `OutputError` where what was written is no whole log."""
    part = LogFile(sink.temporary, file.file.role)
    if not verify_log(part, Findings(), config=plan.config).whole:
        raise OutputError("what is left would not be whole: the file stays as it is", path=file.file.path)


def _write_kept(file: FilePlan, source: int, sink: Sink) -> None:
    if file.turn_back >= 0:
        copy(source, 0, file.turn_back, sink.write)
        with Pages(file.file.path) as pages:
            lines = TurnedBack(pages, file.turn_back)
            while piece := lines.read(PORTION):
                sink.write(piece)
        return
    at = 0
    for cut in file.cuts:
        copy(source, at, int(cut.start), sink.write)
        if cut.insert:
            sink.write(cut.insert)
        at = int(cut.end)
    copy(source, at, file.size, sink.write)


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


def _copy_file(plan: RepairPlan, output: str) -> None:
    only = plan.layout.files[0]
    file = plan.files[0] if plan.files else FilePlan(only, os.stat(only.path).st_size, Cuts())
    with open(only.path, "rb") as source, open_sink(output, inputs=(only.path,)) as sink:
        _write_kept(file, source.fileno(), sink)


def _copy_set(plan: RepairPlan, output: str) -> None:
    """Write the files that stay in the manifest, and the manifest, into a new directory."""
    layout = plan.layout
    manifest = layout.manifest
    assert manifest is not None
    changed = {f.file.path: f for f in plan.files}
    with DirectorySink(output, inputs=layout.paths) as directory:
        for file in layout.files:
            if file in plan.dropped or file.part is None:
                continue
            what = changed.get(file.path) or FilePlan(file, os.stat(file.path).st_size, Cuts())
            with open(file.path, "rb") as source, directory.file(file.part.name, like=file.path) as sink:
                _write_kept(what, source.fileno(), sink)
        gone = [f.part for f in [*plan.dropped, *layout.history] if f.part is not None]
        with directory.file(os.path.basename(layout.manifest_path), like=layout.manifest_path) as sink:
            sink.write(manifest.without(gone))
