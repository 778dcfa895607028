"""What a check found, as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from .errors import ChangedError, RdbToolError, printable

K = TypeVar("K")

KEPT_PER_CODE = 1000
"""Findings of one code that a report keeps; further ones are counted, so memory stays bounded."""
FEW: Final = 3
"""Findings of one kind that are shown one by one; more of them are one line."""
KINDS: Final = 10000
"""Kinds of findings that are told apart."""
_OWN: Final = re.compile(r"\d+|'[^']*'")
"""What a message says about one finding only: numbers, and names in quotes."""


def changed_finding(change: str, path: str) -> Finding:
    """That a file did not stay as it was while it was read. ``change``: as `Input.changed` says."""
    message = f"the file changed while it was read: {change}; what is said of it holds for no state of it: ask again"
    return Finding(Severity.ERROR, ChangedError.code, message, path)


def add_counts(counts: dict[K, int], more: Mapping[K, int]) -> None:
    """Add to each count the one of the same name."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count


def plural(n: int, noun: str) -> str:
    """``1 key``, ``2,000 keys``, ``2 entries``."""
    ending = "" if n == 1 else "s"
    if n != 1 and noun.endswith("y") and noun[-2:-1] not in "aeiou":
        noun, ending = noun[:-1], "ies"
    return f"{n:,} {noun}{ending}"


class Severity(IntEnum):
    """How bad a finding is for somebody who wants to load the file."""

    NOTE = 0
    WARNING = 1
    """The server loads the file, but not all of it, or not as it stands."""
    ERROR = 2
    """The server refuses the file, or the bytes are damaged."""


class Finding(NamedTuple):
    """One thing that is wrong or worth knowing.

    ``code`` is stable and meant for programs; ``offset`` is in bytes of the (uncompressed) file
    ``path``, -1 where there is none; ``doing`` says what was being read.
    """

    severity: Severity
    code: str
    message: str
    path: str = ""
    offset: int = -1
    key: bytes | None = None
    db: int = -1
    doing: str = ""

    def as_json(self) -> dict[str, Any]:
        """Facts for ``--format json``; unknown ones are left out."""
        facts: dict[str, Any] = {"severity": self.severity.name.lower(), "code": self.code, "message": self.message}
        if self.path:
            facts["path"] = self.path
        if self.offset >= 0:
            facts["offset"] = self.offset
        if self.key is not None:
            facts["key"] = printable(self.key, 4096)
        if self.db >= 0:
            facts["db"] = self.db
        if self.doing:
            facts["doing"] = self.doing
        return facts


def kind_of(finding: Finding) -> Kind:
    """What it has in common with findings that are like it."""
    return finding.severity, finding.code, finding.path, _OWN.sub("", finding.message)


def finding_of(error: RdbToolError, severity: Severity = Severity.ERROR, db: int = -1) -> Finding:
    """The finding that tells what ``error`` tells."""
    return Finding(severity, error.code, error.message, error.path, error.offset, error.key, db, error.doing)


Kind: TypeAlias = tuple[Severity, str, str, str]
"""What findings have in common that are alike: severity, code, file, and the message without numbers and names."""


@dataclass(slots=True)
class Alike:
    """Findings of one kind: the first, the last, and how many they are."""

    first: Finding
    last: Finding
    count: int


def _says_the_same(one: Finding, other: Finding) -> bool:
    """Whether they are of one kind because nothing in their messages differs, which is sooner seen than `kind_of`."""
    return (
        one.message == other.message
        and one.code == other.code
        and one.path == other.path
        and one.severity is other.severity
    )


@dataclass(slots=True)
class Findings:
    """Findings in the order they were made. ``kept``: of one code; further ones are counted only."""

    items: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    worst: Severity = Severity.NOTE
    kept: int = KEPT_PER_CODE
    alike: dict[Kind, Alike] = field(default_factory=dict)
    _recent: Alike | None = field(default=None, repr=False, compare=False)
    """The kind of the last finding."""

    def add(self, finding: Finding) -> None:
        """Count ``finding`` and keep it, unless its code has ``kept`` already."""
        self.count(finding, finding, 1)
        if self.counts[finding.code] <= self.kept:
            self.items.append(finding)

    def add_all(self, others: Findings) -> None:
        """Add those of ``others``, and count what they only counted."""
        for other in others.alike.values():
            self.count(other.first, other.last, other.count)
        self.items += others.items

    def add_parts(self, parts: Sequence[Findings], place: Callable[[Finding], tuple[int, int]]) -> None:
        """Add those of ``parts``, each in the order of ``place``, as if all had been added in that order."""
        for others in parts:
            for kind, other in others.alike.items():
                alike = self.alike.get(kind)
                first = other.first if alike is None else min(alike.first, other.first, key=place)
                last = other.last if alike is None else max(alike.last, other.last, key=place)
                self.count(other.first, other.last, other.count)
                if kind in self.alike:
                    self.alike[kind].first, self.alike[kind].last = first, last
        kept: dict[str, int] = {}
        for finding in sorted((finding for others in parts for finding in others.items), key=place):
            kept[finding.code] = kept.get(finding.code, 0) + 1
            if kept[finding.code] <= self.kept:
                self.items.append(finding)

    def add_next(self, others: Findings, once: Collection[str]) -> None:
        """Add those of ``others``, made of the next part of the same, as if all had been added one by one; what is told
        again of the codes ``once`` is left out.
        """
        told = {(finding.code, finding.message) for finding in self.items if finding.code in once}
        new = [finding for finding in others.items if (finding.code, finding.message) not in told]
        room = {code: self.kept - self.counts.get(code, 0) for code in others.counts}
        for kind, other in others.alike.items():
            if other.first.code in once:
                for finding in new:
                    if kind_of(finding) == kind:
                        self.count(finding, finding, 1)
            else:
                self.count(other.first, other.last, other.count)
        for finding in new:
            room[finding.code] -= 1
            if room[finding.code] >= 0:
                self.items.append(finding)

    def count(self, first: Finding, last: Finding, count: int) -> None:
        """Count so many of one kind, from ``first`` to ``last``, and keep none of them."""
        self.counts[first.code] = self.counts.get(first.code, 0) + count
        self.worst = max(self.worst, first.severity)
        alike = self._recent
        if alike is None or not _says_the_same(alike.last, first):
            kind = kind_of(first)
            alike = self.alike.get(kind)
        if alike is not None:
            alike.last = last
            alike.count += count
        elif len(self.alike) < KINDS:
            alike = self.alike[kind] = Alike(first, last, count)
        self._recent = alike

    def condensed(self) -> list[tuple[Finding, Alike | None]]:
        """What to show: findings one by one, and of a kind of which there are more than `FEW` the first, with all."""
        shown: list[tuple[Finding, Alike | None]] = []
        for finding in self.items:
            alike = self.alike.get(kind_of(finding))
            if alike is None or alike.count <= FEW:
                shown.append((finding, None))
            elif alike.first is finding:
                shown.append((finding, alike))
        return shown

    def of(self, severity: Severity) -> list[Finding]:
        """The kept findings of exactly this severity."""
        return [f for f in self.items if f.severity is severity]


@dataclass(slots=True)
class Report:
    """What a task did. Tasks extend it with their facts.

    ``loss``: the job was done, but not everything was kept, or may be wrong, and the findings say what; ``mended``: its
    input was damaged, and the findings say how that was undone, so that nothing is lost.
    """

    findings: Findings = field(default_factory=Findings)
    loss: bool = False
    mended: bool = False

    @property
    def failed(self) -> bool:
        """Whether a finding is an error."""
        return self.findings.worst is Severity.ERROR

    def as_json(self) -> dict[str, Any]:
        """The report as data, for ``--format json``; the caller adds the schema version."""
        return {"loss": self.loss, "findings": [f.as_json() for f in self.findings.items]}
