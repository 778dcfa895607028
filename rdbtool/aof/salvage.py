"""Find out what of a damaged log can be kept, and where reading resumes behind damage.

Behind a command that cannot be read the search goes from CR LF ``$`` to CR LF ``$``, the bytes in front of
every argument:

1. Arguments of the damaged command that are whole (their length leads to CRLF, and that to ``$``, ``*``,
   ``#`` or the end) are passed as they are, so that text in them which looks like a log stays text. One
   that holds whole commands up to its very end is not believed: its length was damaged and swallows them.
2. Where a length is damaged, it is tried whether a length that differs in one character makes the command
   whole; then reading resumes behind it.
3. Otherwise it resumes at the next ``*`` that begins a whole command with a name that may be one, or at
   the annotation in front of it.

Everything between the damaged command's first byte and that offset is dropped; from there the log is read
with the server's eyes again, up to the next damage or the end. A transaction of which a part is dropped
is dropped whole: the cut begins at its MULTI, and where an EXEC without MULTI follows a cut, it reaches
behind that EXEC. The search never goes back, so it takes time linear in the file's size.
"""

from __future__ import annotations

from array import array
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.findings import Findings
from rdbtool.io.random_access import Pages
from rdbtool.servers.commands import arity_of, is_known

from .config import DEFAULT, LogConfig
from .cuts import Cut, Cuts
from .resp import COMMAND, DOLLAR, END, HASH, LINE, MAX_NAME, STAR, CommandReader, Fault
from .scan import STRAY, Scanner

ARGUMENT: Final = b"\r\n$"
HEADER: Final = 24
"""Bytes that hold a canonical header line."""
MAX_EDITS: Final = 1000
"""Damaged lengths for which other lengths are tried: a file with more is not worth the time."""
OPEN_TRANSACTION: Final = "open-transaction"
"""Code of a cut behind which the rest of an open transaction is kept."""
KEYS: Final = 5
"""Keys of a cut that are shown."""


@final
class Salvager:
    """Goes through bytes ``begin`` to ``end`` of a log, which begin with an item.

    After `run`: ``cuts`` are the regions that cannot be kept, in order; ``commands`` and ``transactions``
    count what can. ``drop_refused``: drop commands that can be read and no server runs, for their name or number of
    words; ``keep_open``: of a transaction without end drop only what a server cuts, see `_behind_transaction`;
    ``counting``: of the cuts keep none but the last.
    """

    def __init__(
        self,
        pages: Pages,
        begin: i64,
        end: i64,
        config: LogConfig = DEFAULT,
        *,
        drop_refused: bool = False,
        keep_open: bool = False,
        whole_transactions: bool = True,
        counting: bool = False,
    ) -> None:
        self.pages = pages
        self.begin: i64 = begin
        self.end: i64 = end
        self.config = config
        self.drop_refused = drop_refused
        self.keep_open = keep_open
        self.whole_transactions = whole_transactions
        self.counting = counting
        self.cuts = Cuts()
        self.commands: i64 = 0
        self.transactions: i64 = 0
        self.selects = array("q")
        """Per cut, the offset of the last SELECT kept before it; -1 for none."""
        self.last_select: i64 = -1
        """Offset of the last SELECT kept."""
        self.edits: i64 = 0
        self.doubts: i64 = 4 * (end - begin)
        self.failed_at: i64 = 0

    def run(self) -> None:
        """Find the cuts."""
        pos = self.begin
        select: i64 = -1
        ignored = Findings(kept=0)
        after_gap = False
        while pos < self.end:
            window = self.pages.window(pos, self.end)
            scanner = Scanner(
                window,
                ignored,
                self.config,
                stop_at_stray=after_gap,
                stop_at_refused=self.drop_refused,
            )
            outcome = scanner.run()
            if outcome == STRAY:
                # The MULTI of this EXEC went with the cut: so does the rest of the transaction.
                self._extend_last(window.offset())
                pos = window.offset()
                after_gap = False
                continue
            kept = scanner.commands
            self.transactions += scanner.transactions
            start = self.end
            if outcome == END:
                if scanner.cut_annotation >= 0:
                    self._cut(
                        scanner.cut_annotation, self.end, "cut-annotation", "an annotation without its end", select
                    )
                self.commands += kept
                if scanner.select >= 0:
                    select = scanner.select
                break
            fault = scanner.fault
            assert fault is not None
            if fault.code == "multi-without-exec" and not self.whole_transactions:
                self.commands += kept
                break
            start = fault.start
            code = fault.code
            message = fault.message
            if scanner.in_multi and self.whole_transactions:
                start = scanner.multi_start
                kept = self._count(pos, start)
            damage = fault.start
            glued = self._glued(scanner.command_end, fault)
            if glued >= 0:
                damage = glued
            elif pos <= scanner.last_start < scanner.command_end == fault.start and self._is_stray_argument(fault):
                # The command before it has too small a count of arguments, or one of them swallows a header.
                swallows = self._first_bad(scanner.last_start)[1] > 0
                if swallows:
                    damage = scanner.last_start
                if start == fault.start and (swallows or arity_of(self._name(scanner.last_start)) < 0):
                    start = scanner.last_start
                    kept -= 1
            if fault.code in {"unknown-command", "wrong-arity"}:
                resume = window.offset()
                if not scanner.in_multi or not self.whole_transactions:
                    kept -= 1
            elif fault.code == "multi-without-exec":
                resume = self.end
            elif glued >= 0:
                resume = glued
                if start == fault.start:
                    start = self._line_before(fault.start)
                    code, message = "cut-annotation", "an annotation without its end"
            else:
                resume = self.resume(damage)
            if self.keep_open and scanner.in_multi and resume >= self.end:
                resume = self._behind_transaction(scanner.multi_start, fault.start)
                code, message = OPEN_TRANSACTION, "MULTI without EXEC, and what seems to belong to it"
            self.commands += kept
            if 0 <= scanner.select < start:
                select = scanner.select
            elif scanner.select >= start and scanner.select > 0:
                select = self._last_select(pos, start, select)
            self._cut(start, resume, code, message, select)
            pos = resume
            after_gap = self.whole_transactions and code not in {"cut-annotation", OPEN_TRANSACTION}
        self.last_select = select

    def _line_before(self, at: i64) -> i64:
        """Offset of the line that ends at ``at``, if it is one of at most `LINE` bytes."""
        first = max(self.begin, at - LINE)
        return first + self.pages.take(first, at - first - 1).rfind(b"\n") + 1

    def _glued(self, behind: i64, fault: Fault) -> i64:
        """Offset of a command whose header ends an annotation that was cut, where the fault is its first argument;
        -1 for none. A server leaves that which goes on writing to a log that ends within an annotation. ``behind``:
        where the last command ends.
        """
        at = fault.start
        if behind >= at or not self._is_stray_argument(fault):
            return -1
        line = self._line_before(at)
        star = self._star_before(at - 2, line + 1)
        if star < 0 or self.pages.byte(line) != HASH:
            return -1
        return star if self._first_bad(star)[1] == 0 and self._plausible(star) else -1

    def _behind_transaction(self, multi: i64, end: i64) -> i64:
        """Offset behind what seems to belong to the transaction that begins at ``multi`` and has no end.

        A server that has cut the log within a transaction, and goes on, writes a SELECT first; one right behind MULTI
        is the transaction's own. Without one, nothing but MULTI is taken for it.
        """
        reader = CommandReader(self.pages.window(multi, end if end > multi else self.end), self.config.max_bulk)
        second: i64 = -1
        commands: i64 = 0
        try:
            while (kind := reader.read()) != END:
                if kind != COMMAND:
                    continue
                commands += 1
                if commands == 2:
                    second = reader.offset
                elif commands > 2 and reader.args[0].upper() == b"SELECT":
                    return reader.offset
        except FormatError:
            pass
        return second if second >= 0 else self.end

    def _is_stray_argument(self, fault: Fault) -> bool:
        return fault.code == "bad-prefix" and fault.start == fault.offset and self.pages.byte(fault.start) == DOLLAR

    def _cut(self, start: i64, end: i64, code: str, message: str, select: i64) -> None:
        if len(self.cuts) and self.cuts[-1].end == start:
            self._extend_last(end)
            return
        if self.counting:
            self.cuts.clear()
            del self.selects[:]
        self.cuts.append(Cut(start, end, code, message))
        self.selects.append(int(select))

    def _extend_last(self, end: i64) -> None:
        """Let the last cut reach up to ``end``."""
        cut = self.cuts[-1]
        cut.end = end
        self.cuts[-1] = cut

    def _count(self, begin: i64, end: i64) -> i64:
        """Commands in a run that is known to be good."""
        scanner = Scanner(self.pages.window(begin, end), Findings(kept=0), self.config)
        scanner.run()
        return scanner.commands

    def _last_select(self, begin: i64, end: i64, before: i64) -> i64:
        scanner = Scanner(self.pages.window(begin, end), Findings(kept=0), self.config)
        scanner.run()
        return scanner.select if scanner.select >= 0 else before

    def resume(self, start: i64) -> i64:
        """The offset at which reading resumes behind the damaged command at ``start``; ``end`` for none."""
        pages = self.pages
        item = start
        if pages.byte(start) == STAR:
            item, left = self._first_bad(start)
            if left > 0 and self.edits < MAX_EDITS:
                self.edits += 1
                whole = self._with_other_length(item, left)
                if whole >= 0:
                    return whole
        elif pages.byte(start) == DOLLAR:
            behind = self._whole_argument(start)
            if behind >= 0:
                if behind >= self.end or pages.byte(behind) == STAR:
                    return behind
                item = behind - 2
        pos = item if item > start else start + 1
        # The header of an argument at ``pos`` itself has its CRLF in front of it.
        if pos - 2 > start and pages.byte(pos) == DOLLAR:
            pos += 1
        while True:
            found = pages.find(ARGUMENT, pos, self.end)
            if found < 0:
                return self.end
            star = self._star_before(found, pos)
            if star < 0:
                behind = self._whole_argument(found + 2)
                pos = behind - 2 if behind >= 0 else found + 2
                continue
            item, left = self._first_bad(star)
            if left == 0 and self._plausible(star):
                return self._annotation_before(star, start)
            pos = item if left > 0 and item > star else found + 2
            if pages.byte(pos) == DOLLAR:
                pos += 1

    def _star_before(self, at: i64, least: i64) -> i64:
        """Offset of ``*`` and digits that end at ``at``, if it is not before ``least``; else -1."""
        first = max(least, at - 10)
        text = self.pages.take(first, at - first)
        i: i64 = len(text) - 1
        while i >= 0 and 48 <= text[i] <= 57:
            i -= 1
        if i < 0 or text[i] != STAR or i == len(text) - 1:
            return -1
        return first + i

    def _annotation_before(self, star: i64, least: i64) -> i64:
        """Offset of a timestamp annotation that ends at ``star``, or ``star``."""
        first = max(least + 1, star - 40)
        text = self.pages.take(first, star - first)
        at = text.rfind(b"#TS:")
        if at >= 0 and text.endswith(b"\r\n") and text[at + 4 : -2].isdigit() and (at == 0 or text[at - 1] == 10):
            return first + at
        return star

    def _header(self, at: i64, prefix: i64) -> tuple[i64, i64]:
        """The number in a canonical header line at ``at``, and the offset behind it; -1 if it is none."""
        text = self.pages.take(at, HEADER)
        size: i64 = len(text)
        if size < 4 or text[0] != prefix:
            return -1, at
        value: i64 = 0
        i: i64 = 1
        while i < size and 48 <= text[i] <= 57 and i < 18:
            value = value * 10 + (text[i] - 48)
            i += 1
        if i == 1 or i + 1 >= size or text[i] != 13 or text[i + 1] != 10:
            return -1, at
        return value, at + i + 2

    def _whole_argument(self, at: i64) -> i64:
        """The offset behind an argument that can be believed, or -1."""
        length, value = self._header(at, DOLLAR)
        if length < 0 or length > self.end - value - 2:
            return -1
        behind = value + length + 2
        if self.pages.take(behind - 2, 2) != b"\r\n" or not self._may_follow(behind):
            return -1
        return -1 if self._holds_commands(value, behind) else behind

    def _may_follow(self, at: i64) -> bool:
        if at >= self.end:
            return True
        byte = self.pages.byte(at)
        return byte in {DOLLAR, STAR, HASH}

    def _holds_commands(self, begin: i64, end: i64) -> bool:
        """Whether a whole command begins in bytes ``begin`` to ``end`` (CRLF included) and ends there or behind:
        then they are no value, but what a wrong length swallows.

        Nested lengths could make this look at the same bytes again and again: there is a limit to it.
        """
        self.doubts -= end - begin
        pos = begin
        while self.doubts > 0:
            found = self.pages.find(ARGUMENT, pos, min(end + 1, self.end))
            if found < 0:
                return False
            star = self._star_before(found, pos)
            pos = found + 2
            while begin <= star < end and self.pages.byte(star) == STAR:
                behind = self._command_end(star, self.end)
                if behind >= end:
                    return True
                pos = max(pos, behind if behind >= 0 else self.failed_at)
                self.doubts -= pos - star
                star = behind
        return False

    def _command_end(self, at: i64, end: i64) -> i64:
        """The offset behind a canonical command that ends at ``end`` or before; -1, and ``failed_at``, if none."""
        argc, pos = self._header(at, STAR)
        self.failed_at = pos
        if argc < 1:
            return -1
        while argc > 0:
            self.failed_at = pos
            length, value = self._header(pos, DOLLAR)
            if length < 0 or length > end - value - 2:
                return -1
            pos = value + length + 2
            if self.pages.take(pos - 2, 2) != b"\r\n":
                return -1
            argc -= 1
        return pos

    def _first_bad(self, start: i64) -> tuple[i64, i64]:
        """The first argument of the command at ``start`` that cannot be believed, and how many are then left,
        it included; ``(end of the command, 0)`` if all can, ``(start, 0)`` if the header cannot.
        """
        argc, pos = self._header(start, STAR)
        if argc < 1:
            return start, 0
        while argc > 0:
            behind = self._whole_argument(pos)
            if behind < 0:
                return pos, argc
            pos = behind
            argc -= 1
        return pos, 0

    def _name(self, star: i64) -> bytes:
        """The name of the command at ``star``; b"" if it is none that may be one."""
        argc, pos = self._header(star, STAR)
        length, value = self._header(pos, DOLLAR)
        if argc < 1 or length < 1 or length > MAX_NAME:
            return b""
        return self.pages.take(value, length)

    def _plausible(self, star: i64) -> bool:
        """Whether a command that begins at ``star`` has a name that may be one."""
        name = self._name(star)
        return is_known(name) or self.config.names.knows(name) or name.replace(b"_", b"").replace(b"-", b"").isalnum()

    def _with_other_length(self, at: i64, left: i64) -> i64:
        """The offset behind a command whose argument at ``at`` has a length damaged in one character, with
        ``left`` arguments from it on; -1 if none fits.
        """
        line = self.pages.take(at, HEADER)
        stop = line.find(b"\r\n")
        if stop < 1:
            return -1
        value = at + stop + 2
        for length in _neighbours(line[1:stop]):
            behind = value + length + 2
            if behind > self.end or self.pages.take(behind - 2, 2) != b"\r\n":
                continue
            if self._holds_commands(value, behind):
                continue
            rest = left - 1
            while rest > 0 and behind >= 0:
                behind = self._whole_argument(behind)
                rest -= 1
            if behind >= 0 and (behind >= self.end or self.pages.byte(behind) != DOLLAR) and self._may_follow(behind):
                return behind
        return -1


def _neighbours(text: bytes) -> list[int]:
    """Numbers that differ from ``text`` in at most one character: changed ones first, then those with one lost or
    added; smaller before larger.
    """
    changed: set[bytes] = {text}
    others: set[bytes] = set()
    for i in range(len(text) + 1):
        others.add(text[:i] + text[i + 1 :])
        for digit in b"0123456789":
            one = bytes([digit])
            if i < len(text):
                changed.add(text[:i] + one + text[i + 1 :])
            others.add(text[:i] + one + text[i:])
    return _numbers(changed) + _numbers(others - changed)


def _numbers(texts: set[bytes]) -> list[int]:
    return sorted(int(t) for t in texts if t.isdigit() and len(t) < 12 and (t == b"0" or t[0] != 48))


def survey(pages: Pages, cut: Cut, config: LogConfig = DEFAULT) -> Salvager:
    """Count what could be read of a cut, and note its first keys and what it does to the database."""
    salvager = Salvager(pages, cut.start, cut.end, config, whole_transactions=False)
    salvager.run()
    cut.commands = salvager.commands
    cut.transactions = salvager.transactions
    cut.keys = _first_keys(pages, cut, salvager)
    return salvager


def _first_keys(pages: Pages, cut: Cut, salvager: Salvager) -> tuple[bytes, ...]:
    keys: list[bytes] = []
    pos = cut.start
    cuts = salvager.cuts
    at = 0
    while 0 <= pos < cut.end and len(keys) < KEYS:
        if at < len(cuts) and cuts[at].start <= pos:
            _note_key(pages, cut, salvager, cuts[at].start, keys)
            pos = cuts[at].end
            at += 1
            continue
        if pages.byte(pos) == HASH:
            newline = pages.find(b"\n", pos, cut.end)
            pos = newline + 1 if newline >= 0 else -1
            continue
        pos = _note_key(pages, cut, salvager, pos, keys)
    return tuple(keys)


def _note_key(pages: Pages, cut: Cut, salvager: Salvager, start: i64, keys: list[bytes]) -> i64:
    """Note name and first argument of the command at ``start``; the offset behind it, -1 if it is not whole."""
    argc, pos = salvager._header(start, STAR)  # noqa: SLF001 - of one kind
    words: list[bytes] = []
    while argc > 0 and len(words) < 2:
        length, value = salvager._header(pos, DOLLAR)  # noqa: SLF001
        if length < 0 or length > cut.end - value:
            break
        words.append(pages.take(value, min(length, MAX_NAME)))
        pos = value + length + 2
        argc -= 1
    if words and words[0].upper() not in {b"MULTI", b"EXEC", b"SELECT"}:
        keys.append(b" ".join(words))
    return salvager._command_end(start, cut.end)  # noqa: SLF001


def database_at(pages: Pages, select: i64) -> bytes:
    """The argument of the SELECT at ``select``; b"0" for -1, where none came before."""
    if select < 0:
        return b"0"
    text = pages.take(select, 64)
    words = text.split(b"\r\n")
    return words[4] if len(words) > 5 else b"0"
