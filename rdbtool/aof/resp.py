"""The command grammar of the append-only file, exactly as a server reads it.

A log is a run of commands, each an array of bulk strings, and of lines that begin with ``#``. The
server reads header lines with fgets and strtol, so it accepts more than it writes: blanks and signs before
a number, anything behind it, a line end without CR; and it passes the two bytes behind a bulk string
without looking. `Framer` follows it byte by byte (loadSingleAppendOnlyFile in aof.c). The fast loops of
`aof.scan` and `CommandReader` pass what is in the canonical form, and leave everything else to the framer.
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i64_le
from mypy_extensions import i64

from rdbtool.errors import FormatError, TruncatedError
from rdbtool.findings import plural
from rdbtool.io.window import Window
from rdbtool.servers.options import LONGEST

LINE: Final = 1023
"""Bytes of a header line the server reads at once: what is longer comes out in pieces (since Redis 7.0)."""
SHORT_LINE: Final = 127
"""The same before."""
MAX_BULK: Final = 512 * 1024 * 1024
"""``proto-max-bulk-len`` by default: no client could have sent a longer argument."""
RESERVABLE: Final = 80 << 40
"""A server that reads such a length, or a longer or a negative one, dies when it reserves the memory: jemalloc finds no
such range of addresses (seen of Redis 7.0). Built without jemalloc, it dies of any that is more than the machine has.
"""
MAX_NAME: Final = 128
"""Bytes of a command's name that are kept."""
WORDS_KEPT: Final = 32
"""Words of a command that are kept from its beginning on."""
LAST_KEPT: Final = 2
"""Words that are kept at its end."""
NAME_SLOTS: Final = 1024
"""Command names that a reader remembers: making one anew, and hashing it, costs more than comparing."""
SHORT: Final = 64
"""Fewer arguments than this go into a list that is there already; for more it grows with what is really there."""
WORD: Final = 0xFFFF_F0FF
"""Masks the digit in `STAR_LINE` and `DOLLAR_LINE`: whole header lines, as the number that their bytes make."""
STAR_LINE: Final = 0x0A0D_302A
DOLLAR_LINE: Final = 0x0A0D_3024
LONGER_WORD: Final = 0xFF_FFF0_F0FF
LONGER_LINE: Final = 0x0A_0D30_3024
"""The same for ``$`` with two digits."""
MARGIN: Final = 32
"""Bytes at the window's end that fast loops leave to the framer, so that a header line never runs out of it."""

END: Final = 0
COMMAND: Final = 1
ANNOTATION: Final = 2
FAULT: Final = 3

STAR: Final = 42
DOLLAR: Final = 36
HASH: Final = 35
CR: Final = 13
LF: Final = 10

I64_MAX: Final = 0x7FFF_FFFF_FFFF_FFFF


@final
class Fault:
    """Where and why a server stops reading: ``start`` is the offset of the command (or of the open MULTI)
    that cannot be loaded, ``offset`` that of the byte where it shows.

    ``truncated``: the server takes it for a log that ends early, and cuts it at ``start`` where
    ``aof-load-truncated`` is on; otherwise it refuses the file.
    """

    def __init__(self, code: str, message: str, start: i64, offset: i64, *, truncated: bool = False) -> None:
        self.code = code
        self.message = message
        self.start: i64 = start
        self.offset: i64 = offset
        self.truncated = truncated

    def __reduce__(self) -> tuple[object, ...]:
        return Fault, ("", "", 0, 0), self.__getstate__()


@final
class Oddity:
    """Bytes that the server passes unread and redis-check-aof objects to. ``kind``: the same for messages that differ
    in numbers only.
    """

    def __init__(self, code: str, message: str, offset: i64, kind: str) -> None:
        self.code = code
        self.message = message
        self.offset: i64 = offset
        self.kind = kind


def parse_long(data: bytes, pos: i64, end: i64) -> i64:
    """What strtol makes of ``data[pos:end]`` in base 10: 0 without digits, clamped at the ends of 64 bits."""
    while pos < end and (data[pos] == 32 or 9 <= data[pos] <= 13):
        pos += 1
    negative = False
    if pos < end and (data[pos] == 43 or data[pos] == 45):
        negative = data[pos] == 45
        pos += 1
    value: i64 = 0
    while pos < end:
        digit: i64 = data[pos] - 48
        if digit < 0 or digit > 9:
            break
        if value > (I64_MAX - digit) // 10:
            return -I64_MAX - 1 if negative else I64_MAX
        value = value * 10 + digit
        pos += 1
    return -value if negative else value


def is_canonical(data: bytes, pos: i64, end: i64) -> bool:
    """Whether ``data[pos:end]``, a header line behind its first byte, is digits and CRLF."""
    if end - pos < 3 or data[end - 2] != CR or data[end - 1] != LF:
        return False
    end -= 2
    while pos < end:
        if data[pos] < 48 or data[pos] > 57:
            return False
        pos += 1
    return True


def int32(value: i64) -> i64:
    """``value`` as C casts a long to an int, which is what atoi does."""
    value &= 0xFFFF_FFFF
    return value - 0x1_0000_0000 if value >= 0x8000_0000 else value


def name_slot(n: i64, first: i64, last: i64) -> i64:
    """The place of a command's name among `NAME_SLOTS`, by its length and outer bytes.

    The factors were searched for: of a hundred names that logs hold, in either case, only those share a place of
    which all three are the same, as of SETEX and SETNX.
    """
    return (n + first * 67 + last * 45) & (NAME_SLOTS - 1)


@final
class Framer:
    """Reads one item at a time from a window, with the server's eyes.

    After `step`: ``start`` is the item's offset; for a command ``name`` is its first argument (at most
    `MAX_NAME` bytes) and ``argc`` their number. Where arguments are not held, ``second`` is the one behind it, cut
    alike, and ``words`` are the first `WORDS_KEPT` and the last `LAST_KEPT`, empty in place of what is longer than an
    option. For an annotation ``timestamp`` is its time in Unix seconds, -1 where it is none; ``oddities`` are what the
    server passed unread in this item; ``long_line``: offset of the first header of more than `SHORT_LINE` bytes, -1 for
    none. ``line``: bytes of one that are read at once.
    """

    def __init__(self, window: Window, max_bulk: i64 = MAX_BULK, line: i64 = LINE) -> None:
        self.window = window
        self.max_bulk: i64 = max_bulk
        self.line: i64 = line
        self.long_line: i64 = -1
        self.start: i64 = 0
        self.name = b""
        self.second = b""
        self.words: list[bytes] = []
        self.argc: i64 = 0
        self.timestamp: i64 = -1
        self.oddities: list[Oddity] = []
        self.fault: Fault | None = None

    def step(self, args: list[bytes] | None = None) -> i64:
        """Pass one item: `END`, `COMMAND`, `ANNOTATION`, or `FAULT` and ``fault`` says which.

        A command's arguments are appended to ``args`` where it is given, and not held otherwise.
        """
        w = self.window
        self.start = w.offset()
        if self.oddities:
            self.oddities = []
        if self.words:
            self.words = []
        n = self._line()
        if n == 0:
            return END
        data = w.data
        pos = w.pos
        w.pos = pos + n
        first: i64 = data[pos]
        if first == HASH:
            self._annotation(data[pos : pos + n])
            return ANNOTATION
        if first != STAR:
            return self._fault("bad-prefix", f"expected '*', got {_shown(first)}", self.start)
        if n == 1:
            return self._truncated("the log ends inside the header of a command", self.start)
        if data[pos + 1] == 0:
            if data[pos + n - 1] != LF and n < self.line:  # the server takes it for the end
                return self._truncated("the log ends inside the header of a command", self.start)
            return self._fault("zero-argc", "a zero byte where the number of arguments should be", self.start)
        argc = int32(parse_long(data, pos + 1, pos + n))
        if argc < 1:
            return self._fault("bad-argc", f"a command of {argc} arguments", self.start)
        self.argc = argc
        if not is_canonical(data, pos + 1, pos + n) and data[pos + n - 1] == LF:
            self._odd("bad-header", "the header of a command is not '*', digits and CRLF", self.start)
        i: i64 = 0
        while i < argc:
            if not self._bulk(i, args):
                return FAULT
            i += 1
        return COMMAND

    def _bulk(self, index: i64, args: list[bytes] | None) -> bool:
        """Pass one argument; False and a fault where the server stops."""
        w = self.window
        at = w.offset()
        n = self._line()
        if n == 0:
            self._truncated(f"the log ends before argument {index + 1} of {self.argc}", at)
            return False
        data = w.data
        pos = w.pos
        if data[pos] != DOLLAR:
            self._fault("bad-prefix", f"expected '$' of argument {index + 1}, got {_shown(data[pos])}", at)
            return False
        w.pos = pos + n
        length = parse_long(data, pos + 1, pos + n)
        if length < 0:
            self._fault("bad-length", f"argument {index + 1} of {self.argc} has the length {length}", at)
            return False
        if data[pos + n - 1] == LF and not is_canonical(data, pos + 1, pos + n):
            self._odd("bad-header", "the header of an argument is not '$', digits and CRLF", at, "argument")
        left = w.size - w.offset() if w.size >= 0 else I64_MAX
        if length > self.max_bulk:
            if length > left - 2:
                self.fault = Fault(
                    "bad-length",
                    f"argument {index + 1} of {self.argc} would have {length} bytes, and {left} are left",
                    self.start,
                    at,
                    truncated=length < RESERVABLE,
                )
                return False
            self._odd("long-argument", f"argument {index + 1} has {length} bytes, over {self.max_bulk}", at)
        if length > left - 2:
            self._beyond(index, length, left, at)
            return False
        try:
            if args is not None:
                bulk = w.take(length)
                args.append(bulk)
                if index == 0:
                    self.name = bulk if length <= MAX_NAME else bulk[:MAX_NAME]
            elif index < WORDS_KEPT or index >= self.argc - LAST_KEPT:
                # A long value is better passed than held: it often runs beyond the window.
                kept: i64 = min(length, MAX_NAME) if index < 2 else length if length <= LONGEST else 0
                word = w.take(kept)
                w.skip(length - kept)
                self.words.append(word)
                if index == 0:
                    self.name = word
                elif index == 1:
                    self.second = word
            else:
                w.skip(length)
            closing = w.offset()
            ending = w.take(2)
        except TruncatedError:
            self._beyond(index, length, -1, at)
            return False
        if ending != b"\r\n":
            self._odd("bad-crlf", f"'{ending.hex()}' where CRLF ends argument {index + 1}", closing)
        return True

    def _line(self) -> i64:
        """Length of the next line as fgets reads it, LF included; 0 at the end. Nothing is passed."""
        w = self.window
        line = self.line
        found: i64 = w.data.find(b"\n", w.pos, min(w.end, w.pos + line))
        if found < 0 and w.end - w.pos < line:
            want: i64 = line
            if w.size >= 0 and w.size - w.offset() < want:
                want = w.size - w.offset()
            w.need(want)
            found = w.data.find(b"\n", w.pos, min(w.end, w.pos + line))
        n: i64 = found + 1 - w.pos if found >= 0 else min(w.end - w.pos, line)
        if n > SHORT_LINE and self.long_line < 0:
            self.long_line = w.offset()
        return n

    def _annotation(self, line: bytes) -> None:
        self.timestamp = -1
        if line[-1] != LF:
            if len(line) < self.line:
                self._odd(
                    "cut-annotation",
                    "the log ends inside an annotation: the server loads it, and what it appends "
                    "becomes part of that line and unreadable",
                    self.start,
                )
            else:
                self._odd(
                    "long-annotation",
                    f"an annotation of more than {self.line} bytes: the rest is read as a command",
                    self.start,
                )
        elif line.startswith(b"#TS:"):
            if is_canonical(line, 4, len(line)):
                self.timestamp = parse_long(line, 4, len(line))
            else:
                self._odd("bad-timestamp", "a timestamp annotation without a number and CRLF", self.start)

    def _beyond(self, index: i64, length: i64, left: i64, at: i64) -> None:
        if length >= RESERVABLE:  # the input's size is not known, or it was refused before
            self._fault(
                "bad-length",
                f"argument {index + 1} of {self.argc} would have {length} bytes, and the log ends before",
                at,
            )
            return
        early = f"{plural(length + 2 - left, 'byte')} too early" if left >= 0 else "before"
        self._truncated(
            f"argument {index + 1} of {self.argc} has {plural(length, 'byte')}, and the log ends {early}", at
        )

    def _fault(self, code: str, message: str, offset: i64) -> i64:
        self.fault = Fault(code, message, self.start, offset)
        return FAULT

    def _truncated(self, message: str, offset: i64) -> i64:
        self.fault = Fault("truncated-command", message, self.start, offset, truncated=True)
        return FAULT

    def _odd(self, code: str, message: str, offset: i64, kind: str = "") -> None:
        self.oddities.append(Oddity(code, message, offset, kind or code))


def _shown(byte: i64) -> str:
    return f"'{chr(byte)}'" if 32 < byte < 127 else f"byte 0x{byte:02x}"


class LogEvent:
    """Something read from a log; ``offset`` is where it begins."""

    def __init__(self, offset: i64) -> None:
        self.offset: i64 = offset


@final
class Command(LogEvent):
    """A command with its arguments, the name first."""

    def __init__(self, offset: i64, args: list[bytes]) -> None:
        super().__init__(offset)
        self.args = args


@final
class TimestampAnnotation(LogEvent):
    """``#TS:`` line: commands from here on were written at ``seconds`` (Unix time) or later."""

    def __init__(self, offset: i64, seconds: i64) -> None:
        super().__init__(offset)
        self.seconds: i64 = seconds


def argument_lists() -> list[list[bytes]]:
    """A list for each number of arguments that is not large, to be filled again and again."""
    return [[b""] * argc for argc in range(SHORT)]


@final
class CommandReader:
    """Commands and annotations of a log, from a window at an item's first byte.

    `read` passes one item without making an object of it: after it ``offset`` is where the item begins, and
    ``args`` or ``seconds`` what it holds. The next `read` may put other arguments into the same list: whoever wants
    them for longer gives the reader other ``lists`` (`argument_lists`) meanwhile.
    """

    def __init__(self, window: Window, max_bulk: i64 = MAX_BULK) -> None:
        self.window = window
        self.offset: i64 = 0
        self.args: list[bytes] = []
        self.seconds: i64 = -1
        self._framer = Framer(window, max_bulk)
        self._names = [b""] * NAME_SLOTS
        self.lists = argument_lists()

    def next(self) -> LogEvent | None:
        """The next command or timestamp, or None at the end. Raises what `read` raises."""
        kind = self.read()
        if kind == COMMAND:
            return Command(self.offset, self.args.copy())
        return TimestampAnnotation(self.offset, self.seconds) if kind == ANNOTATION else None

    def read(self) -> i64:
        """Pass the next command or timestamp: `COMMAND` or `ANNOTATION`; `END` at the end.

        Raises `TruncatedError` where a server would cut the log, and `FormatError` where it would refuse
        it; both with the offset of the command.
        """
        w = self.window
        data = w.data
        end = w.end
        limit = end - MARGIN
        start = w.pos
        p = start
        if p > limit:
            return self._slow()
        word = read_i64_le(data, p)
        digit: i64 = word >> 8 & 15
        argc: i64 = 0
        if word & WORD == STAR_LINE and digit <= 9:
            argc = digit
            p += 4
        else:
            if data[p] != STAR:
                return self._slow()
            p += 1
            digit = i64(data[p]) - 48
            while 0 <= digit <= 9 and argc < 1000000:
                argc = argc * 10 + digit
                p += 1
                digit = i64(data[p]) - 48
            if data[p] != CR or data[p + 1] != LF:
                return self._slow()
            p += 2
        if argc == 0:
            return self._slow()
        sized = argc < SHORT
        args = self.lists[argc] if sized else [b""]
        at: i64 = 0
        while at < argc:
            if p > limit:
                return self._slow()
            word = read_i64_le(data, p)
            n: i64 = word >> 8 & 15
            digit = word >> 16 & 15
            if word & WORD == DOLLAR_LINE and n <= 9:
                p += 4
            elif word & LONGER_WORD == LONGER_LINE and n <= 9 and digit <= 9:
                n = n * 10 + digit
                p += 5
            else:
                digit = i64(data[p + 1]) - 48
                if data[p] != DOLLAR or digit < 0 or digit > 9:
                    return self._slow()
                n = digit
                p += 2
                digit = i64(data[p]) - 48
                while 0 <= digit <= 9 and n < 100000000:
                    n = n * 10 + digit
                    p += 1
                    digit = i64(data[p]) - 48
                if data[p] != CR or data[p + 1] != LF:
                    return self._slow()
                p += 2
            stop = p + n
            if stop + 2 > end:
                return self._slow()
            if at == 0:
                args[0] = self._name(data, p, n)
            elif sized:
                args[at] = data[p:stop]
            else:
                args.append(data[p:stop])
            p = stop + 2
            at += 1
        w.pos = p
        self.offset = w.base + start
        self.args = args
        return COMMAND

    def _name(self, data: bytes, p: i64, n: i64) -> bytes:
        """The name of ``n`` bytes at ``data[p]``: the same object for the same name, as long as few are in use."""
        if n == 0 or n > MAX_NAME:
            return data[p : p + n]
        slot = name_slot(n, data[p], data[p + n - 1])
        name = self._names[slot]
        if len(name) == n:
            i: i64 = 0
            while i < n and name[i] == data[p + i]:
                i += 1
            if i == n:
                return name
        name = data[p : p + n]
        self._names[slot] = name
        return name

    def _slow(self) -> i64:
        framer = self._framer
        while True:
            args: list[bytes] = []
            outcome = framer.step(args)
            self.offset = framer.start
            if outcome == COMMAND:
                self.args = args
                return COMMAND
            if outcome == END:
                return END
            if outcome == FAULT:
                fault = framer.fault
                assert fault is not None
                kind = TruncatedError if fault.truncated else FormatError
                raise kind(fault.message, path=self.window.path, offset=fault.start, doing="reading a command")
            if framer.timestamp >= 0:
                self.seconds = framer.timestamp
                return ANNOTATION
