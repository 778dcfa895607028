"""What a repair would drop: cuts per file, and lines of the manifest. Nothing is written here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rdbtool.aof.check import MISSING, FileVerdict, start_of
from rdbtool.aof.config import DEFAULT, LogConfig
from rdbtool.aof.cuts import UNDONE, Cut, Cuts
from rdbtool.aof.layout import Layout, LogFile
from rdbtool.aof.manifest import Part
from rdbtool.aof.salvage import OPEN_TRANSACTION, Salvager, database_at, survey
from rdbtool.aof.salvage_base import BUILT_ON_LOSS, mend_base
from rdbtool.errors import UsageError, printable
from rdbtool.findings import KEPT_PER_CODE, Finding, Findings, Severity, plural
from rdbtool.io.random_access import Pages
from rdbtool.servers.releases import Release

SELECT_SEARCHED: Final = 1 << 20
"""Bytes of an unreadable region that are searched for what may have been a SELECT."""
SECOND: Final = ".before-repair"
"""Appended to the name of an old file while several change."""


def lasting(path: str) -> str:
    """``path`` without the mark of a second name: what the file is called in the end."""
    return path.removesuffix(SECOND)


@dataclass(slots=True)
class FilePlan:
    """What a file loses. ``log_start``: where its commands begin; the snapshot before is never cut."""

    file: LogFile
    size: int
    cuts: Cuts
    turn_back: int = -1
    """Where lines begin whose ends are turned back; -1 for none. Then nothing is cut."""

    @property
    def is_tail(self) -> bool:
        """Whether nothing but the end goes, so that the file can be cut where it is."""
        return len(self.cuts) == 1 and int(self.cuts[0].end) == self.size and not self.cuts[0].insert

    @property
    def lost(self) -> int:
        """Bytes that go, and in whose place nothing is put."""
        return sum(int(c.end - c.start) for c in self.cuts if c.code != UNDONE)

    def as_json(self, kept: int = KEPT_PER_CODE) -> dict[str, Any]:
        """The plan as data, with ``kept`` of its cuts at most."""
        return {
            "path": self.file.path,
            "size": self.size,
            "bytes": self.lost,
            "line_ends_turned_back": self.turn_back >= 0,
            "more_cuts": max(0, len(self.cuts) - kept),
            "cuts": [
                {
                    "start": int(c.start),
                    "end": int(c.end),
                    "code": c.code,
                    "message": c.message,
                    "commands": int(c.commands),
                    "transactions": int(c.transactions),
                    "first_commands": [printable(k) for k in c.keys],
                    "inserted": printable(c.insert) if c.insert else None,
                }
                for c in self.cuts.first(kept)
            ],
        }


@dataclass(slots=True)
class RepairPlan:
    """Cuts, file by file, and parts that leave the manifest (their files stay).

    ``loss``: commands go that a server, left alone, would have loaded or could be made to load, or keys of a damaged
    snapshot; ``mended``: damage of one is undone.
    """

    layout: Layout
    findings: Findings = field(default_factory=Findings)
    files: list[FilePlan] = field(default_factory=list)
    dropped: list[LogFile] = field(default_factory=list)
    loss: bool = False
    mended: bool = False
    config: LogConfig = DEFAULT
    releases: Sequence[Release] = ()
    """What it is for."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.files and not self.dropped

    @property
    def lost(self) -> int:
        """Bytes that are cut from files; parts that leave the manifest are not counted, they are kept."""
        return sum(f.lost for f in self.files)

    def manifest_bytes(self) -> bytes | None:
        """The manifest after the repair, or None where it stays as it is."""
        manifest = self.layout.manifest
        parts: list[Part] = [f.part for f in self.dropped if f.part is not None]
        if manifest is None or not parts:
            return None
        return manifest.without(parts)

    def as_json(self) -> dict[str, Any]:
        """The plan as data."""
        return {
            "bytes": self.lost,
            "loss": self.loss,
            "files": [f.as_json(self.findings.kept) for f in self.files],
            "leave_the_manifest": [f.path for f in self.dropped],
        }


def plan_repair(
    layout: Layout,
    verdicts: list[FileVerdict],
    *,
    salvage: bool = False,
    keep_open: bool = False,
    drop_refused: bool = False,
    config: LogConfig = DEFAULT,
    kept: int = KEPT_PER_CODE,
) -> RepairPlan:
    """Plan the repair of files that were checked, and their cut where the check ended at a time.

    Without ``salvage`` a damaged file loses everything from the damage on; with it, only what cannot be
    read; ``keep_open``: and of a transaction without end only what a server cuts. What can be read is damage only with
    ``drop_refused``: then commands go that no server runs, for their name or number of words. ``kept``: as of
    `Findings`. Raises `UsageError` where no cut can repair the set.
    """
    plan = RepairPlan(layout, Findings(kept=kept), config=config)
    for i, (file, verdict) in enumerate(zip(layout.files, verdicts, strict=True)):
        if salvage and verdict.needs_mending:
            _mend(plan, file, keep_open, drop_refused, config, kept)
            continue
        _refuse_hopeless(verdict)
        if verdict.line_ends and not verdict.restorable and verdict.fault is not None:
            plan.loss = plan.loss or not verdict.fault.truncated
        if verdict.restorable:
            plan.files.append(FilePlan(file, verdict.size, Cuts(), verdict.log_start))
            continue
        end = verdict.until if verdict.until >= 0 else verdict.size
        if end > verdict.log_start or verdict.until < 0:
            cuts = _cuts(verdict, end, salvage, keep_open, drop_refused, config, kept)
            if end < verdict.size:
                _cut_at_time(verdict, cuts, end, config)
            if len(cuts):
                plan.files.append(FilePlan(file, verdict.size, cuts))
        elif verdict.log_start > 0:
            cut = Cut(end, verdict.size, "until", "later than the time asked for")
            _survey(verdict, cut, config)
            plan.files.append(FilePlan(file, verdict.size, Cuts([cut])))
        else:
            plan.dropped.append(file)
        if verdict.until >= 0:
            plan.dropped += layout.files[i + 1 :]
            break
    for file_plan in plan.files:
        _remark(plan, file_plan)
    return plan


def _mend(plan: RepairPlan, file: LogFile, keep_open: bool, drop_refused: bool, config: LogConfig, kept: int) -> None:
    """Plan to keep what can be read of a snapshot, and of the log behind it."""
    mended = mend_base(file.path, file.role)
    cuts = Cuts(mended.cuts, kept=kept)
    size = int(mended.size)
    if mended.log_start < size:
        with Pages(file.path) as pages:
            salvager = Salvager(pages, mended.log_start, size, config, drop_refused=drop_refused, keep_open=keep_open)
            salvager.run()
            for cut, select in zip(salvager.cuts, salvager.selects, strict=True):
                inner = survey(pages, cut, config)
                if int(cut.end) < size:
                    _keep_database(pages, cut, inner, select)
                cuts.append(cut)
    plan.files.append(FilePlan(file, size, cuts))
    result = mended.result
    undone = result.undone
    if undone is not None:
        message = f"{undone}, and nothing of the snapshot is lost"
    else:
        lost = f"{result.lost_bytes:,} bytes of it are lost" if result.lost else "and none of its bytes is left out"
        message = f"{plural(result.keys, 'key')} of the snapshot come back, {lost}"
        if result.zeroed:
            message = f"nothing of the base comes back: it had nothing but NULs in it, and {lost}"
        if result.checksum == "bad":
            message += f"; {result.doubt}"
        if result.lacking:
            message += f"; the log is then applied to what came back: {BUILT_ON_LOSS}"
    at = int(undone.start) if undone is not None else -1
    plan.findings.add(Finding(Severity.WARNING, "snapshot-mended", message, file.path, at))
    plan.mended = plan.mended or result.mended
    plan.loss = plan.loss or result.lossy


def _refuse_hopeless(verdict: FileVerdict) -> None:
    if verdict.verdict == MISSING:
        raise UsageError("the manifest names a file that is not there: no cut repairs that", path=verdict.path)
    if not verdict.cuttable:
        raise UsageError(
            "the snapshot it begins with is damaged, and no cut repairs that: --salvage keeps what can be read of it",
            path=verdict.path,
            offset=0,
        )
    if not verdict.plain:
        raise UsageError("only a plain file can be repaired, neither a compressed one nor a pipe", path=verdict.path)


def _cuts(
    verdict: FileVerdict, end: int, salvage: bool, keep_open: bool, drop_refused: bool, config: LogConfig, kept: int
) -> Cuts:
    """The cuts that make bytes up to ``end`` readable."""
    fault = verdict.fault
    bad = [*verdict.unknown] if drop_refused else []
    if drop_refused and verdict.wrong is not None:
        bad.append(verdict.wrong)
    first = min(bad, key=start_of, default=None)
    if fault is None and first is None:
        if verdict.cut_annotation < 0:
            return Cuts()
        return Cuts([Cut(verdict.cut_annotation, end, "cut-annotation", "an annotation without its end")])
    if not salvage:
        if first is not None and (fault is None or first.start < fault.start):
            code = "wrong-arity" if first is verdict.wrong else "unknown-command"
            cut = Cut(int(first.before), end, code, f"command '{printable(first.name, 64)}'")
        else:
            assert fault is not None
            cut = Cut(verdict.sound_up_to, end, fault.code, fault.message)
            cut.by_server = fault.truncated and verdict.readable_behind == 0
        _survey(verdict, cut, config)
        return Cuts([cut])
    with Pages(verdict.path) as pages:
        begin = verdict.log_start
        salvager = Salvager(pages, begin, end, config, drop_refused=drop_refused, keep_open=keep_open)
        salvager.cuts = cuts = Cuts(kept=kept)
        salvager.run()
        for i, select in enumerate(salvager.selects):
            cut = cuts[i]
            inner = survey(pages, cut, config)
            if int(cut.end) < end:
                _keep_database(pages, cut, inner, select)
            elif fault is not None:
                cut.by_server = fault.truncated and verdict.readable_behind == 0
            cuts[i] = cut
        return cuts


def _survey(verdict: FileVerdict, cut: Cut, config: LogConfig) -> None:
    with Pages(verdict.path) as pages:
        survey(pages, cut, config)


def _cut_at_time(verdict: FileVerdict, cuts: Cuts, end: int, config: LogConfig) -> None:
    cut = Cut(end, verdict.size, "until", "later than the time asked for")
    _survey(verdict, cut, config)
    if len(cuts) and int(cuts[-1].end) == end:
        before = cuts[-1]
        before.end = cut.end
        before.commands += cut.commands
        before.transactions += cut.transactions
        cuts[-1] = before
    else:
        cuts.append(cut)


def _keep_database(pages: Pages, cut: Cut, inner: Salvager, select: int) -> None:
    """Put a SELECT in the place of a cut that holds one for another database."""
    if inner.last_select >= 0:
        after = database_at(pages, inner.last_select)
        if after != database_at(pages, select):
            cut.insert = b"*2\r\n$6\r\nSELECT\r\n$%d\r\n%b\r\n" % (len(after), after)
    for hole in inner.cuts:
        if hole.start > inner.last_select:
            text = pages.take(hole.start, min(hole.end - hole.start, SELECT_SEARCHED))
            if b"select" in text.lower():
                cut.blind_select = True


def _remark(plan: RepairPlan, file_plan: FilePlan) -> None:
    """Say what a cut means for what follows."""
    path = file_plan.file.path
    layout = plan.layout
    is_early = has_gap = False
    for cut in file_plan.cuts:
        if cut.code == UNDONE:
            continue
        is_early = is_early or cut.code != "until"
        has_gap = has_gap or (int(cut.end) < file_plan.size and cut.code != "cut-annotation")
        if cut.code not in {"until", "cut-annotation"} and not cut.by_server:
            plan.loss = plan.loss or cut.commands > 0 or not file_plan.is_tail
        if cut.code == OPEN_TRANSACTION and int(cut.end) < file_plan.size:
            plan.findings.add(
                Finding(
                    Severity.WARNING,
                    "open-transaction-kept",
                    "what stands behind an open MULTI is kept from the first SELECT in it on, as a server writes one "
                    "when it goes on; without one, all behind MULTI is, and a part of the transaction may be among it",
                    path,
                    int(cut.end),
                )
            )
        if cut.blind_select:
            plan.findings.add(
                Finding(
                    Severity.WARNING,
                    "database-uncertain",
                    "the dropped bytes seem to hold a SELECT that cannot be read: commands behind them, up to the next "
                    "SELECT, may run in the wrong database",
                    path,
                    int(cut.start),
                )
            )
        if cut.insert.startswith(b"*"):
            plan.findings.add(
                Finding(
                    Severity.NOTE,
                    "select-kept",
                    "the dropped bytes hold a SELECT: one is put in their place, so that what follows stays in its "
                    "database",
                    path,
                    int(cut.start),
                )
            )
    kept = [f.path for f in layout.files if f not in plan.dropped]
    if path in kept and path != kept[-1] and is_early:
        plan.findings.add(
            Finding(
                Severity.WARNING,
                "order",
                f"not the last file: what follows in the set, up to '{os.path.basename(kept[-1])}', then runs on data "
                "that lacks what is dropped here",
                path,
            )
        )
    if has_gap:
        plan.findings.add(
            Finding(
                Severity.WARNING,
                "gap",
                "commands behind a dropped region run on data that lacks what it did: a key in it may end up with "
                "another value than it had",
                path,
            )
        )
