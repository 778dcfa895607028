"""Options that choose keys, the same on every subcommand that reads them."""

from __future__ import annotations

from typing import Annotated

import typer

from rdbtool.inputs.filters import select
from rdbtool.inputs.selection import Selection

PANEL = "Which keys"


def chosen_keys(
    db: Annotated[
        list[int] | None,
        typer.Option("--db", metavar="N", min=0, help="Of this database. Repeatable.", rich_help_panel=PANEL),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", metavar="GLOB", help="That match, as for KEYS: 'user:*'. Repeatable: any.", rich_help_panel=PANEL
        ),
    ] = None,
    key_regex: Annotated[
        list[str] | None,
        typer.Option(
            "--key-regex", metavar="REGEX", help="In which this is found. Repeatable: any.", rich_help_panel=PANEL
        ),
    ] = None,
    not_key: Annotated[
        list[str] | None,
        typer.Option("--not-key", metavar="GLOB", help="That do not match. Repeatable: none.", rich_help_panel=PANEL),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Of this type: string, list, set, zset, hash, stream, module. Repeatable.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    ttl: Annotated[
        list[str] | None,
        typer.Option(
            "--ttl",
            metavar="none|any|MIN-MAX",
            help="Without an expiry, with one, or with so much left: 0-3600, 1h-1d, 30d-. Repeatable: any.",
            rich_help_panel=PANEL,
        ),
    ] = None,
    expired: Annotated[
        bool | None,
        typer.Option("--expired/--no-expired", help="That have expired, or that have not.", rich_help_panel=PANEL),
    ] = None,
    now: Annotated[
        str,
        typer.Option("--now", metavar="TIME", help="What counts as now: Unix time or ISO 8601.", rich_help_panel=PANEL),
    ] = "",
    slot: Annotated[
        list[str] | None,
        typer.Option("--slot", metavar="A-B", help="In these hash slots: 0-5460. Repeatable.", rich_help_panel=PANEL),
    ] = None,
    min_size: Annotated[
        int,
        typer.Option(
            "--min-size",
            metavar="BYTES",
            min=0,
            help="Whose value takes this much in the file.",
            rich_help_panel=PANEL,
        ),
    ] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="N at most.", rich_help_panel=PANEL)
    ] = None,
    sample: Annotated[
        str,
        typer.Option(
            "--sample", metavar="PART", help="This part of them, always the same: 0.01, 1%.", rich_help_panel=PANEL
        ),
    ] = "",
) -> Selection:
    """The keys that these options want. Raises `UsageError`."""
    return select(
        dbs=db or (),
        keys=key or (),
        regexes=key_regex or (),
        not_keys=not_key or (),
        types=type_ or (),
        ttl=ttl or (),
        expired=expired,
        now=now,
        slots=slot or (),
        min_size=min_size,
        limit=limit,
        sample=sample,
    )
