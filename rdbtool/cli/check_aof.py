"""``rdbtool check-aof``."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rdbtool.aof.check import BROKEN, EMPTY, MISSING, OK, TRUNCATED, FileVerdict
from rdbtool.aof.resp import MAX_BULK
from rdbtool.errors import RdbToolError, UsageError, printable
from rdbtool.exit_codes import ExitCode, of_all, of_error, of_report
from rdbtool.findings import Finding
from rdbtool.rdb.check import DATABASES
from rdbtool.tasks.check_aof import CheckAofReport, check_aof

from .options import DatabasesOption, ForceOption, Format, FormatOption, size_option, some_size_option
from .progress import Progress
from .render import finding_line, number, paint, plural, print_json, show_path, size

if TYPE_CHECKING:
    from rdbtool.aof.repair.plan import RepairPlan
    from rdbtool.tasks.repair_aof import RepairAofReport

NAME = "check-aof"
DETAILED_CUTS = 20
COLOURS = {OK: "green", EMPTY: "green", TRUNCATED: "yellow", BROKEN: "red", MISSING: "red"}


def command(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="An append-only file, a manifest, the directory that holds one, or '-' for standard input.",
        ),
    ],
    fix: Annotated[bool, typer.Option("--fix", help="Repair: cut off what a server cannot load.")] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Drop only what cannot be read, and keep what stands behind it.")
    ] = False,
    copy_to: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Write a repaired copy there; the input stays as it is.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    max_loss: Annotated[
        int | None,
        typer.Option(
            "--max-loss", metavar="SIZE", parser=size_option, help="Refuse to cut more than this.", show_default=False
        ),
    ] = None,
    save_cut: Annotated[
        str,
        typer.Option(
            "--save-cut",
            metavar="DIR",
            help="Save what is cut in this directory, not beside the file.",
        ),
    ] = "",
    no_save_cut: Annotated[
        bool, typer.Option("--no-save-cut", help="Do not save what is cut: then there is no way back.")
    ] = False,
    force: ForceOption = False,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Cut at the first timestamp later than this: seconds since 1970, or ISO 8601 (UTC if it has no zone).",
            show_default=False,
        ),
    ] = None,
    truncate_to_timestamp: Annotated[
        int | None,
        typer.Option(
            "--truncate-to-timestamp",
            metavar="SECONDS",
            min=0,
            help="The same in seconds.",
            show_default=False,
        ),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="Check history files too, which no server reads.")] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="NAME", help="A command the server has, from a module or renamed."),
    ] = None,
    max_bulk: Annotated[
        int,
        typer.Option("--max-bulk", metavar="SIZE", parser=some_size_option, help="The server's proto-max-bulk-len."),
    ] = MAX_BULK,
    databases: DatabasesOption = DATABASES,
    output_format: FormatOption = Format.TEXT,
) -> None:
    """Check append-only files, single or multi-part, as a server would load them; repair them.

    A repair shows what it will cut, asks, saves that beside the file in FILE.cut-OFFSET, and says how to
    undo it. Exit code: 0 whole (or repaired), 1 damaged, 2 could not, 3 repaired with loss of commands.
    """
    time = _time(until, truncate_to_timestamp)
    if copy_to is not None and _is_no_file(copy_to):
        raise UsageError("-o wants the name of a file, or of a directory for a set")
    output = copy_to or ""
    if output and len(paths) > 1:
        raise UsageError("-o takes one input")
    if (salvage or yes or max_loss is not None) and not (fix or output):
        raise UsageError("--salvage, --yes and --max-loss go with --fix or -o")
    if (save_cut or no_save_cut or force) and (output or not fix):
        raise UsageError("--save-cut, --no-save-cut and --force go with --fix, and not with -o")
    if save_cut and no_save_cut:
        raise UsageError("--save-cut and --no-save-cut contradict each other")
    if save_cut and not os.path.isdir(save_cut):
        raise UsageError("--save-cut wants a directory that exists", path=save_cut)
    allowed = tuple(allow or ())
    results: list[dict[str, Any]] = []
    codes: list[ExitCode] = []
    text = output_format is Format.TEXT
    for path in paths:
        facts: dict[str, Any] = {"path": path}
        try:
            with Progress() as progress:
                report = check_aof(
                    path,
                    history=history,
                    max_bulk=max_bulk,
                    databases=databases,
                    allow=allowed,
                    until=time,
                    progress=progress,
                )
            facts = report.as_json()
            code = of_report(report)
            if text:
                _print_report(report)
            if fix or output or time >= 0:
                from rdbtool.tasks.repair_aof import plan_aof_repair, repair_aof

                plan = plan_aof_repair(
                    report,
                    salvage=salvage,
                    until=time,
                    max_loss=-1 if max_loss is None else max_loss,
                    max_bulk=max_bulk,
                    allow=allowed,
                )
                facts["plan"] = plan.as_json()
                if text:
                    _print_plan(plan, time)
                if (fix and not plan.empty) or output:
                    if not output:
                        _confirm(plan, yes)
                    done = repair_aof(
                        plan,
                        output=output,
                        max_bulk=max_bulk,
                        allow=allowed,
                        save=not no_save_cut,
                        save_to=save_cut,
                        force=force,
                    )
                    facts["repair"] = done.as_json()
                    if text:
                        _print_done(done)
                    code = of_report(done)
            elif text:
                _print_hint(report)
        except RdbToolError as e:
            if text:
                print(f"rdbtool: {e}", file=sys.stderr)
            facts["error"] = {"code": e.code, "message": str(e)}
            code = of_error(e)
        results.append(facts)
        codes.append(code)
    if not text:
        print_json(NAME, {"files": results})
    raise typer.Exit(of_all(codes))


def _is_no_file(path: str) -> bool:
    """Whether a copy cannot go there: what the program says goes to standard output."""
    from rdbtool.io.destination import is_standard_output

    return not path or is_standard_output(path)


def _time(until: str | None, seconds: int | None) -> int:
    """The Unix time to cut at, or -1."""
    if until is not None and seconds is not None:
        raise UsageError("--until and --truncate-to-timestamp say the same: give one")
    if until is None:
        return -1 if seconds is None else seconds
    from rdbtool.aof.point_in_time import parse_time

    return parse_time(until)


def _moment(seconds: int) -> str:
    from datetime import UTC, datetime

    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def _print_report(report: CheckAofReport) -> None:
    verdict = report.verdict
    meaning = {
        OK: "a server loads it",
        TRUNCATED: "a server cuts its end and starts",
        BROKEN: "a server does not start with it",
    }
    print(f"{paint(show_path(report.path), 'bold')}: {paint(verdict, COLOURS[verdict])} ({meaning[verdict]})")
    told: set[int] = set()
    for file in [*report.files, *report.history]:
        for line in _file_lines(file, len(report.files) > 1 or (report.layout is not None and report.layout.is_set)):
            print(f"  {line}")
        for finding in _findings_of(report, file.path):
            told.add(id(finding))
            print(f"    {finding_line(finding)}")
    for finding in report.findings.items:
        if id(finding) not in told:
            print(f"  {_with_file(finding)}")


def _with_file(finding: Finding) -> str:
    """The line of a finding, with the name of its file."""
    base = os.path.basename(finding.path.rstrip("/"))
    name = f" {show_path(base)}" if base else ""
    return finding_line(finding).replace(":", name + ":", 1)


def _findings_of(report: CheckAofReport, path: str) -> list[Finding]:
    shown = "standard input" if path == "-" else path
    return [f for f in report.findings.items if f.path in {path, shown}]


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


def _print_plan(plan: RepairPlan, time: int) -> None:
    if plan.empty:
        print("nothing to cut" if time < 0 else f"nothing in it is later than {_moment(time)}: nothing to cut")
        return
    print("the repair" if time < 0 else f"the cut after {_moment(time)}")
    for file in plan.files:
        kept = file.size - file.lost
        drops = f"drops {plural(file.lost, 'byte')} of {number(file.size)}, keeps {number(kept)}"
        print(f"  {show_path(file.file.path)}: {drops}")
        for i, cut in enumerate(file.cuts):
            commands = plural(int(cut.commands), "readable command")
            transactions = plural(int(cut.transactions), "transaction")
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
    for gone in plan.dropped:
        print(f"  {show_path(gone.path)}: leaves the manifest, the file stays")
    for finding in plan.findings:
        print(f"  {_with_file(finding) if plan.layout.is_set else finding_line(finding)}")
    sys.stdout.flush()


def _confirm(plan: RepairPlan, yes: bool) -> None:
    """Ask, unless told not to; raises `UsageError` for no, and where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("--fix changes files: add --yes where nobody can be asked", path=plan.layout.path)
    print(f"Cut {plural(plan.lost, 'byte')}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was changed", path=plan.layout.path)


def _print_done(done: RepairAofReport) -> None:
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
    for finding in done.findings.items[len(plan.findings) if plan is not None else 0 :]:
        print(finding_line(finding))


def _print_hint(report: CheckAofReport) -> None:
    """Say what can be done about damage."""
    layout = report.layout
    if layout is None or (not layout.is_set and (len(layout.files) > 1 or any(f.foreign for f in report.files))):
        return
    damaged = [f for f in report.files if f.verdict in {TRUNCATED, BROKEN}]
    if not damaged or not all(f.cuttable and f.plain for f in report.files):
        return
    path = show_path(shlex.quote(report.path))
    print(f"to repair: rdbtool check-aof --fix {path}")
    # The commands of an open transaction cannot be kept.
    closed = [f for f in damaged if f.fault is not None and f.fault.code != "multi-without-exec"]
    behind = sum(max(f.readable_behind, 0) for f in closed)
    if behind:
        print(f"to keep what can be read of {plural(behind, 'command')} behind the damage: add --salvage")
