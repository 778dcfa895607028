"""A copy of a backup, laid out as a server wants to find it."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import Final

from rdbtool.aof.layout import DEFAULT_DIRECTORY, DEFAULT_NAME, Layout
from rdbtool.errors import OutputError, UnsupportedError, UsageError
from rdbtool.inputs.detect import BASE, DIRECTORY, LOG, MANIFEST, Progress, open_detected
from rdbtool.inputs.opening import is_alone
from rdbtool.inputs.replaying import layout_of
from rdbtool.io.copying import copy_file, write_all
from rdbtool.io.source import open_input, opener_of
from rdbtool.io.temporary import Temporary, make_temporary, sweep
from rdbtool.servers.features import MULTI_PART_LOGS
from rdbtool.servers.releases import Release

from .server_config import DEFAULT_SNAPSHOT

NAME: Final = "rdbtool-boot"


@dataclass(slots=True)
class Plan:
    """What is copied: ``sources``, with the names that they get, and the ``settings`` of a server that loads them.

    ``packed``: the only source is compressed, and is opened.
    """

    path: str
    sources: list[tuple[str, str]]
    settings: dict[str, str]
    packed: bool

    @property
    def is_log(self) -> bool:
        """Whether the server loads a log."""
        return "appendonly" in self.settings

    @property
    def size(self) -> int:
        """Bytes of all sources."""
        return sum(os.path.getsize(source) for source, _ in self.sources)


def plan_copy(path: str, release: Release) -> Plan:
    """What to copy so that a server of this release loads what is at ``path``.

    Raises `InputError`, `UsageError`, and `UnsupportedError` where the release knows no such logs.
    """
    if path == "-":
        raise UsageError("a server is started on a copy, which standard input cannot be: give a file")
    if opener_of(path) is not None:
        raise UsageError("a server is started on a copy, which backup --boot makes of a live server", path=path)
    with open_detected(path) as opened:
        stream = opened.stream
        is_log = opened.kind in {DIRECTORY, MANIFEST, LOG} or path.endswith(".aof")
        if opened.kind == BASE and stream is not None:
            is_log = not is_alone(path, stream)
        packed = stream is not None and stream.file is None
    if not is_log:
        return Plan(path, [(path, DEFAULT_SNAPSHOT)], {"dbfilename": DEFAULT_SNAPSHOT}, packed)
    layout = layout_of(path)
    if not layout.is_set:
        settings = {"appendonly": "yes", "appendfilename": DEFAULT_NAME}
        return Plan(path, [(layout.files[0].path, DEFAULT_NAME)], settings, packed)
    if not release.has(MULTI_PART_LOGS):
        raise UnsupportedError(f"{release.title} knows no log of several files", path=path)
    prefix = os.path.basename(layout.manifest_path).removesuffix(".manifest")
    settings = {"appendonly": "yes", "appendfilename": prefix, "appenddirname": DEFAULT_DIRECTORY}
    sources = [(name, _name_in_set(name, layout)) for name in layout.paths if os.path.exists(name)]
    return Plan(path, sources, settings, packed=False)


def _name_in_set(source: str, layout: Layout) -> str:
    """A part's name in the copy; one that an unfinished upgrade left beside the directory stays beside it."""
    name = os.path.basename(source)
    within = os.path.realpath(os.path.dirname(source)) == os.path.realpath(os.path.dirname(layout.manifest_path))
    return os.path.join(DEFAULT_DIRECTORY, name) if within else name


def make_copy(plan: Plan, directory: str = "", progress: Progress | None = None) -> tuple[Temporary, bool]:
    """Copy into a private directory, and say whether original and copy share their blocks.

    It is made in ``directory``; without one, beside the original if they can share their blocks there, else in the
    system's directory for temporary files. Nothing is left where that fails. Raises `InputError`, `OutputError`.
    """
    if directory:
        return _copy_into(directory, plan, progress)
    if not plan.packed:
        try:
            beside = make_private(os.path.dirname(os.path.abspath(plan.sources[0][0])))
        except OutputError:  # a directory that is only read
            pass
        else:
            if _fill(beside, plan, None, only_shared=True):
                return beside, True
            beside.remove()
    return _copy_into(tempfile.gettempdir(), plan, progress)


def make_private(directory: str) -> Temporary:
    """A directory for nobody else, which is gone when the run ends. Raises `OutputError`."""
    sweep(directory)
    try:
        return make_temporary(os.path.join(directory, NAME), directory=True)
    except OSError as e:
        raise OutputError(f"cannot create a temporary directory: {e.strerror}", path=directory) from e


def _copy_into(directory: str, plan: Plan, progress: Progress | None) -> tuple[Temporary, bool]:
    made = make_private(directory)
    return made, _fill(made, plan, progress)


def _fill(made: Temporary, plan: Plan, progress: Progress | None, *, only_shared: bool = False) -> bool:
    """Copy the files into the directory, and remove it where that fails; whether all share their blocks."""
    total = -1 if plan.packed else plan.size
    done = 0

    def told(step: int) -> None:
        nonlocal done
        done += step
        if progress is not None:
            progress(done, total)

    try:
        if not only_shared:
            _check_room(made.path, plan.size)
        if "appenddirname" in plan.settings:
            os.mkdir(os.path.join(made.path, DEFAULT_DIRECTORY), 0o700)
        shared = True
        for source, name in plan.sources:
            destination = os.path.join(made.path, name)
            if plan.packed:
                with open_input(source) as opened:
                    write_all(opened.stream, source, destination, told)
                shared = False
            elif not copy_file(source, destination, told, only_shared=only_shared):
                shared = False
                if only_shared:
                    break
    except BaseException:
        made.remove()
        raise
    return shared


def _check_room(directory: str, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size:
        where = os.path.dirname(directory)
        message = f"a copy of {size:,} bytes does not fit into {free:,} free ones: --boot-dir names another directory"
        raise OutputError(message, path=where)
