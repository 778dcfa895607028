r"""Commands as one types them for redis-cli: one a line, with its quoting.

A line is split as redis-cli splits it (sdssplitargs in sds.c): blanks part arguments; within double quotes
``\xHH``, ``\n``, ``\r``, ``\t``, ``\b`` and ``\a`` are escapes and a backslash keeps any other character as
it is; within single quotes only ``\'`` is one; behind a closing quote there must be a blank. A number
in front of a command repeats it; ``quit`` and ``exit`` end the text. Lines that begin with ``#``, and empty
ones, are passed.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window

from .resp import Command

BLANKS: Final = b" \t\n\v\f\r"
ENDS: Final = b" \t\n\r"
"""What ends an argument; other blanks are only passed before one."""
LOOK_AHEAD: Final = 65536
"""Bytes in which the first command of a text is looked for."""
ESCAPES: Final = {110: 10, 114: 13, 116: 9, 98: 8, 97: 7}
HEX: Final = b"0123456789abcdefABCDEF"


def split(line: bytes) -> list[bytes] | None:
    """The arguments in ``line``; None where redis-cli says "Invalid argument(s)"."""
    args: list[bytes] = []
    pos = 0
    end = len(line)
    while True:
        while pos < end and line[pos] in BLANKS:
            pos += 1
        if pos == end:
            return args
        arg = bytearray()
        quote = 0
        while True:
            if pos == end:
                if quote:
                    return None
                break
            byte = line[pos]
            pos += 1
            if not quote:
                if byte in ENDS:
                    break
                if byte in b"\"'":
                    quote = byte
                else:
                    arg.append(byte)
            elif byte == quote:
                if pos < end and line[pos] not in BLANKS:
                    return None
                break
            elif byte != 92 or pos == end:
                arg.append(byte)
            elif quote == 39:
                if line[pos] == 39:
                    pos += 1
                    arg.append(39)
                else:
                    arg.append(92)
            elif line[pos] == 120 and pos + 2 < end and line[pos + 1] in HEX and line[pos + 2] in HEX:
                arg.append(int(line[pos + 1 : pos + 3], 16))
                pos += 3
            else:
                arg.append(ESCAPES.get(line[pos], line[pos]))
                pos += 1
        args.append(bytes(arg))


def first_command(w: Window) -> list[bytes]:
    """The arguments of the first command of a text at the window's position, which stays; [] if it is none."""
    want = LOOK_AHEAD if w.size < 0 else min(LOOK_AHEAD, w.size - w.offset())
    w.need(want)
    for line in w.data[w.pos : w.pos + LOOK_AHEAD].split(b"\n"):
        if line.lstrip()[:1] != b"#":
            args = split(line)
            if args is None:
                return []
            if args:
                return args[1:] if args[0].isdigit() else args
    return []


@final
class TextReader:
    """The commands of a text, from a window at its start. ``line`` counts the lines read so far."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.line = 0
        self._again: Command | None = None
        self._left = 0

    def next(self) -> Command | None:
        """The next command, with the offset of its line; None at the end. Raises `FormatError` for a line that
        redis-cli does not take.
        """
        if self._left:
            self._left -= 1
            return self._again
        while not self.window.at_end():
            at = self.window.offset()
            line = self._take_line()
            self.line += 1
            if line.lstrip()[:1] == b"#":
                continue
            args = split(line)
            if args is None:
                raise self._error("unbalanced quotes, or no blank behind a closing quote", at)
            if not args or args[0][:1] == b":":
                continue
            if args[0].lower() in {b"quit", b"exit"}:
                return None
            if len(args) > 1:
                args = self._repeated(args, at)
            self._again = Command(at, args)
            return self._again
        return None

    def _repeated(self, args: list[bytes], at: i64) -> list[bytes]:
        """Take a number in front as how often the command is meant."""
        digits = args[0].lstrip(BLANKS)
        if not (digits[1:] if digits[:1] in {b"+", b"-"} else digits).isdigit():
            return args
        times = int(digits) if len(digits) < 20 else 0
        if times < 1:
            raise self._error("a number of repetitions that cannot be", at)
        self._left = times - 1
        return args[1:]

    def _error(self, message: str, at: i64) -> FormatError:
        return FormatError(
            f"line {self.line}: {message}", path=self.window.path, offset=at, doing="splitting a command line"
        )

    def _take_line(self) -> bytes:
        w = self.window
        while True:
            found: i64 = w.data.find(b"\n", w.pos)
            if found >= 0:
                return w.take(found + 1 - w.pos)
            have = w.end - w.pos
            want = 2 * have
            if w.size >= 0:
                want = min(want, w.size - w.offset())
            if want <= have or (not w.need(want) and w.end - w.pos == have):
                return w.take(have)
