"""How many processes work side by side, and what each of them does."""

import contextlib
import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final, TypeVar, final

import typer

from rdbtool.errors import RdbToolError, UsageError
from rdbtool.io.remote import is_remote

from .console import remark
from .progress import Progress
from .usage import SPEED_PANEL

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from rdbtool.tasks.cluster import Cluster
    from rdbtool.tasks.sharing import Sharing
    from rdbtool.tasks.workers import Workers

T = TypeVar("T")

WORTH: Final = 64 << 20
"""Bytes of input below which several processes are not faster than one."""
WORTH_COUNTING: Final = 192 << 20
"""The same where values are only measured, which goes about as fast as reading."""


@final
class Jobs:
    """What was asked for. ``asked``: processes, or None for as many as are of use; ``executor``: the address of a
    cluster whose workers do it instead, or "".
    """

    def __init__(self, asked: int | None, executor: str = "") -> None:
        self.asked = asked
        self.executor = executor

    def count(self, paths: Sequence[str], worth: int = WORTH) -> int:
        """How many processes to use for these inputs: of less bytes than are ``worth`` it, one."""
        if len(paths) == 1 and is_remote(paths[0]):
            return 1  # its parts come as one stream
        if any(_size(path) < 0 for path in paths):
            return 1  # only this process can read its standard input, and knows passwords of servers
        if self.asked is not None:
            return self.asked
        if sum(map(_size, paths)) < worth:
            return 1
        from rdbtool.tasks.workers import cores

        return cores()

    @contextlib.contextmanager
    def workers(self, count: int) -> "Iterator[Workers | None]":
        """So many processes; none for one job, which this process does. They end with the context."""
        if count == 1:
            yield None
            return
        from rdbtool.tasks.workers import Workers

        with Workers(count) as workers:
            yield workers

    def each(
        self, function: Callable[..., T], paths: Sequence[str], *, in_parts: bool = False, worth: int = WORTH
    ) -> Generator[tuple[str, T | RdbToolError], None, None]:
        """``function(path)`` for each of the paths, several at a time: what it returns, or the `RdbToolError` that it
        raises, in the order of the paths. Where this process calls it, it is told of a ``progress`` too.

        ``in_parts``: it takes an ``executor``, and so many ``workers`` of it, for parts of one input; that is how few
        inputs are worked on, one after the other.
        """
        if self.executor:
            with self._cluster(paths) as cluster:
                few = in_parts and len(paths) < cluster.count and not any(map(is_remote, paths))
                ahead = 0 if few else len(paths)
                yield from _shared_out(function, self.places(paths), cluster, cluster.count, ahead)
            return
        count = self.count(paths, worth)
        if len(paths) >= count or not in_parts:
            count = min(count, len(paths))
            in_parts = False
        with self.workers(count) as workers:
            yield from _shared_out(function, paths, workers, count, 0 if in_parts else 2 * count)

    def places(self, paths: Sequence[str]) -> list[str]:
        """The same paths, as whoever does the work names them: in any directory."""
        if not self.executor:
            return list(paths)
        return [path if is_remote(path) else os.path.abspath(path) + os.sep * path.endswith(os.sep) for path in paths]

    @contextlib.contextmanager
    def sharing(self, count: int, memory: int | None, *, snapshots: bool = False) -> "Iterator[Sharing]":
        """How so many processes share out keys; they begin when they are needed. With a limit of ``memory``, in bytes,
        they come and go, so that their memory does. ``snapshots``: only those of snapshots, unless there is a limit.
        """
        from rdbtool.tasks.sharing import Sharing

        with contextlib.ExitStack() as stack:
            begun: list[Workers | None] = []

            def begin() -> "Workers | None":
                if not begun:
                    begun.append(stack.enter_context(self.workers(1 if memory is not None else count)))
                return begun[0]

            yield Sharing(workers=count, memory=memory, begin=begin, snapshots=snapshots)

    def _cluster(self, paths: Sequence[str]) -> "Cluster":
        """The cluster. Raises `UsageError` for inputs that its workers cannot read."""
        from rdbtool.live.address import is_url

        for path in paths:
            if path == "-" or is_url(path):
                raise UsageError("the workers of a cluster read files and URLs of files", path=path)
        from rdbtool.tasks.cluster import Cluster

        cluster = Cluster(self.executor)
        if not cluster.count:
            remark(f"{self.executor} has no workers now: it waits for some")
        return cluster


ONE_JOB: Final = Jobs(1)


def _shared_out(
    function: Callable[..., T], paths: Sequence[str], executor: "Executor | None", count: int, ahead: int
) -> Iterator[tuple[str, T | RdbToolError]]:
    """``ahead``: inputs that are begun before the first is done; 0 for one after the other, in parts."""
    if executor is None or not ahead:
        options = {} if executor is None else {"executor": executor, "workers": count}
        for path in paths:
            yield path, _called(function, path, options)
        return
    from rdbtool.tasks.units import of_each

    done, total = 0, sum(max(_size(path), 0) for path in paths)
    with Progress() as progress, contextlib.closing(of_each(function, paths, executor, ahead)) as results:
        for path, result in results:
            progress.clear()
            yield path, result
            done += max(_size(path), 0)
            progress(done, total)


def _called(function: Callable[..., T], path: str, options: dict[str, object]) -> T | RdbToolError:
    with Progress() as progress:
        try:
            return function(path, progress=progress, **options)
        except RdbToolError as e:
            return e


def _size(path: str) -> int:
    """Bytes of a file, or of the files of a directory; -1 for what only this process can read."""
    if path.startswith("memory://"):
        return -1
    if is_remote(path):
        return WORTH  # asking takes time, and who keeps files elsewhere has large ones
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


ProcessesOption = Annotated[
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
]


def side_by_side(
    processes: ProcessesOption = None,
    executor: Annotated[
        str,
        typer.Option(
            "--executor",
            metavar="URL",
            help="Let the workers of a Dask cluster do it: dask://HOST:PORT. They see the files under the same names.",
            show_default=False,
            rich_help_panel=SPEED_PANEL,
        ),
    ] = "",
) -> Jobs:
    """How many processes, and where; for `takes`. Raises `UsageError`."""
    if executor and processes is not None:
        raise UsageError("--jobs is about processes of this machine, and --executor about those of a cluster")
    return Jobs(processes, executor)
