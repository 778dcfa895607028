"""Any input as one stream of keys: an RDB as it stands, everything else by way of the engine."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, final

from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.basics.text import AUTO
from rdbtool.errors import FormatError
from rdbtool.findings import Finding, Severity
from rdbtool.io.source import Input, open_input
from rdbtool.io.window import Window
from rdbtool.rdb.events import End
from rdbtool.rdb.layout.facts import MADE_BY_REPLAY
from rdbtool.rdb.magic import is_payload
from rdbtool.rdb.reader import RdbReader

from .detect import (
    BASE,
    JSON_LINES,
    OTHER,
    SNAPSHOT,
    Opened,
    Progress,
    is_updated,
    open_detected,
    refuse_empty_snapshot,
)
from .jsonl import JsonlSource
from .keys import KeySource, PayloadSource, RdbSource
from .server import STOCK_SERVER, Server

if TYPE_CHECKING:
    from rdbtool.aof.layout import Layout
    from rdbtool.engine.replay.carrying import Carried
    from rdbtool.rdb.head import Aside
    from rdbtool.rdb.targets import Target

    from .replaying import Replayed, Source
    from .salvaging import SalvagedFile


@final
class OpenedKeys:
    """An input that is open: ``source`` gives its keys.

    ``findings``: what is to be said of the input beforehand; ``loss``: not all of it could be taken; ``mended``: its
    damage was undone, and nothing is lost; ``skipped``: keys that were left out for their damaged values; ``salvaged``:
    the damaged snapshot that the keys are from; ``partial``: something could not be read; ``files``: all paths it is
    made of; ``carried``: commands of a log that are kept, ``followers``: those of them that are kept because of others.
    Use it as a context manager.
    """

    def __init__(self, source: KeySource, files: tuple[str, ...], stream: Input | SalvagedFile | None) -> None:
        self.source = source
        self.files = files
        self.findings: list[Finding] = []
        self.loss = False
        self.mended = False
        self.skipped = 0
        self.salvaged: SalvagedFile | None = None
        self.partial = False
        self.carried: list[Carried] = []
        self.followers = 0
        self._proven = True
        self._stream = stream

    @property
    def is_proven(self) -> bool:
        """Whether nothing of what was read is damaged for sure: a checksum says so, where there can be one."""
        source = self.source
        return source.checksum in {"ok", ""} if isinstance(source, RdbSource) else self._proven

    def __enter__(self) -> OpenedKeys:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(self._stream, Input):
                self._stream.refuse_change(error)
        finally:
            self.close()

    def close(self) -> None:
        """Close what was opened."""
        if self._stream is not None:
            self._stream.close()


def open_keys(
    path: str,
    *,
    point: PointInTime = WHOLE,
    unknown: str = "stop",
    commands: bool = False,
    now_ms: int | None = None,
    to: Target | None = None,
    mode: int = AUTO,
    progress: Progress | None = None,
    aside: Aside | None = None,
    server: Server = STOCK_SERVER,
    layout: Layout | None = None,
    keep_going: bool = False,
    undo: bool = True,
    name: bytes | None = None,
) -> OpenedKeys:
    """Open whatever is at ``path``: an RDB, a log, a manifest, a directory, JSON lines, ``-``; what it is, its bytes
    tell.

    ``point``: how far a log is replayed; ``unknown``: what to do about commands that no server has (`engine.replay`);
    ``commands``: the input is a text of commands; ``now_ms``: what relative expiries in a log count from, else the
    present; ``to``: who is to load the keys, and probably wrote a log that does not say who did; ``mode``: how JSON
    lines without a header say bytes; ``undo``: as for `salvaging.open_salvaged`; ``name``: of the key that the answer
    of a DUMP is taken for; ``aside``, ``server``, ``layout`` and ``keep_going``: as for `replaying.replay`. A log is
    replayed here and now. Raises what opening and replaying raise.
    """
    if commands or layout is not None:
        return _replayed(path, point, unknown, commands, now_ms, to, None, aside, server, layout, keep_going, progress)
    opened = open_detected(path, progress)
    try:
        refuse_empty_snapshot(opened)
        # A base that cannot be opened again is salvaged by the replay, which goes on behind it.
        kinds = {SNAPSHOT, BASE, OTHER} if os.path.isfile(path) else {SNAPSHOT, OTHER}
        if keep_going and opened.kind in kinds and not point.asked:
            salvaged = _salvaged(path, opened, undo)
            if salvaged is not None:
                return salvaged
        stream = opened.stream
        if name is not None and stream is not None and opened.kind == OTHER and is_payload(opened.window):
            return OpenedKeys(PayloadSource(path, opened.window.take(opened.window.size), name), (path,), stream)
        if stream is not None and not point.asked:
            if opened.kind == JSON_LINES:
                return OpenedKeys(JsonlSource(opened.window, mode), (path,), stream)
            if not is_updated(opened) and _is_snapshot(opened):
                return OpenedKeys(RdbSource(opened.window), (path,), stream)
        with opened:  # which tells a change of what is replayed from its window
            first = None if stream is None else opened.window
            return _replayed(
                path, point, unknown, commands, now_ms, to, first, aside, server, None, keep_going, progress
            )
    except BaseException:
        opened.close()
        raise


def _salvaged(path: str, opened: Opened, undo: bool) -> OpenedKeys | None:
    """The keys that can be read of a damaged snapshot; None for a sound one, and for what is not just a snapshot."""
    from .salvaging import open_salvaged

    file = open_salvaged(path, first=opened.window, undo=undo)
    result = file.result
    again = os.path.isfile(path)
    if not again and not (result.keys or result.whole):  # a pipe is read by now, and its copy tells what is wrong
        opened.close()
        return OpenedKeys(RdbSource(file.pages.window(0, file.pages.size)), (path,), file)
    goes_on = result.tail >= 0 and (opened.kind == BASE or (again and file.pages.take(result.tail, 1) in {b"*", b"#"}))
    if (result.whole and again) or not (result.keys or result.whole) or (goes_on and opened.kind != SNAPSHOT):
        file.close()
        return None
    opened.close()
    try:
        source, found = source_of_salvaged(file)
    except BaseException:
        file.close()
        raise
    keys = OpenedKeys(source, (path,), file)
    keys.findings = file.findings() + found
    keys.loss = result.lossy
    keys.mended = result.mended
    keys.skipped = result.skipped
    keys.salvaged = file
    keys.partial = result.lacking or result.headless
    return keys


def source_of_salvaged(file: SalvagedFile) -> tuple[KeySource, list[Finding]]:
    """The keys of a damaged snapshot, and what more is to be said of them: commands inside it are applied to what came
    back.
    """
    if not file.has_commands:
        return RdbSource(file.window(), checksum=False), []
    from rdbtool.aof.layout import Layout, LogFile
    from rdbtool.aof.salvage_base import BUILT_ON_LOSS

    from .dataset import DatasetSource, facts_of_replayed
    from .replaying import replay

    layout = Layout(file.path, [LogFile(file.path, "incr")])
    replayed = replay(file.path, layout=layout, first=file.window(), keep_going=True)
    source = DatasetSource(file.path, replayed.dataset, facts_of_replayed(replayed), replayed.module_aux)
    found = [file.located(finding) for finding in replayed.findings.items]
    if file.result.lacking:
        message = f"commands inside the snapshot are applied to what came back of it: {BUILT_ON_LOSS}"
        found.append(Finding(Severity.WARNING, "gap", message, file.path))
    return source, found


def is_streamed(path: str) -> bool:
    """Whether the keys of a file are given as they stand in it, so that one may come twice, and not replayed."""
    if not os.path.isfile(path):
        return False
    with open_detected(path) as opened:
        return opened.kind == JSON_LINES or (_is_snapshot(opened) and not is_updated(opened))


def _is_snapshot(opened: Opened) -> bool:
    """Whether an input is an RDB, and nothing else."""
    stream = opened.stream
    return opened.kind == SNAPSHOT or (opened.kind == BASE and stream is not None and is_alone(opened.path, stream))


def is_alone(path: str, stream: Input) -> bool:
    """Whether nothing follows the RDB at ``path``, a file that can be read twice; behind damage nothing is found."""
    if stream.size < 0 or not os.path.isfile(path):
        return False
    with open_input(path) as again:
        w = again.window()
        reader = RdbReader(w, checksum=False)
        try:
            while (event := reader.next()) is not None:
                if isinstance(event, End):
                    return w.at_end()
        except FormatError:
            return True
    return False


def _replayed(
    path: str,
    point: PointInTime,
    unknown: str,
    commands: bool,
    now_ms: int | None,
    to: Target | None,
    first: Window | None,
    aside: Aside | None,
    server: Server,
    layout: Layout | None,
    keep_going: bool,
    progress: Progress | None,
) -> OpenedKeys:
    from .dataset import DatasetSource, facts_of_replayed
    from .replaying import layout_of, replay

    form: Source = "commands" if commands else "auto"
    if first is not None:
        layout = layout_of(path)
        if len(layout.files) != 1 or layout.is_set:
            first = None
    replayed = replay(
        path,
        point=point,
        unknown=unknown,
        source=form,
        likely=None if to is None else to.release,
        now_ms=now_ms,
        first=first,
        aside=aside,
        server=server,
        layout=layout,
        keep_going=keep_going,
        progress=progress,
    )
    source = DatasetSource(path, replayed.dataset, facts_of_replayed(replayed), replayed.module_aux)
    return opened_of(source, replayed)


def opened_of(source: KeySource, replayed: Replayed) -> OpenedKeys:
    """A replayed log, the keys of which ``source`` gives."""
    if replayed.head is None:
        source.made = MADE_BY_REPLAY
    opened = OpenedKeys(source, replayed.layout.paths, None)
    opened.findings = list(replayed.findings.items)
    opened.loss = replayed.loss or replayed.lost > 0
    opened.mended = replayed.mended
    opened.partial = replayed.partial
    opened._proven = replayed.proven  # noqa: SLF001 - of the class above
    opened.carried = replayed.replay.carried
    opened.followers = replayed.replay.followers
    return opened
