"""``rdbtool check-rdb``."""

import functools
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rdbtool.errors import RdbToolError, UsageError
from rdbtool.exit_codes import ExitCode, of_all, of_error, of_report
from rdbtool.findings import Severity
from rdbtool.rdb.check import RdbFacts
from rdbtool.servers.limits import DATABASES
from rdbtool.servers.releases import releases_asked
from rdbtool.tasks.check_rdb import CheckRdbReport, Suitability, check_rdb

from .jobs import Jobs, side_by_side
from .live import reads_servers
from .options import AllFindingsOption, DatabasesOption, Format, FormatOption, ModulesOption, size_option, takes
from .overwriting import ask_to_overwrite
from .progress import Progress
from .remote import located
from .render import findings_lines, number, paint, plural, print_json, show_path, size, table
from .usage import REPAIR_PANEL, Usage
from .way_out import way_out

if TYPE_CHECKING:
    from rdbtool.tasks.salvage_rdb import SalvageRdbReport

NAME = "check-rdb"
USAGE: Final = Usage(
    example="rdbtool check-rdb dump.rdb --for redis-7.0",
    fine="sound",
    problems="damaged, or not loaded by a release asked for",
    loss="saved, with loss, or with damage that was undone",
    verdict=True,
)

Result = tuple[str, CheckRdbReport | RdbToolError]


@reads_servers
@takes(jobs=side_by_side)
def command(
    jobs: Jobs,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="RDB files, gzip or zstd too, or '-' for standard input.")
    ],
    releases: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="RELEASE",
            help="Say whether this server loads them: redis-7.0, valkey-9.1, 7.2 ..., or 'all'. May be repeated. "
            "Without it: the one that wrote the file, else the newest of each product.",
        ),
    ] = None,
    modules: ModulesOption = None,
    databases: DatabasesOption = DATABASES,
    all_findings: AllFindingsOption = False,
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage",
            help="Write what can be read of a damaged file to the output (-o).",
            rich_help_panel=REPAIR_PANEL,
        ),
    ] = False,
    copy_to: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="With --salvage: where the sound file goes, '-' for standard output; the input stays as it is.",
            show_default=False,
            rich_help_panel=REPAIR_PANEL,
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial",
            help="With --salvage: keep the elements that can be read of a damaged collection, and the beginning of one "
            "that is cut.",
            rich_help_panel=REPAIR_PANEL,
        ),
    ] = False,
    max_lost: Annotated[
        int | None,
        typer.Option(
            "--max-lost",
            metavar="SIZE",
            parser=size_option,
            help="With --salvage: refuse to lose more than this.",
            show_default=False,
            rich_help_panel=REPAIR_PANEL,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite the output without asking.", rich_help_panel=REPAIR_PANEL)
    ] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Check RDB files, and save what can be read of damaged ones.

    Says what a current server would say that verifies all it loads, and where.
    """
    paths = located(paths)
    if salvage or copy_to is not None or partial or max_lost is not None:
        if not salvage or copy_to is None:
            raise UsageError("--salvage and -o go together, and --partial and --max-lost with them")
        if len(paths) > 1:
            raise UsageError("--salvage takes one input")
        salvaged = _salvage(paths[0], copy_to, partial, max_lost, force=force, output=output)
        raise typer.Exit(of_report(salvaged))
    wanted = releases_asked(releases or ())
    results: list[Result] = []
    check = functools.partial(
        check_rdb, databases=databases, releases=wanted, modules=modules or (), all_findings=all_findings
    )
    for result in jobs.each(check, paths, in_parts=True):
        results.append(result)
        if output is Format.TEXT:
            _print_file(*result, all_findings=all_findings)
    if output is Format.JSON:
        print_json(NAME, {"files": [_as_json(*result) for result in results]})
    elif len(results) > 1:
        _print_table(results)
    raise typer.Exit(of_all(_code(result) for _, result in results))


def _salvage(
    path: str, copy_to: str, partial: bool, max_lost: int | None, *, force: bool, output: Format
) -> "SalvageRdbReport":
    from rdbtool.io.destination import is_standard_output
    from rdbtool.tasks.salvage_rdb import ANY_LOSS, salvage_rdb

    from .salvage_output import print_salvaged

    destination = "-" if is_standard_output(copy_to) else copy_to
    if not force:
        ask_to_overwrite([destination], [path])
    with Progress() as progress:
        limit = ANY_LOSS if max_lost is None else max_lost
        report = salvage_rdb(path, destination, partial=partial, max_lost=limit, progress=progress)
    if destination == "-":
        print_salvaged(report, sys.stderr)
    elif output is Format.JSON:
        print_json(NAME, {"files": [{"path": path, "salvage": report.as_json()}]})
    else:
        print_salvaged(report, sys.stdout)
    return report


def _code(result: CheckRdbReport | RdbToolError) -> ExitCode:
    if isinstance(result, RdbToolError):
        return of_error(result)
    return of_report(result, problems=result.refused)


def _as_json(path: str, result: CheckRdbReport | RdbToolError) -> dict[str, Any]:
    if isinstance(result, CheckRdbReport):
        return result.as_json()
    return {"path": path, "error": {"code": result.code, "message": result.message, "offset": result.offset}}


def _verdict(result: CheckRdbReport | RdbToolError) -> str:
    if isinstance(result, RdbToolError):
        return "unreadable"
    if result.facts is not None and not result.facts.complete:
        for code in ("unreadable", "unsupported"):
            if code in result.findings.counts:
                return code
        return "broken" if result.facts.dialect else "not an RDB"
    return "sound" if result.sound else "damaged"


def _print_file(path: str, result: CheckRdbReport | RdbToolError, *, all_findings: bool) -> None:
    verdict = _verdict(result)
    print(f"{paint(show_path(path), 'bold')}: {paint(verdict, 'green' if verdict == 'sound' else 'red')}")
    if isinstance(result, RdbToolError):
        print(f"  {paint('error', 'red')}   {result}")
        return
    facts = result.facts
    if facts is not None and facts.dialect:
        for line in _facts_lines(facts, result.size):
            print(f"  {line}")
    for line in findings_lines(result.findings, all_of_them=all_findings):
        print(f"  {line}")
    if result.findings.worst is Severity.ERROR:
        line = way_out(path)
        if line:
            print(f"  {line}")
    for answer in result.releases:
        told = () if result.asked else result.findings.counts
        for line in _suitability_lines(answer, told):
            print(f"  {line}")


def _facts_lines(facts: RdbFacts, total: int) -> list[str]:
    by = f", written by {facts.writer}" if facts.writer else ""
    lines = [f"format     RDB {facts.version} of {facts.dialect.capitalize()}{by}"]
    rounded = f" ({size(total)})" if total >= 1024 else ""
    made = facts.aux.get("ctime", "")
    if made.isdigit() and len(made) < 12:
        lines.append(f"made       {datetime.fromtimestamp(int(made), UTC):%Y-%m-%d %H:%M:%S} UTC")
    used = facts.aux.get("used-mem", "")
    if used.isdigit() and len(used) < 19:
        lines.append(f"memory     {size(int(used))} used by the server that wrote it")
    lines.append(f"size       {number(total)} bytes{rounded}, checksum {facts.checksum}")
    if not facts.complete:
        lines.append(f"read       {number(facts.good_to)} bytes in step, then no further")
    expiring = f", {number(facts.expires)} with an expiry" if facts.expires else ""
    expired = f", {number(facts.expired)} of them past it" if facts.expired else ""
    fields = f", {plural(facts.subexpires, 'hash field')} with an expiry" if facts.subexpires else ""
    lines.append(f"keys       {number(facts.keys)}{expiring}{expired}{fields}")
    if len(facts.databases) > 1 or any(facts.databases):
        lines.append("databases  " + ", ".join(f"{db}: {number(n)}" for db, n in facts.databases.items()))
    if facts.types:
        lines.append("types      " + ", ".join(f"{name} {number(n)}" for name, n in facts.types.items()))
        lines.append("stored as  " + ", ".join(f"{name} {number(n)}" for name, n in facts.encodings.items()))
    if facts.functions:
        lines.append(f"functions  {', '.join(name or '?' for name in facts.functions)}")
    if facts.modules:
        lines.append("modules    " + ", ".join(f"{name} {number(n)}" for name, n in facts.modules.items()))
    return lines


def _suitability_lines(answer: Suitability, told: Collection[str]) -> list[str]:
    """What is said of a release; reasons that are findings whose codes were ``told`` are not said again."""
    if answer.loads is None:
        head = f"{answer.release}: cannot tell whether it loads the file"
    elif answer.loads:
        head = paint(f"{answer.release} loads the file", "green")
    else:
        head = paint(f"{answer.release} refuses the file", "red")
    reasons = [reason for reason in answer.reasons if reason.partition(":")[0] not in told]
    return [head, *(f"- {reason}" for reason in reasons), *(f"- {remark}" for remark in answer.remarks)]


def _print_table(results: list[Result]) -> None:
    asked = any(not isinstance(result, RdbToolError) and result.asked for _, result in results)
    rows = [["file", "verdict", "format", "keys", "errors", "warnings", "bytes", *(["loads on"] if asked else [])]]
    for path, result in results:
        if isinstance(result, RdbToolError):
            rows.append([show_path(path), _verdict(result), "", "", "", "", "", *([""] if asked else [])])
            continue
        facts = result.facts
        known = facts is not None and facts.dialect
        rows.append(
            [
                show_path(path),
                _verdict(result),
                f"{facts.dialect} {facts.version}" if known and facts else "",
                number(facts.keys) if known and facts else "",
                number(sum(n for code, n in result.findings.counts.items() if _severity(code) is Severity.ERROR)),
                number(sum(n for code, n in result.findings.counts.items() if _severity(code) is Severity.WARNING)),
                number(result.size),
                *([_loads_on(result)] if asked else []),
            ]
        )
    print()
    for line in table(rows):
        print(line)


def _loads_on(result: CheckRdbReport) -> str:
    """The releases asked for that load the file; those that may have a question mark."""
    names = [a.release if a.loads else f"{a.release}?" for a in result.releases if a.loads is not False]
    return " ".join(names) or "none"


def _severity(code: str) -> Severity:
    from rdbtool.rdb.layout.codes import CODES

    known = CODES.get(code)
    return Severity.ERROR if known is None else known.severity
