"""The dataset's fingerprint, as the server's DEBUG DIGEST gives it: proof that a file holds what a server holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rdbtool.aof.names import STOP, uncarried
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.basics.crc64 import combines
from rdbtool.engine.cells.cell import FrameCell
from rdbtool.engine.digest import Digester
from rdbtool.engine.replay.passthrough import comes_twice
from rdbtool.errors import FormatError, UnsupportedError
from rdbtool.findings import Finding, Report, Severity
from rdbtool.inputs.detect import SNAPSHOT, is_updated, open_detected, refuse_empty_snapshot
from rdbtool.inputs.pruning import keep_only
from rdbtool.inputs.replaying import Replayed, Source, layout_of, replay
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.progress import Progress
from rdbtool.io.source import open_input
from rdbtool.io.window import Window
from rdbtool.outputs.losses import miscount_findings
from rdbtool.rdb.empty import is_empty
from rdbtool.rdb.events import End, Event, SelectDb, Update
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.head import RdbHead
from rdbtool.rdb.layout.duplicates import Duplicates
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.targets import target_for_version
from rdbtool.servers.limits import check_database
from rdbtool.servers.releases import Release, release_of, writer_of

from .sharing import UNSHARED, Sharing, cannot_share, shared

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from rdbtool.inputs.partitioned import Partitioned

OnKey = Callable[[int, bytes, str], None]
"""Is told each key: database, name, DEBUG DIGEST-VALUE."""


@dataclass(slots=True)
class Digested:
    """What was met on the way, besides the digest: ``left_out``: keys that were not wanted; ``lost``: what no server
    has, by kind.
    """

    left_out: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    has_commands: bool = False
    """Whether there is a command in the snapshot, which only a replay carries out."""


@dataclass(slots=True, kw_only=True)
class DigestReport(Report):
    """``digest``: 40 hex digits; ``release``: the server whose way of printing scores it follows; ``keys``: those in
    it; ``left_out``: others; ``stopped``: why a replay ended early, or "".
    """

    path: str
    digest: str = ""
    release: str = ""
    keys: int = 0
    left_out: int = 0
    stopped: str = ""

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        facts: dict[str, Any] = {"path": self.path, "digest": self.digest, "as": self.release, "keys": self.keys}
        if self.left_out:
            facts["left_out"] = self.left_out
        if self.stopped:
            facts["stopped"] = self.stopped
        return {**facts, "findings": [f.as_json() for f in self.findings.items]}


def digest(
    path: str | os.PathLike[str],
    *,
    release: str | Release | None = None,
    point: PointInTime = WHOLE,
    unknown: str = STOP,
    source: Source = "auto",
    selection: Selection | None = None,
    on_key: OnKey | None = None,
    server: Server = STOCK_SERVER,
    progress: Progress | None = None,
    executor: Executor | None = None,
    workers: int = 0,
    portion: int = 0,
    partitions: int = 0,
) -> DigestReport:
    """DEBUG DIGEST of what is at ``path``: an RDB, a log, a set of files, a text of commands.

    ``release``: the name of the server to agree with, else the one that wrote the file, else the oldest that writes
    such an RDB, and for a log the newest; ``selection``: of these keys only; without those that have expired, for one,
    which a server drops, from an RDB at once, else soon after the start. Keys of an RDB are read one by one, in bounded
    memory; what servers skip or drop as they load it is not counted. Raises as `replaying.replay` does, and
    `FormatError` for a damaged value and for a key that comes twice. ``progress`` is told the bytes read, and of how
    many. With an ``executor`` parts of a plain RDB, of about ``portion`` bytes, are digested side by side, by so many
    ``workers``; the answer is the same.
    A log is replayed by partitions of its keys side by side then; or by so many ``partitions``, or by as many as the
    memory limit of the ``server`` asks for.
    """
    path = os.fspath(path)
    release = None if release is None else release_of(release)
    selection = selection or Selection()
    selection.kept = 0  # it may have chosen from another file
    layout = layout_of(path, source)
    unknown = uncarried(unknown)
    one = point.asked or on_key is not None or selection.limit >= 0
    sharing = UNSHARED if one else Sharing(partitions, executor, workers or 1, server.memory_limit)

    def in_partitions() -> Partitioned | None:
        if not sharing.is_wanted:
            return None
        from rdbtool.inputs.partitioned import How, present_ms

        how = How(path, layout, unknown, source, release, None, present_ms(), server)
        return shared(how, sharing, progress)

    if source == "auto" and len(layout.files) == 1 and not layout.files[0].missing and not point.asked:
        with open_detected(layout.files[0].path, progress) as opened:
            first: Window | None = opened.window
            refuse_empty_snapshot(opened)
            if opened.kind == SNAPSHOT and (on_key is None or not is_updated(opened)):  # what is told is told
                report = _of_snapshot(
                    path, opened.window, release, selection, on_key, executor, workers, portion, progress
                )
                if report is not None:
                    return report
                selection.kept = 0
                first = None
                sharing = UNSHARED
            found = in_partitions()
            if found is not None and not found.whole:
                return _of_partitions(found, selection, sharing)
            replayed = replay(path, unknown=unknown, source=source, release=release, first=first, server=server)
    else:
        found = in_partitions()
        if found is not None and not found.whole:
            return _of_partitions(found, selection, sharing)
        replayed = replay(
            path,
            point=point,
            unknown=unknown,
            source=source,
            release=release,
            server=server,
            progress=progress,
        )
    report = _of_dataset(path, replayed, selection, on_key)
    if found is not None and sharing.is_asked:
        report.findings.add(cannot_share(found))
    return report


def _of_snapshot(
    path: str,
    w: Window,
    release: Release | None,
    selection: Selection,
    on_key: OnKey | None,
    executor: Executor | None,
    workers: int,
    portion: int,
    progress: Progress | None,
) -> DigestReport | None:
    """None for one with commands in it, which has to be replayed. Raises `UnsupportedError` where that cannot be."""
    loaded_ms = int(time.time() * 1000)
    if executor is not None and on_key is None and selection.limit < 0 and combines():
        from .digest_parts import digest_in_parts
        from .workers import cores

        count = workers or cores()
        with open_input(path) as again:
            in_parts = digest_in_parts(
                again.window(), selection, _add_all, _whose(release), loaded_ms, executor, count, portion, progress
            )
        if in_parts is not None:
            return _report(path, *in_parts)
    head = RdbHead(RdbReader(w))
    release = _whose(release)(head.aux, head.dialect, head.version)
    digester = Digester(release, loaded_ms=loaded_ms)
    digested = Digested()
    seen = Duplicates()
    try:
        end = _add_all(head.reader, digester, seen, selection, digested, head.next, on_key)
    except UnsupportedError:
        if digested.has_commands and os.path.isfile(path):
            return None
        raise
    if end is not None and end.checksum == "bad":
        raise FormatError("wrong checksum: the server refuses the file", path=w.path, offset=end.offset)
    if seen.kept is None:
        seen.finish()
        for _, later, key in seen.confirmed(w.path):
            raise comes_twice(head.reader, key, later)
    return _report(path, digester, digested, release)


def _whose(release: Release | None) -> Callable[[dict[bytes, bytes], int, int], Release]:
    """Tells the server that a file is of, unless one is asked for."""

    def whose(aux: dict[bytes, bytes], dialect: int, version: int) -> Release:
        return release or writer_of(aux) or target_for_version(dialect, version).release

    return whose


def _add_all(
    reader: RdbReader,
    digester: Digester,
    seen: Duplicates,
    selection: Selection,
    digested: Digested,
    first: Event | None = None,
    on_key: OnKey | None = None,
) -> End | None:
    """Add all keys behind the event ``first``, and it; the end, if the reader comes there.

    Raises `UnsupportedError` at a command.
    """
    end: End | None = None
    event = first or reader.next()
    while event is not None:
        if isinstance(event, Frame):
            if is_empty(event):
                event = reader.next()
                continue
            if seen.add(event.key, reader.key_offset, event.db):
                raise comes_twice(reader, event.key, event.offset)
            if not selection.full and selection.keeps(event):
                _add(digester, event, event.db, event.key, event.expire_at_ms, on_key)
            else:
                digested.left_out += 1
        elif isinstance(event, SelectDb):
            check_database(event.db, reader.window.path, event.offset)
        elif isinstance(event, Update):
            digested.has_commands = True
            raise event.refusal(reader.window.path)
        elif isinstance(event, End):
            end = event
        event = reader.next()
    digested.lost = reader.lost
    return end


def _report(path: str, digester: Digester, digested: Digested, release: Release) -> DigestReport:
    report = DigestReport(path=path, release=release.name)
    report.left_out = digested.left_out + int(digester.emptied)
    for kind, count in digested.lost.items():
        message = f"{kind}: {count}; neither Redis nor Valkey have such, and the digest is without them"
        report.findings.add(Finding(Severity.WARNING, "loss", message, path))
        report.loss = True
    _finish(report, digester)
    return report


def _of_partitions(found: Partitioned, selection: Selection, sharing: Sharing) -> DigestReport:
    from .digest_partitions import digest_in_partitions

    replayed, digester, left_out = digest_in_partitions(found, selection, sharing)
    report = _of_replayed(found.how.path, replayed)
    report.left_out = left_out + int(digester.emptied)
    _finish(report, digester)
    return report


def _of_replayed(path: str, replayed: Replayed) -> DigestReport:
    release = replayed.dataset.release
    return DigestReport(
        path=path, release=release.name, findings=replayed.findings, loss=replayed.loss, stopped=replayed.stopped
    )


def _of_dataset(path: str, replayed: Replayed, selection: Selection, on_key: OnKey | None) -> DigestReport:
    report = _of_replayed(path, replayed)
    digester = Digester(replayed.dataset.release, loaded_ms=int(time.time() * 1000))
    report.left_out = keep_only(replayed.dataset, selection)
    for db, key, cell in replayed.dataset.items():
        if isinstance(cell, FrameCell):
            _add(digester, cell.frame, db, key, cell.expire_at_ms, on_key)
        else:
            digester.add_cell(db, key, cell)
            if on_key is not None:
                on_key(db, key, digester.cell_digest(cell))
    report.left_out += digester.emptied
    _finish(report, digester)
    return report


def _add(digester: Digester, frame: Frame, db: int, key: bytes, expire_at_ms: int, on_key: OnKey | None) -> None:
    if on_key is not None:
        frame.raw()  # its value is told twice
        on_key(db, key, digester.frame_digest(frame, expire_at_ms))
    damage = digester.add_frame(frame, db, key, expire_at_ms)
    if damage is not None:
        raise damage


def _finish(report: DigestReport, digester: Digester) -> None:
    report.digest = digester.result()
    report.keys = digester.keys
    for finding in miscount_findings(digester.miscounted, report.path):
        report.findings.add(finding)
    if digester.modules:
        report.findings.add(
            Finding(
                Severity.WARNING,
                "module-digest",
                f"{digester.modules} keys are of modules: what those mix into the digest only they know, so it may "
                "differ from the server's",
                report.path,
            )
        )
