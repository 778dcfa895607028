"""What ``rdbtool check-aof`` prints."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

from rdbtool.aof.check import BROKEN, EMPTY, MISSING, OK, TRUNCATED, FileVerdict
from rdbtool.aof.cuts import UNDONE
from rdbtool.errors import printable
from rdbtool.findings import Alike, Finding, Findings
from rdbtool.servers.releases import RELEASES
from rdbtool.tasks.check_aof import CheckAofReport

from .render import finding_line, number, paint, plural, show_path, size, table, unkept_lines
from .way_out import way_out

if TYPE_CHECKING:
    from rdbtool.aof.rebuilding import Rebuilt
    from rdbtool.aof.repair.plan import RepairPlan
    from rdbtool.tasks.repair_aof import RepairAofReport

DETAILED_CUTS = 20
SHOWN_FILES = 20
"""Files of a set that are shown, of those that are missing, and findings of one code about the set."""
COLOURS = {OK: "green", EMPTY: "green", TRUNCATED: "yellow", BROKEN: "red", MISSING: "red"}


def _moment(seconds: int) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def print_report(report: CheckAofReport, *, all_findings: bool = False) -> None:
    """The verdict, what is known of each file, the findings, and what releases do with it."""
    verdict = report.verdict
    print(f"{paint(show_path(report.path), 'bold')}: {paint(verdict, COLOURS[verdict])} ({_meaning(report)})")
    by_path: dict[str, list[tuple[Finding, Alike | None]]] = {}
    found = report.findings
    for one in _shown(found, all_findings):
        by_path.setdefault(one[0].path, []).append(one)
    in_set = len(report.files) > 1 or (report.layout is not None and report.layout.is_set)
    missing = 0
    for file in [*report.files, *report.history]:
        missing += file.verdict == MISSING
        if file.verdict == MISSING and missing > SHOWN_FILES:
            continue
        for line in _file_lines(file, in_set):
            print(f"  {line}")
        for finding, alike in by_path.pop(file.path, []) + by_path.pop(show_path(file.path), []):
            print(f"    {finding_line(finding, alike)}")
    if missing > SHOWN_FILES:
        print(f"  ... and {plural(missing - SHOWN_FILES, 'file')} more that are missing")
    printed: dict[str, int] = {}
    for finding, alike in [one for rest in by_path.values() for one in rest]:
        printed[finding.code] = printed.get(finding.code, 0) + 1
        if printed[finding.code] <= SHOWN_FILES or all_findings:
            print(f"  {_with_file(finding, alike)}")
    for code, count in printed.items():
        if count > SHOWN_FILES and not all_findings:
            print(f"  ... and {number(found.counts[code] - SHOWN_FILES)} more of {code}")
    if all_findings:
        for line in unkept_lines(found):
            print(f"  {line}")
    for line in _suitability_lines(report):
        print(f"  {line}")


def _shown(findings: Findings, all_findings: bool) -> list[tuple[Finding, Alike | None]]:
    return [(finding, None) for finding in findings.items] if all_findings else findings.condensed()


def _meaning(report: CheckAofReport) -> str:
    """The verdict, in terms of the releases it is about."""
    verdict = report.verdict
    if len(report.suitability) > 2:
        who = "each of the releases"
    else:
        who = " and ".join(s.title for s in report.suitability) or "a server"
    one = len(report.suitability) == 1
    codes = report.findings.counts
    if "no-manifest" in codes or "no-parts" in codes or "all-empty" in codes:
        return f"{who} start{'s' if one else ''} empty"
    if "bad-manifest" in codes:
        return f"{who} refuse{'s' if one else ''} to start: the manifest is damaged"
    if verdict == OK:
        if any(s.loads is None for s in report.suitability):
            return f"whether {who} load{'s' if one else ''} it cannot be told for sure"
        over = [s.title for s in report.suitability if s.passed_over]
        less = f", but {' and '.join(over)} without commands whose options are newer" if over else ""
        return f"{who} load{'s' if one else ''} it{less}"
    if verdict == TRUNCATED and any(s.cuts_at == 0 for s in report.suitability) and report.files[-1].log_start:
        return f"{who} start{'s' if one else ''} with it once, and then its snapshot may be lost"
    if verdict == TRUNCATED:
        return f"{who} cut{'s' if one else ''} its end and start{'s' if one else ''}"
    loading = [s.title for s in report.suitability if s.loads]
    refusing = [s.title for s in report.suitability if not s.loads]
    if loading and refusing and len(report.suitability) == 2:
        return f"{refusing[0]} does not start with it, {loading[0]} does"
    if loading:
        return "some of the releases do not start with it"
    return f"{who} do{'es' if one else ''} not start with it"


def _suitability_lines(report: CheckAofReport) -> list[str]:
    """A row for each release, and below what is to be said of it; nothing where nobody asked and all is said."""
    answers = report.suitability
    rows = [["release", "loads", "cuts at", "says"]]
    told: dict[str, list[str]] = {}
    for answer in answers:
        loads = {True: "yes", False: "no", None: "?"}[answer.loads]
        cuts = number(answer.cuts_at) if answer.cuts_at >= 0 else ""
        rows.append([answer.release, loads, cuts, answer.words])
        for reason in (*answer.reasons, *answer.remarks):
            told.setdefault(reason, []).append(answer.release)
    if not report.asked and all(a.loads and not a.remarks and a.cuts_at == answers[0].cuts_at for a in answers):
        return []
    lines = table(rows) if answers else []
    for reason, names in told.items():
        who = "all of them" if len(names) == len(answers) > 1 else _spans(names)
        lines.append(f"- {who}: {reason}")
    return lines


def _spans(names: list[str]) -> str:
    """Names of releases, where three or more follow each other only the first and the last."""
    table_order = [release.name for release in RELEASES]
    runs: list[list[str]] = []
    for name in names:
        at = table_order.index(name)
        before = runs[-1][-1] if runs else ""
        same = before.partition("-")[0] == name.partition("-")[0]
        if same and table_order[at - 1] == before:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _with_file(finding: Finding, alike: Alike | None = None) -> str:
    """The line of a finding, with the name of its file."""
    base = os.path.basename(finding.path.rstrip("/"))
    name = f" {show_path(base)}" if base else ""
    return finding_line(finding, alike).replace(":", name + ":", 1)


def _file_lines(file: FileVerdict, in_set: bool) -> list[str]:
    lines = []
    if in_set:
        name = show_path(os.path.basename(file.path))
        lines.append(f"{file.role:<7} {name}: {paint(file.verdict, COLOURS[file.verdict])}")
    if file.verdict == MISSING:
        return lines
    indent = "  " if in_set else ""
    rounded = f" ({size(file.size)})" if file.size >= 1024 else ""
    whole = "" if file.good_up_to == file.size else f", good up to {number(file.good_up_to)}"
    lines.append(f"{indent}size     {number(file.size)} bytes{rounded}{whole}")
    facts = file.preamble
    if facts is not None and facts.dialect:
        by = f", written by {facts.writer}" if facts.writer else ""
        kind = f"RDB {facts.version} of {facts.dialect.capitalize()}"
        lines.append(f"{indent}snapshot {kind}{by}, {plural(int(facts.keys), 'key')}, checksum {facts.checksum}")
    if file.commands or facts is None:
        times = ""
        if file.first_timestamp >= 0:
            times = f", {_moment(file.first_timestamp)} to {_moment(file.last_timestamp)}"
        counts = f"{plural(file.commands, 'command')}, {plural(file.transactions, 'transaction')}"
        lines.append(f"{indent}log      {counts}{times}")
    return lines


def print_rebuilt(rebuilt: Rebuilt) -> None:
    """A manifest that was rebuilt from the files."""
    print(f"the manifest {show_path(rebuilt.path)} would be")
    for line in rebuilt.text.splitlines():
        print(f"  {printable(line, 1024)}")
    for name, why in rebuilt.left_out:
        print(f"  without {show_path(name)}: {why}")
    sys.stdout.flush()


def print_plan(plan: RepairPlan, time: int, *, all_findings: bool = False) -> None:
    """What a repair, or a cut at ``time`` where that is not -1, would drop; all of it, or the first cuts and how many
    more there are.
    """
    if plan.empty:
        print("nothing to cut" if time < 0 else f"nothing in it is later than {_moment(time)}: nothing to cut")
        return
    print("the repair" if time < 0 else f"the cut after {_moment(time)}")
    for file in plan.files:
        if file.turn_back >= 0:
            print(f"  {show_path(file.file.path)}: turns the ends of its lines back, drops nothing")
            continue
        kept = file.size - file.lost
        drops = f"drops {plural(file.lost, 'byte')} of {number(file.size)}, keeps {number(kept)}"
        if not file.lost:
            drops = "puts right what was damaged, drops nothing"
        print(f"  {show_path(file.file.path)}: {drops}")
        count = len(file.cuts)
        shown = count if all_findings else min(count, DETAILED_CUTS)
        for i in range(shown):
            cut = file.cuts[i]
            commands = plural(int(cut.commands), "readable command")
            transactions = plural(int(cut.transactions), "transaction")
            if cut.code == UNDONE:
                print(f"    at {number(int(cut.start))}: {cut.message}")
                continue
            reaches = "the end" if int(cut.end) == file.size else number(int(cut.end))
            print(
                f"    from {number(int(cut.start))} to {reaches}: {plural(int(cut.end - cut.start), 'byte')}, "
                f"{commands}, {transactions} ({cut.message})"
            )
            if i < DETAILED_CUTS:
                for key in cut.keys:
                    print(f"      {printable(key)}")
                if int(cut.commands) > len(cut.keys) and cut.keys:
                    print("      ...")
        if shown < count:
            places = f"and at {plural(count - shown, 'place')} more, the last at {number(int(file.cuts[-1].start))}"
            readable = dropped = 0
            for i in range(shown, count):
                cut = file.cuts[i]
                readable += int(cut.commands)
                dropped += int(cut.end - cut.start)
            print(f"    {places}: {plural(dropped, 'byte')}, {plural(readable, 'readable command')}")
    for gone in plan.dropped:
        print(f"  {show_path(gone.path)}: leaves the manifest, the file stays")
    line = _with_file if plan.layout.is_set else finding_line
    for finding, alike in _shown(plan.findings, all_findings):
        print(f"  {line(finding, alike)}")
    sys.stdout.flush()


def print_done(done: RepairAofReport) -> None:
    """What a repair did, and how to undo it."""
    loss = paint("repaired with loss", "yellow") if done.loss else paint("repaired", "green")
    where = f": the copy is {show_path(done.output)}" if done.output else ""
    plan = done.plan
    if plan is not None and plan.empty:
        print(f"nothing to repair{where}")
        return
    print(f"{loss}{where}")
    if done.undo:
        print("to undo it:")
    for line in done.undo:
        print(f"  {show_path(line)}")
    for finding in done.findings.items[len(plan.findings.items) if plan is not None else 0 :]:
        print(finding_line(finding))


def print_hint(report: CheckAofReport) -> None:
    """Say what can be done about damage."""
    layout = report.layout
    if report.lacks_manifest:
        print(way_out(report.path))
        return
    if layout is None or (not layout.is_set and (len(layout.files) > 1 or any(f.foreign for f in report.files))):
        return
    path = show_path(shlex.quote(report.path))
    if any(f.needs_mending for f in report.files) and all(f.plain for f in report.files):
        print(f"to save what can be read of the snapshot, and the log: rdbtool check-aof --fix --salvage {path}")
        return
    if any(f.foreign for f in report.files) or not all(f.cuttable and f.plain for f in report.files):
        return
    damaged = [f for f in report.files if f.fault is not None]
    if not damaged:
        if "unknown-command" in report.findings.counts:
            print("nothing in it is damaged: --allow or --rename NAME=REAL say what its server has")
        return
    if any(f.restorable for f in damaged):
        print(f"to turn its line ends back: rdbtool check-aof {path} -o COPY")
        return
    if any(f.line_ends for f in damaged):
        return
    print(f"to repair: rdbtool check-aof --fix {path}")
    # The commands of an open transaction cannot be kept.
    closed = [f for f in damaged if f.fault is not None and f.fault.code != "multi-without-exec"]
    behind = sum(max(f.readable_behind, 0) for f in closed)
    if behind:
        print(f"to keep what can be read of {plural(behind, 'command')} behind the damage: add --salvage")
