"""What a check found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from .errors import RdbToolError, printable

KEPT_PER_CODE = 1000
"""Findings of one code that a report keeps; further ones are counted, so memory stays bounded."""


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


@dataclass(frozen=True, slots=True)
class Finding:
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


def finding_of(error: RdbToolError, severity: Severity = Severity.ERROR, db: int = -1) -> Finding:
    """The finding that tells what ``error`` tells."""
    return Finding(severity, error.code, error.message, error.path, error.offset, error.key, db, error.doing)


@dataclass(slots=True)
class Findings:
    """Findings in the order they were made, bounded per code."""

    items: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    worst: Severity = Severity.NOTE

    def add(self, finding: Finding) -> None:
        """Count ``finding`` and keep it, unless its code has ``KEPT_PER_CODE`` already."""
        count = self.counts.get(finding.code, 0) + 1
        self.counts[finding.code] = count
        self.worst = max(self.worst, finding.severity)
        if count <= KEPT_PER_CODE:
            self.items.append(finding)

    def of(self, severity: Severity) -> list[Finding]:
        """The kept findings of exactly this severity."""
        return [f for f in self.items if f.severity is severity]


@dataclass(slots=True)
class Report:
    """What a task did. Tasks extend it with their facts.

    ``loss``: the job was done, but not everything was kept, and the findings say what.
    """

    findings: Findings = field(default_factory=Findings)
    loss: bool = False

    @property
    def failed(self) -> bool:
        """Whether a finding is an error."""
        return self.findings.worst is Severity.ERROR

    def as_json(self) -> dict[str, Any]:
        """The report as data, for ``--format json``; the caller adds the schema version."""
        return {"loss": self.loss, "findings": [f.as_json() for f in self.findings.items]}
