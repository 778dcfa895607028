"""Check a log's framing at speed: what is in canonical form is passed without building anything."""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i16_le, read_i64_le
from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.errors import printable
from rdbtool.findings import Finding, Findings, Severity
from rdbtool.io.window import Window
from rdbtool.rdb.opcodes import MAGICS
from rdbtool.servers.commands import COMMANDS, CONTAINER, CommandRow, find, row_of
from rdbtool.servers.options import OPTIONS

from .config import DEFAULT, LogConfig
from .options import OptionCounter, OptionUse
from .resp import ANNOTATION, COMMAND, CR, END, FAULT, LF, MARGIN, MAX_NAME, STAR, Fault, Framer

UNTIL: Final = 4
"""`Scanner.run` met an annotation later than asked for."""

STRAY: Final = 5
"""It passed an EXEC that belongs to no MULTI it has seen."""

MULTI_WORD: Final = 0x49544C554D
"""``MULTI``, as its bytes read as a little-endian number."""
EXEC_WORD: Final = 0x43455845
SELECT_WORD: Final = 0x5443454C4553

# Header lines as 8 bytes read at once, little-endian: the bytes that must be there, masks without the digits.
COUNT_1: Final = 0x0A0D002A
"""``*d`` CR LF."""
COUNT_MASK: Final = 0xFFFF00FF
LENGTH: Final = 0x240A0D
"""CR LF ``$``."""
CRLF: Final = 0x0A0D
ZEROS: Final = 0x303030
"""``000``: what digits differ from it by is their value."""
ABOVE_NINE: Final = 0x767676
"""Added to three bytes, it sets the high bit of each that is above 9 and has it not."""
HIGH_BITS: Final = 0x808080
"""Those bits."""
SEVEN_BYTES: Final = 0xFF_FFFF_FFFF_FFFF

PXAT_WORD: Final = 0x3124_0A0D_5441_5850
"""``PXAT`` CR LF ``$1``: how the option begins with which servers log an expiry, and the 13 digits behind it."""
PXAT_SIZE: Final = 26
"""Bytes from there to the end of the command."""

SLOTS: Final = 256
"""Places for names met before; with the hash, nearly every write command has its own."""
NEVER_PLAIN: Final[i64] = 1 << 40
"""In place of an arity: all commands of the name are looked at for options."""
BY_SUBCOMMAND: Final[i64] = -(1 << 40)
"""In place of an arity: the second word tells it. No number of words fits it."""
SUBCOMMANDS_KEPT: Final = 64
"""Spellings of subcommands that are remembered."""
UNKNOWN_KEPT: Final = 10000
"""Names of unknown commands that are remembered; further ones are passed over."""


@final
class BadCommand:
    """A command that a server does not run: where it first stands, the good offset before it, how often, and how
    many words it has. ``container``: the row of the command in front where ``name`` is two words.
    """

    def __init__(self, name: bytes, start: i64, before: i64, words: i64, container: CommandRow | None = None) -> None:
        self.name = name
        self.container = container
        self.start: i64 = start
        self.before: i64 = before
        self.words: i64 = words
        self.count: i64 = 1

    def __reduce__(self) -> tuple[object, ...]:
        return BadCommand, (b"", 0, 0, 0), self.__getstate__()


@final
class Repeated:
    """A finding that is kept; how many more there are of its kind, which are not, and where the last of them is."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        self.count: i64 = 0
        self.offset: i64 = -1


@final
class Scanner:
    """Frames a log from a window at an item's first byte, and counts.

    ``good_up_to()`` is the offset behind the last command that a server loads: while a MULTI is open, the
    MULTI's. ``stop_at_stray``: an EXEC without MULTI ends a run where no transaction came
    before it; ``stop_at_refused``: a name that no server has, and too few or too many words for a command, are a
    fault.
    """

    def __init__(
        self,
        window: Window,
        findings: Findings,
        config: LogConfig = DEFAULT,
        *,
        until: int = -1,
        stop_at_stray: bool = False,
        stop_at_refused: bool = False,
    ) -> None:
        self.window = window
        self.findings = findings
        self.until: i64 = until
        self.names = config.names
        self.databases: i64 = config.databases
        self.stop_at_stray = stop_at_stray
        self.stop_at_refused = stop_at_refused
        self.commands: i64 = 0
        self.transactions: i64 = 0
        self.in_multi = False
        self.multi_start: i64 = 0
        self.command_end: i64 = window.offset()
        """Offset behind the last command: annotations behind it are not counted."""
        self.before_multi: i64 = self.command_end
        """What `command_end` was at the last MULTI."""
        self.first_timestamp: i64 = -1
        self.last_timestamp: i64 = -1
        self.annotations: i64 = 0
        self.first_comment: i64 = -1
        """Offset of the first line that begins with #; -1 for none."""
        self.select: i64 = -1
        """Offset of the last SELECT; -1 for none."""
        self.last_start: i64 = -1
        """Offset of the last command; -1 for none."""
        self.fault: Fault | None = None
        self.wrong: BadCommand | None = None
        """The first command with too few or too many words."""
        self.unknown: dict[bytes, BadCommand] = {}
        """Commands that no release has and nobody has allowed, by their names in upper case."""
        self.used: dict[bytes, int] = {}
        """The row of each command and subcommand that is met, by its name -> where it first is."""
        self.outside: BadCommand | None = None
        """The first SELECT of a database that is not there; its name is the database."""
        self.until_at: i64 = -1
        """Offset of the annotation later than ``until``; -1 for none."""
        self.cut_annotation: i64 = -1
        """Offset of an annotation that the end of the log cuts; -1 for none."""
        self._framer = Framer(window, config.max_bulk, config.line)
        self._repeated: dict[str, Repeated] = {}
        # The last command whose bytes the server did not look at in part: where it is, and what was before.
        self._odd_start: i64 = -1
        self._odd_end: i64 = -1
        self._odd_multi: i64 = -1
        self._odd_transactions: i64 = 0
        # Names met before that are known and plain, in slots by a hash: first and last 8 bytes, length, arity.
        self._met: vec[i64] = vec[i64]([0] * (4 * SLOTS))
        self._options: dict[bytes, OptionCounter] = {}
        """By the name of the command's row."""
        self._in_slots: list[OptionCounter | None] = [None] * SLOTS
        """Those of the names in ``_met``: the arity there is then the number of words without any option."""
        self._dated: i64 = 0
        """Commands SET with PXAT and nothing else, which are most that have options, and where the first is."""
        self._first_dated: i64 = 0
        self._subcommands: dict[bytes, int] = {}
        """The bytes of a container's name and of the word behind it, with the header between them -> arity."""

    @property
    def long_line(self) -> int:
        """Offset of the first header line that older servers do not read at once; -1 for none."""
        return int(self._framer.long_line)

    def good_up_to(self) -> i64:
        """Offset behind the last command that takes effect."""
        if self.in_multi:
            return self.multi_start
        fault = self.fault
        return self.window.offset() if fault is None else fault.start

    def run(self) -> i64:
        """Go on to the end (`END`), to where a server stops (`FAULT`), to an annotation later than ``until``
        (`UNTIL`), or to a stray EXEC (`STRAY`); the last two are passed, and so is a refused command.
        """
        outcome = self._run()
        self._count_repeated()
        return outcome

    def _run(self) -> i64:
        framer = self._framer
        while True:
            self._fast()
            good = self.good_up_to()
            outcome = framer.step()
            if framer.oddities:
                self._report_oddities(outcome == FAULT)
                if outcome == COMMAND:
                    self._odd_start = framer.start
                    self._odd_end = self.window.offset()
                    self._odd_multi = self.multi_start if self.in_multi else -1
                    self._odd_transactions = self.transactions
            if outcome == COMMAND:
                outcome = self._command(framer.name, framer.start, good)
                if outcome != COMMAND:
                    return outcome
            elif outcome == ANNOTATION:
                if self.first_comment < 0:
                    self.first_comment = framer.start
                if framer.timestamp >= 0 and self._timestamp(framer.timestamp, framer.start):
                    return UNTIL
            elif outcome == FAULT:
                self.fault = framer.fault
                assert self.fault is not None
                self._tell_snapshot(self.fault)
                if framer.start == self._odd_end and not self.fault.truncated:
                    self._blame_odd(self.fault)
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

    def _tell_snapshot(self, fault: Fault) -> None:
        """Say so where the fault is that a snapshot begins there."""
        w = self.window
        at = fault.start - w.base
        if fault.start > 0 and at >= 0 and fault.code == "bad-prefix" and w.data[at : at + 6].startswith(MAGICS):
            fault.code = "second-snapshot"
            fault.message = "a second snapshot begins here, as where two logs were put into one file"

    def _blame_odd(self, fault: Fault) -> None:
        """Let the fault begin at the command before it, whose end the server did not look at: where one is
        behind a wrong length, the other begins in the midst of something.
        """
        fault.start = self._odd_start
        self.commands -= 1
        self.transactions = self._odd_transactions
        self.in_multi = self._odd_multi >= 0
        self.multi_start = self._odd_multi

    def _fast(self) -> None:
        """Pass well-formed commands with known names that lie whole in the window, as far as they go."""
        w = self.window
        data = w.data
        base = w.base
        end = w.end
        limit = end - MARGIN
        pos = w.pos
        start = pos
        met = self._met
        commands: i64 = 0
        n: i64
        digit: i64
        digits: i64
        while pos <= limit:
            p = pos + 2
            word: i64 = read_i64_le(data, pos)
            argc: i64 = (word >> 8 & 0xFF) - 48
            if argc < 1 or argc > 9 or word & 0xFF != STAR:
                break
            if word & COUNT_MASK != COUNT_1:
                digit = word >> 16 & 0xFF
                digit -= 48
                while 0 <= digit <= 9 and argc < 1000000:
                    argc = argc * 10 + digit
                    p += 1
                    digit = data[p]
                    digit -= 48
                if data[p] != CR:
                    break
            # The name, from the CR behind the count on
            word = read_i64_le(data, p)
            more = word >> 36 & 1
            digits = (word >> 24 ^ ZEROS) << 8 - 8 * more & 0xFFFF
            if (digits + ABOVE_NINE | digits) & HIGH_BITS != 0 or word & 0xFFFFFF != LENGTH:
                break
            n = (digits >> 8) + 10 * (digits & 0xFF)
            if word >> 32 + 8 * more & 0xFFFF != CRLF:
                break
            p += 6 + more
            if n < 1 or n > 99 or p + n > limit:
                break
            a: i64 = read_i64_le(data, p)
            b: i64 = 0
            if n < 8:
                a &= SEVEN_BYTES >> (56 - n * 8)
            else:
                b = read_i64_le(data, p + n - 8)
            name_at = p
            name_size = n
            p += n
            left = argc - 1
            while left > 0 and p <= limit:
                # An argument, from the CR behind the one before on. Its length has mostly one to three digits:
                # without branches, because they would be mispredicted. Those that are there are the last
                # bytes of three, and the others are 0.
                word = read_i64_le(data, p)
                more = word >> 36 & 1
                more += more & word >> 44
                shift = 8 * more
                digits = (word >> 24 ^ ZEROS) << 16 - shift & 0xFFFFFF
                n = (digits >> 16) + 10 * (digits >> 8 & 0xFF) + 100 * (digits & 0xFF)
                if (digits + ABOVE_NINE | digits) & HIGH_BITS != 0 or word & 0xFFFFFF != LENGTH:
                    break
                p += 6 + more
                if word >> 32 + shift & 0xFFFF != CRLF:
                    # More than three digits
                    digit = data[p - 2]
                    digit -= 48
                    while 0 <= digit <= 9 and n < 10000000:
                        n = n * 10 + digit
                        p += 1
                        digit = data[p - 2]
                        digit -= 48
                    if data[p - 2] != CR or data[p - 1] != LF:
                        break
                p += n
                left -= 1
            if left > 0 or p > limit or read_i16_le(data, p) != CRLF:
                break
            p += 2
            slot = (a ^ a >> 10 ^ a >> 20 ^ name_size) & (SLOTS - 1)
            slot *= 4
            if met[slot] == a and met[slot + 1] == b and met[slot + 2] == name_size:
                arity = met[slot + 3]
                if argc != arity and (arity > 0 or argc < -arity):
                    if not self._has_other_words(slot, argc, data, name_at, p, base + pos):
                        break
            elif a == MULTI_WORD and name_size == 5:
                if argc != 1:
                    break
                if self.in_multi:
                    self._tell_nested(base + pos)
                else:
                    self.in_multi = True
                    self.multi_start = base + pos
                    self.before_multi = base + pos if commands > 0 else self.command_end
            elif a == EXEC_WORD and name_size == 4:
                if argc != 1 or (self.stop_at_stray and not self.in_multi):
                    break
                if self.in_multi:
                    self.in_multi = False
                    self.transactions += 1
                else:
                    self._tell_stray(base + pos)
            elif a == SELECT_WORD and name_size == 6:
                if argc != 2 or not self._is_database(data, name_at + 8, p):
                    break
                self.select = base + pos
            elif not self._meet(slot, a, b, name_size, argc, data, name_at, base + pos):
                break
            commands += 1
            start = pos
            pos = p
        if commands > 0:
            self.commands += commands
            self.last_start = base + start
            self.command_end = base + pos
        w.pos = pos

    def _is_database(self, data: bytes, at: i64, end: i64) -> bool:
        """Whether the argument whose header is at ``at``, of a command that ends at ``end``, is a database of the
        server's with one or two digits.
        """
        size = end - at - 6  # $, a digit, and two times CR LF
        if size < 1 or size > 2:
            return False
        digit: i64 = data[at + 4] - 48
        if digit < 0 or digit > 9:
            return False
        if size == 1:
            return digit < self.databases
        second: i64 = data[at + 5] - 48
        return 0 <= second <= 9 and digit > 0 and digit * 10 + second < self.databases

    def _has_other_words(self, slot: i64, argc: i64, data: bytes, at: i64, end: i64, start: i64) -> bool:
        """Account for a command whose name, at ``at``, was met before, with another number of words than it has without
        options; it begins at ``start``, and ends at ``end`` of ``data``. False where the number is wrong.
        """
        n = self._met[slot + 2]
        if self._met[slot + 3] == BY_SUBCOMMAND:
            return self._is_right_subcommand(argc, data, at, n, None, start)
        counter = self._in_slots[slot >> 2]
        if counter is None or argc < counter.options.least:
            return False
        if argc == 5 and read_i64_le(data, end - PXAT_SIZE) == PXAT_WORD and counter.options.command == b"SET":
            if self._dated == 0:
                self._first_dated = start
            self._dated += 1
        else:
            counter.count(counter.look(argc, data, at + n), start)
        return True

    def _counter(self, row: CommandRow) -> OptionCounter | None:
        """What counts the options of a command; None where all are as old as it is."""
        counter = self._options.get(row.name)
        if counter is None and row.name in OPTIONS:
            counter = self._options[row.name] = OptionCounter(OPTIONS[row.name])
        return counter

    def count_options(self, uses: list[OptionUse]) -> None:
        """Count options that were found in a part of the log that was not read here."""
        for use in uses:
            counter = self._counter(COMMANDS[use.options.command])
            assert counter is not None
            counter.count(use.found, use.start, use.count)

    def options(self) -> list[OptionUse]:
        """The options in the log that are newer than their commands, by where they are first."""
        if self._dated > 0:
            dated = self._options[b"SET"]
            dated.count(1, self._first_dated, self._dated)
            self._dated = 0
        return sorted((use for counter in self._options.values() for use in counter.uses.values()), key=_start_of)

    def _meet(self, slot: i64, a: i64, b: i64, n: i64, argc: i64, data: bytes, at: i64, start: i64) -> bool:
        """Whether a command, which begins at ``start``, is known and plain; then its name is remembered in ``slot``."""
        name = self.names.resolve(data[at : at + n])
        row = row_of(name)
        arity: i64 = -1
        counter: OptionCounter | None = None
        if row is None:
            if name not in self.names.allowed:
                return False
        elif name in {b"MULTI", b"EXEC", b"SELECT"}:
            return False
        elif row.flags & CONTAINER:
            if not self._is_right_subcommand(argc, data, at, n, row, start):
                return False
            arity = BY_SUBCOMMAND
        elif not row.fits(argc):
            return False
        else:
            arity = row.arity
            self._use(row, start)
            counter = self._counter(row)
            if counter is not None:
                arity = counter.options.plain
                if argc != arity and argc >= counter.options.least:
                    counter.count(counter.look(argc, data, at + n), start)
                if arity == 0:
                    arity = NEVER_PLAIN
        if n <= 16:
            self._in_slots[slot >> 2] = counter
            self._met[slot] = a
            self._met[slot + 1] = b
            self._met[slot + 2] = n
            self._met[slot + 3] = arity
        return True

    def _use(self, row: CommandRow, start: i64) -> None:
        """Note that a command is there."""
        if row.name not in self.used:
            self.used[row.name] = int(start)

    def _is_right_subcommand(
        self, argc: i64, data: bytes, at: i64, n: i64, container: CommandRow | None, start: i64
    ) -> bool:
        """Whether a container, whose name is the ``n`` bytes at ``at`` of a well-formed command, has such a subcommand
        of ``argc`` words. ``container``: None where it is looked up; ``start``: of the command.
        """
        if argc < 2:
            return False
        pos = at + n + 3  # behind CR LF $
        size: i64 = 0
        while data[pos] != CR:
            size = size * 10 + (data[pos] - 48)
            pos += 1
        if size > MAX_NAME:
            return False
        pos += 2
        words = data[at : pos + size]
        known = self._subcommands.get(words)
        if known is None:
            if container is None:
                container = row_of(self.names.resolve(data[at : at + n]))
                assert container is not None
            row = COMMANDS.get(container.name + b"|" + data[pos : pos + size].upper())
            if row is None:
                return False
            known = int(row.arity)
            self._use(row, start)
            if len(self._subcommands) < SUBCOMMANDS_KEPT:
                self._subcommands[words] = known
        arity: i64 = known
        if argc != arity and (arity >= 0 or argc < -arity):
            return False
        if arity < 0 and argc > -arity:  # more words than it needs
            row = find([self.names.resolve(data[at : at + n]), data[pos : pos + size]])
            counter = None if row is None else self._counter(row)
            if counter is not None:
                counter.count(counter.look(argc, data, at + n), start)
        return True

    def _command(self, name: bytes, start: i64, good: i64) -> i64:
        """Account for a command that the fast loop left alone: `COMMAND`, or what ends the run."""
        self.commands += 1
        self.last_start = start
        before = self.command_end
        self.command_end = self.window.offset()
        upper = self.names.resolve(name)
        argc = self._framer.argc
        row = row_of(upper)
        container: CommandRow | None = None
        if row is not None and row.flags & CONTAINER and argc > 1:
            container = row
            row = find([upper, self._framer.second])
            name = name + b" " + self._framer.second
            upper = upper + b" " + self._framer.second.upper()
        if row is None:
            if upper not in self.names.allowed:
                return self._refused(name, upper, start, good, container)
            return COMMAND
        self._use(row, start)
        if not row.fits(argc):
            if self.wrong is None:
                self.wrong = BadCommand(name, start, good, argc)
            else:
                self.wrong.count += 1
            if self.stop_at_refused:
                self.fault = Fault("wrong-arity", f"{argc} words in a command '{printable(name, 64)}'", start, start)
                return FAULT
        elif argc > 1 and (counter := self._counter(row)) is not None:
            counter.count(counter.options.among(self._framer.words), start)
        elif upper == b"MULTI":
            if self.in_multi:
                self._tell_nested(start)
            else:
                self.in_multi = True
                self.multi_start = start
                self.before_multi = before
        elif upper == b"EXEC":
            if self.in_multi:
                self.in_multi = False
                self.transactions += 1
            else:
                if self.stop_at_stray and self.transactions == 0:
                    return STRAY
                self._tell_stray(start)
        elif upper == b"SELECT":
            self._selected(self._framer.second, start, good)
        return COMMAND

    def _tell_nested(self, start: i64) -> None:
        if not self._is_repeated("nested-multi", start):
            self._note(
                "nested-multi",
                "MULTI inside MULTI: the server logs an error and goes on; redis-check-aof calls the file "
                f"bad from {self.multi_start} on",
                start,
            )

    def _tell_stray(self, start: i64) -> None:
        if not self._is_repeated("stray-exec", start):
            self._note(
                "stray-exec",
                "EXEC without MULTI: the server logs an error and goes on; redis-check-aof calls the file "
                "bad from here on",
                start,
            )

    def _selected(self, database: bytes, start: i64, good: i64) -> None:
        """Account for a SELECT: one of a database that is not there changes nothing."""
        # The server takes a number in its shortest form only.
        number = int(database) if database.isdigit() and len(database) < 10 else -1
        if 0 <= number < self.databases and database == b"%d" % number:
            self.select = start
        elif self.outside is None:
            self.outside = BadCommand(database, start, good, 2)
        else:
            self.outside.count += 1

    def _refused(self, name: bytes, upper: bytes, start: i64, good: i64, container: CommandRow | None) -> i64:
        """Account for a command that no server has."""
        met = self.unknown.get(upper)
        if met is not None:
            met.count += 1
        elif len(self.unknown) < UNKNOWN_KEPT:
            self.unknown[upper] = BadCommand(name, start, good, self._framer.argc, container)
        if not self.stop_at_refused:
            return COMMAND
        self.fault = Fault("unknown-command", f"unknown command '{printable(name, 64)}'", start, start)
        return FAULT

    def _timestamp(self, seconds: i64, start: i64) -> bool:
        """Account for an annotation; whether it is later than asked for."""
        if self.until >= 0 and seconds > self.until:
            self.until_at = start
            return True
        self.annotations += 1
        if self.first_timestamp < 0:
            self.first_timestamp = seconds
        elif seconds < self.last_timestamp and not self._is_repeated("time-goes-back", start):
            self._note(
                "time-goes-back", f"timestamp {seconds} after {self.last_timestamp}: the clock was set back", start
            )
        self.last_timestamp = seconds
        return False

    def _report_oddities(self, failed: bool) -> None:
        """Findings for what the server passes unread. In a command that fails they tell why it does."""
        for odd in self._framer.oddities:
            if odd.code == "cut-annotation":
                self.cut_annotation = odd.offset
            if not failed and self._is_repeated(odd.kind, odd.offset):
                continue
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
            self._note(odd.code, message, odd.offset, "" if failed else odd.kind)

    def _note(self, code: str, message: str, offset: i64, kind: str = "") -> None:
        """Add a finding. ``kind``: what it has in common with those that differ in numbers only; "" for ``code``."""
        path = self.window.path
        finding = Finding(Severity.WARNING, code, message, path, offset, None, -1, "reading the log")
        self.findings.add(finding)
        if self.findings.counts[code] >= self.findings.kept:
            self._repeated[kind or code] = Repeated(finding)

    def _is_repeated(self, kind: str, offset: i64) -> bool:
        """Whether enough findings of a kind are kept; then this one is counted. A log may have millions of them."""
        repeated = self._repeated.get(kind)
        if repeated is None:
            return False
        repeated.count += 1
        repeated.offset = offset
        return True

    def _count_repeated(self) -> None:
        """Let the findings know of those that were only counted."""
        for repeated in self._repeated.values():
            if repeated.count > 0:
                one = repeated.finding
                self.findings.count(one, one._replace(offset=int(repeated.offset)), int(repeated.count))
                repeated.count = 0


def _start_of(use: OptionUse) -> int:
    return use.start
