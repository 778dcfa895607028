"""Options that choose keys, the same on every subcommand that reads them."""

from collections.abc import Sequence
from typing import Annotated

import typer

from rdbtool.errors import printable
from rdbtool.inputs.filters import database_numbers, looks_like_regex, parse_size, select
from rdbtool.inputs.selection import Selection

from .console import remark
from .usage import KEYS_PANEL


def chosen_keys(
    db: Annotated[
        list[str] | None,
        typer.Option("--db", metavar="N,...", help="Of these databases. Repeatable.", rich_help_panel=KEYS_PANEL),
    ] = None,
    not_db: Annotated[
        list[str] | None,
        typer.Option(
            "--not-db", metavar="N,...", help="Not of these databases. Repeatable.", rich_help_panel=KEYS_PANEL
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            "-k",
            metavar="GLOB",
            help="That match, as for KEYS: 'user:*'. Repeatable: any.",
            rich_help_panel=KEYS_PANEL,
        ),
    ] = None,
    key_regex: Annotated[
        list[str] | None,
        typer.Option(
            "--key-regex", metavar="REGEX", help="In which this is found. Repeatable: any.", rich_help_panel=KEYS_PANEL
        ),
    ] = None,
    not_key: Annotated[
        list[str] | None,
        typer.Option(
            "--not-key", metavar="GLOB", help="That do not match. Repeatable: none.", rich_help_panel=KEYS_PANEL
        ),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Of this type: string, list, set, zset, hash, stream, module. Repeatable.",
            rich_help_panel=KEYS_PANEL,
        ),
    ] = None,
    not_type: Annotated[
        list[str] | None,
        typer.Option("--not-type", metavar="TYPE", help="Not of this type. Repeatable.", rich_help_panel=KEYS_PANEL),
    ] = None,
    ttl: Annotated[
        list[str] | None,
        typer.Option(
            "--ttl",
            metavar="none|any|MIN-MAX",
            help="Without an expiry, with one, or with so much left: 0-3600, 1h-1d, 30d-. Repeatable: any.",
            rich_help_panel=KEYS_PANEL,
        ),
    ] = None,
    expired: Annotated[
        bool | None,
        typer.Option("--expired/--no-expired", help="That have expired, or that have not.", rich_help_panel=KEYS_PANEL),
    ] = None,
    now: Annotated[
        str,
        typer.Option(
            "--now", metavar="TIME", help="What counts as now: Unix time or ISO 8601.", rich_help_panel=KEYS_PANEL
        ),
    ] = "",
    slot: Annotated[
        list[str] | None,
        typer.Option(
            "--slot", metavar="A-B", help="In these hash slots: 0-5460. Repeatable.", rich_help_panel=KEYS_PANEL
        ),
    ] = None,
    min_size: Annotated[
        str,
        typer.Option(
            "--min-size",
            metavar="SIZE",
            help="Whose value takes this much in the file: 4096, 64MB.",
            rich_help_panel=KEYS_PANEL,
        ),
    ] = "0",
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="N at most.", rich_help_panel=KEYS_PANEL)
    ] = None,
    sample: Annotated[
        str,
        typer.Option(
            "--sample", metavar="PART", help="This part of them, always the same: 0.01, 1%.", rich_help_panel=KEYS_PANEL
        ),
    ] = "",
) -> Selection:
    """The keys that these options want. Raises `UsageError`."""
    return select(
        dbs=database_numbers(db or ()),
        not_dbs=database_numbers(not_db or ()),
        keys=key or (),
        regexes=key_regex or (),
        not_keys=not_key or (),
        types=type_ or (),
        not_types=not_type or (),
        ttl=ttl or (),
        expired=expired,
        now=now,
        slots=slot or (),
        min_size=parse_size(min_size),
        limit=limit,
        sample=sample,
    )


def hint_at_regex(patterns: Sequence[bytes], found: int) -> None:
    """Where globs found nothing, tell those who meant regular expressions, which other tools take."""
    for pattern in patterns:
        if found == 0 and looks_like_regex(pattern):
            remark(f"rdbtool: no key matches the glob '{printable(pattern)}': a regular expression goes to --key-regex")
