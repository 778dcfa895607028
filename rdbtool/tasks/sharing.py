"""How keys are shared out: those of a log among replays, those of a snapshot by parts of it. This is what is asked for;
doing it is loaded when it is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rdbtool.findings import Finding, Severity
from rdbtool.inputs.opening import OpenedKeys, open_keys

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from rdbtool.inputs.partitioned import How, Partitioned
    from rdbtool.io.progress import Progress
    from rdbtool.outputs.options import RdbOptions


@dataclass(frozen=True, slots=True)
class Sharing:
    """How keys are shared out: to so many ``partitions``, or 0 for as many as are of use, that are replayed by so many
    ``workers`` of the ``executor``. With a ``memory`` limit, in bytes, to as many as it takes to stay below it, that
    are replayed by so many ``workers`` of their own.

    ``begin``: makes the executor when there is something for it to do; ``snapshots``: it is for parts of snapshots
    only, of about ``portion`` bytes, and not for a log that nobody asked to have shared out.
    """

    partitions: int = 0
    executor: Executor | None = None
    workers: int = 1
    memory: int | None = None
    begin: Callable[[], Executor | None] | None = None
    snapshots: bool = False
    portion: int = 0

    def ready(self) -> Executor | None:
        """The executor, ready to work; None where this process does it all."""
        return self.executor if self.begin is None else self.begin()

    @property
    def is_asked(self) -> bool:
        """Whether somebody wants them, and not only because several processes are faster than one."""
        return self.partitions > 1 or self.memory is not None

    @property
    def is_wanted(self) -> bool:
        """Whether there are to be several partitions."""
        return self.is_asked or (self.workers > 1 and not self.snapshots)

    @property
    def count(self) -> int:
        """How many partitions there are to be, at least."""
        return self.partitions or self.workers


UNSHARED: Final = Sharing()


def shared(how: How, sharing: Sharing, progress: Progress | None = None) -> Partitioned | None:
    """A log whose keys can be shared out; None where they need not be, and where it cannot be read, of which its replay
    tells.
    """
    if not sharing.is_wanted:
        return None
    from .partitions import find_partitions

    return find_partitions(how, sharing, progress)


def cannot_share(found: Partitioned) -> Finding:
    """The finding that keys are replayed together, although something else was asked for."""
    message = f"the keys are replayed together, not by partitions: {found.whole}"
    return Finding(Severity.NOTE, "one-partition", message, found.how.path)


@contextlib.contextmanager
def open_shared(
    path: str, sharing: Sharing, beside: str, opening: dict[str, Any], rdb: RdbOptions | None = None
) -> Iterator[OpenedKeys]:
    """`open_keys` of ``path`` with these parameters; of a log by partitions, where ``sharing`` says so and they can be.
    ``beside``: as for `saved_partitions`; ``rdb``: how the keys will be written, if they will be.
    """
    if sharing.is_wanted:
        from .saved_partitions import open_partitions

        with open_partitions(path, sharing, beside, opening, rdb) as opened:
            yield opened
    else:
        with open_keys(path, **opening) as opened:
            yield opened
