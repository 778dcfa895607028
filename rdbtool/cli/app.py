"""The `rdbtool` program: its subcommands, and what every one of them does on the way out."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rdbtool.errors import RdbToolError

from . import check_aof, check_rdb

app = typer.Typer(
    name="rdbtool",
    help="Check, repair, convert, compact and compare the files of Redis and Valkey, without a server.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for module in (check_aof, check_rdb):
    app.command(module.NAME)(module.command)


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", help="Show the version and whether it is compiled.")] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run the program and return its exit code: 0 fine, 1 problems, 2 could not, 3 done with loss."""
    try:
        result = typer.main.get_command(app).main(args=arguments, prog_name="rdbtool", standalone_mode=True)
    except RdbToolError as e:
        print(f"rdbtool: {e}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return int(result or 0)
