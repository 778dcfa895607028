"""All that a page tells of one input: what it is, where its memory goes, and whether it is sound."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Final

from rdbtool.analysis.contents import Wanted
from rdbtool.analysis.prefixes import Prefixes
from rdbtool.errors import FormatError, RdbToolError, TruncatedError
from rdbtool.findings import Findings, Report, Severity
from rdbtool.inputs.detect import EMPTY, JSON_LINES, TEXT, open_detected
from rdbtool.inputs.selection import Selection
from rdbtool.io.progress import Progress
from rdbtool.live.address import is_url
from rdbtool.servers.memory import JEMALLOC
from rdbtool.servers.releases import Release
from rdbtool.tasks.memory import ContentsReport, Reading, memory
from rdbtool.tasks.verify.found import Setup, look

from .shares import Box, boxes_of

KEYS: Final = 500
"""Keys by memory, and as many by elements, where nobody asks for more."""
DEPTH: Final = 5
DAMAGE: Final = (FormatError.code, TruncatedError.code, "checksum")
"""Codes of what ends the reading, or shows that something is wrong."""
UNCHECKED: Final = (TEXT, JSON_LINES, EMPTY)
"""Kinds of inputs for which there is no check."""


@dataclass(slots=True, kw_only=True)
class PageReport(Report):
    """``measured``: what the keys take; ``checked``: whether its values were verified, with what is in ``findings``;
    ``unchecked``: why not; ``size``: bytes of the uncompressed input, -1 where that is not known; ``now_ms``: what the
    expiries are seen from; ``chosen``: only some keys were measured, as was asked for.
    """

    path: str
    measured: ContentsReport
    checked: bool = False
    unchecked: str = ""
    kind: str = ""
    size: int = -1
    writer: str = ""
    now_ms: int = 0
    chosen: bool = False
    boxes: list[Box] = field(default_factory=list)

    @property
    def partial(self) -> bool:
        """Whether something could not be read, so that all sums are of a part."""
        return self.measured.partial


def report(
    path: str | os.PathLike[str],
    *,
    prefixes: Prefixes | None = None,
    top: int = KEYS,
    release: Release | str | None = None,
    allocator: str = JEMALLOC,
    list_depth: int = 0,
    selection: Selection | None = None,
    reading: Reading | None = None,
    now_ms: int | None = None,
    progress: Progress | None = None,
) -> PageReport:
    """Check what is at ``path``, and measure its keys as `memory` does. It is read twice; standard input and
    servers are read once, and not checked.

    Raises as `memory` does.
    """
    path = os.fspath(path)
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    prefixes = Prefixes(depth=DEPTH) if prefixes is None else prefixes
    reading = Reading() if reading is None else reading
    wanted = Wanted(top=top, prefixes=prefixes, slots=True, now_ms=now)
    measured = memory(
        path,
        wanted,
        release=release,
        allocator=allocator,
        list_depth=list_depth,
        selection=selection,
        reading=reading,
        progress=progress,
    )
    told = PageReport(path=path, measured=measured, now_ms=now, loss=measured.loss)
    told.chosen = selection is not None and not selection.everything
    checked = _check(told, reading, now, progress)
    told.findings = measured.findings if checked is None else _joined(checked, measured.findings)
    tree = measured.contents.prefixes
    if tree is not None:
        told.boxes = boxes_of(tree.tree())
    return told


def _check(told: PageReport, reading: Reading, now_ms: int, progress: Progress | None) -> Findings | None:
    if told.path == "-" or is_url(told.path):
        told.unchecked = f"{'standard input' if told.path == '-' else 'a server'} is read once, and measured only"
        return None
    with open_detected(told.path, progress) as opened:
        told.kind = opened.kind
        if opened.kind in UNCHECKED or reading.commands:
            told.unchecked = "there is no check for what is neither a snapshot nor a log"
            return None
        try:
            found = look(
                told.path,
                setup=Setup(reading.server.databases, reading.server.names),
                now_ms=now_ms,
                progress=progress,
                opened=opened,
            )
        except RdbToolError as e:
            told.unchecked = str(e)
            return None
    told.checked = True
    told.size = found.size
    told.writer = found.writer
    return found.findings


def _joined(checked: Findings, read: Findings) -> Findings:
    """What the check found, and what the replay of a log found beside it. Damage that stopped both is told once."""
    seen = {(finding.code, finding.offset) for finding in checked.items}
    joined = Findings()
    joined.add_all(checked)
    for finding in read.items:
        damage = checked.worst is Severity.ERROR and finding.code in DAMAGE
        if not damage and (finding.code, finding.offset) not in seen:
            joined.add(finding)
    return joined
