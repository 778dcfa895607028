"""Find out what can be read of a damaged RDB.

Records are read and checked in step, as long as that goes. A value that is bad, but whose end is known, costs its key.
Where the stream breaks, `Search` looks for the place from which records run again, and the last records before the
break are judged once more: a wrong length shows only behind the value that has it.

- A record within which records run again that pass the break is the damaged one, and swallows them.
- Where nothing like the head of a record stands at the break, the value before may have ended too early, unless its
  own form proves its end.

The search goes on from the break and never goes back by more than a few records, so it takes time linear in the size.
"""

from __future__ import annotations

import re
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError, InputError, RdbToolError, TruncatedError
from rdbtool.findings import Finding, Findings, Severity
from rdbtool.io.random_access import PAGE, Pages
from rdbtool.io.window import Window, window_over
from rdbtool.rdb import opcodes
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa, Header, ResizeDb, SelectDb
from rdbtool.rdb.functions import check_library
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.primitives import read_string
from rdbtool.rdb.magic import CAPTURE_HEAD, capture_in
from rdbtool.rdb.reader import Frame, RdbReader
from rdbtool.rdb.types import TABLE, TypeRow
from rdbtool.servers.releases import MAX_RDB_VERSION, writer_of

from .evidence import FIRST, LEAST, OPCODES, is_opcode_of_key, is_time, of_event, of_key, of_name, one_bit_apart
from .salvaged import IN_A_ROW, IN_STEP, TO_THE_END, Lost, Part, Run, Salvaged
from .search import Search, ends_at

SUSPECTS: Final[i64] = 8
"""Records before a break that are judged once more."""
PROVEN: Final[i64] = 48
"""Evidence behind a record for which its end is believed."""
NEAR: Final[i64] = 32
"""Bytes within which what stands in front of a key may belong to it: its expiry, its access times."""
TORN: Final = 12
"""Bytes that may have been put in between a record and the name of the next."""
TAIL: Final[i64] = 6
"""Bytes at the end of a value that tell whether it is text."""
A_NAME: Final[i64] = 5
"""Evidence in a name of one letter."""
ZEROS: Final = bytes(16)
"""A run of zeros that a file system or a disk puts in the place of what it lost."""
MISCOUNTED: Final = "stream-count"
"""The finding of a stream whose entries can be had, although their count is wrong."""
WRITER: Final = re.compile(rb"\xfa[\x09\x0a]((?:redis|valkey)-ver)[\x01-\x0c]([0-9.]+)")
MAGIC: Final = re.compile(rb"REDIS00(?:0[1-9]|1[0-9])|VALKEY0[89][0-9]")
HEADS_SEARCHED: Final = 1 << 16
"""Bytes in which a field is looked for that tells the server, where the header is lost."""


@final
class Suspect:
    """A record before a break: where it begins and ends, its key, the evidence in that, whether its end is proven, and
    whether it is a string.
    """

    def __init__(self, start: i64, end: i64, key: bytes | None, evidence: i64, proven: bool, is_string: bool) -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.key = key
        self.evidence: i64 = evidence
        self.proven = proven
        self.is_string = is_string


@final
class Salvager:
    """Goes through an open file. `run` gives what was found. ``partial``: also what can be read of bad collections."""

    def __init__(self, pages: Pages, *, partial: bool = False) -> None:
        self.pages = pages
        self.partial = partial
        self.size: i64 = pages.size
        self.result = Salvaged(pages.path, pages.size)
        self.table: list[TypeRow | None] = TABLE[opcodes.REDIS]
        self.libraries: set[bytes] = set()
        self.broke_at: i64 = -1
        self.end_at: i64 = -1
        """Behind an end mark with which the file does not end."""
        self.why = ""
        self.code = ""
        self.key: bytes | None = None
        self.newest: i64 = 1
        self.starts: list[int] = []
        """Where the last records begin."""
        self.is_lfu = False
        self.is_lru = False

    def run(self) -> Salvaged:
        """Find what can be read. Raises `InputError`."""
        result = self.result
        run = self._head()
        while run is not None:
            result.runs.append(run)
            if self._follow(run):
                break
            run = self._behind(run)
        self._databases()
        if result.headless:
            result.version = max(self.newest, 9) if result.dialect == opcodes.REDIS else max(self.newest, 80)
        return result

    def _head(self) -> Run | None:
        """The run that begins with the header, or where that is lost the first that is found."""
        result = self.result
        head = self.pages.take(0, min(self.size, CAPTURE_HEAD))
        capture = capture_in(head)
        at: i64 = 0 if capture is None else capture[0]
        if not self._header_at(at):
            self._guess_dialect()
            found = self._magic()
            search = self._search()
            run_at = search.find(0, self.size if found < 0 else found, 0)
            if run_at < 0 and found >= 0 and self._header_at(found):
                at = found
                self._lose(0, at, "leading-bytes", "the snapshot begins behind them")
            else:
                result.headless = True
                self.code = "header"
                self.why = "the header is damaged"
                if run_at < 0:
                    self._lose(0, self.size, "not-rdb", "no records of an RDB can be found")
                    return None
                self._lose(0, run_at, "header", "the header, which says what the file is, is damaged")
                return self._guessed(run_at, 0, search)
        result.start = at
        return Run(at + 9, 0, IN_STEP)

    def _header_at(self, at: i64) -> bool:
        """Read the header at ``at``; whether there is one that can be believed."""
        w = self.pages.window(at, self.size)
        reader = RdbReader(w, checksum=False)
        try:
            event = reader.next()
        except InputError:
            raise
        except RdbToolError:
            return False
        if not isinstance(event, Header):
            return False
        self.result.dialect = event.dialect
        self.result.version = event.version
        self.table = TABLE[event.dialect]
        return True

    def _magic(self) -> i64:
        """Where the first header stands; -1 for none."""
        at: i64 = 0
        while at < self.size:
            page = self.pages.take(at, min(1 << 17, self.size - at))
            found = MAGIC.search(page)
            if found is not None:
                return at + found.start()
            if at + len(page) >= self.size:
                return -1
            at += len(page) - 16
        return -1

    def _guess_dialect(self) -> None:
        """Tell from the first fields what wrote the file."""
        result = self.result
        head = self.pages.take(0, min(self.size, HEADS_SEARCHED))
        found = WRITER.search(head)
        release = None if found is None else writer_of({found.group(1): found.group(2)})
        if release is not None:
            result.dialect = release.dialect
            self.newest = release.rdb_version
        elif head[:5] == b"VALKE" or head[1:6] == b"ALKEY":
            result.dialect = opcodes.VALKEY
        digits = head[5:9] if result.dialect == opcodes.REDIS else head[6:9]
        if digits.isdigit() and 0 < int(digits) <= MAX_RDB_VERSION[result.dialect]:
            self.newest = max(self.newest, int(digits))
        result.version = self.newest if self.newest > 1 else MAX_RDB_VERSION[result.dialect]
        self.table = TABLE[result.dialect]

    def _search(self) -> Search:
        search = Search(self.pages, self.result.dialect, self.result.version)
        search.is_lfu = self.is_lfu
        search.is_lru = self.is_lru
        return search

    def _guessed(self, at: i64, db: i64, search: Search) -> Run:
        return Run(at, db, TO_THE_END if search.leads_to_end else IN_A_ROW)

    # Reading in step.

    def _follow(self, run: Run) -> bool:
        """Read on from where ``run`` begins; whether that led to the end mark. Else ``broke_at`` and ``why`` say
        where it ended.
        """
        result = self.result
        is_first = not run.is_guessed
        w = self.pages.window(result.start if is_first else run.start, self.size)
        reader = RdbReader(w, checksum=is_first)
        if is_first:
            reader.next()
        else:
            reader.resume(result.dialect, result.version, run.db)
        findings = Findings()
        ins = Inspection(findings)
        starts: list[int] = []
        self.starts = starts
        part = run.parts[-1]
        db = run.db
        while True:
            at = w.offset()
            run.end = at
            try:
                event = reader.next()
                if isinstance(event, Frame):
                    ins.begin(db, event.key)
                    event.type.verify(event.window(), ins)
            except InputError:
                raise
            except RdbToolError as e:
                self.broke_at = at
                self.code = e.code
                self.why = e.message
                self.key = e.key
                if reader.ended:
                    break  # the end mark is there, and the checksum is not
                return False
            starts.append(int(at))
            if len(starts) > SUSPECTS:
                del starts[0]
            if isinstance(event, Frame):
                part.keys += 1
                self.newest = max(self.newest, event.type.since)
                if event.freq >= 0:
                    self.is_lfu = True
                elif event.idle_s >= 0:
                    self.is_lru = True
                if event.type.byte == 0:
                    result.plain += 1
                if findings.items:
                    self._bad_value(event, at, w.offset(), findings)
                    findings = Findings()
                    ins.findings = findings
            elif isinstance(event, SelectDb):
                db = event.db
                part = Part(at, db)
                run.parts.append(part)
            elif isinstance(event, ResizeDb):
                self._resize(event, part, at, w.offset())
            elif isinstance(event, (Function, FunctionPreGa)):
                self._library(event, at, w.offset())
            elif event is None or isinstance(event, End):
                if isinstance(event, End) and is_first:
                    result.checksum = event.checksum
                break
        if result.checksum != "ok" and not ends_at(self.pages, w.offset()):
            self.broke_at = at
            self.code = "end-mark"
            self.why = "an end mark, and the file goes on"
            self.key = None
            self.end_at = w.offset()
            return False
        result.complete = True
        if not w.at_end():
            result.tail = w.offset()
        return True

    def _resize(self, event: ResizeDb, part: Part, at: i64, end: i64) -> None:
        if event.keys > self.size or event.expires > event.keys:
            lost = self._lose(at, end, "size-hint", "the size that is announced for a database is wrong")
            lost.in_step = True
            return
        part.said = event.keys

    def _library(self, event: Event, at: i64, end: i64) -> None:
        """Leave out a function library that servers refuse."""
        if not isinstance(event, Function):
            return
        found = Findings()
        check_library(event, self.libraries, Inspection(found))
        if found.worst is Severity.ERROR:
            self._lose(at, end, "function-library", found.of(Severity.ERROR)[0].message)

    def _bad_value(self, frame: Frame, at: i64, end: i64, findings: Findings) -> None:
        if findings.worst is not Severity.ERROR:
            return
        errors = findings.of(Severity.ERROR)
        worst: Finding | None = None
        for error in errors:
            if error.code != MISCOUNTED:
                worst = error
                break
        if worst is None:
            self.result.miscounted += 1
            return
        lost = Lost(at, end, worst.code, f"{frame.type.redis_type}: {worst.message}", in_step=True)
        lost.keys.append(frame.key)
        self.result.lost.append(lost)

    def _lose(self, start: i64, end: i64, code: str, message: str) -> Lost:
        lost = Lost(start, end, code, message, in_step=False)
        self.result.lost.append(lost)
        return lost

    # What a break means.

    def _behind(self, run: Run) -> Run | None:
        """The run behind the break at which ``run`` ended, and what is lost between them; None where none is."""
        at = self.broke_at
        suspects = [self._suspect(start) for start in self.starts]
        first = len(suspects)
        evidence: i64 = 0
        while first > 0 and evidence < PROVEN:
            first -= 1
            evidence += suspects[first].evidence
        begin = suspects[first].start + 1 if first < len(suspects) else at + 1
        search = self._search()
        place = search.find(begin, self.size, at)
        is_weak = place < 0
        if is_weak:  # perhaps no name in the file is one that tells much
            search.first = 0
            place = search.find(begin, self.size, at)
        if place < 0 and self.code == "end-mark":
            self.result.complete = True
            self.result.tail = self.end_at
            return None
        cut = self._cut(suspects, at, place)
        dropped = [suspect for suspect in suspects if suspect.start >= cut and suspect.key is not None]
        self._shorten(run, cut, len(dropped))
        if run.parts[-1].keys == 0:
            run.parts[-1].said = -1  # what stands right before damage is not to be relied on
        end = self.size if place < 0 else place
        lost = self._lose(cut, end, self.code, self.why)
        for suspect in dropped:
            if suspect.key is not None:
                lost.keys.append(suspect.key)
        self._name_lost(lost)
        if place < 0:
            return None
        behind = self._guessed(place, run.parts[-1].db, search)
        self._database_in(lost, behind)
        if (is_weak and search.runs_on) or self._may_lack(cut, at, place, bool(suspects) and suspects[-1].key is None):
            self._pass_first(behind, lost)
        return behind

    def _suspect(self, start: int) -> Suspect:
        """The record at ``start``, which was read before."""
        w = self.pages.window(start, self.size)
        reader = self._reader(w)
        event = reader.next()
        if not isinstance(event, Frame):
            return Suspect(start, w.offset(), None, 0 if event is None else of_event(event), False, False)
        w.need(1)
        coded: i64 = w.data[w.pos] if w.pos < w.end else 0
        at = reader.key_offset
        evidence = of_name(event.key, self.pages.byte(at))
        reader.skip_payload(event)
        row = event.type
        one_blob = row.empty_at == 11 or row.name in {"hash-listpack", "zset-listpack", "set-listpack", "set-intset"}
        proven = (one_blob and row.byte != 14) or (row.byte == 0 and coded == 0xC3)
        return Suspect(start, w.offset(), event.key, evidence, proven, row.byte == 0)

    def _reader(self, w: Window) -> RdbReader:
        reader = RdbReader(w, checksum=False)
        reader.resume(self.result.dialect, self.result.version, 0)
        return reader

    def _cut(self, suspects: list[Suspect], at: i64, place: i64) -> i64:
        """Up to where the run that broke at ``at`` is believed; records run again from ``place`` on."""
        if 0 <= place < at:
            for suspect in reversed(suspects):
                if suspect.start < place:
                    return suspect.start
        if at >= self.size:
            return at
        zeros = self._zeros_from(at)
        if zeros < 0 and (self._is_head(at, place < 0) or self._is_explained(at, place)):
            return at
        if suspects and suspects[-1].is_string and (self._is_torn(at, place) or self._ends_text(suspects[-1], place)):
            return at
        for suspect in reversed(suspects):
            if suspect.proven or (suspect.key is None and suspect.evidence >= LEAST) or suspect.end <= zeros:
                break
            at = suspect.start
            if suspect.evidence >= FIRST and zeros < 0:
                break
        return at

    def _zeros_from(self, at: i64) -> i64:
        """Where the zeros begin in the midst of which ``at`` is; -1 where it is not."""
        if self.pages.take(at, 4) != bytes(4):
            return -1
        while at > 0:
            first = max(0, at - PAGE)
            before = self.pages.take(first, at - first)
            kept: i64 = len(before.rstrip(b"\0"))
            if kept:
                return first + kept
            at = first
        return 0

    def _is_head(self, at: i64, is_cut: bool = False) -> bool:
        """Whether the head of a record stands at ``at``: what may come before a type, a type, and a name.

        ``is_cut``: nothing can be read behind it; then an end of the file within its value speaks for it, too.
        """
        w = self.pages.window(at, self.size)
        byte = self._type_behind_opcodes(w)
        first = self.pages.byte(at)
        if byte < 0 or first == opcodes.EXPIRE_MS or (first == opcodes.EXPIRE_S and self.result.version < 3):
            return True
        if byte >= opcodes.LOWEST:
            return self._is_special_head(at)
        if self.table[byte] is None:
            return False
        begin = self.pages.take(w.offset(), min(5, self.size - w.offset()))
        if begin[:1] == b"\0":
            begin = self.pages.take(w.offset() + 1, min(5, self.size - w.offset() - 1))  # the value of the empty name
        if len(begin) == 5 and 5 <= begin[0] < 64 and of_key(begin[1:]) >= FIRST:
            return True  # so begins a name, whatever is wrong with the rest of it
        try:
            return of_key(read_string(w)) >= A_NAME or (is_cut and self.code == "truncated")
        except TruncatedError:
            rest = self.pages.take(w.offset(), min(16, self.size - w.offset()))
            return of_key(rest) >= A_NAME or not rest
        except FormatError:
            return False

    def _is_special_head(self, at: i64) -> bool:
        """Whether something other than a key seems to begin at ``at``."""
        head = self.pages.take(at, 3)
        if head[0] == opcodes.SELECT_DB:
            return head[1:2] < b"\x10"
        if head[0] in {opcodes.AUX, opcodes.FUNCTION}:
            return True
        return head[0] == opcodes.EOF and self.size - at <= 9

    def _type_behind_opcodes(self, w: Window) -> i64:
        """Pass what may stand in front of a type, and the type; it, another opcode, or -1 where the file ends."""
        try:
            while True:
                byte = w.u8()
                if byte == opcodes.EXPIRE_MS:
                    w.skip(8)
                elif byte == opcodes.EXPIRE_S:
                    w.skip(4)
                elif byte in {opcodes.FREQ, opcodes.IDLE}:
                    w.skip(1)
                else:
                    return byte
        except TruncatedError:
            w.pos = w.end
            return -1

    def _is_explained(self, at: i64, place: i64) -> bool:
        """Whether another type, or one bit of the length of the name, makes a record of bytes ``at`` to ``place``."""
        if place < 0 or place - at > 1 << 20 or place - at < 3:
            return False
        data = self.pages.take(at, place - at)
        if self.pages.byte(place) == opcodes.RESIZE_DB and one_bit_apart(data[0], opcodes.SELECT_DB):
            return True
        for opcode in OPCODES:
            w = window_over(bytes((opcode,)) + data[1:])
            byte = self._type_behind_opcodes(w)
            if 0 <= byte < opcodes.LOWEST and opcode != data[0]:
                row = self.table[byte]
                if row is not None and self._fits(data, w.pos - 1, row):
                    return True
        w = window_over(data)
        if is_opcode_of_key(data[0]):
            if self._type_behind_opcodes(w) < 0:
                return False
            w.pos -= 1
        pos = w.pos
        for row in self.table:
            if row is not None and self._fits(data, pos, row):
                return True
        row = self.table[data[pos]] if data[pos] < opcodes.LOWEST else None
        if row is None or pos + 1 >= len(data):
            return False
        for bit in range(8):
            other = data[: pos + 1] + bytes((data[pos + 1] ^ (1 << bit),)) + data[pos + 2 :]
            if self._fits(other, pos, row):
                return True
        return False

    def _ends_text(self, suspect: Suspect, place: i64) -> bool:
        """Whether the value of ``suspect`` ends as its length says: where text ends and a type follows, or behind a
        number that no other form of it brings up to ``place``.
        """
        byte = self.pages.byte(suspect.end)
        if byte >= 32 or byte in {9, 10, 13} or self.table[byte] is None:
            return False
        tail = self.pages.take(suspect.end - TAIL, TAIL)
        if suspect.end - suspect.start > 2 * TAIL and of_key(tail) >= 2 + 3 * TAIL:
            return True
        return 0xC0 <= tail[-2] <= 0xC1 and place > suspect.end + 4

    def _is_torn(self, at: i64, place: i64) -> bool:
        """Whether bytes ``at`` to ``place`` end in a name and a value, a few bytes behind their beginning: then
        something was put in there. Of the elements of a collection the same could be said.
        """
        if place < 0 or place - at > 1 << 20:
            return False
        data = self.pages.take(at, place - at)
        for pos in range(min(TORN, len(data) - 3)):
            if not of_key(data[pos + 2 : pos + 5]) >= A_NAME:
                continue
            for row in self.table:
                if row is not None and self._fits(data, pos, row):
                    return True
        return False

    def _fits(self, data: bytes, pos: i64, row: TypeRow) -> bool:
        """Whether a name and a value of that type fill the bytes behind ``pos``."""
        w = window_over(data)
        w.pos = pos + 1
        try:
            if of_key(read_string(w)) < FIRST:
                return False
            row.skip(w)
        except RdbToolError:
            return False
        return w.at_end()

    def _may_lack(self, cut: i64, at: i64, place: i64, behind_other: bool) -> bool:
        """Whether the record at ``place`` may lack what stood in front of it, in the bytes that are lost;
        ``behind_other``: what stands before them is no key.
        """
        byte = self.pages.byte(place)
        if byte >= opcodes.LOWEST and not is_opcode_of_key(byte):
            return False
        first = max(cut, place - 24)
        near = self.pages.take(first, place - first)
        n: i64 = len(near)
        if n >= 9 and is_time(near[n - 8 :]) and one_bit_apart(near[n - 9], opcodes.EXPIRE_MS):
            return True
        if n >= 5 and self.result.version < 3 and one_bit_apart(near[n - 5], opcodes.EXPIRE_S):
            return True
        if n >= 2 and (self.is_lfu or self.is_lru) and byte < opcodes.LOWEST:
            return True
        if ZEROS in near and (near.endswith(b"\0\0") or self.result.version < 3):
            return True
        if behind_other and cut == at:
            return False
        if at <= place <= at + NEAR and cut == at and not self._is_head(at) and not self._follows_bad(at):
            return not self._is_explained(at, place) and not self._is_torn(at, place)
        return place - cut <= 18 and is_opcode_of_key(self.pages.byte(cut)) and not self._is_explained(cut, place)

    def _follows_bad(self, at: i64) -> bool:
        """Whether the value in front of ``at`` is bad: then the damage is there."""
        lost = self.result.lost
        return any(hole.end == at for hole in lost[-2:])

    def _pass_first(self, run: Run, lost: Lost) -> None:
        """Let ``run`` begin behind its first record."""
        w = self.pages.window(run.start, self.size)
        reader = self._reader(w)
        event = reader.next()
        if isinstance(event, Frame):
            reader.skip_payload(event)
            lost.keys.append(event.key)
            lost.end = w.offset()
            run.start = run.end = run.parts[0].start = w.offset()

    def _shorten(self, run: Run, cut: i64, keys: i64) -> None:
        """Let ``run`` end at ``cut``, which leaves out its last ``keys`` keys."""
        run.end = cut
        while len(run.parts) > 1 and run.parts[-1].start >= cut:
            keys -= run.parts.pop().keys
        run.parts[-1].keys -= max(keys, 0)
        lost = self.result.lost
        while lost and lost[-1].start >= cut:
            lost.pop()

    def _name_lost(self, lost: Lost) -> None:
        """Note the name of the record at which reading broke, if it can be read."""
        if self.key is not None and of_key(self.key) >= FIRST and self.key not in lost.keys:
            lost.keys.append(self.key)

    # Databases.

    def _database_in(self, lost: Lost, run: Run) -> None:
        """Find the number of the database that ``run`` begins in, where a SELECTDB stands in what is lost."""
        part = run.parts[0]
        near = self.pages.take(max(lost.start, run.start - 2), 2)
        chosen = any(len(earlier.parts) > 1 for earlier in self.result.runs)
        if self.pages.byte(run.start) == opcodes.RESIZE_DB:
            last = self.result.runs[-1].parts[-1]
            if last.start >= 0 and last.keys == 0 and last.said < 0 and chosen:
                return  # the SELECTDB that it belongs to was read
            run.sure_of_db = len(near) == 2 and one_bit_apart(near[0], opcodes.SELECT_DB) and near[1] < 64
            if run.sure_of_db:
                run.db = near[1]
            elif chosen:
                run.db += 1
            part.db = run.db
            return
        data = self.pages.take(lost.start, min(lost.end - lost.start, 1 << 20))
        for found in re.finditer(rb"\xfe([\x00-\x3f])\xfb[\x00-\xbf]", data):
            db = found.group(1)[0]
            if db > run.db or not chosen:
                run.db = part.db = db

    def _databases(self) -> None:
        """Settle in which database runs begin whose SELECTDB may be lost."""
        counts: dict[int, int] = {}
        said: dict[int, int] = {}
        before: i64 = 0
        for run in self.result.runs:
            part = run.parts[0]
            if run.is_guessed and run.db <= before and part.keys:
                hint = said.get(int(before), -1)
                if hint < 0:
                    run.sure_of_db = False
                elif counts.get(int(before), 0) + part.keys > hint:
                    run.db = part.db = before + 1
                    run.sure_of_db = False
            for part in run.parts:
                counts[int(part.db)] = counts.get(int(part.db), 0) + int(part.keys)
                if part.said >= 0:
                    said[int(part.db)] = int(part.said)
                before = part.db
