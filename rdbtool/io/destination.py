"""Where an output goes: behind links, to a descriptor that is open already, to what is no regular file."""

from __future__ import annotations

import os
import re
import stat
from typing import Final, NamedTuple

from rdbtool.errors import OutputError, reason

LINKS: Final = 40
"""Links that are followed one after the other, as the system does."""
_DESCRIPTORS: Final = re.compile(r"/dev/fd|/proc/(\d+)(/task/\d+)?/fd")


class Destination(NamedTuple):
    """``path``: what the links lead to, which need not exist; ``descriptor``: of this process, or -1, where the path
    names one, as ``/dev/stdout`` and a shell's ``>(...)`` do; ``status``: what is there, or None.
    """

    path: str
    descriptor: int = -1
    status: os.stat_result | None = None

    @property
    def is_stream(self) -> bool:
        """Whether it takes bytes as they come, and cannot be replaced: a descriptor, a FIFO, a device."""
        if self.status is None:
            return False
        return self.descriptor >= 0 or not (stat.S_ISREG(self.status.st_mode) or stat.S_ISDIR(self.status.st_mode))


def find(path: str) -> Destination:
    """Follow the links at ``path``. Raises `OutputError`."""
    at = path
    try:
        for _ in range(LINKS + 1):
            parent, name = os.path.split(at)
            parent = os.path.realpath(parent)
            found = _DESCRIPTORS.fullmatch(parent) if name.isdecimal() else None
            if found is not None and found.group(1) in {None, str(os.getpid())}:
                return Destination(at, int(name), os.fstat(int(name)))
            if found is not None or not os.path.islink(at):
                return Destination(at, -1, _status(at))
            at = os.path.join(parent, os.readlink(at))
    except OSError as e:
        raise OutputError(f"cannot create: {reason(e)}", path=path) from e
    raise OutputError("links that lead to each other", path=path)


def is_standard_output(path: str) -> bool:
    """Whether an output is standard output: ``-``, ``/dev/stdout`` and the like. Raises `OutputError`."""
    return path == "-" or (path != "" and find(path).descriptor == 1)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
