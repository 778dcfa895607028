"""The dataset's fingerprint, as the server's DEBUG DIGEST gives it: proof that a file holds what a server holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rdbtool.engine.cells import FrameCell
from rdbtool.engine.digest import Digester
from rdbtool.engine.feed import RdbHead
from rdbtool.engine.line import Line
from rdbtool.engine.replay import STOP
from rdbtool.errors import FormatError
from rdbtool.findings import Finding, Report, Severity
from rdbtool.model import NO_EXPIRY
from rdbtool.rdb.events import End
from rdbtool.rdb.reader import Frame, RdbReader
from rdbtool.source import Window, open_input

from .moment import WHOLE, PointInTime
from .replaying import Replayed, Source, is_snapshot, layout_of, line_of_aux, replay

OnKey = Callable[[int, bytes, str], None]
"""Is told each key: database, name, DEBUG DIGEST-VALUE."""


@dataclass(slots=True, kw_only=True)
class DigestReport(Report):
    """``digest``: 40 hex digits; ``line``: the server whose way of printing scores it follows; ``keys``: those in
    it; ``expired``: those left out; ``stopped``: why a replay ended early, or "".
    """

    path: str
    digest: str = ""
    line: str = ""
    keys: int = 0
    expired: int = 0
    stopped: str = ""

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        facts: dict[str, Any] = {"path": self.path, "digest": self.digest, "as": self.line, "keys": self.keys}
        if self.expired:
            facts["expired"] = self.expired
        if self.stopped:
            facts["stopped"] = self.stopped
        return {**facts, "findings": [f.as_json() for f in self.findings.items]}


def digest(
    path: str,
    *,
    line: Line | None = None,
    point: PointInTime = WHOLE,
    unknown: str = STOP,
    source: Source = "auto",
    expired_by_ms: int | None = None,
    on_key: OnKey | None = None,
) -> DigestReport:
    """DEBUG DIGEST of what is at ``path``: an RDB, a log, a set of files, a text of commands.

    ``line``: the server to agree with, else the one that wrote the file, else the newest; ``expired_by_ms``:
    leave out keys that have expired by then: a server drops them, from an RDB at once, else soon after
    the start. Keys of an RDB are read one by one, in bounded memory. Raises as `replaying.replay` does, and
    `FormatError` for a damaged value.
    """
    layout = layout_of(path, source)
    if source == "auto" and len(layout.files) == 1 and not layout.files[0].missing and not point.asked:
        with open_input(layout.files[0].path) as stream:
            w = stream.window()
            if is_snapshot(w):
                return _of_snapshot(path, w, line, expired_by_ms, on_key)
            replayed = replay(path, unknown=unknown, source=source, line=line, first=w)
    else:
        replayed = replay(path, point=point, unknown=unknown, source=source, line=line)
    return _of_dataset(path, replayed, expired_by_ms, on_key)


def _of_snapshot(
    path: str, w: Window, line: Line | None, expired_by_ms: int | None, on_key: OnKey | None
) -> DigestReport:
    head = RdbHead(RdbReader(w))
    line = line or line_of_aux(head.aux)
    report = DigestReport(path=path, line=line.name)
    digester = Digester(line)
    reader = head.reader
    event = head.next
    while event is not None:
        if isinstance(event, Frame):
            if _expired(event.expire_at_ms, expired_by_ms):
                report.expired += 1
            else:
                _add(digester, event, event.db, event.key, event.expire_at_ms, on_key)
        elif isinstance(event, End) and event.checksum == "bad":
            raise FormatError("wrong checksum: the server refuses the file", path=w.path, offset=event.offset)
        event = reader.next()
    _finish(report, digester)
    return report


def _of_dataset(path: str, replayed: Replayed, expired_by_ms: int | None, on_key: OnKey | None) -> DigestReport:
    report = DigestReport(path=path, line=replayed.dataset.line.name, findings=replayed.findings, loss=replayed.loss)
    report.stopped = replayed.stopped
    digester = Digester(replayed.dataset.line)
    for db, key, cell in replayed.dataset.items():
        if _expired(cell.expire_at_ms, expired_by_ms):
            report.expired += 1
        elif isinstance(cell, FrameCell):
            _add(digester, cell.frame, db, key, cell.expire_at_ms, on_key)
        else:
            value = cell.value()
            digester.add_value(db, key, value, cell.expire_at_ms)
            if on_key is not None:
                on_key(db, key, digester.value_digest(value, cell.expire_at_ms))
    _finish(report, digester)
    return report


def _expired(expire_at_ms: int, by_ms: int | None) -> bool:
    return by_ms is not None and NO_EXPIRY != expire_at_ms <= by_ms


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
