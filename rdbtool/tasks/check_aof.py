"""Check an append-only file, or the set of files that a manifest makes one: would a server load it, how far, and
what stands in the way.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rdbtool.aof.check import BROKEN, EMPTY, MISSING, TRUNCATED, FileVerdict, verify_log
from rdbtool.aof.layout import Layout, LogFile, locate
from rdbtool.aof.resp import MAX_BULK
from rdbtool.errors import FormatError, UsageError
from rdbtool.findings import Finding, Report, Severity, finding_of
from rdbtool.rdb.check import DATABASES


@dataclass(slots=True)
class CheckAofReport(Report):
    """What the check found. ``files`` in the order a server loads them, then history files if asked for.

    ``loads``: whether a server starts with it as it is, without or with cutting a tail by itself.
    """

    path: str = ""
    layout: Layout | None = None
    files: list[FileVerdict] = field(default_factory=list)
    history: list[FileVerdict] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """``ok``, ``truncated`` (a server cuts the end by itself, and starts) or ``broken``."""
        codes = self.findings.counts
        if any(code in codes for code in ("bad-manifest", "missing-file", "no-manifest")):
            return BROKEN
        verdicts = {f.verdict for f in self.files}
        if BROKEN in verdicts or MISSING in verdicts:
            return BROKEN
        return TRUNCATED if TRUNCATED in verdicts else "ok"

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        manifest = self.layout.manifest_path if self.layout is not None else ""
        return {
            "path": self.path,
            "verdict": self.verdict,
            "manifest": manifest or None,
            "files": [f.as_json() for f in self.files],
            "history": [f.as_json() for f in self.history],
            "findings": [f.as_json() for f in self.findings.items],
            "counts": self.findings.counts,
        }


def check_aof(
    path: str,
    *,
    history: bool = False,
    max_bulk: int = MAX_BULK,
    databases: int = DATABASES,
    allow: tuple[str, ...] = (),
    until: int = -1,
    progress: Callable[[int, int], object] | None = None,
) -> CheckAofReport:
    """Check what is at ``path``: a log with or without a snapshot in front, a manifest, or a directory.

    ``history``: check also the files that a rewrite has replaced; ``max_bulk``: the server's
    ``proto-max-bulk-len``; ``databases``: how many it has; ``allow``: names of commands it has in addition,
    from a module or renamed; ``until``: a Unix time: reading a file ends at the first later annotation;
    ``progress`` is told the bytes read of all files, and their size or -1.
    Raises `InputError` where something cannot be read, `UsageError` where ``path`` is ambiguous.
    """
    report = CheckAofReport(path=path)
    try:
        report.layout = layout = locate(path)
    except FormatError as e:
        report.findings.add(_bad_manifest(e))
        return report
    for finding in layout.findings:
        report.findings.add(finding)
    allowed = frozenset(os.fsencode(name).upper() for name in allow)
    meter = _Meter(layout.files, progress)
    for i, file in enumerate(layout.files):
        verdict = verify_log(
            file,
            report.findings,
            last=i == len(layout.files) - 1,
            max_bulk=max_bulk,
            databases=databases,
            allowed=allowed,
            until=until,
            progress=meter.of(file),
        )
        report.files.append(verdict)
    if layout.is_set and layout.files and all(f.verdict == EMPTY for f in report.files):
        report.findings.add(
            Finding(Severity.WARNING, "all-empty", "every file is empty: the server starts empty", layout.manifest_path)
        )
    if history:
        report.history = [
            verify_log(file, report.findings, max_bulk=max_bulk, databases=databases, allowed=allowed)
            for file in layout.history
        ]
    return report


class _Meter:
    """Turns the progress of one file after the other into that of all."""

    def __init__(self, files: list[LogFile], progress: Callable[[int, int], object] | None) -> None:
        self.progress = progress
        self.sizes: dict[str, int] = {}
        for file in files:
            with contextlib.suppress(OSError):
                self.sizes[file.path] = os.stat(file.path).st_size
        self.total = sum(self.sizes.values())
        self.before = 0

    def of(self, file: LogFile) -> Callable[[int, int], object] | None:
        """What to tell the progress of ``file``, the next one."""
        progress = self.progress
        if progress is None:
            return None
        start = self.before
        self.before += self.sizes.get(file.path, 0)

        def told(done: int, size: int) -> None:
            progress(start + done, self.total if size >= 0 else -1)

        return told


def _bad_manifest(error: FormatError) -> Finding:
    finding = finding_of(error)
    return Finding(
        finding.severity,
        "bad-manifest",
        f"{finding.message}: the server ends",
        finding.path,
        finding.offset,
        doing=finding.doing,
    )


def refuse_nothing_before(report: CheckAofReport, until: int) -> None:
    """Raise `UsageError` where a cut at ``until`` would leave nothing, or cannot be told."""
    if not any(f.annotations or f.until >= 0 for f in report.files):
        raise UsageError(
            "no timestamp annotations: only a log written with 'aof-timestamp-enabled yes' can be cut at a time",
            path=report.path,
        )
    first = report.files[0]
    if first.until == 0:
        raise UsageError(f"nothing in it is as old as {until}: the first annotation is later", path=first.path)
    facts = first.preamble
    created = facts.aux.get("ctime", "") if facts is not None else ""
    if created.isdigit() and int(created) > until:
        raise UsageError(
            f"the snapshot it begins with was written at {created}, after {until}: an older state is not in it",
            path=first.path,
        )
