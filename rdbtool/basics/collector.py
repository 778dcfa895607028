"""When garbage is collected."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import final


@final
class Collector:
    """Of the process."""

    def __init__(self) -> None:
        self.freezes = False
        """Whether what was loaded stays as long as the program, as in one that has frozen its modules: collections
        need not walk it. In a process that lives longer, cycles of others would never be freed.
        """

    def freeze(self) -> None:
        """Keep all that there is as long as the program, here and behind each `collector_off`."""
        self.freezes = True
        gc.freeze()


COLLECTOR = Collector()


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """No garbage collection meanwhile: a replay makes millions of objects and no cycles."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            if COLLECTOR.freezes:
                gc.freeze()
            gc.enable()
