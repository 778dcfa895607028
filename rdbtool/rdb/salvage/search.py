"""Look for the place from which records run again."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import InputError, RdbToolError, TruncatedError
from rdbtool.findings import Findings, Severity
from rdbtool.io.random_access import Pages
from rdbtool.io.window import Window, window_over
from rdbtool.rdb import opcodes
from rdbtool.rdb.events import End, Event, SelectDb
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.primitives import read_string
from rdbtool.rdb.layout.seen import Seen
from rdbtool.rdb.layout.templates import OF_REFERENCE, Template
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.types import TABLE
from rdbtool.servers.releases import CHECKSUM_SINCE

from .effort import STEP, Effort, is_in_a_row
from .evidence import (
    ENOUGH,
    ENOUGH_TO_END,
    FIRST,
    LEAST,
    NUMBER,
    START,
    TYPE_LOST,
    is_opcode_of_key,
    of_coded,
    of_event,
    of_key,
    of_lead,
    of_name,
    of_value,
)
from .lengths import are_too_many, is_usual, is_usual_payload, swallows
from .names import Names, is_number
from .start import ends_at

A_LETTER: Final[i64] = 5
"""Evidence in a name of one letter: enough for the first record of a run if no other run begins within it."""
NOTED: Final[i64] = 1 << 10
"""Bytes behind a record that is remembered until another one is, so that what many runs have in common is read once."""
LOOK: Final[i64] = 1 << 17
"""Bytes that are looked at together."""
MARGIN: Final[i64] = 1 << 10
"""Bytes from the end of those within which a place is looked at only with what follows."""
LAST_WITH_SECONDS: Final[i64] = 2
"""The last RDB version that Redis wrote with expiries in seconds (up to Redis 2.4)."""
MODULE: Final[i64] = 7
LONG: Final[i64] = 0x81
"""The type of modules' values, and the byte with which they begin: that of a long number, their type's name."""

NO: Final[i64] = 0
YES: Final[i64] = 1
UNKNOWN: Final[i64] = 2

UNREAD: Final = -3
UNFINISHED: Final = -2
STOPS: Final = -1
"""Of an offset, in `Search.dead`: not known; it took too long to find out; records from there on do not pass the
barrier.
"""


@final
class Search:
    """Finds beginnings of records in an open file.

    A run of records is taken for one if there is enough evidence for it (`evidence`), it passes ``barrier``, where
    reading broke, and it does not come to an end mark in the middle of the file: then it belongs to a snapshot that
    somebody has stored as a value.
    """

    def __init__(self, pages: Pages, dialect: i64, version: i64) -> None:
        self.pages = pages
        self.dialect: i64 = dialect
        self.version: i64 = version
        self.table = TABLE[dialect]
        self.barrier: i64 = 0
        self.seen = Seen()
        self.first: i64 = FIRST
        """Evidence that the first record of a run must have."""
        self.doubts: list[tuple[int, int]] = []
        """In front of these offsets the first record of a run must have more evidence than that: it makes records
        doubtful that stand behind, and were read.
        """
        self.least: i64 = FIRST
        self.within: i64 = -1
        """Where the record ends that was read, and in which the first record of a run stands; -1: in none."""
        self.names = Names()
        self.templates: dict[bytes, Template] = {}
        self.has_access = False
        """Whether keys have access frequencies, or idle times, in front of them."""
        self.dead: dict[int, int] = {}
        """Offsets from which records lead, past the barrier, to what cannot be read, or to the end mark: the evidence
        in them, whether it is that, in one bit, and how many keys, in the two lowest bits.
        """
        self.effort = Effort(pages.size)
        self.ends: dict[int, int] = {}
        """Offsets of some records, from which reading leads behind an end mark; -1: to what cannot be read."""
        self.leads_to_end = False
        self.strong_only = False
        self.weak_end: i64 = -1
        """Where the first record of the last run ends, if it has little evidence."""
        self.goal: i64 = -1
        self.run_keys: i64 = 0
        self.runs_on = False
        """Whether the last run that was found has keys."""

    def find(self, begin: i64, end: i64, barrier: i64) -> i64:
        """The first offset from ``begin`` on, and before ``end``, from which records run; -1 for none."""
        self.barrier = barrier
        self.dead = {int(barrier): STOPS}
        self.effort.come_to(barrier)
        return self._find(begin, end)

    def _find(self, begin: i64, end: i64) -> i64:
        at = begin
        size = self.pages.size
        while at < end:
            want = min(LOOK, size - at)
            page = self.pages.take(at, want)
            have: i64 = len(page)
            last = at + have >= size
            stop = have if last else have - MARGIN
            w = window_over(page, base=at)
            pos: i64 = 0
            while True:
                found = START.search(page, pos)
                if found is None:
                    pos = stop
                    break
                pos = found.start()
                if pos >= stop or at + pos >= end:
                    break
                place = at + pos
                if self.begins(w, place):
                    behind = -1 if self.goal >= 0 else self._behind_stored(place)
                    if behind < 0:
                        self.effort.come_to(place)
                        return self._or_stronger(place, self.weak_end)
                    pos = behind - at
                    if pos >= stop:
                        break
                else:
                    pos += 1
            at += max(pos, stop) if pos >= stop else max(pos, 1)
            self.effort.come_to(min(at, size))
        return -1

    def begins_at(self, place: i64) -> bool:
        """Whether records run from ``place`` on."""
        self.barrier = place
        self.within = -1
        self.dead.clear()
        return self._run_ahead(place) == YES

    def _or_stronger(self, place: i64, weak_end: i64) -> i64:
        """The place within the first record from ``place`` on from which records run with more evidence, if that
        record has little; else ``place``.
        """
        if weak_end < 0:
            return place
        leads_to_end = self.leads_to_end
        self.strong_only = True
        end = min(weak_end, place + self.effort.allowance() * STEP)
        self.effort.spent += (end - place) // STEP
        stronger = self._find(place + 1, end)
        self.strong_only = False
        if stronger >= 0:
            return stronger
        self.leads_to_end = leads_to_end
        return place

    def leads_to(self, begin: i64, end: i64) -> i64:
        """The first offset from ``begin`` on from which records run that end exactly at ``end``; -1 for none.
        ``run_keys`` is then the number of those in the database of the first.
        """
        self.goal = end
        try:
            return self.find(begin, end, end)
        finally:
            self.goal = -1

    def begins(self, w: Window, place: i64) -> bool:
        """Whether records run from ``place`` on, which is in the window ``w``."""
        known: i64 = self.dead.get(int(place), UNREAD)
        if known >= STOPS or (known == UNFINISHED and not self.effort.is_ample()):
            return False
        self.least = self.first
        self.within = -1
        for before, evidence in self.doubts:
            if place < before:
                self.least = max(self.least, evidence + 1)
                self.within = before
        pos = place - w.base
        have = w.end
        reach = self._reach(place)
        w.end = min(have, reach - w.base)
        is_all = w.base + w.end == self._end()
        w.pos = pos
        answer = self._quick(w, place, is_all)
        if answer == UNKNOWN:
            w.pos = pos
            answer = self._run(w, is_all)
        w.end = have
        if answer == UNKNOWN and reach > w.base + have:
            answer = self._run_ahead(place)
        return answer == YES

    def _end(self) -> i64:
        """Up to where records may be read."""
        return self.pages.size if self.goal < 0 else self.goal

    def _reach(self, place: i64) -> i64:
        """Up to where they may be read from ``place`` on."""
        return min(self._end(), place + self.effort.allowance() * STEP)

    def _run_ahead(self, place: i64) -> i64:
        """The same as `_run` from ``place`` on, as far as may be read."""
        reach = self._reach(place)
        w = self.pages.window(place, reach)
        try:
            return self._run(w, reach == self._end())
        finally:
            self.effort.pass_over(w.offset() - place)

    def _quick(self, w: Window, place: i64, is_all: bool) -> i64:
        """NO where the first look says so. ``is_all``: see `_run`."""
        byte: i64 = w.data[w.pos]
        if byte == opcodes.EOF:
            rest = self.pages.size - place - 1
            return UNKNOWN if rest == (8 if self.version >= CHECKSUM_SINCE else 0) else NO
        if byte >= opcodes.LOWEST:
            if byte == opcodes.FREQ:
                return UNKNOWN if self.has_access else NO
            if byte == opcodes.IDLE:
                return UNKNOWN if self.has_access else NO
            if byte == opcodes.EXPIRE_S and self.version > LAST_WITH_SECONDS:
                return NO
            return NO if is_opcode_of_key(byte) and are_too_many(w) else UNKNOWN
        row = self.table[OF_REFERENCE.get(byte, byte)]
        if row is None or row.since > self.version:
            return NO
        w.pos += 1
        coded: i64 = w.data[w.pos] if w.pos < w.end else 0
        try:
            key = read_string(w)
        except TruncatedError:
            return NO if is_all else UNKNOWN
        except RdbToolError:
            return NO
        if byte == 0 and 0x20 <= coded < 0x40 and self.pages.take(max(0, place - 7), min(8, place + 1)) == TYPE_LOST:
            return NO  # a length that is a letter, behind a type that is any zero: text of which the beginning is lost
        self.effort.pass_over(len(key))
        may_be_checked = row.empty_at != 0 or row.byte in {0, 11} or row.stream_version > 0
        may_be_number = is_number(coded) and self.names.know(key, coded)
        return UNKNOWN if may_be_checked or may_be_number or of_name(key, coded) >= self.first else NO

    def _run(self, w: Window, is_all: bool) -> i64:
        """Whether there is enough evidence for the records that ``w`` stands at; UNKNOWN where it ends before.
        ``is_all``: it ends where nothing more may be read.
        """
        reader = RdbReader(w, checksum=False)
        reader.resume(self.dialect, self.version, 0, self.templates)
        findings = Findings()
        ins = Inspection(findings, seen=self.seen)  # a table for each place would take more time than all the rest
        ins.strict = True
        ample = self.effort.is_ample()
        last = self.effort.spent + self.effort.allowance()
        evidence: i64 = 0
        keys: i64 = 0
        self.weak_end = -1
        before_select: i64 = -1
        ends: i64 = 0
        passed: list[tuple[int, int, int]] = []
        nameless: i64 = 0
        while True:
            at = w.offset()
            if at == self.goal:
                self.run_keys = keys if before_select < 0 else before_select
                if keys and evidence >= ENOUGH_TO_END:
                    return YES
            known: i64 = self.dead.get(int(at), UNREAD)
            if known == UNFINISHED and not ample:
                return UNKNOWN
            if known >= STOPS:
                if known >= 0:
                    evidence += known >> 3
                    keys += known & 3
                    ends = known & 4
                break
            passed.append((int(at), int(evidence), int(keys)))
            self.effort.spent += 1
            if self.effort.spent > last:
                return self._unfinished(passed)
            try:
                event = self._next(reader, w)
                if isinstance(event, Frame):
                    w.need(1)
                    first: i64 = w.data[w.pos] if w.pos < w.end else 0
                    key_at = reader.key_offset - w.base
                    coded: i64 = w.data[key_at] if 0 <= key_at < w.end else 0
                    if event.type.since > self.version or (event.type.byte == MODULE and first != LONG):
                        break
                    of_this = of_key(event.key)
                    named = of_coded(of_this, coded)
                    if nameless >= 0 and keys > 0 and at >= self.within:
                        nameless = nameless + 1 if named < NUMBER else -1
                        if nameless == 2:
                            return NO  # it comes by chance to those that are known to stand there
                    is_weak = keys == 0 or self.weak_end >= 0
                    if is_weak and of_this < FIRST and swallows(event.key):
                        return NO
                    if keys == 0 and event.type.byte == 0 and first == 0:
                        return NO  # an empty string is little evidence for what is in front of it
                    if is_weak and not (is_usual(coded, event.key) and is_usual_payload(event.type, first)):
                        return NO
                    if not self._verify(event, ins, last - self.effort.spent):
                        return self._unfinished(passed)
            except InputError:
                raise
            except TruncatedError:
                if not is_all:
                    return UNKNOWN
                break
            except RdbToolError:
                break
            if event is None or isinstance(event, End):
                rest = self.pages.size - w.offset()
                if rest == 0 and (evidence >= A_LETTER or (keys == 0 and at >= self.barrier)):
                    self.runs_on = keys > 0
                    return YES
                if rest == 0:
                    ends = 4  # the end mark is one, and too little speaks for what leads to it
                    passed.pop()
                break
            if isinstance(event, Frame):
                bits: i64 = 0
                if findings.worst is Severity.ERROR:
                    break
                if not ins.empty:
                    size = w.offset() - event.value_offset
                    bits = named + of_value(event, first, size) + of_lead(event, self.has_access)
                    if (
                        keys == 0
                        and is_number(coded)
                        and first >= 6
                        and size == first + 1
                        and self.names.know(b"", coded)
                    ):
                        bits += of_key(w.data[w.pos - size + 1 : w.pos])  # a text that ends where it says
                if keys == 0 and bits + evidence < self.least:
                    if self.strong_only or bits + evidence < A_LETTER or self.least > self.first:
                        return NO
                    self.weak_end = w.offset()
                elif keys == 0 and named < self.first:
                    if self.strong_only:
                        return NO
                    # A name of odd bytes may be the last of a value, and the next name.
                    self.weak_end = event.value_offset
                keys += 1
                evidence += bits
            else:
                if before_select < 0 and isinstance(event, SelectDb):
                    before_select = keys
                bits = of_event(event)
                if keys == 0 and bits < LEAST:
                    return NO
                evidence += bits
            if evidence >= ENOUGH and keys >= 2 and w.offset() > self.barrier:
                self.runs_on = True
                return YES
        passes = at > self.barrier or known >= 0
        if (passes and evidence >= ENOUGH and keys >= 2) or (ends and evidence >= A_LETTER):
            self.runs_on = keys > 0
            return YES
        for offset, bits_before, keys_before in passed:
            rest = (evidence - bits_before) << 3 | ends | min(keys - keys_before, 3)
            self.dead[offset] = int(rest) if passes else STOPS
        return NO

    def _next(self, reader: RdbReader, w: Window) -> Event | None:
        """What comes next, of a value no more than its name. Raises what reading raises."""
        at = w.offset()
        try:
            event = reader.next()
        finally:
            self.effort.pass_over(w.offset() - at)
        if isinstance(event, Frame):
            self.effort.pass_over(len(event.key))  # it may have been packed
        return event

    def _unfinished(self, passed: list[tuple[int, int, int]]) -> i64:
        for offset, _, _ in passed:
            self.dead[offset] = UNFINISHED
        return UNKNOWN

    def _verify(self, frame: Frame, ins: Inspection, most: i64) -> bool:
        """Check a payload, if that takes no more steps than ``most``: they are counted. Raises what reading raises."""
        effort = self.effort
        w = frame.window()
        at = w.offset()
        in_a_row = is_in_a_row(frame.type)
        if in_a_row:
            ahead = w if w.source is None else self.pages.window(at, w.size)
            if not effort.walk(ahead, frame.type, most):
                return False
            w.pos = at - w.base
        ins.begin(0, frame.key)
        try:
            frame.type.verify(w, ins)
        finally:
            if not in_a_row:
                effort.look_at(w.offset() - at + ins.unpacked)
                ins.unpacked = 0
        return True

    def _behind_stored(self, place: i64) -> i64:
        """Where a search goes on behind a snapshot that is a value; -1 where what begins at ``place`` is none."""
        w = self.pages.window(place, self.pages.size)
        reader = RdbReader(w, checksum=False)
        reader.resume(self.dialect, self.version, 0, self.templates)
        passed: list[int] = []
        noted: i64 = -NOTED
        end: i64 = -1
        while True:
            at = w.offset()
            known = self.ends.get(int(at))
            if known is not None:
                end = known
                break
            if at >= noted + NOTED:
                passed.append(int(at))
                noted = at
            try:
                event = reader.next()
                if isinstance(event, Frame):
                    event.skip()
            except InputError:
                raise
            except RdbToolError:
                break
            if event is None or isinstance(event, End):
                end = w.offset()
                break
        for at in passed:
            self.ends[int(at)] = int(end)
        self.leads_to_end = end >= 0
        return -1 if end < 0 or ends_at(self.pages, end) else end
