"""What a break means: which of the last records before it is the damaged one, and whether the first one behind it is
whole.
"""

from __future__ import annotations

import re
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError, InputError, RdbToolError, TruncatedError
from rdbtool.findings import Findings, Severity
from rdbtool.io.random_access import PAGE, Pages
from rdbtool.io.window import Window, window_over
from rdbtool.rdb import opcodes
from rdbtool.rdb.events import SelectDb
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.primitives import read_string
from rdbtool.rdb.layout.templates import Template
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.types import TABLE, TypeRow

from .evidence import FIRST, LEAST, NUMBER, OPCODES, is_opcode_of_key, is_time, of_event, of_key, of_name, one_bit_apart
from .lengths import LZF_MOST, PACKED, end_of_string, is_usual_payload, type_behind_opcodes

NOTHING: Final[i64] = 0
AN_EXPIRY: Final[i64] = 1
MORE: Final[i64] = 2
"""What a record may lack: see `Judge.may_lack`."""
PROVEN: Final[i64] = 48
"""Evidence behind a record for which its end is believed."""
TORN: Final = 12
"""Bytes that may have been put in between a record and the name of the next."""
LONGEST_NAME: Final[i64] = 1 << 10
"""Bytes up to which other lengths of a name are tried."""
NEAR: Final[i64] = 80
"""Bytes of a record in which zeros are looked for that a file system or a disk puts in the place of what it lost."""
LONG_NAME: Final = 0x48
A_TEXT: Final = 12
"""Evidence that only printable text has."""
TAIL: Final[i64] = 6
"""Bytes at the end of a value that tell whether it is text."""
A_NAME: Final[i64] = 5
"""Evidence in a name of one letter."""
FIELDS: Final = frozenset(
    {
        *(b"redis-ver", b"valkey-ver", b"redis-bits", b"ctime", b"used-mem", b"aof-preamble", b"aof-base", b"lua"),
        *(b"repl-stream-db", b"repl-id", b"repl-offset", b"slot-info"),
    }
)
"""Auxiliary fields that servers write (rdb.c: rdbSaveInfoAuxFields)."""
ZEROS: Final = bytes(16)
"""A run of zeros that a file system or a disk puts in the place of what it lost."""
CONTAINERS: Final = (1, 2)
"""What a node of a quicklist begins with: a number that says how its elements stand."""
LONGEST: Final[i64] = 1 << 20
"""Bytes of a damaged record that are tried to be explained."""
EXPIRIES: Final = bytes((opcodes.EXPIRE_MS, opcodes.EXPIRE_S))
_TIME_END: Final = re.compile(rb"[\x01-\x07]\0\0\Z")
"""The end of a time in ms of this century."""
_TEXT: Final = re.compile(rb"[\t\n\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character of a text in UTF-8."""


@final
class Suspect:
    """A record before a break: where it begins and ends, its key, the evidence in that, whether its end is proven, and
    whether it is a string; of a string, ``key_at`` and ``value_at`` are where its name and its value begin.
    """

    def __init__(self, start: i64, end: i64, key: bytes | None, evidence: i64, proven: bool, is_string: bool) -> None:
        self.start: i64 = start
        self.end: i64 = end
        self.key = key
        self.evidence: i64 = evidence
        self.proven = proven
        self.is_string = is_string
        self.key_at: i64 = start
        self.value_at: i64 = start


@final
class Break:
    """A break at ``at``, with the error's ``code``; ``place``: from where records run again, -1 for nowhere.

    ``suspects``: the last records before it, in order; ``bad``: where those end whose values are known to be damaged.
    """

    def __init__(self, at: i64, code: str, place: i64, suspects: list[Suspect], bad: set[int]) -> None:
        self.at: i64 = at
        self.code = code
        self.place: i64 = place
        self.suspects = suspects
        self.bad = bad


@final
class Judge:
    """Judges breaks in an open file. ``has_access``: keys have access times or frequencies in front of them;
    ``has_expiry``: there are keys with an expiry.
    """

    def __init__(self, pages: Pages, dialect: i64, version: i64) -> None:
        self.pages = pages
        self.size: i64 = pages.size
        self.dialect: i64 = dialect
        self.version: i64 = version
        self.table = TABLE[dialect]
        self.has_access = False
        self.has_expiry = False
        self.templates: dict[bytes, Template] = {}

    def reader(self, w: Window) -> RdbReader:
        """A reader of records from the position of ``w`` on."""
        reader = RdbReader(w, checksum=False)
        reader.resume(self.dialect, self.version, 0, self.templates)
        return reader

    def suspect(self, start: int) -> Suspect:
        """The record at ``start``, which was read before."""
        w = self.pages.window(start, self.size)
        reader = self.reader(w)
        event = reader.next()
        if not isinstance(event, Frame):
            evidence = 0 if event is None else of_event(event)
            if isinstance(event, SelectDb) and self.version >= opcodes.RESIZE_DB_SINCE:
                evidence = evidence if self.pages.byte(w.offset()) == opcodes.RESIZE_DB else 0
            return Suspect(start, w.offset(), None, evidence, False, False)
        w.need(1)
        coded: i64 = w.data[w.pos] if w.pos < w.end else 0
        at = reader.key_offset
        evidence = of_name(event.key, self.pages.byte(at)) if is_usual_payload(event.type, coded) else 0
        event.skip()
        row = event.type
        one_blob = row.empty_at == 11 or row.name in {"hash-listpack", "zset-listpack", "set-listpack", "set-intset"}
        proven = (one_blob and row.byte != 14) or (row.byte == 0 and coded == PACKED)
        if row.name == "list-quicklist2":
            proven = self.pages.byte(w.offset()) not in CONTAINERS  # no further node of it follows
        suspect = Suspect(start, w.offset(), event.key, evidence, proven, row.byte == 0)
        suspect.key_at = at
        suspect.value_at = event.value_offset
        return suspect

    def cut(self, broken: Break) -> i64:
        """Up to where the records before a break are believed."""
        suspects = broken.suspects
        at = broken.at
        place = broken.place
        is_within = 0 <= place < at
        if is_within:
            suspects = [suspect for suspect in suspects if suspect.end <= place]
            at = min([suspect.start for suspect in broken.suspects if suspect.end > place], default=at)
        # First what next to nothing speaks for: a key without a name, as zeros are, or with a name like noise where
        # others have better ones; the number of a database where there is none.
        suspects = list(suspects)
        usual = sorted([suspect.evidence for suspect in suspects])[len(suspects) // 2] if suspects else FIRST
        least = A_NAME if usual >= FIRST else 1
        while suspects and suspects[-1].evidence < (LEAST if suspects[-1].key is None else least):
            if self._ends_for_sure(suspects[-1]):
                break
            at = suspects.pop().start
        behind = 0
        for number in range(len(suspects) - 1, -1, -1):
            suspect = suspects[number]
            if suspect.end in broken.bad and behind < PROVEN:
                # Its end is as doubtful as its value, and so is what follows.
                before = suspects[number - 1] if number else suspect
                return suspect.end if before.evidence else before.start
            behind += suspect.evidence
        if is_within or at >= self.size:
            return at
        zeros = self._zeros_from(at)
        if zeros < 0 and (self._is_head(at, place < 0 and broken.code == "truncated") or self._is_explained(at, place)):
            return at
        if suspects and suspects[-1].is_string and (self._is_torn(at, place) or self._ends_text(suspects[-1], place)):
            return at
        if zeros < 0 and self.table[self.pages.byte(at)] is not None and suspects and suspects[-1].end == at:
            last = suspects[-1]
            zeroed = ZEROS in self.pages.take(at, min(NEAR, self.size - at))
            if self._cannot_be_longer(last, place) if last.is_string else zeroed:
                return at
        for suspect in reversed(suspects):
            if suspect.proven or suspect.key is None or suspect.end <= zeros:
                break
            at = suspect.start
            if suspect.evidence >= min(FIRST, usual) and zeros < 0:
                break
        return at

    def _ends_for_sure(self, suspect: Suspect) -> bool:
        """Whether a record whose name tells next to nothing ends as it says: where the head of another begins, with a
        name that tells much, or where zeros begin.
        """
        if suspect.key is None or suspect.value_at == suspect.start:
            return False
        size = suspect.end - suspect.value_at
        tail = self.pages.take(suspect.end - min(size, TAIL), min(size, TAIL))
        if suspect.evidence < NUMBER and not (suspect.is_string and size > TAIL and of_key(tail) >= 2 + 3 * TAIL):
            return False
        if self.pages.take(suspect.end, len(ZEROS)) == ZEROS:
            return not tail.endswith(b"\0")
        w = self.pages.window(suspect.end, self.size)
        byte = type_behind_opcodes(w)
        return 0 <= byte < opcodes.LOWEST and self.table[byte] is not None and self._begins_name(w)

    def _cannot_be_longer(self, suspect: Suspect, place: i64) -> bool:
        """Whether no other byte in place of one that says how long the string ``suspect``, or its name, is brings it to
        ``place``, from where on records run again; -1: to where the file ends. Nor were a few bytes put in, or taken
        out, so that its end is that of the record behind it.
        """
        if 0 <= place <= suspect.end + TORN:
            return False
        for begin in range(max(suspect.value_at, suspect.end - TORN), suspect.end):
            if self._leads_to(begin, place if place >= 0 else self.size):
                return False
        ends = {int(place)} if place >= 0 else {int(self.size), int(self.size) - 1, int(self.size) - 9}
        for at in (suspect.value_at, suspect.value_at + 1, suspect.key_at, suspect.key_at + 1):
            was = self.pages.byte(at)
            if at in {suspect.value_at + 1, suspect.key_at + 1} and not 0x40 <= self.pages.byte(at - 1) < 0x80:
                continue
            is_name = at < suspect.value_at
            base = suspect.key_at if is_name else suspect.value_at
            head = self.pages.take(base, min(LONGEST_NAME, self.size - base))
            pos = at - base
            for byte in range(256):
                if byte == was:
                    continue
                changed = head[:pos] + bytes((byte,)) + head[pos + 1 :]
                end = end_of_string(changed, 0)
                if is_name:
                    end = end_of_string(changed, end) if 0 <= end < len(changed) else -1
                if end >= 0 and int(base + end) in ends:
                    return False
        return True

    def _leads_to(self, begin: i64, end: i64) -> bool:
        """Whether records, whatever their names are, run from ``begin`` to ``end``."""
        w = self.pages.window(begin, self.size)
        reader = self.reader(w)
        try:
            while w.offset() < end:
                event = reader.next()
                if event is None:
                    break
                if isinstance(event, Frame):
                    event.skip()
        except InputError:
            raise
        except RdbToolError:
            return False
        return w.offset() == end

    def _is_field(self, place: i64) -> bool:
        """Whether the string at ``place`` has the name of a field that servers write in front of all keys."""
        try:
            return read_string(self.pages.window(place + 1, self.size)) in FIELDS
        except FormatError:
            return False

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

        ``is_cut``: the file ends within its value, and nothing can be read behind it.
        """
        w = self.pages.window(at, self.size)
        byte = type_behind_opcodes(w)
        first = self.pages.byte(at)
        if byte < 0 or first == opcodes.EXPIRE_MS or (first == opcodes.EXPIRE_S and self.version < 3):
            return True
        if byte >= opcodes.LOWEST:
            return self._is_special_head(at) or (is_cut and byte != opcodes.EOF)
        if self.table[byte] is None:
            return False
        if is_cut or (self.has_access and first in {opcodes.FREQ, opcodes.IDLE}):
            return True
        if self._begins_name(w):
            return True
        begin = self.pages.take(w.offset(), min(5, self.size - w.offset()))
        if begin[:1] == b"\0":
            begin = self.pages.take(w.offset() + 1, min(5, self.size - w.offset() - 1))  # the value of the empty name
        if len(begin) == 5 and 5 <= begin[0] < 64 and of_key(begin[1:]) >= FIRST:
            return True  # so begins a name, whatever is wrong with the rest of it
        try:
            return of_key(read_string(w)) >= A_NAME
        except TruncatedError:
            rest = self.pages.take(w.offset(), min(16, self.size - w.offset()))
            return of_key(rest) >= A_NAME or not rest
        except FormatError:
            return False

    def _begins_name(self, w: Window) -> bool:
        """Whether what stands at the position of ``w`` begins like a name that tells much: text, or LZF."""
        begin = self.pages.take(w.offset(), min(32, self.size - w.offset()))
        if len(begin) < 6:
            return False
        if begin[0] == PACKED:
            packed, size = begin[1], (begin[2] & 0x3F) << 8 | begin[3] if begin[2] & 0x40 else begin[2]
            return 4 < packed < 0x40 and begin[2] < 0x80 and packed < size <= packed * LZF_MOST
        if 0x40 <= begin[0] < LONG_NAME:  # most letters would be lengths of two bytes, too
            return len(begin) == 32 and of_key(begin[2:]) > A_TEXT
        return 5 <= begin[0] < 0x40 and of_key(begin[1:5]) >= FIRST

    def _is_special_head(self, at: i64) -> bool:
        """Whether something other than a key seems to begin at ``at``."""
        head = self.pages.take(at, 3)
        if head[0] == opcodes.SELECT_DB:
            return head[1:2] < b"\x10"
        if head[0] in {opcodes.AUX, opcodes.FUNCTION}:
            return True
        if head[0] == opcodes.MODULE_AUX:
            return head[1:2] == b"\x81"  # the long number that is the name of its module
        if head[0] == opcodes.SLOT_INFO and self.dialect == opcodes.REDIS:
            return head[1:2] < b"\x80"
        return head[0] == opcodes.EOF and self.size - at <= 9

    def _is_explained(self, at: i64, place: i64) -> bool:
        """Whether another type, or one bit of the length of the name, makes a record of bytes ``at`` to ``place``."""
        if place < 0 or place - at > LONGEST or place - at < 3:
            return False
        data = self.pages.take(at, place - at)
        if self.pages.byte(place) == opcodes.RESIZE_DB and one_bit_apart(data[0], opcodes.SELECT_DB):
            return True
        if place - at == 9 and is_time(data[1:]):
            return True  # the expiry of the key behind it
        for opcode in OPCODES:
            w = window_over(bytes((opcode,)) + data[1:])
            byte = type_behind_opcodes(w)
            if 0 <= byte < opcodes.LOWEST and opcode != data[0]:
                row = self.table[byte]
                if row is not None and self._fits(data, w.pos - 1, row):
                    return True
        w = window_over(data)
        if is_opcode_of_key(data[0]):
            if type_behind_opcodes(w) < 0:
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
        """Whether the value of ``suspect`` ends as its length says: where text ends and no text follows, or behind a
        number that no other form of it brings up to ``place``.
        """
        tail = self.pages.take(suspect.end - TAIL, TAIL)
        if suspect.end - suspect.start > 2 * TAIL and of_key(tail) >= 2 + 3 * TAIL:
            return not _TEXT.match(self.pages.take(suspect.end, min(4, self.size - suspect.end)))
        byte = self.pages.byte(suspect.end)
        return self.table[byte] is not None and 0xC0 <= tail[-2] <= 0xC1 and place > suspect.end + 4

    def _is_torn(self, at: i64, place: i64) -> bool:
        """Whether bytes ``at`` to ``place`` end in a name and a value, a few bytes behind their beginning: then
        something was put in there. Of the elements of a collection the same could be said.
        """
        if place < 0 or place - at > LONGEST:
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
            if of_key(read_string(w)) < A_NAME:
                return False
            row.skip(w)
        except RdbToolError:
            return False
        return w.at_end()

    def may_lack(self, broken: Break, cut: i64) -> i64:
        """What the record from which on records run again may lack that stood in front of it, in the bytes from ``cut``
        on that are lost: `NOTHING`, `AN_EXPIRY`, or `MORE`.
        """
        place = broken.place
        byte = self.pages.byte(place)
        if byte >= opcodes.LOWEST and (byte in EXPIRIES or not is_opcode_of_key(byte)):
            return NOTHING
        first = max(cut, place - 24)
        near = self.pages.take(first, place - first)
        n: i64 = len(near)
        if n >= 2 and self.has_access and byte < opcodes.LOWEST:
            return MORE
        if byte == 0 and (self._is_field(place) or (near.endswith(ZEROS[:8]) and self._may_be_other(place))):
            return MORE
        access = {opcodes.FREQ, opcodes.IDLE}
        if is_time(near[-8:]) or near.endswith(ZEROS[:9]):
            return AN_EXPIRY
        if not self.has_expiry:
            return NOTHING
        if _TIME_END.search(near) or (n >= 5 and self.version < 3 and one_bit_apart(near[n - 5], opcodes.EXPIRE_S)):
            return AN_EXPIRY
        is_zeroed = n >= 8 and near[n - 5] == 0 and ZEROS[:8] in near
        if self.version < 3 and is_zeroed and (near[n - 1] == 0 or near[n - 1] >= 0x38):
            return AN_EXPIRY  # a time in s of this century, as a number with or without a sign
        if byte in access and self.pages.byte(cut) in access:
            return NOTHING  # a key has one of them: what is at the cut belongs to another
        is_near = place - cut <= 18 and is_opcode_of_key(self.pages.byte(cut))
        return AN_EXPIRY if is_near and not self._is_explained(cut, place) else NOTHING

    def _may_be_other(self, place: i64) -> bool:
        """Whether the string at ``place``, whose type may be one of the zeros that stand in front of it, is sound as a
        value of another type.
        """
        w = self.pages.window(place, self.size)
        reader = self.reader(w)
        event = reader.next()
        if not isinstance(event, Frame):
            return True
        event.skip()
        size = w.offset() - event.value_offset
        if size > LONGEST:
            return True
        payload = self.pages.take(event.value_offset, size)
        for row in self.table:
            if row is None or row.byte == 0 or not row.is_loaded(self.version):
                continue
            other = window_over(payload)
            findings = Findings()
            try:
                row.verify(other, Inspection(findings))
            except RdbToolError:
                continue
            if other.at_end() and findings.worst is not Severity.ERROR:
                return True
        return False
