"""The `rdbtool` program: its subcommands, and what every one of them does on the way out."""

import contextlib
import functools
import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rdbtool import version_line
from rdbtool.basics.collector import COLLECTOR
from rdbtool.errors import RdbToolError, UsageError, printable_text, reason
from rdbtool.exit_codes import ExitCode, of_error, of_signal
from rdbtool.io.signals import ENDING
from rdbtool.io.temporary import remove_all

from .console import Console, held_if, settings
from .options import Format, takes
from .program import Command, Program
from .usage import Usage

if TYPE_CHECKING:
    from .pages import Page

COMMANDS = (
    "backup",
    "check-aof",
    "check-rdb",
    "convert",
    "diff",
    "digest",
    "dump",
    "health",
    "history",
    "info",
    "load",
    "memory",
    "report",
    "rewrite",
    "schema",
    "verify",
)
"""The subcommands. Each is a module of this package, with ``command``, which is its options and help, and ``USAGE``."""

HELP: Final = """Check, repair, convert, compact and compare the files of Redis and Valkey, without a server.

'rdbtool COMMAND --help' tells of a command. Results go to standard output, all else to standard error. Exit codes: 0
fine, or the same; 1 problems found, or different; 2 could not do the job; 3 done, with loss that was reported.
"""

BIGGEST: Final = (1 << 63) - 1

app = typer.Typer(
    name="rdbtool",
    help=HELP,
    cls=Program,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def guarded(command: Callable[..., None], usage: Usage) -> Callable[..., None]:
    """``command`` with the options that every subcommand has, ending in an exit code and one line on stderr whatever
    the input does.
    """

    @takes(console=settings)
    @functools.wraps(command)
    def run_guarded(*, console: Console, **options: object) -> None:
        with _one_line():
            _refuse_big_numbers(options)
            as_text = any(isinstance(value, StrEnum) and value == Format.TEXT for value in options.values())
            with held_if(usage.verdict and console.quiet and as_text):
                command(**options)

    return run_guarded


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """End with an exit code and one line on stderr for what is no bug."""
    try:
        yield
    except RdbToolError as e:
        print(f"rdbtool: {e}", file=sys.stderr)
        from .way_out import print_way_out

        print_way_out(e)
        raise typer.Exit(of_error(e)) from None
    except BrokenPipeError as e:  # typer would make an error of it
        _discard_output()
        raise typer.Exit(of_error(e)) from None
    except MemoryError as e:
        print("rdbtool: out of memory", file=sys.stderr)
        raise typer.Exit(of_error(e)) from None


def _refuse_big_numbers(options: dict[str, object]) -> None:
    """Raise `UsageError` for what 64 bits do not hold, which is how compiled code counts."""
    for name, value in options.items():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and not -BIGGEST <= number <= BIGGEST:
                raise UsageError(f"--{name.replace('_', '-')}: {number} is too large")


def register(name: str) -> ModuleType:
    """Load a subcommand's module and make it known.

    A module may have ``prepared``: what it makes of the arguments before they are parsed.
    """
    module = importlib.import_module(f".{name.replace('-', '_')}", __package__)
    app.command(name, cls=Command)(guarded(module.command, module.USAGE))
    return module


def pages() -> "list[Page]":
    """What there is to tell of the program, and of every subcommand."""
    from .pages import page_of

    known = {command.name for command in app.registered_commands}
    for name in COMMANDS:
        if name not in known:
            register(name)
    program: Any = typer.main.get_command(app)
    context = program.make_context("rdbtool", [], resilient_parsing=True)
    told = [page_of(program, context)]
    for name, command in program.commands.items():
        told.append(page_of(command, command.make_context(name, [], parent=context, resilient_parsing=True)))
    return told


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version_line())
        raise typer.Exit


def _show_manual(wanted: bool) -> None:
    if wanted:
        from .manual import manual, show

        show(manual(pages()))
        raise typer.Exit


def _show_completion(shell: str) -> None:
    if shell:
        from .completion import script_for

        with _one_line():
            print(script_for(shell, pages()), end="")
        raise typer.Exit


def _install_completion(wanted: bool) -> None:
    if wanted:
        from .completion import install

        with _one_line():
            print(install(pages()))
        raise typer.Exit


@app.callback()
def _program(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program a failure of its own is.")] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version, and if compiled."),
    ] = False,
    _manual: Annotated[
        bool,
        typer.Option(
            "--man",
            callback=_show_manual,
            is_eager=True,
            help="Show the manual page; where standard output is no terminal, print its source.",
        ),
    ] = False,
    _install: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            callback=_install_completion,
            is_eager=True,
            help="Let the shell that SHELL names complete commands, options and files. Again after an update.",
        ),
    ] = False,
    _completion: Annotated[
        str,
        typer.Option(
            "--show-completion",
            metavar="SHELL",
            callback=_show_completion,
            is_eager=True,
            help="Print what that installs for bash, zsh or fish.",
        ),
    ] = "",
) -> None:
    global _debug
    _debug = debug
    if sys.stderr.isatty():
        from .uncompiled import tell_if_uncompiled

        tell_if_uncompiled()


_debug = False


class _Ended(BaseException):
    """A signal asks the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """While this is entered, SIGHUP, SIGINT and SIGTERM raise `_Ended`, unless they were ignored before."""

    def end(number: int, _: object) -> None:
        raise _Ended(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    answered = [number for number, handler in before.items() if handler not in {signal.SIG_IGN, None}]
    for number in answered:
        signal.signal(number, end)
    try:
        try:
            yield
        except _Ended as e:
            for number in answered:
                signal.signal(number, signal.SIG_IGN)
            for note in getattr(e, "__notes__", ()):
                print(f"rdbtool: {note}", file=sys.stderr)
            sys.exit(of_signal(e.number))
    finally:
        remove_all()
        for number in answered:
            signal.signal(number, before[number])


@_ended_by_signals()
def run(arguments: list[str]) -> None:
    """Run the program and exit, with one of `exit_codes.ExitCode`."""
    if any("://" in argument for argument in arguments):
        from .live import without_passwords

        arguments = without_passwords(arguments)
    # Only what is asked for is loaded: with all subcommands, starting takes longer than checking a small file.
    asked = [name for name in COMMANDS if name in arguments[:1]]
    for name in asked or COMMANDS:
        prepared = getattr(register(name), "prepared", None)
        if asked and prepared is not None:
            arguments = prepared(arguments)
    COLLECTOR.freeze()
    gc.enable()
    _open_missing()
    try:
        _run_and_flush(arguments)
    except BrokenPipeError as e:  # while the last of the output is flushed
        _discard_output()
        sys.exit(of_error(e))
    except OSError as e:  # of printing: inputs and outputs have errors of their own
        _discard_output()
        print(f"rdbtool: standard output: cannot write: {reason(e)}", file=sys.stderr)
        sys.exit(of_error(e))
    except Exception as e:  # noqa: BLE001 - a bug: its exit code must not read as an answer
        if _debug:
            import traceback

            traceback.print_exc()
        else:
            what = printable_text(f"{type(e).__name__}: {e}")
            print(
                f"rdbtool: failed by a bug of its own ({what}): please report what 'rdbtool --debug ...' says of it",
                file=sys.stderr,
            )
        sys.exit(of_error(e))


def _run_and_flush(arguments: list[str]) -> None:
    try:
        app(args=arguments, prog_name="rdbtool")
    except SystemExit as end:
        try:
            sys.stdout.flush()
        except OSError:
            if end.code != ExitCode.FAILED:
                raise
            _discard_output()  # that it cannot be written has been told
        raise


def _discard_output() -> None:
    """Let what is still to be printed go nowhere, without complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_missing() -> None:
    """Open standard streams that were closed when the program started.

    Otherwise the first file that is opened takes their place, and is printed into.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # What is not open for writing fails to be written: results were asked for, and cannot be told.
            handle = os.open(os.devnull, os.O_RDWR if name == "stderr" else os.O_RDONLY)
            setattr(sys, name, os.fdopen(handle, "r" if name == "stdin" else "w"))
