"""How much memory a partition may take."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import OverMemoryError
from rdbtool.io.memory import memory_held

STEP: Final[i64] = 1 << 20
"""Bytes of commands between two looks,"""
STEPS: Final[i64] = 128
"""and batches of commands, or keys of a snapshot in hundreds."""


@final
class Budget:
    """Memory that a replay may take from now on: ``most`` bytes, -1 for as much as there is; ``peak``: what it took."""

    def __init__(self, most: int) -> None:
        self.most: i64 = most
        self.peak: i64 = 0
        self._before: i64 = memory_held()
        self._bytes: i64 = 0
        self._steps: i64 = 0

    def spend(self, size: i64) -> None:
        """Go on by ``size`` bytes of input. Raises `OverMemoryError` where too much memory is in use, now and then."""
        self._bytes += size
        self._steps += 1
        if self._bytes >= STEP or self._steps >= STEPS:
            self.look()

    def look(self) -> None:
        """See how much memory is in use. Raises `OverMemoryError`."""
        self._bytes = 0
        self._steps = 0
        held: i64 = memory_held()
        self.peak = max(self.peak, held - self._before)
        if 0 <= self.most < self.peak:
            raise OverMemoryError(f"the replay takes more than {self.most} bytes of memory")
