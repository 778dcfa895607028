"""``rdbtool check-aof``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rdbtool.aof.resp import MAX_BULK
from rdbtool.aof.verify import BROKEN, EMPTY, MISSING, OK, TRUNCATED, FileVerdict
from rdbtool.errors import RdbToolError, UsageError, printable
from rdbtool.findings import Finding, exit_code
from rdbtool.rdb.verify.file import DATABASES
from rdbtool.tasks.check_aof import CheckAofReport, check_aof

from .options import DatabasesOption, Format, FormatOption
from .progress import Progress
from .render import finding_line, number, paint, plural, print_json, show_path, size

if TYPE_CHECKING:
    from rdbtool.aof.plan import RepairPlan
    from rdbtool.tasks.repair_aof import RepairAofReport

NAME = "check-aof"
SHOWN_CUTS = 20
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
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="PATH", help="Write a repaired copy there; the input stays as it is."),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    max_loss: Annotated[
        int | None,
        typer.Option("--max-loss", metavar="BYTES", min=0, help="Refuse to cut more than this.", show_default=False),
    ] = None,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Cut at the first timestamp later than this: seconds since 1970, or ISO 8601 (UTC if it has no zone).",
        ),
    ] = "",
    truncate_to_timestamp: Annotated[
        int | None,
        typer.Option("--truncate-to-timestamp", metavar="SECONDS", help="The same in seconds.", show_default=False),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="Check history files too, which no server reads.")] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="NAME", help="A command the server has, from a module or renamed."),
    ] = None,
    max_bulk: Annotated[
        int, typer.Option("--max-bulk", metavar="BYTES", min=1, help="The server's proto-max-bulk-len.")
    ] = MAX_BULK,
    databases: DatabasesOption = DATABASES,
    output_format: FormatOption = Format.TEXT,
) -> None:
    """Check append-only files, single or multi-part, as a server would load them; repair them.

    A repair shows what it will cut, asks, saves that beside the file in FILE.cut-OFFSET, and says how to
    undo it. Exit code: 0 whole (or repaired), 1 damaged, 2 could not, 3 repaired with loss of commands.
    """
    time = _time(until, truncate_to_timestamp)
    if output and len(paths) > 1:
        raise UsageError("-o takes one input")
    if (salvage or yes or max_loss is not None) and not (fix or output):
        raise UsageError("--salvage, --yes and --max-loss go with --fix or -o")
    allowed = tuple(allow or ())
    results: list[dict[str, Any]] = []
    worst = 0
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
            for key in cut.keys:
                print(f"      {printable(key)}")
            if int(cut.commands) > len(cut.keys) and cut.keys:
                print("      ...")
        if len(file.cuts) > SHOWN_CUTS:
            print(f"    and {number(len(file.cuts) - SHOWN_CUTS)} more regions: --format json lists them")
    for gone in plan.dropped:
        print(f"  {show_path(gone.path)}: leaves the manifest, the file stays")
    for finding in plan.findings:
        print(f"  {finding_line(finding)}")
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


def _print_hint(report: CheckAofReport) -> None:
    """Say what can be done about damage."""
    damaged = [f for f in report.files if f.fault is not None and f.cuttable and f.plain]
    if not damaged:
        return
    path = show_path(report.path)
    print(f"to repair: rdbtool check-aof --fix {path}")
    behind = sum(max(f.readable_behind, 0) for f in damaged)
    if behind:
        print(f"to keep what can be read of {plural(behind, 'command')} behind the damage: add --salvage")
