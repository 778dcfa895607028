"""All that a page tells of one input: what it is, where its memory goes, and whether it is sound."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rdbtool.analysis.contents import Wanted
from rdbtool.analysis.prefixes import Branch, Prefixes
from rdbtool.errors import FormatError, RdbToolError, TruncatedError
from rdbtool.findings import Findings, Report, Severity
from rdbtool.inputs.detect import EMPTY, JSON_LINES, TEXT, open_detected
from rdbtool.inputs.selection import Selection
from rdbtool.io.progress import Progress
from rdbtool.live.address import is_url
from rdbtool.servers.memory import JEMALLOC
from rdbtool.servers.releases import Release
from rdbtool.servers.slots import SLOTS

from .memory import ContentsReport, Reading, memory
from .verify.found import Setup, look

KEYS: Final = 500
"""Keys by memory, and as many by elements, where nobody asks for more."""
DEPTH: Final = 5
BOXES: Final = 2000
"""Prefixes in the tree: browsers draw so many at once."""
MASTERS: Final = (3, 6, 12)
"""Masters of the clusters whose balance is told."""
UNCHECKED: Final = (TEXT, JSON_LINES, EMPTY)
"""Kinds of inputs for which there is no check."""


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the memory: the keys with a prefix, or within the box ``parent``, an index (-1 for all keys), those
    without a further prefix (``own``), or of all further ones together (``other``); ``name`` is then that of the
    parent.
    """

    name: bytes
    parent: int
    keys: int
    bytes: int
    own: bool = False
    other: bool = False


@dataclass(frozen=True, slots=True)
class Balance:
    """A cluster of ``masters`` that have equal ranges of slots: the share of memory of the least and of the most loaded
    one, 0 to 1.
    """

    masters: int
    least: float
    most: float


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
        damage = checked.worst is Severity.ERROR and finding.code in {FormatError.code, TruncatedError.code}
        if not damage and (finding.code, finding.offset) not in seen:
            joined.add(finding)
    return joined


def boxes_of(root: Branch, most: int = BOXES) -> list[Box]:
    """The tree of prefixes as boxes, parents before what is in them: the ``most`` greatest prefixes, the sums of the
    others, and of keys that have no further prefix.
    """
    kept = {id(branch) for branch in _greatest(root, most)}
    boxes: list[Box] = []
    waiting = [(root, -1)]
    while waiting:
        branch, parent = waiting.pop()
        at = len(boxes)
        boxes.append(Box(branch.name, parent, int(branch.keys), int(branch.bytes)))
        shown = [child for child in branch.branches if id(child) in kept]
        waiting += [(child, at) for child in reversed(shown)]
        rest = [child for child in branch.branches if id(child) not in kept]
        other_keys = int(branch.other_keys) + sum(int(child.keys) for child in rest)
        other_bytes = int(branch.other_bytes) + sum(int(child.bytes) for child in rest)
        if not shown and not other_keys:
            continue  # all that it has are keys of its own
        if branch.own_keys > 0:
            boxes.append(Box(branch.name, at, int(branch.own_keys), int(branch.own_bytes), own=True))
        if other_keys and shown:
            boxes.append(Box(branch.name, at, other_keys, other_bytes, other=True))
    return boxes


def _greatest(root: Branch, most: int) -> Sequence[Branch]:
    """The greatest branches. None is greater than the one before it, which comes first among equals."""
    found: list[Branch] = []
    waiting = [root]
    while waiting:
        for child in waiting.pop().branches:
            found.append(child)
            waiting.append(child)
    found.sort(key=lambda branch: (-int(branch.bytes), len(branch.name)))
    return found[:most]


def balances_of(slot_bytes: Sequence[int]) -> list[Balance]:
    """How even clusters of `MASTERS` would be: redis-cli --cluster create gives each of them a range of slots."""
    total = sum(slot_bytes) or 1
    balances = []
    for masters in MASTERS:
        ends = [round(i * SLOTS / masters) for i in range(masters + 1)]
        shares = [sum(slot_bytes[ends[i] : ends[i + 1]]) / total for i in range(masters)]
        balances.append(Balance(masters, min(shares), max(shares)))
    return balances
