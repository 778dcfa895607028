"""Up to where a server's persistence is taken for alive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rdbtool.errors import UsageError, printable_text

CHECKS: Final = (
    "loaded",
    "persistence",
    "last-bgsave",
    "last-save",
    "aof-write",
    "aof-rewrite",
    "aof-rewrite-due",
    "fsync",
    "delayed-fsync",
    "fork-time",
    "fork-memory",
    "copy-on-write",
    "copy-on-write-growth",
    "disk-used",
    "disk-for-fork",
)
"""The names of all checks."""
SAVE_AGE_S: Final = 26 * 3600
"""How old a snapshot may be where nothing else is said: a day, and some time for making it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Up to where all is well. Parts are of 1.

    ``max_save_age_s``: of the last snapshot, if there are changes since; None: `SAVE_AGE_S`, where there is no log, or
    save points beside it say that snapshots are wanted; ``rewrite_slack``: how much of its own growth limit a log may
    be beyond; ``max_delayed_fsyncs``: per hour; ``max_fork_s``: for each GiB; ``min_fork_memory``: of the memory in
    use, that the system has beside it; ``max_cow``: of the dataset, that was copied during the last save or rewrite,
    and ``max_cow_growth``: how much more of it than in the middle one of those before, neither of which counts up to
    ``cow_floor`` bytes; ``max_disk_used``; ``ignored``: names of `CHECKS` that do not count.
    """

    max_save_age_s: int | None = None
    rewrite_slack: float = 0.2
    max_delayed_fsyncs: int = 10
    max_fork_s: float = 0.1
    min_fork_memory: float = 0.25
    max_cow: float = 0.5
    max_cow_growth: float = 0.25
    cow_floor: int = 64 << 20
    max_disk_used: float = 0.9
    ignored: frozenset[str] = frozenset()


DEFAULT: Final = Thresholds()


def checks_named(names: Iterable[str]) -> frozenset[str]:
    """These names of checks. Raises `UsageError`."""
    for name in names:
        if name not in CHECKS:
            raise UsageError(f"no check '{printable_text(name)}'; there are {', '.join(CHECKS)}")
    return frozenset(names)
