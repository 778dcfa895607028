"""Running the program in this process, which is much faster than starting it."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from rdbtool.cli import app


@dataclass(frozen=True)
class Done:
    """What a run of the program printed, and its exit code."""

    returncode: int
    output: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        return self.output.decode()


def run(*arguments: object, stdin: bytes = b"") -> Done:
    """``rdbtool`` with these arguments, without a terminal."""
    output = io.BytesIO()
    out, errors = io.TextIOWrapper(output), io.StringIO()
    app.app.registered_commands.clear()  # each run makes its own known, and all that are known take their time
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with redirect_stdout(out), redirect_stderr(errors), pytest.raises(SystemExit) as exit_with:
            app.run([str(argument) for argument in arguments])
        out.flush()
    finally:
        sys.stdin = before
    return Done(int(exit_with.value.code or 0), output.getvalue(), errors.getvalue())
