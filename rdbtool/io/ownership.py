"""Owner, group and mode of new files and directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence


def keep(handle: int, model: os.stat_result) -> None:
    """Give an open new file or directory the owner, group and mode of what it takes the place of."""
    _give(handle, model.st_mode & 0o777, model)


def derive(handle: int, inputs: Sequence[str]) -> None:
    """Give an open new file or directory what fits the inputs that it is made from.

    A file is open to nobody to whom one of the inputs is closed, a directory to nobody to whom one of the
    directories is closed that hold them; the owner may always write. What is no regular file does not count.
    """
    files = [(path, status) for path in inputs if (status := _regular(path)) is not None]
    directory = stat.S_ISDIR(os.fstat(handle).st_mode)
    mode = 0o777 & ~umask()
    for path, status in files:
        mode &= os.stat(os.path.dirname(os.path.realpath(path))).st_mode if directory else status.st_mode
    _give(handle, mode | 0o700 if directory else mode & 0o666 | 0o600, files[0][1] if files else os.fstat(handle))


def umask() -> int:
    """The permission bits that new files do not have."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _regular(path: str) -> os.stat_result | None:
    """What is known of a regular file; None for standard input, a missing file, and all else."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _give(handle: int, mode: int, model: os.stat_result) -> None:
    """Only root can give a file away; a group that cannot be given gets what everybody has, never more."""
    try:
        os.fchown(handle, model.st_uid, model.st_gid)
    except PermissionError:
        try:
            os.fchown(handle, -1, model.st_gid)
        except PermissionError:
            mode &= 0o707 | (mode & 0o007) << 3
    os.fchmod(handle, mode)
