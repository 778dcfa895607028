"""What every subcommand tells of itself beside its options: stated in its module, shown by help and the man page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rdbtool.exit_codes import ExitCode

OPTIONS_PANEL: Final = "Options"
"""Of options that have no other: those that people need."""
KEYS_PANEL: Final = "Which keys"
TIME_PANEL: Final = "Point in time"
REPAIR_PANEL: Final = "Repair"
EXPECTED_PANEL: Final = "What is expected"
BOOT_PANEL: Final = "A rehearsal of the recovery"
INTO_PANEL: Final = "Into the server"
KEEPING_PANEL: Final = "Which backups stay"
COUNTS_PANEL: Final = "What counts"
PREFIXES_PANEL: Final = "Prefixes"
CHANGES_PANEL: Final = "Changes"
WRITING_PANEL: Final = "How it is written"
REPLAY_PANEL: Final = "Replay of a log"
SERVER_PANEL: Final = "How the server is set up"
LIVE_PANEL: Final = "How a live server is reached"
SPEED_PANEL: Final = "How it runs"
EVERYWHERE_PANEL: Final = "On every command"
PANELS: Final = (
    OPTIONS_PANEL,
    REPAIR_PANEL,
    EXPECTED_PANEL,
    BOOT_PANEL,
    INTO_PANEL,
    KEEPING_PANEL,
    COUNTS_PANEL,
    KEYS_PANEL,
    TIME_PANEL,
    f"{TIME_PANEL} of A",
    f"{TIME_PANEL} of B",
    PREFIXES_PANEL,
    CHANGES_PANEL,
    WRITING_PANEL,
    REPLAY_PANEL,
    SERVER_PANEL,
    LIVE_PANEL,
    SPEED_PANEL,
    EVERYWHERE_PANEL,
)
"""The headings of options in help, in their order: an option's ``rich_help_panel`` is one of them."""


class Usage(NamedTuple):
    """``USAGE`` of a subcommand's module.

    ``example``: a command line that works where ``dump.rdb``, ``appendonly.aof`` and ``appendonlydir`` are; ``fine``,
    ``problems``, ``failed`` and ``loss``: what exit codes 0 to 3 mean, "" for those that it does not end with.
    ``verdict``: what it prints with ``--format text`` is a verdict, which ``--quiet`` leaves out where all is fine;
    otherwise it is what was asked for, and always printed.
    """

    example: str
    fine: str = "done"
    problems: str = ""
    failed: str = "could not do the job: wrong options, unreadable input, unsupported data"
    loss: str = ""
    verdict: bool = False

    def exit_codes(self) -> Iterator[tuple[ExitCode, str]]:
        """The codes that it ends with, and what they mean."""
        told = (
            (ExitCode.FINE, self.fine),
            (ExitCode.PROBLEMS, self.problems),
            (ExitCode.FAILED, self.failed),
            (ExitCode.LOSS, self.loss),
        )
        return ((code, text) for code, text in told if text)
