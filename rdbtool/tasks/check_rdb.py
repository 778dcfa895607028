"""Check RDB files: whether they are whole, whether their values are sound, and which servers load them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rdbtool.basics.crc64 import combines
from rdbtool.errors import FormatError, InputError
from rdbtool.findings import Findings, Report, Severity, changed_finding, plural
from rdbtool.io.progress import Progress
from rdbtool.io.source import open_input
from rdbtool.io.window import Metered, Window
from rdbtool.rdb.check import KeyObserver, RdbFacts, verify_rdb
from rdbtool.rdb.layout.codes import CODES, SOME
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.opcodes import DIALECT_NAMES, REDIS, VALKEY
from rdbtool.rdb.targets import loads_type
from rdbtool.rdb.types import row_of
from rdbtool.servers.features import (
    FUNCTIONS,
    LOOKS_INTO_VALUES,
    RELAXED_VERSION_CHECK,
    SLOT_COUNTS_PASSED,
    VALKEY_SCRIPTS,
)
from rdbtool.servers.limits import DATABASES
from rdbtool.servers.releases import LAST_SHARED, Release, newest_of_each, release_of, releases_asked, writer_of

from .libraries import libraries_remark, tell_libraries

if TYPE_CHECKING:
    from concurrent.futures import Executor


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
    """What the check of one file found. ``size``: bytes of the (uncompressed) input.

    ``releases``: whether releases load it: those that were named (``asked``), else the one that wrote it, else the
    newest of each product; ``suitability``: of the first that was named.
    """

    path: str = ""
    size: int = 0
    facts: RdbFacts | None = None
    releases: list[Suitability] = field(default_factory=list)
    asked: bool = False

    @property
    def suitability(self) -> Suitability | None:
        """Whether the first release that was named loads the file."""
        return self.releases[0] if self.asked else None

    @property
    def refused(self) -> bool:
        """Whether a release that was named is not known to load the file."""
        return self.asked and any(answer.loads is not True for answer in self.releases)

    @property
    def sound(self) -> bool:
        """Whether a current server that sanitizes loads the file."""
        return self.findings.worst is not Severity.ERROR

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        data: dict[str, Any] = {"path": self.path, "sound": self.sound, "size": self.size}
        if self.facts is not None:
            data["rdb"] = self.facts.as_json()
        answers = [answer.as_json() for answer in self.releases]
        if self.asked:
            data["for"] = answers[0] if len(answers) == 1 else answers
        data["releases"] = answers
        data["findings"] = [f.as_json() for f in self.findings.items]
        data["counts"] = self.findings.counts
        return data


def check_rdb(
    path: str | os.PathLike[str],
    *,
    databases: int = DATABASES,
    target: str | Release | None = None,
    releases: Iterable[str | Release] = (),
    modules: Sequence[str] = (),
    now_ms: int | None = None,
    values: bool = True,
    all_findings: bool = False,
    progress: Progress | None = None,
    observer: KeyObserver | None = None,
    executor: Executor | None = None,
    workers: int = 0,
    portion: int = 0,
) -> CheckRdbReport:
    """Check the RDB at ``path`` (or ``-``; gzip and zstd are opened).

    ``databases``: how many the server has; ``releases``, and ``target`` before them: names of servers to tell whether
    they load the file (`releases_asked`); ``modules``: types of modules that they have;
    ``now_ms``: when keys count as expired, the present if None; ``values``: look into values; ``all_findings``: keep
    each finding, however many they are; ``progress`` is called with the bytes read and the size, or -1; ``observer`` is
    shown the keys. With an ``executor`` parts of a plain file, of about ``portion`` bytes, are checked side by side, by
    so many ``workers``; the answer is the same. Raises `InputError` where the input cannot be read, `OutputError` where
    temporary data cannot be written, `UnsupportedError` for zstd without a decoder, `LostWorkerError`.
    """
    path = os.fspath(path)
    named = [*(() if target is None else [release_of(target)]), *releases_asked(releases)]
    if os.path.isdir(path):
        raise InputError("is a directory; check-aof checks append-only directories", path=path)
    now = int(time.time() * 1000) if now_ms is None else now_ms
    if executor is not None and values and observer is None and combines():
        from .check_rdb_parts import check_in_parts
        from .parts import FileState, reopened
        from .workers import cores

        report = CheckRdbReport(path=path, asked=bool(named))
        if all_findings:
            report.findings.kept = sys.maxsize
        with open_input(path) as source:
            w = source.window()
            state = FileState.of(w)
            facts = None
            if state is not None:
                facts = check_in_parts(
                    w,
                    state,
                    report.findings,
                    executor,
                    databases=databases,
                    now_ms=now,
                    workers=workers or cores(),
                    portion=portion,
                    progress=progress,
                )
            if facts is not None:
                report.facts = facts
                report.size = _size(reopened(w, int(facts.end)) if facts.complete else w, facts, report.findings)
                _judge(report, facts, named, modules)
                if not source.changed():
                    return report
    with open_input(path) as source:
        w = source.window()
        if progress is not None:
            w.source = Metered(source.stream, source.size, progress)
        report = check_rdb_in(
            w,
            path,
            databases=databases,
            releases=named,
            modules=modules,
            now_ms=now,
            values=values,
            all_findings=all_findings,
            observer=observer,
        )
        if report.failed and source.sent:
            source.refuse_change(FormatError("damaged"))
        change = source.changed()
        if change:
            report.findings.add(changed_finding(change, path))
        return report


def check_rdb_in(
    w: Window,
    path: str,
    *,
    databases: int = DATABASES,
    releases: Sequence[Release] = (),
    modules: Sequence[str] = (),
    now_ms: int | None = None,
    values: bool = True,
    all_findings: bool = False,
    observer: KeyObserver | None = None,
) -> CheckRdbReport:
    """The same for an RDB that is open, at its first byte; ``path``: what it is called."""
    named = list(releases)
    report = CheckRdbReport(path=path, asked=bool(named))
    if all_findings:
        report.findings.kept = sys.maxsize
    now = int(time.time() * 1000) if now_ms is None else now_ms
    report.facts = facts = verify_rdb(
        w, report.findings, databases=databases, now_ms=now, values=values, observer=observer
    )
    report.size = _size(w, facts, report.findings)
    _judge(report, facts, named, modules)
    return report


def _judge(report: CheckRdbReport, facts: RdbFacts, named: Sequence[Release], modules: Sequence[str]) -> None:
    """Tell of libraries, and of releases whether they load the file."""
    tell_libraries(facts, report.findings, report.path)
    if named:
        report.releases = [suitability(facts, report.findings, release, modules) for release in named]
    elif facts.dialect:
        written_by = writer_of({name.encode(): value.encode() for name, value in facts.aux.items()})
        # whoever wrote it has the modules whose data it holds
        owned = [*modules, *facts.modules, *facts.module_data]
        likely = newest_of_each() if written_by is None else (written_by,)
        report.releases = [suitability(facts, report.findings, release, owned) for release in likely]


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


def suitability(facts: RdbFacts, findings: Findings, target: Release, modules: Sequence[str] = ()) -> Suitability:
    """Tell whether ``target``, as it comes but with these ``modules``, loads an RDB that was verified with these
    results.
    """
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
    if facts.slot_counts and not target.does(SLOT_COUNTS_PASSED):
        answer.refuse(
            f"it counts the keys of {plural(int(facts.slot_counts), 'slot')}, which {target.name} does not know"
        )
    if facts.functions and not target.has(FUNCTIONS):
        answer.refuse(f"it holds {plural(len(facts.functions), 'function library')}, which {target.name} does not know")
    if facts.valkey_functions and target.has(FUNCTIONS) and not target.has(VALKEY_SCRIPTS):
        names = ", ".join(facts.valkey_functions)
        answer.refuse(f"function library {names} calls 'server', which only Valkey has from 8.0 on")
    _weigh_modules(answer, facts, target, modules)
    _weigh_findings(answer, findings, target)
    remark = libraries_remark(facts)
    if remark and target.has(FUNCTIONS) and answer.loads:
        answer.remarks.append(remark)
    if not facts.complete and answer.loads and "unsupported" in findings.counts:
        answer.loads = None
        answer.remarks.append(f"rdbtool itself could read it only up to offset {facts.good_to}")
    return answer


def _weigh_modules(answer: Suitability, facts: RdbFacts, target: Release, modules: Sequence[str]) -> None:
    needed = {module: f"for {plural(count, 'key')}" for module, count in facts.modules.items()}
    for module in facts.module_data:
        needed.setdefault(module, "for data beside the keys")
    for module, what in needed.items():
        if target.has_module(module):
            continue
        if module not in modules:
            answer.refuse(f"it needs the module of type '{module}' {what}, which {target.name} does not have by itself")
            continue
        if answer.loads:
            answer.loads = None
        answer.remarks.append(f"whether the module of type '{module}' takes what is there, only it knows")


def _weigh_findings(answer: Suitability, findings: Findings, target: Release) -> None:
    lurking = 0
    for code, count in findings.counts.items():
        known = CODES.get(code)
        if known is None:
            if code != "unsupported":
                answer.refuse(f"{code}: {_first(findings, code)}")
        elif known.severity is Severity.ERROR or known.minds == SOME:
            if known.is_minded_by(target):
                answer.refuse(f"{code}: {_first(findings, code)}")
            elif known.minds != SOME:
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
