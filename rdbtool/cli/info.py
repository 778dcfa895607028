"""``rdbtool info``."""

import sys
from functools import partial
from typing import Annotated, Final

import typer

from rdbtool.errors import RdbToolError
from rdbtool.exit_codes import ExitCode, of_all, of_error, of_report
from rdbtool.inputs.filters import time_ms

from .jobs import WORTH_COUNTING, Jobs, side_by_side
from .live import reads_servers
from .options import Format, FormatOption, takes
from .remote import located
from .render import findings_lines, print_json
from .usage import Usage
from .way_out import print_way_out_of

NAME = "info"
USAGE: Final = Usage(
    example="rdbtool info dump.rdb appendonlydir",
    fine="read to the end",
    problems="damaged: what can be read is shown",
)


@reads_servers
@takes(jobs=side_by_side)
def command(
    jobs: Jobs,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Any input: RDB, AOF, manifest, directory of a set, JSON lines, commands, '-'."
        ),
    ],
    top: Annotated[int, typer.Option("--top", metavar="N", min=0, help="Keys in each list.")] = 10,
    now: Annotated[
        str, typer.Option("--now", metavar="TIME", help="When keys count as expired: Unix time or ISO 8601.")
    ] = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """Show on one screen what a file is and what it is made of.

    A log is counted, not replayed. Several files are a table and a sum.
    """
    from rdbtool.analysis.contents import Wanted
    from rdbtool.tasks.info import InfoReport, info

    from .info_output import facts_of, print_info, print_table, sums_of

    paths = located(paths)
    wanted = Wanted(top=top, now_ms=time_ms(now))
    reports: list[InfoReport] = []
    codes: list[ExitCode] = []
    for _, report in jobs.each(partial(info, wanted=wanted), paths, in_parts=True, worth=WORTH_COUNTING):
        if isinstance(report, RdbToolError):
            print(f"rdbtool: {report}", file=sys.stderr)
            codes.append(of_error(report))
        else:
            reports.append(report)
            codes.append(of_report(report))
    if output is Format.JSON:
        print_json(NAME, {"files": [facts_of(report) for report in reports], "sum": sums_of(reports)})
    elif len(paths) == 1:
        for report in reports:
            print_info(report)
    elif reports:
        print_table(reports)
    for report in reports:
        for line in findings_lines(report.findings):
            print(line if len(paths) == 1 else f"{line} ({report.path})", file=sys.stderr)
        print_way_out_of(report.findings.items)
    raise typer.Exit(of_all(codes))
