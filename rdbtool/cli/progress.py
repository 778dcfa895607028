"""Progress of long work, on stderr: one line that changes where that is a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Final

from .console import progress_wanted
from .render import size

AFTER_S: Final = 2.0
EVERY_S: Final = 0.25
LINE_EVERY_S: Final = 10.0
"""Between lines, where they stay."""


class Progress:
    """Call it with the bytes done and their total (-1: not known); use it as a context manager."""

    def __init__(self) -> None:
        self._wanted = progress_wanted()
        self._terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._next = self._start + AFTER_S
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __call__(self, done: int, total: int) -> None:
        """Show how far it is, now and then."""
        if not self._wanted:
            return
        now = time.monotonic()
        if now < self._next:
            return
        line = progress_line(done, total, now - self._start)
        if self._terminal:
            self._next = now + EVERY_S
            self._shown = True
            sys.stderr.write(f"\r\x1b[K{line}")
        else:
            self._next = now + LINE_EVERY_S
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away, so that other text can be written."""
        if self._shown:
            self._shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class Waiting:
    """Call it with the seconds for which a server has been making a snapshot, and with -1 when it comes."""

    def __init__(self) -> None:
        self._wanted = progress_wanted()
        self._terminal = sys.stderr.isatty()
        self._next = AFTER_S
        self._shown = False

    def __call__(self, seconds: float) -> None:
        """Show it, now and then."""
        if self._shown and self._terminal and seconds < 0:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        self._shown = self._shown and seconds >= 0
        if not self._wanted or seconds < self._next:
            return
        self._next = seconds + (EVERY_S if self._terminal else LINE_EVERY_S)
        self._shown = True
        line = f"the server makes a snapshot, {_clock(seconds)}"
        sys.stderr.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
        sys.stderr.flush()


def progress_line(done: int, total: int, seconds: float) -> str:
    """``42 %, 2.1 GiB of 5.0 GiB, 310 MiB/s, 0:09 left``."""
    rate = done / seconds if seconds > 0 else 0.0
    speed = f"{size(int(rate))}/s"
    if total <= 0:
        return f"{size(done)}, {speed}"
    left = (total - done) / rate if rate > 0 else 0.0
    return f"{done * 100 // total} %, {size(done)} of {size(total)}, {speed}, {_clock(left)} left"


def _clock(seconds: float) -> str:
    whole = int(seconds + 0.5)
    if whole >= 3600:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 60}:{whole % 60:02}"
