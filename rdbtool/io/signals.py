"""Steps that no signal may come between."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ENDING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
"""The signals that end a program and that it can answer."""


@contextmanager
def held_back() -> Iterator[None]:
    """While this is entered, the signals that end the program wait. Keep it short."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
