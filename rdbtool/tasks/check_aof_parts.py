"""Scan one log with several workers, each of them a part of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from rdbtool.aof.config import LogConfig
from rdbtool.aof.scan import Scanner
from rdbtool.aof.scan_parts import ScannedPart, beginning_near, goes_on, scan_part
from rdbtool.errors import LostWorkerError, RdbToolError
from rdbtool.findings import Findings
from rdbtool.io.progress import Progress
from rdbtool.io.random_access import PORTION, OpenFile, Span
from rdbtool.io.window import Window

from .parts import FileState, Portions
from .units import Unit, in_order


class _Part(NamedTuple):
    start: int
    end: int


class _Options(NamedTuple):
    state: FileState
    config: LogConfig


@dataclass(frozen=True, slots=True)
class ScanInParts:
    """Scans the log that a window stands at, with so many ``workers`` of an executor, in parts of about ``portion``
    bytes; 0 for what suits.
    """

    executor: Executor
    workers: int
    portion: int = 0

    def __call__(
        self, w: Window, findings: Findings, config: LogConfig, progress: Progress | None = None
    ) -> Scanner | None:
        """A scan that stands behind what the workers have found to be plain, with what they found. None for what is no
        plain file, or too small. Raises `InputError` and `LostWorkerError`.
        """
        state = FileState.of(w)
        start = int(w.offset())
        if state is None or w.file is None:
            return None
        portions = Portions(state.size, self.workers, self.portion)
        if state.size - start < 2 * portions.at(start):
            return None
        file = OpenFile(os.dup(w.file.fileno()), state.path)
        span = Span(file, start, state.size, PORTION)
        again = Window(span, path=state.path, size=state.size, base=start)
        again.file = w.file
        scanner = Scanner(again, findings, config)
        options = _Options(state, config)
        units = (Unit(_scan, state.path, part, options) for part in _cut(file, start, portions, config))
        at = start
        with closing(in_order(self.executor, units, 2 * self.workers)) as results:
            for unit, result in results:
                if isinstance(result, LostWorkerError):
                    raise result
                if isinstance(result, RdbToolError) or not goes_on(scanner, result):
                    break
                at = unit.part.end
                if progress is not None:
                    progress(at, state.size)
        span.at = again.base = at
        return scanner


def _cut(file: OpenFile, start: int, portions: Portions, config: LogConfig) -> Iterator[_Part]:
    """Parts from ``start`` on whose borders seem to be beginnings of commands."""
    at = start + portions.at(start)
    while at < portions.size:
        border = int(beginning_near(file, at, config))
        if border < 0:
            at += portions.at(at)
            continue
        yield _Part(start, border)
        start, at = border, border + portions.at(border)
    yield _Part(start, portions.size)


def _scan(_: str, part: _Part, options: _Options) -> ScannedPart:
    with options.state.window(part.start, part.end, grows=True) as w:
        return scan_part(w, options.config)
