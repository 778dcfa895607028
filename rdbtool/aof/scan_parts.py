"""Scan a log part by part, with the answer of a scan from end to end.

A part begins where a command seems to begin. That it does is proven when the part before, which begins where one does,
ends exactly there. What is not as plain as nearly all of a log is left to a scan that goes on from the last proven
place.
"""

from __future__ import annotations

import re
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.findings import Findings
from rdbtool.io.random_access import OpenFile
from rdbtool.io.window import Window, window_over

from .config import LogConfig
from .options import OptionUse
from .resp import COMMAND, END, FAULT, CommandReader
from .scan import STRAY, Scanner

LOOKED_AT: Final = 1 << 18
"""Bytes in which the beginning of a command is searched for."""
PROBED: Final = 3
"""Commands that can be read from where one seems to begin: what values hold seldom looks like that."""
BEGINNING: Final = re.compile(rb"\r\n(?=\*[1-9]\d{0,6}\r\n\$[1-9]\d?\r\n[A-Za-z])")


@final
class ScannedPart:
    """What a scan of a part found: the attributes are those of `Scanner`.

    ``is_plain``: there is nothing to be said of it, and it ends where the next part begins; ``began_inside``: an EXEC
    is in it whose MULTI is not.
    """

    def __init__(self, start: int) -> None:
        self.start: i64 = start
        self.is_plain = False
        self.began_inside = False
        self.commands: i64 = 0
        self.transactions: i64 = 0
        self.in_multi = False
        self.multi_start: i64 = 0
        self.before_multi: i64 = 0
        self.command_end: i64 = 0
        self.annotations: i64 = 0
        self.first_timestamp: i64 = -1
        self.last_timestamp: i64 = -1
        self.select: i64 = -1
        self.last_start: i64 = -1
        self.used: dict[bytes, int] = {}
        self.options: list[OptionUse] = []

    def __reduce__(self) -> tuple[object, ...]:
        return ScannedPart, (0,), self.__getstate__()


def scan_part(w: Window, config: LogConfig) -> ScannedPart:
    """Scan from a window that ends where the next part begins."""
    done = ScannedPart(w.offset())
    findings = Findings()
    scanner = Scanner(w, findings, config, stop_at_stray=True, stop_at_refused=True)
    outcome = scanner.run()
    if outcome == STRAY:
        done.began_inside = True
        outcome = scanner.run()
    fault = scanner.fault
    is_open = outcome == FAULT and fault is not None and fault.code == "multi-without-exec"
    done.is_plain = (outcome == END or is_open) and w.at_end() and not findings.counts and scanner.outside is None
    done.commands = scanner.commands
    done.transactions = scanner.transactions
    done.in_multi = scanner.in_multi
    done.multi_start = scanner.multi_start
    done.before_multi = scanner.before_multi
    done.command_end = scanner.command_end
    done.annotations = scanner.annotations
    done.first_timestamp = scanner.first_timestamp
    done.last_timestamp = scanner.last_timestamp
    done.select = scanner.select
    done.last_start = scanner.last_start
    done.used = scanner.used
    done.options = scanner.options()
    return done


def goes_on(scanner: Scanner, part: ScannedPart) -> bool:
    """Take the next part over into a scan that stands where it begins; False, and nothing is done, where the scan has
    to read the part itself.
    """
    if not part.is_plain:
        return False
    if part.began_inside and not scanner.in_multi:
        return False
    if scanner.in_multi and not part.began_inside and (part.in_multi or part.transactions > 0):
        return False
    if part.annotations > 0 and scanner.annotations > 0 and part.first_timestamp < scanner.last_timestamp:
        return False
    if part.began_inside:
        scanner.in_multi = False
        scanner.transactions += 1
    scanner.transactions += part.transactions
    scanner.commands += part.commands
    if part.in_multi or part.transactions > 0:
        # of a MULTI that is the first command of its part, only the scan knows what was before
        scanner.before_multi = scanner.command_end if part.before_multi == part.start else part.before_multi
        scanner.multi_start = part.multi_start
        scanner.in_multi = part.in_multi
    if part.commands > 0:
        scanner.command_end = part.command_end
        scanner.last_start = part.last_start
    if part.annotations > 0:
        if scanner.annotations == 0:
            scanner.first_timestamp = part.first_timestamp
        scanner.last_timestamp = part.last_timestamp
        scanner.annotations += part.annotations
    if part.select >= 0:
        scanner.select = part.select
    for name, start in part.used.items():
        scanner.used.setdefault(name, start)
    scanner.count_options(part.options)
    return True


def beginning_near(file: OpenFile, at: i64, config: LogConfig) -> i64:
    """Where the next command behind ``at`` seems to begin; -1 where none does soon. Raises `InputError`."""
    want = min(LOOKED_AT, file.size - at)
    if want <= 0:
        return -1
    data = file.read(want, at, True)
    for found in BEGINNING.finditer(data):
        start = found.end()
        reader = CommandReader(window_over(data[start:]), config.max_bulk)
        try:
            if all(reader.read() == COMMAND for _ in range(PROBED)):
                return at + start
        except FormatError:
            pass
    return -1
