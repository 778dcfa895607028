"""What somebody at a terminal is told, once a day, where the sources run as they are."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Final

from rdbtool import is_compiled
from rdbtool.extras import DISTRIBUTION

SILENT: Final = "RDBTOOL_NO_NOTICE"
DAY_S: Final = 24 * 60 * 60
NOTICE: Final = f"""\
rdbtool: runs uncompiled here, 8 to 80 times slower. A wheel is compiled, and needs no compiler:
  pip install --force-reinstall --only-binary {DISTRIBUTION} {DISTRIBUTION}
  (none for this machine? install a C compiler and Python's headers, and rdbtool again; {SILENT}=1: say no more)
"""


def tell_if_uncompiled() -> None:
    """Print `NOTICE` on standard error, a terminal, unless that was done within a day. It never fails."""
    if not is_compiled() and not os.environ.get(SILENT) and _is_first_today():
        print(NOTICE, end="", file=sys.stderr)


def _is_first_today() -> bool:
    """Whether no run within a day asked this before; always, where that cannot be remembered."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    stamp = os.path.join(cache, "rdbtool", "uncompiled")
    with contextlib.suppress(OSError):
        if 0 <= time.time() - os.stat(stamp).st_mtime < DAY_S:
            return False
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(stamp), exist_ok=True)
        with open(stamp, "ab"):
            os.utime(stamp)
    return True
