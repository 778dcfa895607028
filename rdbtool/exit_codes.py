"""How a run ends: the one place that decides the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from .errors import ChangedError, IncompleteError, InputError, LostWorkerError, NotSyncedError, RdbToolError

if TYPE_CHECKING:
    from .findings import Report


class ExitCode(IntEnum):
    """What a run tells the program that started it. The last three are a shell's: 128 and the signal's number."""

    FINE = 0
    """All is well, or both sides are the same."""
    PROBLEMS = 1
    """Problems were found, or the sides differ."""
    FAILED = 2
    """The job could not be done: usage, unreadable input, an output that cannot be written, unsupported data."""
    LOSS = 3
    """The job was done, with loss that was reported, or with damage that was undone."""
    BUG = 70
    """The program itself failed (EX_SOFTWARE of sysexits.h)."""
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


PRECEDENCE: Final = (ExitCode.FAILED, ExitCode.LOSS, ExitCode.PROBLEMS, ExitCode.FINE)
"""Which code stands for a run over several inputs: the first of these that one of them has.

A script must learn first that the answer is not complete, whatever the other inputs gave; next that data was left
out, which no later check of the output tells; then that there are problems, which another check finds again.
"""


def of_report(report: Report, *, problems: bool = False, loss: bool = False) -> ExitCode:
    """The code for a job that came to its end. ``problems``, ``loss``: what the report does not tell by itself."""
    unknown = {InputError.code, ChangedError.code, LostWorkerError.code, NotSyncedError.code}
    if not unknown.isdisjoint(report.findings.counts):
        return ExitCode.FAILED  # what could not be read, or did not stay, is not known, what is not synced not safe
    if loss or report.loss or report.mended:
        return ExitCode.LOSS
    return ExitCode.PROBLEMS if problems or report.failed else ExitCode.FINE


def of_comparison(*, same: bool, loss: bool) -> ExitCode:
    """The code for a comparison. ``loss``: not all could be read or written down that the answer is about."""
    if loss:
        return ExitCode.LOSS
    return ExitCode.FINE if same else ExitCode.PROBLEMS


def of_verdict(*, known: bool, met: bool) -> ExitCode:
    """The code for a job that held something against expectations. ``known``: all of it could be looked at."""
    if not known:
        return ExitCode.FAILED
    return ExitCode.FINE if met else ExitCode.PROBLEMS


def of_error(error: BaseException) -> ExitCode:
    """The code for a job that ``error`` ended."""
    if isinstance(error, BrokenPipeError):
        return ExitCode.FINE  # whoever read the output has seen enough
    if isinstance(error, IncompleteError):
        return ExitCode.PROBLEMS  # what was read is not all there is to say, and nothing was written
    return ExitCode.FAILED if isinstance(error, (RdbToolError, OSError, MemoryError)) else ExitCode.BUG


def of_signal(number: int) -> ExitCode:
    """The code for a run that this signal ended: SIGHUP, SIGINT or SIGTERM."""
    return ExitCode(128 + number)


def of_all(codes: Iterable[ExitCode]) -> ExitCode:
    """The code for a run over several inputs, each of which has one; see `PRECEDENCE`."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.FINE)
