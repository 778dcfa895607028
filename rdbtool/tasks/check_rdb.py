"""Check RDB files: whether they are whole, whether their values are sound, and which servers load them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rdbtool.errors import InputError
from rdbtool.findings import Findings, Report, Severity, plural
from rdbtool.io.source import open_input
from rdbtool.io.window import Metered, Window
from rdbtool.rdb.check import DATABASES, RdbFacts, verify_rdb
from rdbtool.rdb.layout.codes import CODES
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.opcodes import DIALECT_NAMES, REDIS, VALKEY
from rdbtool.rdb.targets import loads_type
from rdbtool.rdb.types import row_of
from rdbtool.servers.features import FUNCTIONS, LOOKS_INTO_VALUES, RELAXED_VERSION_CHECK
from rdbtool.servers.releases import LAST_SHARED, Release


@dataclass(slots=True)
class Suitability:
    """Whether a release loads a file: ``loads`` is None where that cannot be told.

    ``reasons`` say why not; ``remarks`` what to expect where it does.
    """

    release: str
    loads: bool | None = True
    reasons: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> None:
        """It does not load, for one more reason."""
        self.loads = False
        self.reasons.append(reason)

    def as_json(self) -> dict[str, Any]:
        """The same as data."""
        return {"release": self.release, "loads": self.loads, "reasons": self.reasons, "remarks": self.remarks}


@dataclass(slots=True)
class CheckRdbReport(Report):
    """What the check of one file found. ``size``: bytes of the (uncompressed) input."""

    path: str = ""
    size: int = 0
    facts: RdbFacts | None = None
    suitability: Suitability | None = None

    @property
    def sound(self) -> bool:
        """Whether a current server that sanitizes loads the file."""
        return self.findings.worst is not Severity.ERROR

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        data: dict[str, Any] = {"path": self.path, "sound": self.sound, "size": self.size}
        if self.facts is not None:
            data["rdb"] = self.facts.as_json()
        if self.suitability is not None:
            data["for"] = self.suitability.as_json()
        data["findings"] = [f.as_json() for f in self.findings.items]
        data["counts"] = self.findings.counts
        return data


def check_rdb(
    path: str,
    *,
    databases: int = DATABASES,
    target: Release | None = None,
    now_ms: int | None = None,
    values: bool = True,
    progress: Callable[[int, int], object] | None = None,
) -> CheckRdbReport:
    """Check the RDB at ``path`` (or ``-``; gzip and zstd are opened).

    ``databases``: how many the server has; ``target``: the release to tell whether it loads the file;
    ``now_ms``: when keys count as expired, the present if None; ``values``: look into values; ``progress``
    is called with the bytes read and the size, or -1. Raises
    `InputError` where the input cannot be read, `OutputError` where temporary data cannot be written,
    `UnsupportedError` for zstd without a decoder.
    """
    report = CheckRdbReport(path=path)
    now = int(time.time() * 1000) if now_ms is None else now_ms
    if os.path.isdir(path):
        raise InputError("is a directory; check-aof checks append-only directories", path=path)
    with open_input(path) as source:
        w = source.window()
        if progress is not None:
            w.source = Metered(source.stream, source.size, progress)
        report.facts = facts = verify_rdb(w, report.findings, databases=databases, now_ms=now, values=values)
        report.size = _size(w, facts, report.findings)
    if target is not None:
        report.suitability = suitability(facts, report.findings, target)
    return report


def _size(w: Window, facts: RdbFacts, findings: Findings) -> int:
    """The size of the input; bytes behind a whole RDB are reported."""
    if not facts.complete:
        return int(w.size if w.size >= 0 else facts.end)
    if not w.at_end():
        first = w.data[w.pos]
        rest = _drain(w)
        what = "; they look like an AOF: check-aof checks both" if first in b"*#" else ""
        what = "; another RDB begins there" if first in b"RV" and what == "" else what
        Inspection(findings, w.path).report(
            "trailing-bytes", f"{plural(rest, 'byte')} after the end, which servers ignore{what}", facts.end
        )
    return int(w.offset())


def _drain(w: Window) -> int:
    start = w.offset()
    if w.size >= 0:
        w.skip(w.size - start)
    while not w.at_end():
        w.skip(w.end - w.pos)
    return int(w.offset() - start)


def suitability(facts: RdbFacts, findings: Findings, target: Release) -> Suitability:
    """Tell whether ``target``, as it comes, loads an RDB that was verified with these results."""
    answer = Suitability(target.name)
    if not facts.dialect:
        answer.refuse("it is not an RDB")
        return answer
    dialect = DIALECT_NAMES.index(facts.dialect)
    if not target.loads(dialect, facts.version):
        reads = f"RDB versions up to {target.rdb_version} of {DIALECT_NAMES[target.dialect].capitalize()}"
        if target.dialect == VALKEY:
            reads += f" and up to {LAST_SHARED} of Redis"
        answer.refuse(
            f"it is RDB version {facts.version} of {facts.dialect.capitalize()}, and {target.name} reads {reads}"
        )
        if target.has(RELAXED_VERSION_CHECK) and dialect == REDIS:
            answer.remarks.append(
                "with 'rdb-version-check relaxed' it tries, and fails at the first type it does not know"
            )
    for name, count in facts.encodings.items():
        if not loads_type(target, row_of(dialect, name)):
            answer.refuse(f"it holds {plural(count, 'value')} of type {name}, which {target.name} does not know")
    if facts.functions and not target.has(FUNCTIONS):
        answer.refuse(f"it holds {plural(len(facts.functions), 'function library')}, which {target.name} does not know")
    for module, count in facts.modules.items():
        if not target.has_module(module):
            answer.remarks.append(
                f"it needs the module of type '{module}' for {plural(count, 'key')}, or refuses the file"
            )
    _weigh_findings(answer, findings, target)
    if not facts.complete and answer.loads and "unsupported" in findings.counts:
        answer.loads = None
        answer.remarks.append(f"rdbtool itself could read it only up to offset {facts.good_to}")
    return answer


def _weigh_findings(answer: Suitability, findings: Findings, target: Release) -> None:
    lurking = 0
    for code, count in findings.counts.items():
        known = CODES.get(code)
        if known is None:
            if code != "unsupported":
                answer.refuse(f"{code}: {_first(findings, code)}")
        elif known.severity is Severity.ERROR:
            if known.is_minded_by(target):
                answer.refuse(f"{code}: {_first(findings, code)}")
            else:
                lurking += count
    if lurking:
        unless = " unless 'sanitize-dump-payload' is yes" if target.has(LOOKS_INTO_VALUES) else ""
        go = "goes" if lurking == 1 else "go"
        what = f"{plural(lurking, 'error')} inside values {go} unseen{unless}"
        answer.remarks.append(f"{what}; commands on them may crash it")


def _first(findings: Findings, code: str) -> str:
    for finding in findings.items:
        if finding.code == code:
            where = f" (offset {finding.offset})" if finding.offset >= 0 else ""
            return finding.message + where
    return code
