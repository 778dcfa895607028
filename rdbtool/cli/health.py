"""``rdbtool health``."""

from typing import Annotated, Final

import typer

from rdbtool.exit_codes import of_all
from rdbtool.inputs.filters import duration_ms
from rdbtool.live.address import Access
from rdbtool.tasks.health.thresholds import DEFAULT, Thresholds, checks_named
from rdbtool.tasks.judgement import MET, Judgement
from rdbtool.tasks.verify.expectations import percentage

from .console import console
from .judgements import JudgementFormat, JudgementFormatOption, code_of, show, show_text
from .live import reached
from .options import takes
from .usage import EXPECTED_PANEL, Usage

NAME = "health"
USAGE: Final = Usage(
    example="rdbtool health redis://localhost:6379 --max-save-age 2h",
    fine="all is well",
    problems="something is not well",
    failed="a server could not be asked",
)


def thresholds(
    max_save_age: Annotated[
        str | None,
        typer.Option(
            "--max-save-age",
            metavar="DURATION",
            help="How old the last snapshot may be, where there are changes since: 26h where there is no log, or save "
            "points beside it; where that is given, always.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = None,
    rewrite_slack: Annotated[
        str,
        typer.Option(
            "--rewrite-slack",
            metavar="PERCENT",
            help="How far a log may be beyond the growth at which the server is to rewrite it.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "20%",
    max_delayed_fsyncs: Annotated[
        int,
        typer.Option(
            "--max-delayed-fsyncs",
            metavar="N",
            min=0,
            help="How many writes to the log may have to wait for the disk in an hour.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = DEFAULT.max_delayed_fsyncs,
    max_fork_ms: Annotated[
        int,
        typer.Option(
            "--max-fork-ms",
            metavar="MS",
            min=0,
            help="How long a fork may take for each GiB in use.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = round(DEFAULT.max_fork_s * 1000),
    min_fork_memory: Annotated[
        str,
        typer.Option(
            "--min-fork-memory",
            metavar="PERCENT",
            help="How much of what the server uses there must be beside it, for a fork.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "25%",
    max_cow: Annotated[
        str,
        typer.Option(
            "--max-cow",
            metavar="PERCENT",
            help="How much of the dataset may have been copied during the last save or rewrite; 64 MiB always may.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "50%",
    max_cow_growth: Annotated[
        str,
        typer.Option(
            "--max-cow-growth",
            metavar="PERCENT",
            help="With --state: how much more of the dataset than at the saves before.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "25%",
    max_disk_used: Annotated[
        str,
        typer.Option(
            "--max-disk-used",
            metavar="PERCENT",
            help="How full its disk may be, where that is one of this machine.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = "90%",
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            "--ignore",
            metavar="CHECK",
            help="A check that does not count, such as fsync. May be repeated.",
            rich_help_panel=EXPECTED_PANEL,
        ),
    ] = None,
) -> Thresholds:
    """Up to where all is well; for `takes`. Raises `UsageError`."""
    return Thresholds(
        max_save_age_s=None if max_save_age is None else duration_ms(max_save_age) // 1000,
        rewrite_slack=percentage(rewrite_slack),
        max_delayed_fsyncs=max_delayed_fsyncs,
        max_fork_s=max_fork_ms / 1000,
        min_fork_memory=percentage(min_fork_memory),
        max_cow=percentage(max_cow),
        max_cow_growth=percentage(max_cow_growth),
        max_disk_used=percentage(max_disk_used),
        ignored=checks_named(ignore or ()),
    )


@takes(limits=thresholds, access=reached)
def command(
    limits: Thresholds,
    access: Access,
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Servers: redis://, rediss:// or unix:// URLs.")],
    output: JudgementFormatOption = JudgementFormat.TEXT,
    state_file: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="FILE",
            help="Keep there what was seen, and compare with it the next time: memory copied by saves, delayed fsyncs.",
        ),
    ] = None,
) -> None:
    """Tell whether the persistence of live servers works.

    What a server says of its snapshots and its log, its memory and its disk is held against thresholds. It is asked
    INFO and, where it lets us, CONFIG GET. With --quiet nothing is said of a server that is well.
    """
    from rdbtool.tasks.health.run import health
    from rdbtool.tasks.health.state import read_state

    state = read_state(state_file) if state_file is not None else None
    judgements: list[Judgement] = []
    for url in urls:
        judgement = health(url, limits, access, state)
        judgements.append(judgement)
        if output is JudgementFormat.TEXT and not (console.quiet and judgement.verdict == MET):
            show_text(judgement)
    if output is not JudgementFormat.TEXT:
        show(NAME, judgements, output)
    if state is not None:
        state.write()
    raise typer.Exit(of_all(map(code_of, judgements)))
