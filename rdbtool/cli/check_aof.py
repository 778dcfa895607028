"""``rdbtool check-aof``."""

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rdbtool.aof.layout import is_absent
from rdbtool.aof.names import CommandNames
from rdbtool.aof.resp import MAX_BULK
from rdbtool.errors import RdbToolError, UsageError
from rdbtool.exit_codes import ExitCode, of_all, of_error, of_report
from rdbtool.io.remote import is_remote
from rdbtool.servers.limits import DATABASES
from rdbtool.servers.releases import releases_asked
from rdbtool.tasks.check_aof import check_aof

from .check_aof_output import print_done, print_hint, print_plan, print_rebuilt, print_report
from .console import ask, must_be_told
from .jobs import ONE_JOB, Jobs, side_by_side
from .options import (
    AllFindingsOption,
    DatabasesOption,
    Format,
    FormatOption,
    command_names,
    size_option,
    some_size_option,
    takes,
)
from .overwriting import ask_to_overwrite
from .remote import located
from .render import plural, print_json, show_path
from .usage import REPAIR_PANEL, SERVER_PANEL, Usage

if TYPE_CHECKING:
    from rdbtool.aof.repair.plan import RepairPlan

NAME = "check-aof"
USAGE: Final = Usage(
    example="rdbtool check-aof --fix appendonlydir",
    fine="whole, or repaired",
    problems="damaged, or not loaded by a release asked for",
    loss="repaired, with loss of commands, or of keys of a snapshot",
    verdict=True,
)


@takes(names=command_names, jobs=side_by_side)
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
    keep_open: Annotated[
        bool,
        typer.Option(
            "--keep-open-transaction",
            help="With --salvage: keep what was written behind a MULTI that a server left open.",
            rich_help_panel=REPAIR_PANEL,
        ),
    ] = False,
    fix_unknown: Annotated[
        bool,
        typer.Option(
            "--fix-unknown",
            help="With --fix or -o: take commands for damage that can be read and no server runs, for their name or "
            "number of words.",
            rich_help_panel=REPAIR_PANEL,
        ),
    ] = False,
    releases: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="RELEASE",
            help="Say what this server does with it: redis-7.0, valkey-9.1, 7.2 ..., or 'all'. May be repeated. "
            "Without it: the one that wrote it, or the newest.",
        ),
    ] = None,
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
            rich_help_panel=REPAIR_PANEL,
        ),
    ] = "",
    no_save_cut: Annotated[
        bool,
        typer.Option(
            "--no-save-cut", help="Do not save what is cut: then there is no way back.", rich_help_panel=REPAIR_PANEL
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="With --fix: go on although a process has the log open for writing. With -o: overwrite a file.",
        ),
    ] = False,
    missing_ok: Annotated[
        bool,
        typer.Option(
            "--missing-ok",
            help="A path that is not there, or a directory without a log, is fine: before the first start of a server "
            "nothing is there.",
        ),
    ] = False,
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
            rich_help_panel=REPAIR_PANEL,
        ),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="Check history files too, which no server reads.")] = False,
    max_bulk: Annotated[
        int,
        typer.Option(
            "--max-bulk",
            metavar="SIZE",
            parser=some_size_option,
            help="The server's proto-max-bulk-len.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = MAX_BULK,
    databases: DatabasesOption = DATABASES,
    all_findings: AllFindingsOption = False,
    output_format: FormatOption = Format.TEXT,
    *,
    names: CommandNames,
    jobs: Jobs,
) -> None:
    """Check append-only files as a server would load them; repair them.

    Single files, and multi-part sets. A repair shows what it will cut, asks, saves that beside the file in
    FILE.cut-OFFSET, and says how to undo it.
    """
    paths = located(paths)
    time = _time(until, truncate_to_timestamp)
    if copy_to is not None and _is_no_file(copy_to):
        raise UsageError("-o wants the name of a file, or of a directory for a set")
    output = copy_to or ""
    if output and len(paths) > 1:
        raise UsageError("-o takes one input")
    if (salvage or yes or max_loss is not None) and not (fix or output):
        raise UsageError("--salvage, --yes and --max-loss go with --fix or -o")
    if (save_cut or no_save_cut) and (output or not fix):
        raise UsageError("--save-cut and --no-save-cut go with --fix, and not with -o")
    if (fix or output) and any(is_remote(path) for path in paths):
        raise UsageError("--fix and -o take files of this machine: get a copy first")
    if force and not (fix or output):
        raise UsageError("--force goes with --fix or -o")
    if output and not (force or yes):
        ask_to_overwrite([output], paths)
    if save_cut and no_save_cut:
        raise UsageError("--save-cut and --no-save-cut contradict each other")
    if save_cut and not os.path.isdir(save_cut):
        raise UsageError("--save-cut wants a directory that exists", path=save_cut)
    if keep_open and not salvage:
        raise UsageError("--keep-open-transaction goes with --salvage")
    if fix_unknown and not (fix or output):
        raise UsageError("--fix-unknown goes with --fix or -o")
    check = partial(
        check_aof,
        max_bulk=max_bulk,
        databases=databases,
        names=names,
        releases=releases_asked(releases or ()),
        all_findings=all_findings,
        until=time,
    )
    results: list[dict[str, Any]] = []
    codes: list[ExitCode] = []
    text = output_format is Format.TEXT
    present = [path for path in paths if not (missing_ok and is_absent(path))]
    if fix or output:
        jobs = ONE_JOB  # what is checked next may be what is repaired now
    checks = jobs.each(partial(check, history=history), present, in_parts=True)
    for path in paths:
        facts: dict[str, Any] = {"path": path}
        try:
            if path not in present:
                if text:
                    print(f"{show_path(path)}: no log is there")
                results.append({**facts, "missing": True})
                codes.append(ExitCode.FINE)
                continue
            _, report = next(checks)
            if isinstance(report, RdbToolError):
                raise report
            facts = report.as_json()
            code = of_report(report, problems=report.refused)
            if text:
                print_report(report, all_findings=all_findings)
            if (fix or output) and report.lacks_manifest:
                from rdbtool.aof.layout import layout_by
                from rdbtool.aof.rebuilding import rebuild
                from rdbtool.tasks.rebuild_manifest import write_manifest

                rebuilt = rebuild(path)
                facts["rebuilt_manifest"] = rebuilt.as_json()
                if text:
                    print_rebuilt(rebuilt)
                if not output:
                    _ask(f"Write {show_path(rebuilt.path)}?", yes, rebuilt.path)
                    undo = write_manifest(rebuilt, save=not no_save_cut, force=force)
                    facts["rebuilt_manifest"]["undo"] = undo
                    if text:
                        print("the manifest is written; to undo it:")
                        print("\n".join(f"  {show_path(line)}" for line in undo))
                report = check(rebuilt.path, layout=layout_by(rebuilt.path, rebuilt.text) if output else None)
                code = ExitCode.LOSS if rebuilt.left_out else of_report(report, problems=report.refused)
                if text and not output:
                    print_report(report, all_findings=all_findings)
            if fix or output or time >= 0:
                from rdbtool.tasks.repair_aof import plan_aof_repair, repair_aof

                plan = plan_aof_repair(
                    report,
                    salvage=salvage,
                    keep_open=keep_open,
                    drop_refused=fix_unknown,
                    until=time,
                    max_loss=-1 if max_loss is None else max_loss,
                )
                if text:
                    print_plan(plan, time, all_findings=all_findings)
                else:
                    facts["plan"] = plan.as_json()
                if (fix and not plan.empty) or output:
                    if not output:
                        _confirm(plan, yes)
                    done = repair_aof(
                        plan,
                        output=output,
                        save=not no_save_cut,
                        save_to=save_cut,
                        force=force,
                    )
                    must_be_told()
                    facts["repair"] = done.as_json()
                    if text:
                        print_done(done)
                    code = of_report(done)
            elif text:
                print_hint(report)
        except RdbToolError as e:
            if text:
                print(f"rdbtool: {e}", file=sys.stderr)
            facts["error"] = {"code": e.code, "message": str(e)}
            code = of_error(e)
        results.append(facts)
        codes.append(code)
    checks.close()
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


def _confirm(plan: "RepairPlan", yes: bool) -> None:
    what = f"Cut {plural(plan.lost, 'byte')}?" if plan.lost or not plan.mended else "Put the damage right?"
    _ask(what, yes, plan.layout.path)


def _ask(question: str, yes: bool, path: str) -> None:
    """Ask, unless told not to; raises `UsageError` for no, and where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("--fix changes files: add --yes where nobody can be asked", path=path)
    if not ask(question):
        raise UsageError("nothing was changed", path=path)
