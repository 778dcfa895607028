"""Options that choose keys, the same on every subcommand that reads them."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import BIGGEST

PANEL = "Which keys"

DbOption = Annotated[
    list[int] | None,
    typer.Option("--db", metavar="N", min=0, max=BIGGEST, help="Of this database. Repeatable.", rich_help_panel=PANEL),
]
KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key", metavar="GLOB", help="That match, as for KEYS: 'user:*'. Repeatable: any.", rich_help_panel=PANEL
    ),
]
KeyRegexOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key-regex", metavar="REGEX", help="In which this is found. Repeatable: any.", rich_help_panel=PANEL
    ),
]
NotKeyOption = Annotated[
    list[str] | None,
    typer.Option("--not-key", metavar="GLOB", help="That do not match. Repeatable: none.", rich_help_panel=PANEL),
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="Of this type: string, list, set, zset, hash, stream, module. Repeatable.",
        rich_help_panel=PANEL,
    ),
]
TtlOption = Annotated[
    list[str] | None,
    typer.Option(
        "--ttl",
        metavar="none|any|MIN-MAX",
        help="Without an expiry, with one, or with so much left: 0-3600, 1h-1d, 30d-. Repeatable: any.",
        rich_help_panel=PANEL,
    ),
]
ExpiredOption = Annotated[
    bool | None,
    typer.Option("--expired/--no-expired", help="That have expired, or that have not.", rich_help_panel=PANEL),
]
NowOption = Annotated[
    str,
    typer.Option("--now", metavar="TIME", help="What counts as now: Unix time or ISO 8601.", rich_help_panel=PANEL),
]
SlotOption = Annotated[
    list[str] | None,
    typer.Option("--slot", metavar="A-B", help="In these hash slots: 0-5460. Repeatable.", rich_help_panel=PANEL),
]
MinSizeOption = Annotated[
    int,
    typer.Option(
        "--min-size",
        metavar="BYTES",
        min=0,
        max=BIGGEST,
        help="Whose value takes this much in the file.",
        rich_help_panel=PANEL,
    ),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=0, max=BIGGEST, help="N at most.", rich_help_panel=PANEL)
]
SampleOption = Annotated[
    str,
    typer.Option(
        "--sample", metavar="PART", help="This part of them, always the same: 0.01, 1%.", rich_help_panel=PANEL
    ),
]
