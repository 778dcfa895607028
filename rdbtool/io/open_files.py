"""Which processes have files open for writing, as far as /proc tells."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Writers:
    """``found``: process, its name, the file it writes; ``complete``: whether all processes could be looked at."""

    found: list[tuple[int, str, str]] = field(default_factory=list)
    complete: bool = True


def writers_of(paths: Iterable[str], proc: str = "/proc") -> Writers:
    """The other processes that have one of ``paths`` open for writing.

    Those of other users are seen by root only, those of other machines and containers by nobody.
    """
    wanted = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            continue
        wanted[status.st_dev, status.st_ino] = path
    writers = Writers()
    try:
        pids = [int(name) for name in os.listdir(proc) if name.isdecimal()]
    except OSError:
        pids = []
    writers.complete = bool(pids)
    for pid in pids:
        if pid != os.getpid():
            _look(writers, f"{proc}/{pid}", pid, wanted)
    return writers


def _look(writers: Writers, place: str, pid: int, wanted: dict[tuple[int, int], str]) -> None:
    try:
        handles = os.listdir(f"{place}/fd")
    except PermissionError:
        writers.complete = False
        return
    except OSError:  # it has ended
        return
    for handle in handles:
        try:
            status = os.stat(f"{place}/fd/{handle}")
            path = wanted.get((status.st_dev, status.st_ino))
            if path is not None and _writes(f"{place}/fdinfo/{handle}"):
                writers.found.append((pid, _name(place), path))
        except OSError:
            continue


def _writes(info: str) -> bool:
    with open(info, encoding="ascii") as stream:
        for line in stream:
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return True


def _name(place: str) -> str:
    try:
        with open(f"{place}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return "?"
