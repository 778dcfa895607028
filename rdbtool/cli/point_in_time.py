"""Options of every subcommand that replays a log: up to which point in time, and what to do about commands that no
server has.
"""

from enum import StrEnum
from typing import Annotated

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.aof.point_in_time import LAST, Place, PointInTime, parse_time
from rdbtool.basics.numbers import natural
from rdbtool.errors import UsageError
from rdbtool.inputs.filters import parse_size
from rdbtool.inputs.server import Server

from .usage import REPLAY_PANEL, SERVER_PANEL, TIME_PANEL


class Unknown(StrEnum):
    """What to do about a command that no server has."""

    STOP = "stop"
    CARRY = "carry"
    SKIP = "skip"


class From(StrEnum):
    """What the input is."""

    AUTO = "auto"
    COMMANDS = "commands"


UnknownOption = Annotated[
    Unknown,
    typer.Option(
        "--unknown",
        help="Commands that no server has, as of modules: stop there, keep or leave them out.",
        rich_help_panel=REPLAY_PANEL,
    ),
]
ServerDatabasesOption = Annotated[
    int | None,
    typer.Option(
        "--databases",
        min=1,
        help="How many databases the log's server had; else 16, or as many as the snapshot in front of it has.",
        rich_help_panel=SERVER_PANEL,
    ),
]
MemoryLimitOption = Annotated[
    str,
    typer.Option(
        "--memory-limit",
        metavar="SIZE",
        help="Replay a log by parts of its keys that take no more, and refuse commands that make a value which does; "
        "else what the system has free.",
        rich_help_panel=REPLAY_PANEL,
    ),
]
FromOption = Annotated[
    From,
    typer.Option(
        "--from",
        help="'commands': the input is a text of commands, as for redis-cli. auto: it is one if it begins with one "
        "that servers log.",
        rich_help_panel=REPLAY_PANEL,
    ),
]


def server_of(names: CommandNames, databases: int | None, memory_limit: str = "") -> Server:
    """How a log's server was set up, from the options of a subcommand. Raises `UsageError`."""
    return Server(names, databases, parse_size(memory_limit) if memory_limit else None)


def point_in_time(
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Leave out what the log's timestamps say is later: Unix time or ISO 8601 (UTC unless it says "
            "otherwise).",
            rich_help_panel=TIME_PANEL,
        ),
    ] = "",
    until_offset: Annotated[
        str,
        typer.Option(
            "--until-offset",
            metavar="[FILE:]OFFSET",
            help="Leave out the commands that begin there or later.",
            rich_help_panel=TIME_PANEL,
        ),
    ] = "",
    until_command: Annotated[
        int | None,
        typer.Option("--until-command", metavar="N", min=0, help="Apply N commands.", rich_help_panel=TIME_PANEL),
    ] = None,
    before_command: Annotated[
        str,
        typer.Option(
            "--before-command",
            metavar="NAME",
            help="Stop before the first command of that name: the state before FLUSHALL.",
            rich_help_panel=TIME_PANEL,
        ),
    ] = "",
    nth: Annotated[
        str,
        typer.Option("--nth", metavar="N|last", help="Which of the commands of that name.", rich_help_panel=TIME_PANEL),
    ] = "",
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            metavar="[FILE:]OFFSET",
            help="Leave out the command there: undo that one DEL. May be repeated.",
            rich_help_panel=TIME_PANEL,
        ),
    ] = None,
) -> PointInTime:
    """How far to replay. Raises `UsageError`."""
    if nth and not before_command:
        raise UsageError("--nth says which command --before-command means, and that is not given")
    if nth not in {"", LAST} and natural(nth) < 1:
        raise UsageError(f"--nth wants a number from 1 on, or 'last', not {nth!r}")
    return PointInTime(
        time_s=parse_time(until) if until else None,
        offset=Place.parse(until_offset) if until_offset else None,
        commands=until_command,
        before=before_command,
        nth="last" if nth == LAST else int(nth or 1),
        without=tuple(Place.parse(text) for text in without or ()),
    )
