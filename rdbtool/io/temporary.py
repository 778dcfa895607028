"""Files and directories under construction: gone when the run ends, whatever ends it.

Each has a hidden name beside its final one, and a lock on it as long as the process that makes it lives. Somebody
who gets the lock knows that nobody makes it any more, and may remove it: that is how the next run into the same
directory clears away what a SIGKILL or a power cut left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Sequence
from typing import Final, final

from .signals import held_back

ENDING: Final = ".rdbtool-tmp"
PROMISE: Final = "rdbtool.names"
"""The final name that a `promise` never gets."""
_PROMISE: Final = re.compile(r"(\A|/)\.rdbtool\.names\.[0-9a-f]{12}\.rdbtool-tmp\Z")
MOST: Final = 1 << 20
"""Bytes of the longest promise: there are 254 outputs at most."""
NAME_BYTES: Final = 150
"""Bytes of the final name that show in the temporary one, which may have 255 in all."""


@final
class Temporary:
    """A file, or a directory, that is being made. ``handle`` is its open descriptor, which carries the lock."""

    def __init__(self, path: str, *, directory: bool) -> None:
        self.path = path
        self.directory = directory
        self.handle = -1
        self.owner = os.getpid()

    def create(self) -> bool:
        """Make it, for nobody else to read; False where a sweep of another process came between. Raises `OSError`."""
        if self.directory:
            os.mkdir(self.path, 0o700)
            self.handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        else:
            self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            return e.errno not in {errno.EWOULDBLOCK, errno.EAGAIN}  # else: no locks here, and no sweeps
        try:
            return os.path.samestat(os.fstat(self.handle), os.stat(self.path))
        except FileNotFoundError:
            return False

    def forget(self) -> None:
        """It has its final name: nothing is left to remove."""
        _live.pop(self.path, None)
        self.close()

    def close(self) -> None:
        """Close the descriptor; the lock goes with it."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def remove(self) -> None:
        """Remove it, if it still has its temporary name."""
        if self.directory:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass
            except OSError:  # the end of the run tries again
                self.close()
                return
        self.forget()


_live: Final[dict[str, Temporary]] = {}
"""Those of this process, by path."""


def _name(path: str) -> str:
    parent, name = os.path.split(path)
    start = os.fsdecode(os.fsencode(name)[:NAME_BYTES])
    return os.path.join(parent, f".{start}.{os.urandom(6).hex()}{ENDING}")


def make_temporary(path: str, *, directory: bool = False) -> Temporary:
    """Make a file or directory beside ``path``, whose name it is to have. Raises `OSError`."""
    while True:
        made = Temporary(_name(path), directory=directory)
        with held_back():
            _live[made.path] = made
            try:
                if made.create():
                    return made
            except FileExistsError:  # another's
                _live.pop(made.path)
            except BaseException:
                made.remove()
                raise
            else:
                made.remove()


def second_name(path: str) -> Temporary | None:
    """A temporary second name for the file at ``path``; None where there is no file, or no second names exist."""
    name = Temporary(_name(path), directory=False)
    _live[name.path] = name
    try:
        os.link(path, name.path)
    except OSError:
        name.forget()
        return None
    return name


def promise(names: Sequence[tuple[str, str]]) -> Temporary:
    """Write down that each file or directory is about to get the name behind it. They are whole: should the process be
    killed meanwhile, the next `sweep` there gives the rest of them their names. Raises `OSError`.
    """
    import json  # one output has no need of it

    directory = os.path.dirname(names[0][1])
    start = directory or "."
    told = [
        (os.path.relpath(path, start), os.path.relpath(name, start), *_identity(path), *_identity(name))
        for path, name in names
    ]
    made = make_temporary(os.path.join(directory, PROMISE))
    try:
        os.write(made.handle, json.dumps(told).encode("ascii"))
        os.fsync(made.handle)
    except BaseException:
        made.remove()
        raise
    return made


def _keep_promise(handle: int, directory: str) -> None:
    """Do what a dead process has written down in ``directory``: of what is still as it was then."""
    import json

    told = json.loads(os.pread(handle, MOST, 0))
    for near, far, device, number, old_device, old_number in told:
        path, name = os.path.join(directory, near), os.path.join(directory, far)
        if _identity(path) == (device, number) and _identity(name) == (old_device, old_number):
            os.replace(path, name)


def _identity(path: str) -> tuple[int, int]:
    """Which file has that name; (0, 0) for none."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def remove_all() -> None:
    """Remove everything that this process was making: for the end of a run that did not come to its end."""
    for made in list(_live.values()):
        if made.owner == os.getpid():
            made.remove()
            made.forget()


def sweep(directory: str) -> None:
    """Remove what processes of this user left in ``directory`` that are no more."""
    try:
        with os.scandir(directory or ".") as entries:
            names = [entry.path for entry in entries if entry.name.endswith(ENDING) and entry.name.startswith(".")]
    except OSError:  # nothing can be left where nothing can be seen
        return
    names.sort(key=lambda path: _PROMISE.search(path) is None)  # promises come first
    for path in names:
        _remove_dead(path)


def _remove_dead(path: str) -> None:
    if path in _live:
        return
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        status = os.fstat(handle)
        if status.st_uid != os.geteuid():
            return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        elif stat.S_ISREG(status.st_mode):
            if _PROMISE.search(path):
                with contextlib.suppress(ValueError, TypeError):  # it was killed as it wrote
                    _keep_promise(handle, os.path.dirname(path))
            os.unlink(path)
    except OSError:  # it is locked: somebody is making it
        return
    finally:
        os.close(handle)


def discard(path: str) -> None:
    """Remove a file or a directory; at no moment half of it stands under its name. Raises `OSError`."""
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    doomed = Temporary(_name(path), directory=True)
    with held_back():
        os.rename(path, doomed.path)
        _live[doomed.path] = doomed
    doomed.remove()
