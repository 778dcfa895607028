"""A disk that is full: a small file system in memory where mounting is allowed, else a limit of file sizes."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

PAGE = 4096


class SmallDisk:
    """A ``directory`` in which the free bytes can be chosen. ``mounted``: it is a file system of its own."""

    def __init__(self, directory: Path, mounted: bool) -> None:
        self.directory = directory
        self.mounted = mounted

    @contextlib.contextmanager
    def leaving(self, free: int) -> Iterator[None]:
        """Leave so many bytes, rounded to pages; where it is not mounted, for each file."""
        if not self.mounted:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
            return
        filler = self.directory / ".filler"
        handle = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            status = os.fstatvfs(handle)
            pages = status.f_bavail * status.f_frsize // PAGE - free // PAGE
            if pages > 0:
                os.posix_fallocate(handle, 0, pages * PAGE)
            filler.unlink()  # the bytes are taken until it is closed
            yield
        finally:
            os.close(handle)


@contextlib.contextmanager
def small_disk(directory: Path, size: int) -> Iterator[SmallDisk]:
    """A disk of ``size`` bytes at ``directory``, which is made."""
    directory.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(directory)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:  # no such program
        mounted = False
    print("a file system of its own" if mounted else "a limit of file sizes")
    try:
        yield SmallDisk(directory, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", str(directory)], check=True)
