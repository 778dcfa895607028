"""Outputs that are there already."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rdbtool.errors import UsageError
from rdbtool.io.remote import exists, is_remote

from .console import ask
from .render import show_path


def ask_to_overwrite(paths: Sequence[str], sources: Sequence[str]) -> None:
    """Ask before files are overwritten that hold something. Raises `UsageError` for no, and where nobody can be
    asked.
    """
    there = [path for path in paths if _holds_something(path) and not _is_one_of(path, sources)]
    if not there:
        return
    names = ", ".join(show_path(path) for path in there)
    if "-" in sources or not sys.stdin.isatty():
        raise UsageError(f"exists: {names}; --force overwrites it, where nobody can be asked")
    if not ask(f"Overwrite {names}?"):
        raise UsageError(f"nothing was written: {names} stays")


def _holds_something(path: str) -> bool:
    if is_remote(path):
        return exists(path)
    return path != "-" and os.path.isfile(path) and os.path.getsize(path) > 0


def _is_one_of(path: str, sources: Sequence[str]) -> bool:
    """Whether it is an input, which is refused anyway."""
    return any(os.path.exists(source) and os.path.samefile(path, source) for source in sources)
