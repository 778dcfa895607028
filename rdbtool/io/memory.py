"""How much memory this process has."""

from __future__ import annotations

import os
import resource
import sys
from typing import Final

STATUS: Final = "/proc/self/statm"
KIBIBYTE: Final = 1 if sys.platform == "darwin" else 1024
"""What the peak that the system tells is counted in."""


def memory_held() -> int:
    """Bytes of memory that hold what this process has made; where the system does not tell, the most it ever had."""
    try:
        with open(STATUS, "rb", buffering=0) as stream:
            pages = stream.read(256).split()
        return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIBIBYTE
