"""Check a log's framing at speed: what is in canonical form is passed without building anything."""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i64_le
from mypy_extensions import i64

from rdbtool.errors import printable
from rdbtool.findings import Finding, Findings, Severity
from rdbtool.source import Window

from .names import is_known
from .resp import (
    ANNOTATION,
    COMMAND,
    CR,
    DOLLAR,
    END,
    FAULT,
    LF,
    MARGIN,
    MAX_BULK,
    STAR,
    Fault,
    Framer,
)

UNTIL: Final = 4
"""`Scanner.run` met an annotation later than asked for."""

MULTI_WORD: Final = 0x49544C554D
"""``MULTI``, as its bytes read as a little-endian number."""
EXEC_WORD: Final = 0x43455845
SELECT_WORD: Final = 0x5443454C4553

UNKNOWN_KEPT: Final = 10000
"""Unknown command names that are remembered; further ones are only counted."""


@final
class Unknown:
    """A command that no release knows: where it first stands, the good offset before it, how often."""

    def __init__(self, name: bytes, start: i64, end: i64, before: i64) -> None:
        self.name = name
        self.start: i64 = start
        self.end: i64 = end
        self.before: i64 = before
        self.count: i64 = 1


@final
class Scanner:
    """Frames a log from a window at an item's first byte, and counts.

    ``good_up_to()`` is the offset behind the last command that a server loads: while a MULTI is open, the
    MULTI's. ``allowed`` are command names (upper case) that are known in addition.
    """

    def __init__(
        self,
        window: Window,
        findings: Findings,
        *,
        max_bulk: int = MAX_BULK,
        until: int = -1,
        allowed: frozenset[bytes] = frozenset(),
    ) -> None:
        self.window = window
        self.findings = findings
        self.until: i64 = until
        self.allowed = allowed
        self.commands: i64 = 0
        self.transactions: i64 = 0
        self.in_multi = False
        self.multi_start: i64 = 0
        self.first_timestamp: i64 = -1
        self.last_timestamp: i64 = -1
        self.annotations: i64 = 0
        self.stray_exec: i64 = -1
        """Offset behind the last EXEC without MULTI; -1 for none."""
        self.select: i64 = -1
        """Offset of the last SELECT; -1 for none."""
        self.fault: Fault | None = None
        self.unknown: dict[bytes, Unknown] = {}
        self.cut_annotation: i64 = -1
        """Offset of an annotation that the end of the log cuts; -1 for none."""
        self._framer = Framer(window, max_bulk)
        # The names met last, as their first and last 8 bytes and their length: known good.
        self._n0: i64 = -1
        self._n1: i64 = -1
        self._n2: i64 = -1
        self._n3: i64 = -1
        self._a0: i64 = 0
        self._a1: i64 = 0
        self._a2: i64 = 0
        self._a3: i64 = 0
        self._b0: i64 = 0
        self._b1: i64 = 0
        self._b2: i64 = 0
        self._b3: i64 = 0

    def good_up_to(self) -> i64:
        """Offset behind the last command that takes effect."""
        return self.multi_start if self.in_multi else self.window.offset()

    def run(self) -> i64:
        """Go on to the end (`END`), to where a server stops (`FAULT`), or to an annotation later than
        ``until`` (`UNTIL`), which is passed.
        """
        framer = self._framer
        while True:
            self._fast()
            good = self.good_up_to()
            outcome = framer.step()
            if framer.oddities:
                self._report_oddities(outcome == FAULT)
            if outcome == COMMAND:
                self._command(framer.name, framer.start, good)
            elif outcome == ANNOTATION:
                if framer.timestamp >= 0 and self._timestamp(framer.timestamp, framer.start):
                    return UNTIL
            elif outcome == FAULT:
                self.fault = framer.fault
                return FAULT
            else:
                if self.in_multi:
                    self.fault = Fault(
                        "multi-without-exec",
                        "MULTI without EXEC: nothing from it on takes effect",
                        self.multi_start,
                        self.multi_start,
                        truncated=True,
                    )
                    return FAULT
                return END

    def _fast(self) -> None:
        """Pass well-formed commands with known names that lie whole in the window, as far as they go."""
        w = self.window
        data = w.data
        base = w.base
        end = w.end
        limit = end - MARGIN
        pos = w.pos
        commands: i64 = 0
        n: i64
        digit: i64
        while pos <= limit and data[pos] == STAR:
            p = pos + 1
            argc: i64 = data[p] - 48
            if argc < 1 or argc > 9:
                break
            p += 1
            digit = data[p] - 48
            while 0 <= digit <= 9 and argc < 1000000:
                argc = argc * 10 + digit
                p += 1
                digit = data[p] - 48
            if data[p] != CR or data[p + 1] != LF:
                break
            p += 2
            # The name
            if data[p] != DOLLAR:
                break
            n = data[p + 1] - 48
            if n < 1 or n > 9:
                break
            p += 2
            digit = data[p] - 48
            if 0 <= digit <= 9:
                n = n * 10 + digit
                p += 1
            if data[p] != CR or data[p + 1] != LF:
                break
            p += 2
            if p + n + 2 > limit:
                break
            name_at = p
            a: i64 = read_i64_le(data, p)
            b: i64 = 0
            if n < 8:
                one: i64 = 1
                a &= (one << (n * 8)) - 1
            else:
                b = read_i64_le(data, p + n - 8)
            name_size = n
            p += n
            if data[p] != CR or data[p + 1] != LF:
                break
            p += 2
            left = argc - 1
            while left > 0:
                if p > limit or data[p] != DOLLAR:
                    break
                n = data[p + 1] - 48
                if n < 0 or n > 9:
                    break
                p += 2
                digit = data[p] - 48
                while 0 <= digit <= 9 and n < 10000000:
                    n = n * 10 + digit
                    p += 1
                    digit = data[p] - 48
                if data[p] != CR or data[p + 1] != LF:
                    break
                p += n + 2
                if p + 4 > end or data[p] != CR or data[p + 1] != LF:
                    break
                p += 2
                left -= 1
            if left > 0:
                break
            if a == self._a0 and b == self._b0 and name_size == self._n0:
                pass
            elif a == MULTI_WORD and name_size == 5:
                if self.in_multi:
                    break
                self.in_multi = True
                self.multi_start = base + pos
            elif a == EXEC_WORD and name_size == 4:
                if not self.in_multi:
                    break
                self.in_multi = False
                self.transactions += 1
            elif a == SELECT_WORD and name_size == 6:
                self.select = base + pos
            elif not self._met(a, b, name_size, data, name_at):
                break
            commands += 1
            pos = p
        self.commands += commands
        w.pos = pos

    def _met(self, a: i64, b: i64, n: i64, data: bytes, at: i64) -> bool:
        """Whether a name is known and plain; it becomes the one met last."""
        if a == self._a1 and b == self._b1 and n == self._n1:
            self._a1, self._b1, self._n1 = self._a0, self._b0, self._n0
        elif a == self._a2 and b == self._b2 and n == self._n2:
            self._a2, self._b2, self._n2 = self._a0, self._b0, self._n0
        elif a == self._a3 and b == self._b3 and n == self._n3:
            self._a3, self._b3, self._n3 = self._a0, self._b0, self._n0
        else:
            name = data[at : at + n].upper()
            if name in {b"MULTI", b"EXEC", b"SELECT"} or not (is_known(name) or name in self.allowed):
                return False
            if n > 16:
                return True
            self._a3, self._b3, self._n3 = self._a2, self._b2, self._n2
            self._a2, self._b2, self._n2 = self._a1, self._b1, self._n1
            self._a1, self._b1, self._n1 = self._a0, self._b0, self._n0
        self._a0, self._b0, self._n0 = a, b, n
        return True

    def _command(self, name: bytes, start: i64, good: i64) -> None:
        """Account for a command that the fast loop left alone."""
        self.commands += 1
        upper = name.upper()
        if upper == b"MULTI":
            if self.in_multi:
                self._note(
                    Severity.WARNING,
                    "nested-multi",
                    "MULTI inside MULTI: the server logs an error and goes on; redis-check-aof calls the file "
                    f"bad from {self.multi_start} on",
                    start,
                )
            else:
                self.in_multi = True
                self.multi_start = start
        elif upper == b"EXEC":
            if self.in_multi:
                self.in_multi = False
                self.transactions += 1
            else:
                self.stray_exec = self.window.offset()
                self._note(
                    Severity.WARNING,
                    "stray-exec",
                    "EXEC without MULTI: the server logs an error and goes on; redis-check-aof calls the file "
                    "bad from here on",
                    start,
                )
        elif upper == b"SELECT":
            self.select = start
        elif not (is_known(upper) or upper in self.allowed):
            known = self.unknown.get(upper)
            if known is not None:
                known.count += 1
            elif len(self.unknown) < UNKNOWN_KEPT:
                self.unknown[upper] = Unknown(name, start, self.window.offset(), good)

    def _timestamp(self, seconds: i64, start: i64) -> bool:
        """Account for an annotation; whether it is later than asked for."""
        if self.until >= 0 and seconds > self.until:
            return True
        self.annotations += 1
        if self.first_timestamp < 0:
            self.first_timestamp = seconds
        elif seconds < self.last_timestamp:
            self._note(
                Severity.WARNING,
                "time-goes-back",
                f"timestamp {seconds} after {self.last_timestamp}: the clock was set back",
                start,
            )
        self.last_timestamp = seconds
        return False

    def _report_oddities(self, failed: bool) -> None:
        """Findings for what the server passes unread. In a command that fails they tell why it does."""
        for odd in self._framer.oddities:
            if odd.code == "cut-annotation":
                self.cut_annotation = odd.offset
            if failed:
                verdict = "the length before it is probably wrong" if odd.code == "bad-crlf" else ""
            elif odd.code in {"bad-crlf", "bad-header"}:
                verdict = (
                    "the server does not look at it and loads the command; redis-check-aof calls the file bad "
                    f"from {self._framer.start} on"
                )
            elif odd.code == "long-argument":
                verdict = "the server loads it"
            elif odd.code == "bad-timestamp":
                verdict = "the server ignores it"
            else:
                verdict = ""
            message = f"{odd.message}: {verdict}" if verdict else odd.message
            self._note(Severity.WARNING, odd.code, message, odd.offset)

    def _note(self, severity: Severity, code: str, message: str, offset: i64) -> None:
        self.findings.add(Finding(severity, code, message, self.window.path, offset, None, -1, "reading the log"))


def unknown_finding(unknown: Unknown, path: str) -> Finding:
    """What to say of a command that no release knows."""
    name = printable(unknown.name, 64)
    if unknown.count == 1:
        return Finding(
            Severity.ERROR,
            "unknown-command",
            f"unknown command '{name}': the server refuses the file; redis-check-aof does not look at names",
            path,
            unknown.start,
        )
    return Finding(
        Severity.WARNING,
        "foreign-command",
        f"{unknown.count} commands '{name}', which no release of Redis or Valkey has: only a server that has it, "
        "from a module or renamed, loads the file",
        path,
        unknown.start,
    )
