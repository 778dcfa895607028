"""How far the reading of several files is, as one job."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import TypeAlias, final

Progress: TypeAlias = Callable[[int, int], object]
"""Is told how many bytes of the input have been read, and of how many; -1 where that is not known."""


@final
class Meter:
    """Turns the progress of one file after the other into that of all; of none, where nobody wants to know."""

    def __init__(self, paths: Iterable[str], progress: Progress | None) -> None:
        self.progress = progress
        self.sizes: dict[str, int] = {}
        for path in paths:
            with contextlib.suppress(OSError):
                self.sizes[path] = os.stat(path).st_size
        self.total = sum(self.sizes.values())
        self.before = 0

    def of(self, path: str) -> Progress | None:
        """What to tell the progress of the file at ``path``, the next one."""
        progress = self.progress
        if progress is None:
            return None
        start = self.before
        self.before += self.sizes.get(path, 0)

        def told(done: int, size: int) -> None:
            progress(start + done, self.total if size >= 0 else -1)

        return told
