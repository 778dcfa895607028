"""``rdbtool verify``."""

from functools import partial
from typing import Annotated, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.errors import RdbToolError, UsageError
from rdbtool.exit_codes import of_all
from rdbtool.tasks.judgement import MET, Judgement
from rdbtool.tasks.verify.expectations import Expectations, read_config

from .console import console
from .jobs import Jobs, side_by_side
from .judgements import JudgementFormat, JudgementFormatOption, code_of, show, show_text
from .judging import HowJudged, expected, how_judged
from .judging import prepared as prepared  # noqa: PLC0414 - `app` looks for it here
from .live import reads_servers
from .options import command_names, takes
from .remote import located
from .usage import Usage
from .way_out import print_way_out_of

NAME = "verify"
USAGE: Final = Usage(
    example="rdbtool verify dump.rdb --min-keys 1 --max-age 520w",
    fine="all is met",
    problems="something is not met",
    failed="something could not be looked at",
)


@reads_servers
@takes(wanted=expected, names=command_names, judged=how_judged, jobs=side_by_side)
def command(
    wanted: Expectations,
    names: CommandNames,
    judged: HowJudged,
    jobs: Jobs,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="RDB or AOF files, manifests, directories, tar archives, redis:// URLs, or '-'."
        ),
    ],
    config: Annotated[
        str,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Expectations in TOML, a table for each pattern of paths; options come on top.",
        ),
    ] = "",
    output: JudgementFormatOption = JudgementFormat.TEXT,
) -> None:
    """Judge backups: what the checks find, and what you expect.

    Always looked for is all that check-rdb and check-aof find. With --quiet nothing is said of what is good: cron mails
    what is printed.
    """
    from rdbtool.tasks.verify.run import absent, verify_each

    paths = located(paths)
    tables = read_config(config) if config else None
    if wanted.max_shrink is not None and not wanted.against:
        raise UsageError("--max-shrink and --against go together")
    options = judged.options(names)
    judgements: list[Judgement] = []

    def take(judgement: Judgement) -> None:
        judgements.append(judgement)
        if output is JudgementFormat.TEXT and not (console.quiet and judgement.verdict == MET):
            show_text(judgement)
            print_way_out_of(judgement.findings.items)

    verify = partial(verify_each, wanted=wanted, config=tables, options=options)
    matched: set[str] = set()
    for path, result in jobs.each(verify, paths):
        if isinstance(result, RdbToolError):
            take(Judgement(subject=path, error=result))
            continue
        for judgement in result[0]:
            take(judgement)
        matched.update(result[1])
    for table in tables.unused if tables is not None else ():
        if table.pattern not in matched:
            take(absent(table))
    if output is not JudgementFormat.TEXT:
        show(NAME, judgements, output)
    raise typer.Exit(of_all(map(code_of, judgements)))
