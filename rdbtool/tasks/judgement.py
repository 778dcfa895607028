"""What was expected of a backup or a server, what was found, and whether that is met: the report of whatever judges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from rdbtool.errors import RdbToolError
from rdbtool.findings import Report

MET: Final = "met"
UNMET: Final = "unmet"
UNKNOWN: Final = "unknown"
"""It could not be looked at, so that nobody knows."""


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation. ``name`` is stable and meant for programs; ``expected`` and ``found`` are for people.

    ``met``: None where it could not be looked at.
    """

    name: str
    expected: str
    found: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """`MET`, `UNMET` or `UNKNOWN`."""
        if self.met is None:
            return UNKNOWN
        return MET if self.met else UNMET

    def as_json(self) -> dict[str, Any]:
        """The same as data."""
        return {"name": self.name, "expected": self.expected, "found": self.found, "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class Measure:
    """A number for a monitoring system. ``name`` ends in its unit, as Prometheus wants: ``age_seconds``."""

    name: str
    meaning: str
    value: float


@dataclass(slots=True, kw_only=True)
class Judgement(Report):
    """One thing that was judged. ``subject``: its path or URL, without a password; ``kind``: what it is.

    ``notes`` and ``steps`` are sentences for people: what else is to be known, and what to do in this order, for the
    purpose ``steps_to``; ``error``: why it could not be judged at all; ``details``: further fields of the JSON, which
    its schema has.
    """

    subject: str
    kind: str = ""
    checks: list[Check] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    steps_to: str = ""
    error: RdbToolError | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`UNKNOWN` if something could not be looked at, else `UNMET` if an expectation is not met, else `MET`."""
        verdicts = {check.verdict for check in self.checks}
        if self.error is not None or UNKNOWN in verdicts:
            return UNKNOWN
        return UNMET if UNMET in verdicts else MET

    @property
    def ordered(self) -> list[Check]:
        """The checks, those that are not met last."""
        order = (MET, UNKNOWN, UNMET)
        return sorted(self.checks, key=lambda check: order.index(check.verdict))

    def expect(self, name: str, expected: str, found: str, *, met: bool | None) -> None:
        """Add an expectation."""
        self.checks.append(Check(name, expected, found, met))

    def measure(self, name: str, meaning: str, value: float) -> None:
        """Add a number."""
        self.measures.append(Measure(name, meaning, value))

    def as_json(self) -> dict[str, Any]:
        """The judgement as data."""
        facts: dict[str, Any] = {
            "subject": self.subject,
            "kind": self.kind,
            "verdict": self.verdict,
            "checks": [check.as_json() for check in self.checks],
            "measures": {measure.name: measure.value for measure in self.measures},
            "notes": self.notes,
            "steps": self.steps,
            "findings": [f.as_json() for f in self.findings.items],
            "counts": self.findings.counts,
            **self.details,
        }
        if self.error is not None:
            facts["error"] = {"code": self.error.code, "message": str(self.error)}
        return facts


def verdict_of(judgements: Iterable[Judgement]) -> str:
    """The verdict on all of them: the worst, where not to know is worse than not to be met."""
    verdicts = {judgement.verdict for judgement in judgements}
    return next((verdict for verdict in (UNKNOWN, UNMET) if verdict in verdicts), MET)
