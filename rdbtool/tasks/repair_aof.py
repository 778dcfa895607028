"""Repair an append-only file or set that was checked: cut it where a server can load it, or at a time."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import Any

from rdbtool.aof.check import FileVerdict, verify_log
from rdbtool.aof.config import LogConfig
from rdbtool.aof.in_place import alone
from rdbtool.aof.layout import LogFile
from rdbtool.aof.repair.apply import apply_in_place, write_copy
from rdbtool.aof.repair.plan import RepairPlan, lasting, plan_repair
from rdbtool.errors import NotSyncedError, OutputError, UsageError
from rdbtool.findings import Finding, Findings, Report, Severity
from rdbtool.io.destination import find

from .check_aof import CheckAofReport, refuse_nothing_before, wrong_arity


@dataclass(slots=True)
class RepairAofReport(Report):
    """What a repair did. ``undo``: shell commands that take it back; ``output``: where a copy went, or "".

    ``files``: the verdicts on the files it wrote, checked again afterwards.
    """

    plan: RepairPlan | None = None
    output: str = ""
    undo: list[str] = field(default_factory=list)
    files: list[FileVerdict] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        return {
            "output": self.output or None,
            "loss": self.loss,
            "undo": self.undo,
            "files": [f.as_json() for f in self.files],
            "findings": [f.as_json() for f in self.findings.items],
        }


def plan_aof_repair(
    report: CheckAofReport,
    *,
    salvage: bool = False,
    keep_open: bool = False,
    drop_refused: bool = False,
    until: int = -1,
    max_loss: int = -1,
) -> RepairPlan:
    """Plan the repair of what ``report`` is about; nothing is changed. ``until`` is that of the check.

    ``salvage``: drop only what cannot be read; ``keep_open``: and of a transaction without end only what a server
    cuts; ``drop_refused``: drop also commands that can be read and no server runs; ``max_loss``: bytes that may be cut
    at most, -1 for any.
    Raises `UsageError` where no cut can repair it, or options contradict each other.
    """
    if salvage and until >= 0:
        raise UsageError("salvage first and cut at a time afterwards: not both at once", path=report.path)
    layout = report.layout
    if layout is None:
        raise UsageError("the manifest is damaged: it has to be mended by hand first", path=report.path)
    if not layout.files:
        return RepairPlan(layout)
    if not layout.is_set and len(layout.files) > 1:
        raise UsageError("parts without a manifest: name the files one by one", path=report.path)
    foreign = next((file for file in report.files if file.foreign and not (salvage and file.needs_mending)), None)
    if foreign is not None:
        move = "" if layout.is_set else "; move it away, and the server starts empty"
        raise UsageError(f"no append-only file: nothing of it could be kept{move}", path=foreign.path)
    if until >= 0:
        refuse_nothing_before(report, until)
    plan = plan_repair(
        layout,
        report.files,
        salvage=salvage,
        keep_open=keep_open,
        drop_refused=drop_refused,
        config=report.config,
        kept=report.findings.kept,
    )
    plan.releases = report.releases
    if 0 <= max_loss < plan.lost:
        raise UsageError(f"the repair would cut {plan.lost} bytes, more than the {max_loss} allowed", path=report.path)
    return plan


def repair_aof(
    plan: RepairPlan,
    *,
    output: str | os.PathLike[str] = "",
    save: bool = True,
    save_to: str | os.PathLike[str] = "",
    force: bool = False,
) -> RepairAofReport:
    """Carry ``plan`` out: on the files themselves, or as a copy at ``output``. What was written is checked.

    ``save``: keep what is cut from the files themselves, in the directory ``save_to``, "" for beside each file;
    ``force``: go on where a process has the log open for writing. Raises `OutputError`, and `UsageError` for a set
    with a part that leads out of its directory; then the files are as they were.
    """
    output, save_to = os.fspath(output), os.fspath(save_to)
    report = RepairAofReport(plan=plan, output=output, loss=plan.loss)
    report.findings.add_all(plan.findings)
    turned = next((file for file in plan.files if file.turn_back >= 0), None)
    if turned is not None and not output:
        raise UsageError("its line ends can be turned back in a copy only: -o COPY writes one", path=turned.file.path)
    if output:
        write_copy(plan, output)
        if find(output).is_stream:
            return report  # it cannot be read again
    else:
        with alone(lambda: plan.layout, force=force) as (_, remarks):
            for finding in remarks:
                report.findings.add(finding)
            report.undo, unsafe = apply_in_place(plan, save=save, save_to=save_to)
        if unsafe:
            report.findings.add(Finding(Severity.ERROR, NotSyncedError.code, unsafe, plan.layout.path))
    for file_plan in plan.files:
        file = file_plan.file
        path = lasting(file.path)
        if output:
            path = output if file.part is None else os.path.join(output, file.part.name)
        found = Findings()
        verdict = verify_log(LogFile(path, file.role, file.part), found, config=plan.config)
        report.files.append(verdict)
        if not verdict.whole and not _is_in_form(verdict, plan.config):
            worst = next((one for one in found.items if one.severity is Severity.ERROR), None)
            why = "is something else writing it?" if worst is None else worst.message
            raise OutputError(f"repaired, and still not whole: {why}", path=path)
        if verdict.wrong is not None:
            found.add(wrong_arity(verdict, verdict.wrong, plan.releases))
        for finding in found.items:
            if finding.severity is Severity.ERROR:
                report.findings.add(finding)
    return report


def _is_in_form(verdict: FileVerdict, config: LogConfig) -> bool:
    """Whether nothing is wrong with a file but the number of a database, which is no damage: its server has more."""
    more = LogConfig(config.names, databases=sys.maxsize, max_bulk=int(config.max_bulk), line=int(config.line))
    return verify_log(LogFile(verdict.path, verdict.role), Findings(), config=more).whole
