"""What a break means: which of the last records before it is the damaged one, and whether the first one behind it is
whole.
"""

from __future__ import annotations

import re
from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError, RdbToolError, TruncatedError
from rdbtool.io.random_access import PAGE, Pages
from rdbtool.io.window import Window, window_over
from rdbtool.rdb import opcodes
from rdbtool.rdb.events import SelectDb
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.primitives import read_string
from rdbtool.rdb.layout.templates import Template
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.types import TABLE, TypeRow

from .evidence import FIRST, LEAST, OPCODES, is_opcode_of_key, is_time, of_event, of_key, of_name, one_bit_apart

PROVEN: Final[i64] = 48
"""Evidence behind a record for which its end is believed."""
TORN: Final = 12
"""Bytes that may have been put in between a record and the name of the next."""
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
LONGEST: Final[i64] = 1 << 20
"""Bytes of a damaged record that are tried to be explained."""
_TIME_END: Final = re.compile(rb"[\x01-\x07]\0\0\Z")
"""The end of a time in ms of this century."""
_TEXT: Final = re.compile(rb"[\t\n\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character of a text in UTF-8."""


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
        evidence = of_name(event.key, self.pages.byte(at))
        event.skip()
        row = event.type
        one_blob = row.empty_at == 11 or row.name in {"hash-listpack", "zset-listpack", "set-listpack", "set-intset"}
        proven = (one_blob and row.byte != 14) or (row.byte == 0 and coded == 0xC3)
        return Suspect(start, w.offset(), event.key, evidence, proven, row.byte == 0)

    def cut(self, broken: Break) -> i64:
        """Up to where the records before a break are believed."""
        suspects = broken.suspects
        at = broken.at
        place = broken.place
        if 0 <= place < at:
            for suspect in reversed(suspects):
                if suspect.start < place:
                    return suspect.start
        # First what next to nothing speaks for: a key without a name, as zeros are, or with a name like noise where
        # others have better ones; the number of a database where there is none.
        suspects = list(suspects)
        usual = sorted([suspect.evidence for suspect in suspects])[len(suspects) // 2] if suspects else FIRST
        least = A_NAME if usual >= FIRST else 1
        while suspects and suspects[-1].evidence < (LEAST if suspects[-1].key is None else least):
            at = suspects.pop().start
        behind = 0
        for suspect in reversed(suspects):
            if suspect.end in broken.bad and behind < PROVEN:
                return suspect.end  # its end is as doubtful as its value, and so is what follows
            behind += suspect.evidence
        if at >= self.size:
            return at
        zeros = self._zeros_from(at)
        if zeros < 0 and (self._is_head(at, place < 0 and broken.code == "truncated") or self._is_explained(at, place)):
            return at
        if suspects and suspects[-1].is_string and (self._is_torn(at, place) or self._ends_text(suspects[-1], place)):
            return at
        for suspect in reversed(suspects):
            if suspect.proven or suspect.key is None or suspect.end <= zeros:
                break
            at = suspect.start
            if suspect.evidence >= min(FIRST, usual) and zeros < 0:
                break
        return at

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
        byte = self._type_behind_opcodes(w)
        first = self.pages.byte(at)
        if byte < 0 or first == opcodes.EXPIRE_MS or (first == opcodes.EXPIRE_S and self.version < 3):
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
            return of_key(read_string(w)) >= A_NAME or is_cut
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
        if place < 0 or place - at > LONGEST or place - at < 3:
            return False
        data = self.pages.take(at, place - at)
        if self.pages.byte(place) == opcodes.RESIZE_DB and one_bit_apart(data[0], opcodes.SELECT_DB):
            return True
        if place - at == 9 and is_time(data[1:]):
            return True  # the expiry of the key behind it
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

    def may_lack(self, broken: Break, cut: i64) -> bool:
        """Whether the record from which on records run again may lack what stood in front of it, in the bytes from
        ``cut`` on that are lost.
        """
        place = broken.place
        byte = self.pages.byte(place)
        if byte >= opcodes.LOWEST and not is_opcode_of_key(byte):
            return False
        first = max(cut, place - 24)
        near = self.pages.take(first, place - first)
        n: i64 = len(near)
        if n >= 2 and self.has_access and byte < opcodes.LOWEST:
            return True
        if byte == 0 and self._is_field(place):
            return True
        if is_time(near[-8:]) or (byte == 0 and near.endswith(ZEROS[:8])):
            return True  # in the second case, it may have been another type
        if not self.has_expiry:
            return False
        if _TIME_END.search(near) or (n >= 5 and self.version < 3 and one_bit_apart(near[n - 5], opcodes.EXPIRE_S)):
            return True
        if ZEROS in near and (near.endswith(b"\0\0") or self.version < 3):
            return True
        return place - cut <= 18 and is_opcode_of_key(self.pages.byte(cut)) and not self._is_explained(cut, place)
