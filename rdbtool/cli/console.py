"""How the program talks to whoever started it: the options that every subcommand has for that, and questions."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, BinaryIO, TextIO

import typer

from .usage import EVERYWHERE_PANEL


class Shown(StrEnum):
    """Whether progress is shown."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Console:
    """What was asked for. ``quiet``: nothing is said that nobody must know; ``progress``: whether it is shown."""

    quiet = False
    progress = Shown.AUTO


console = Console()
"""Of the run under way."""


def settings(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="No progress, no remarks, and no report of a check that finds nothing wrong.",
            rich_help_panel=EVERYWHERE_PANEL,
        ),
    ] = False,
    progress: Annotated[
        Shown,
        typer.Option(
            "--progress",
            help="Show how far it is, on standard error; auto: after two seconds, on a terminal.",
            rich_help_panel=EVERYWHERE_PANEL,
        ),
    ] = Shown.AUTO,
) -> Console:
    """Take note of the options that every subcommand has."""
    console.quiet = quiet
    console.progress = progress
    return console


def progress_wanted() -> bool:
    """Whether progress is to be shown."""
    if console.progress is Shown.AUTO:
        return sys.stderr.isatty() and not console.quiet
    return console.progress is Shown.ON


def colours_wanted(stream: TextIO) -> bool:
    """Whether to write in colours: to a terminal, unless the environment says otherwise (no-color.org,
    force-color.org).
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def remark(text: str) -> None:
    """Say something on standard error that is no problem."""
    if not console.quiet:
        print(text, file=sys.stderr)


class _Held(io.StringIO):
    """Text for ``stream`` that may turn out not to be wanted."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.wanted = False

    @property
    def buffer(self) -> BinaryIO:
        """For bytes that are a result, and so not held back."""
        return self.stream.buffer

    def isatty(self) -> bool:
        return self.stream.isatty()

    def reveal(self) -> None:
        """Write it."""
        self.stream.write(self.getvalue())
        self.truncate(0)
        self.seek(0)


@contextlib.contextmanager
def held_if(wanted: bool) -> Iterator[None]:
    """Hold back what is printed to standard output, if ``wanted``, and write it where the run ends with an exit code
    other than 0.
    """
    if not wanted:
        yield
        return
    held = _Held(sys.stdout)
    sys.stdout = held
    try:
        yield
    except typer.Exit as end:
        held.wanted = held.wanted or end.exit_code != 0
        raise
    except BaseException:
        held.wanted = True
        raise
    finally:
        sys.stdout = held.stream
        if held.wanted:
            held.reveal()


def must_be_told() -> None:
    """Whatever the exit code, what is printed to standard output has to be read: something was changed."""
    if isinstance(sys.stdout, _Held):
        sys.stdout.wanted = True


def ask(question: str) -> bool:
    """Whether somebody at the terminal says yes. Nobody is asked who cannot see what it is about."""
    if isinstance(sys.stdout, _Held):
        sys.stdout.reveal()
        sys.stdout.stream.flush()
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
