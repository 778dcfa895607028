"""A lock on a directory, for whoever changes files in it; it leaves nothing behind."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rdbtool.errors import OutputError, reason

BUSY: Final = (errno.EWOULDBLOCK, errno.EAGAIN)


@contextmanager
def locked(directory: str) -> Iterator[bool]:
    """Hold the lock on ``directory``; yields whether its file system has locks.

    Raises `OutputError` where another process holds it, and says which.
    """
    try:
        handle = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        raise OutputError(f"cannot open: {reason(e)}", path=directory) from e
    try:
        held = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno in BUSY:
                who = _holder(os.fstat(handle))
                raise OutputError(f"is being changed by {who}: wait until that has ended", path=directory) from e
            held = False
        yield held
    finally:
        os.close(handle)


def _holder(status: os.stat_result) -> str:
    """Which process holds the lock, where the system tells: lines of /proc/locks, see proc_locks(5)."""
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as stream:
            for line in stream:
                words = line.split()
                if len(words) > 5 and words[1] == "FLOCK" and words[5] == place:
                    return f"process {words[4]}"
    except OSError:
        pass
    return "another process"
