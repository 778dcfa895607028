"""Several changes to a set of files at once: a server that starts at any moment reads the old state or the new one.

The manifest makes the difference. The old files get second names (hard links), and a manifest with those takes the
place of the old one, which changes nothing. Then the new files take the old names, and last the new manifest takes
its place. Second names go at the end, when no manifest can come back that holds them.
"""

from __future__ import annotations

import contextlib
import os
from typing import final

from rdbtool.aof.manifest import format_part, parse
from rdbtool.errors import NotSyncedError, OutputError
from rdbtool.io.signals import held_back
from rdbtool.io.sink import Sink, open_sink, sync_directory
from rdbtool.io.temporary import second_name

from .plan import SECOND, RepairPlan, lasting


def unfinished(plan: RepairPlan) -> bool:
    """Whether the manifest holds second names: a repair was killed at its last steps."""
    manifest = plan.layout.manifest
    return manifest is not None and any(part.name.endswith(SECOND) for part in manifest.parts)


def remove_leftovers(plan: RepairPlan) -> None:
    """Remove second names that the manifest does not hold, which a repair left that was killed."""
    manifest = plan.layout.manifest
    if manifest is None:
        return
    names = {part.name for part in manifest.parts}
    directory = os.path.dirname(plan.layout.manifest_path)
    for name in names:
        if not name.endswith(SECOND) and name + SECOND not in names:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(directory, name + SECOND))


def switch(plan: RepairPlan, sinks: list[Sink]) -> None:
    """Give the new files, which are synced, and the new manifest their names.

    Raises `OSError` and `OutputError`, and then the old state stands; `NotSyncedError` where the new one stands, and
    a power cut may bring back the old one.
    """
    job = _Switch(plan, sinks)
    try:
        job.link()
        with held_back():
            job.run()
    except NotSyncedError:
        raise
    except BaseException:
        with held_back():
            job.undo()
        raise


@final
class _Switch:
    def __init__(self, plan: RepairPlan, sinks: list[Sink]) -> None:
        layout = plan.layout
        assert layout.manifest is not None
        self.sinks = sinks
        self.files = [lasting(file.file.path) for file in plan.files]
        self.manifest_path = layout.manifest_path
        self.directory = os.path.dirname(layout.manifest_path)
        self.old = b"".join(layout.manifest.lines)
        new = plan.manifest_bytes()
        new = self.old if new is None else new
        seconds = {p.name: lasting(p.name) for p in layout.manifest.parts if p.name.endswith(SECOND)}
        self.new = _renamed(new, seconds)
        changed = {file.file.part.name for file in plan.files if file.file.part is not None}
        self.between = _renamed(self.old, {name: name + SECOND for name in changed if name not in seconds})
        """The manifest that holds the old state, under second names where something changes."""
        self.linked = [self._path(name) for name in changed if name not in seconds]
        """Files that get second names here."""
        self.back = [self._path(name) for name in seconds if name not in changed]
        """Second names whose file does not change, and gets its old name back."""
        self.given = [self._path(lasting(name)) + SECOND for name in (*changed, *seconds)]
        self.links: list[str] = []
        self.published: list[str] = []
        """Of ``files``, those that may be new by now."""

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def link(self) -> None:
        """Give the old files second names."""
        for path in self.linked:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + SECOND)
            self.links.append(path + SECOND)
            os.link(path, path + SECOND)
        try:
            sync_directory(self.directory)
        except NotSyncedError as e:
            raise OutputError(e.message, path=e.path) from e

    def run(self) -> None:
        """Change the manifest, the files, the manifest."""
        try:
            self._write_manifest(self.between)
            for path, sink in zip(self.files, self.sinks, strict=True):
                self.published.append(path)
                sink.publish(revocable=False)
            for path in self.back:
                third = second_name(path)
                if third is None:
                    raise OutputError("cannot be linked", path=path)
                os.replace(third.path, lasting(path))
                third.forget()
            sync_directory(self.directory)
        except NotSyncedError as e:
            raise OutputError(f"cannot sync the directory {e.path}", path=self.manifest_path) from e
        self._write_manifest(self.new)
        for path in self.given:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def undo(self) -> None:
        """Put the old state back. Second names that the manifest may still hold stay: then it loads the old state."""
        manifest = _content(self.manifest_path)
        if manifest == self.new and (self.published or self.new != self.old):
            return  # it was done
        for path in self.published:
            if path + SECOND in self.links:
                third = second_name(path + SECOND)
                if third is None or not _moved(third.path, path):
                    return
                third.forget()
        synced = _synced(self.directory)
        if self.published and not synced:
            return
        try:
            if manifest != self.old:
                self._write_manifest(self.old)
        except NotSyncedError:
            synced = False
        except (OSError, OutputError):
            return
        if synced:
            for path in self.links:
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def _write_manifest(self, data: bytes) -> None:
        with open_sink(self.manifest_path) as sink:
            sink.write(data)


def _moved(old: str, new: str) -> bool:
    try:
        os.replace(old, new)
    except OSError:
        return False
    return True


def _synced(directory: str) -> bool:
    try:
        sync_directory(directory)
    except NotSyncedError:
        return False
    return True


def _content(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _renamed(manifest: bytes, names: dict[str, str]) -> bytes:
    """A manifest with other names for some files."""
    if not names:
        return manifest
    parsed = parse(manifest)
    lines = list(parsed.lines)
    for part in parsed.parts:
        if part.name in names:
            part.name = names[part.name]
            lines[part.line - 1] = format_part(part)
    return b"".join(lines)
