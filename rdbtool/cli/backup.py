"""``rdbtool backup``."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.exit_codes import of_all
from rdbtool.live.address import Access, Scan, is_url
from rdbtool.tasks.backup.naming import GZIP, ZSTD
from rdbtool.tasks.judgement import MET
from rdbtool.tasks.verify.expectations import Expectations, read_config

from .console import console, remark
from .judgements import JudgementFormat, JudgementFormatOption, code_of, show
from .judging import HowJudged, expected, how_judged
from .judging import prepared as prepared  # noqa: PLC0414 - `app` looks for it here
from .live import NO_MOMENT, clustered, note, reached, refuse_without_server, scanned
from .options import command_names, takes
from .progress import Progress, Waiting
from .usage import KEEPING_PANEL, Usage

NAME = "backup"
USAGE: Final = Usage(
    example="rdbtool backup dump.rdb backup-{time}.rdb --min-keys 1",
    fine="good, and written",
    problems="not as expected, and nothing written",
    failed="could not do the job: no server, wrong options, a full disk; nothing written",
)

EXAMPLE = ("INPUT", "no-such-directory/backup.rdb")


class Compression(StrEnum):
    """How a backup is compressed."""

    NONE = "none"
    GZIP = GZIP
    ZSTD = ZSTD


@takes(wanted=expected, names=command_names, judged=how_judged, access=reached, scan=scanned, cluster=clustered)
def command(
    wanted: Expectations,
    names: CommandNames,
    judged: HowJudged,
    access: Access,
    scan: Scan | None,
    cluster: bool,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="redis://, rediss:// or unix:// URL, a server's directory, an RDB or AOF."
        ),
    ],
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DESTINATION", help="A directory, or a name, with {time}, {keys} and {digest} in it where wanted."
        ),
    ],
    compress: Annotated[
        Compression, typer.Option("--compress", help="Compress it; a log becomes a tar archive then.")
    ] = Compression.NONE,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            metavar="N",
            min=1,
            help="Once it is good, remove older ones of this source and name but the newest N.",
            rich_help_panel=KEEPING_PANEL,
        ),
    ] = None,
    daily: Annotated[
        int,
        typer.Option(
            "--keep-daily", metavar="N", min=0, help="Keep the last one of N days too.", rich_help_panel=KEEPING_PANEL
        ),
    ] = 0,
    weekly: Annotated[
        int,
        typer.Option(
            "--keep-weekly", metavar="N", min=0, help="Keep the last one of N weeks too.", rich_help_panel=KEEPING_PANEL
        ),
    ] = 0,
    overwrite: Annotated[
        bool, typer.Option("--force", help="Overwrite a file of that name that is no backup made by this command.")
    ] = False,
    config: Annotated[
        str,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Expectations in TOML, a table for each pattern of destinations; options come on top.",
        ),
    ] = "",
    output: JudgementFormatOption = JudgementFormat.TEXT,
) -> None:
    """Take a backup that is checked before it has a name.

    A live server sends what it sends a replica; of a server's directory, what it loads is copied, also while it runs.
    All that verify finds and can be told to expect holds here: what is not good is not written, and no older one
    removed. Beside each backup stands a record, FILE.json, of what it holds.
    """
    from rdbtool.tasks.backup.keeping import Keep
    from rdbtool.tasks.backup.run import BackupOptions, backup

    if config:
        wanted = wanted.over(read_config(config).of(destination))
    options = BackupOptions(
        access,
        judged.options(names),
        "" if compress is Compression.NONE else compress.value,
        Keep(keep, daily, weekly),
        overwrite,
        Waiting(),
        scan,
        note,
        cluster,
    )
    if not is_url(source):
        refuse_without_server(scan, cluster=cluster)
    elif scan is not None:
        remark(NO_MOMENT)
    with Progress() as progress:
        judgement = backup(source, destination, wanted, options, progress=progress)
    if output is not JudgementFormat.TEXT or not (console.quiet and judgement.verdict == MET):
        show(NAME, [judgement], output)
    raise typer.Exit(of_all([code_of(judgement)]))
