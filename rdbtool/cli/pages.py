"""What there is to tell of the program and of each subcommand, as data; and as text, which is its help.

The man page and the scripts for shells are made from the same.
"""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from typer.core import TyperGroup

from .usage import EVERYWHERE_PANEL, OPTIONS_PANEL, PANELS, Usage

WIDEST: Final = 120
"""Characters of a line that are still easy to read."""
NAMES: Final = 30
"""Characters of an option's names and value, beside which its help begins."""
FILES: Final = frozenset({"PATH", "DIR", "OUT", "FILE"})
"""How values are called that are names of files."""


class Parameter(NamedTuple):
    """An option, or an argument.

    ``names``: as they are typed, none for an argument; ``value``: what its value is called, "" for a flag; ``values``:
    those that it can have, none where they cannot be listed; ``files``: the value is the name of a file.
    """

    names: tuple[str, ...]
    value: str
    help: str
    values: tuple[str, ...] = ()
    files: bool = False
    panel: str = OPTIONS_PANEL


@dataclass(slots=True)
class Page:
    """``name`` and arguments of a command, its one-line ``summary``, what else is to be said of it, its parameters, the
    first of which people need most, and its subcommands.
    """

    name: str
    words: str
    summary: str
    paragraphs: list[str]
    arguments: list[Parameter]
    options: list[Parameter]
    usage: Usage | None = None
    commands: dict[str, str] = field(default_factory=dict)

    def panels(self) -> Iterator[tuple[str, list[Parameter]]]:
        """The options, by heading."""
        panels: dict[str, list[Parameter]] = {panel: [] for panel in PANELS}
        for option in self.options:
            panels[option.panel].append(option)
        return ((name, options) for name, options in panels.items() if options)


def page_of(command: Any, context: Any) -> Page:  # noqa: ANN401 - classes of typer's own
    """The page of a command, or of the program itself."""
    usage = None if isinstance(command, TyperGroup) else usage_of(command.name)
    paragraphs = [" ".join(text.split()) for text in inspect.cleandoc(command.help or "").split("\n\n")]
    page = Page(context.command_path, "", paragraphs[0], paragraphs[1:], [], [], usage)
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            page.arguments.append(_argument(parameter))
        elif not parameter.hidden:
            page.options.append(_option(parameter))
    words = ["[OPTION]...", *(argument.value for argument in page.arguments)]
    if isinstance(command, TyperGroup):
        words.append("COMMAND [ARG]...")
        for name, member in command.commands.items():
            page.commands[name] = " ".join((member.help or "").partition("\n\n")[0].split())
    page.words = " ".join(words)
    return page


def _argument(parameter: Any) -> Parameter:  # noqa: ANN401 - of typer's own
    value = parameter.metavar or parameter.name.upper()
    values = _values(parameter, value)
    return Parameter((), value, parameter.help or "", values, not values and value != "[KEY]...")


def _option(parameter: Any) -> Parameter:  # noqa: ANN401 - of typer's own
    flag = parameter.is_flag or parameter.count
    value = "" if flag else parameter.metavar or "N"
    values = () if flag else _values(parameter, value)
    if values and (not parameter.metavar or value[0] == "["):
        value = "|".join(values)
    text = parameter.help or ""
    default = parameter.default
    if not flag and parameter.show_default and isinstance(default, (int, str)) and default not in {"", "0", 0, "auto"}:
        text = f"{text} [default: {default}]"
    names = sorted(parameter.opts, key=lambda name: name.startswith("--")) + list(parameter.secondary_opts)
    panel = parameter.rich_help_panel or (EVERYWHERE_PANEL if "--help" in names else OPTIONS_PANEL)
    return Parameter(tuple(names), value, text, values, value in FILES, panel)


def _values(parameter: Any, value: str) -> tuple[str, ...]:  # noqa: ANN401 - of typer's own
    """The values that a parameter can have, as far as they can be listed."""
    parser = getattr(parameter.type, "func", None)
    listed = getattr(parameter.type, "choices", ()) or getattr(parser, "choices", ())
    if listed:
        return tuple(getattr(choice, "value", choice) for choice in listed)
    known = VALUES.get(value)
    return () if known is None else tuple(known())


def _releases() -> Sequence[str]:
    from rdbtool.servers.releases import RELEASES

    return [release.name for release in RELEASES]


def _schemas() -> Sequence[str]:
    from .schemas import SCHEMAS

    return list(SCHEMAS)


def _shells() -> Sequence[str]:
    from .completion import SHELLS

    return list(SHELLS)


VALUES: Final[dict[str, Callable[[], Sequence[str]]]] = {
    "RELEASE": _releases,
    "SHELL": _shells,
    "[NAME]": _schemas,
    "TYPE": lambda: ("string", "list", "set", "zset", "hash", "stream", "module"),
    "MODE": lambda: ("auto", "utf8", "base64", "hex", "escape"),
}
"""What values of these names can be."""


def terminal_width() -> int:
    """Characters of a line of text."""
    return min(max(shutil.get_terminal_size().columns, 40), WIDEST)


def text_of(page: Page, width: int, strong: Callable[[str], str] = str) -> str:
    """The page as text. ``strong`` makes text stand out."""
    lines = [f"{strong('Usage:')} {page.name} {page.words}", ""]
    for paragraph in (page.summary, *page.paragraphs):
        lines += [*textwrap.wrap(paragraph, width, break_on_hyphens=False), ""]
    if page.commands:
        lines += [strong("Commands"), *_rows(list(page.commands.items()), width, strong), ""]
    told = [(argument.value, argument.help) for argument in page.arguments if argument.help]
    if told:
        lines += [strong("Arguments"), *_rows(told, width, strong), ""]
    for title, options in page.panels():
        rows = [(names_of(option), option.help) for option in options]
        lines += [strong(title), *_rows(rows, width, strong), ""]
    if page.usage is not None:
        lines += [strong("Example"), f"  {page.usage.example}", ""]
        codes = [(str(int(code)), text) for code, text in page.usage.exit_codes()]
        lines += [strong("Exit codes"), *_rows(codes, width, strong), ""]
    return "\n".join(lines)


def names_of(option: Parameter) -> str:
    """Names and value, as help shows them: ``-o, --output PATH``."""
    both = len(option.names) == 2 and re.match(r"--no-", option.names[1])
    names = "/".join(option.names) if both else ", ".join(option.names)
    return f"{names} {option.value}" if option.value else names


def _rows(rows: list[tuple[str, str]], width: int, strong: Callable[[str], str]) -> list[str]:
    """Names to the left, what is said of them to the right of them, or below where a name is long."""
    column = min(max(len(name) for name, _ in rows), NAMES) + 4
    lines = []
    for name, text in rows:
        wrapped = textwrap.wrap(text, max(width - column, 20), break_on_hyphens=False) or [""]
        shown = f"  {strong(name)}"
        if len(name) + 4 <= column:
            shown += " " * (column - 2 - len(name)) + wrapped.pop(0)
        lines.append(shown.rstrip())
        lines += [" " * column + line for line in wrapped]
    return lines


def usage_of(name: str) -> Usage:
    """What a subcommand tells of itself."""
    from importlib import import_module

    usage: Usage = import_module(f".{name.replace('-', '_')}", __package__).USAGE
    return usage
