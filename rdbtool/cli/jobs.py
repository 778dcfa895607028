"""How many processes work side by side, and what each of them does."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final, TypeVar, final

import typer

from rdbtool.errors import RdbToolError

from .progress import Progress
from .usage import SPEED_PANEL

if TYPE_CHECKING:
    from rdbtool.tasks.workers import Workers

T = TypeVar("T")

WORTH: Final = 64 << 20
"""Bytes of input below which several processes are not faster than one."""


@final
class Jobs:
    """What was asked for. ``asked``: processes, or None for as many as are of use."""

    def __init__(self, asked: int | None) -> None:
        self.asked = asked

    def count(self, paths: Sequence[str]) -> int:
        """How many processes to use for these inputs."""
        if any(_size(path) < 0 for path in paths):
            return 1  # only this process can read its standard input, and knows passwords of servers
        if self.asked is not None:
            return self.asked
        if sum(map(_size, paths)) < WORTH:
            return 1
        from rdbtool.tasks.workers import cores

        return cores()

    @contextlib.contextmanager
    def workers(self, count: int) -> Iterator[Workers | None]:
        """So many processes; none for one job, which this process does. They end with the context."""
        if count == 1:
            yield None
            return
        from rdbtool.tasks.workers import Workers

        with Workers(count) as workers:
            yield workers

    def each(self, function: Callable[..., T], paths: Sequence[str]) -> Iterator[tuple[str, T | RdbToolError]]:
        """``function(path)`` for each of the paths, several at a time: what it returns, or the `RdbToolError` that it
        raises, in the order of the paths. Where this process calls it, it is told of a ``progress`` too.
        """
        count = min(self.count(paths), len(paths))
        with self.workers(count) as workers:
            if workers is None:
                for path in paths:
                    yield path, _called(function, path)
                return
            from rdbtool.tasks.units import of_each

            done, total = 0, sum(map(_size, paths))
            with Progress() as progress, contextlib.closing(of_each(function, paths, workers, 2 * count)) as results:
                for path, result in results:
                    progress.clear()
                    yield path, result
                    done += _size(path)
                    progress(done, total)


ONE_JOB: Final = Jobs(1)


def _called(function: Callable[..., T], path: str) -> T | RdbToolError:
    with Progress() as progress:
        try:
            return function(path, progress=progress)
        except RdbToolError as e:
            return e


def _size(path: str) -> int:
    """Bytes of a file, or of the files of a directory; -1 for what only this process can read."""
    if path == "-" or "://" in path:
        return -1
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path) as entries:
                return sum(entry.stat().st_size for entry in entries if entry.is_file())
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def side_by_side(
    processes: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            min=1,
            max=1024,
            help="Processes that work side by side; else as many as there are cores, and one for small inputs.",
            show_default=False,
            rich_help_panel=SPEED_PANEL,
        ),
    ] = None,
) -> Jobs:
    """How many processes; for `takes`."""
    return Jobs(processes)
