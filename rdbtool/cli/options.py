"""Options that several subcommands have."""

import functools
import inspect
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

from rdbtool.aof.names import CommandNames
from rdbtool.errors import UsageError

from .usage import SERVER_PANEL, WRITING_PANEL


class Format(StrEnum):
    """How a report is written."""

    TEXT = "text"
    JSON = "json"


AUTO: Final = "auto"
"""The choice of an option that lets the program choose."""

FormatOption = Annotated[Format, typer.Option("--format", "-f", help="Text for people, or JSON for programs.")]
DatabasesOption = Annotated[
    int,
    typer.Option(
        "--databases",
        min=1,
        help="How many databases the server has; it refuses files with more.",
        rich_help_panel=SERVER_PANEL,
    ),
]
ModulesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--modules",
        metavar="NAME",
        help="A module type that the server has. May be repeated.",
        rich_help_panel=SERVER_PANEL,
    ),
]
ReplaceOption = Annotated[
    bool,
    typer.Option(
        "--replace",
        help="With resp: replace keys and libraries that the server has, instead of adding to them.",
        rich_help_panel=WRITING_PANEL,
    ),
]
CsvSafeOption = Annotated[
    bool,
    typer.Option(
        "--csv-safe",
        help="With csv: a ' before what spreadsheets would take for a formula: =, +, -, @.",
        rich_help_panel=WRITING_PANEL,
    ),
]
AllFindingsOption = Annotated[
    bool, typer.Option("--all-findings", help="Show each finding, where many of a kind are otherwise one line.")
]


def command_names(
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="NAME",
            help="A command that the server has, from a module or under another name. May be repeated.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            "--rename",
            metavar="NAME=REAL",
            help="What the log calls NAME is REAL: the server's 'rename-command REAL NAME'. May be repeated.",
            rich_help_panel=SERVER_PANEL,
        ),
    ] = None,
) -> CommandNames:
    """The names of commands that only this server has; for `takes`. Raises `UsageError`."""
    return CommandNames.parse(allow or (), rename or ())


def size_option(text: str | int) -> int:
    """A parser of an option that is a size; a default comes as a number."""
    if isinstance(text, int):
        return text
    from rdbtool.inputs.filters import parse_size

    try:
        return parse_size(text)
    except UsageError as e:
        raise typer.BadParameter(str(e)) from None


def some_size_option(text: str | int) -> int:
    """The same of a size that is not 0."""
    size = size_option(text)
    if size == 0:
        raise typer.BadParameter("0 is too small.")
    return size


def choices(names: Sequence[str]) -> str:
    """How help shows these choices, and `AUTO`."""
    return f"[{'|'.join((AUTO, *names))}]"


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """A parser of an option that is `AUTO` or one of ``names``."""

    def parse(text: str) -> str:
        if text != AUTO and text not in names:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join((AUTO, *names))}.")
        return text

    parse.__dict__["choices"] = (AUTO, *names)  # for help, and shells
    return parse


def takes(**groups: Callable[..., object]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options that belong together as one argument.

    ``groups``: the argument's name -> the function that makes it; that function's parameters become options of the
    command. An option that the command has itself is the command's, and the function gets its own default.

    Modules with options do without ``from __future__ import annotations``: each would be text that every start has to
    compile.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name not in groups]
        own = {p.name for p in parameters}
        taken: dict[str, list[str]] = {}
        for name, make in groups.items():
            added = [p for p in inspect.signature(make, eval_str=True).parameters.values() if p.name not in own]
            taken[name] = [p.name for p in added]
            parameters += added

        @functools.wraps(command)
        def run(**options: object) -> None:
            made = {name: make(**{p: options.pop(p) for p in taken[name]}) for name, make in groups.items()}
            command(**options, **made)

        # what typer looks at
        run.__dict__["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate
