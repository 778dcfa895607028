"""Read records in step, look into every value, and note what is bad but framed."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import InputError, RdbToolError
from rdbtool.findings import Finding, Findings, Severity
from rdbtool.io.random_access import Pages
from rdbtool.io.window import Window
from rdbtool.rdb import opcodes
from rdbtool.rdb.events import Aux, End, Event, Function, FunctionPreGa, HashTemplate, ResizeDb, SelectDb
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.functions import check_library
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.reader import RdbReader

from .evidence import FIRST, NUMBER, is_time, of_name
from .names import Names
from .partial import Partial
from .salvaged import SUSPECTS, Lost, Part, Run, Salvaged
from .start import ends_at

EXPIRY: Final[i64] = 9
"""Bytes of an expiry in ms."""
MISCOUNTED: Final = "stream-count"
"""The finding of a stream whose entries can be had, although their count is wrong."""
MANY: Final[i64] = 1024
"""Databases that a file without sizes of them is not believed to have."""
DATABASE: Final = "database"
"""The code of a break at the number, or the size, of a database that servers do not write there."""
END_MARK: Final = "end-mark"
"""The code of a break at an end mark behind which the file goes on."""


@final
class Following:
    """Follows runs of an open file, and writes into ``result`` what it finds.

    After a break: ``broke_at``, ``code``, ``why``, ``key``, and ``starts``, where the last records before it begin;
    ``end_at``: behind an end mark with which the file does not end. ``odd``: whether a number or size of a database
    stands where servers do not write it, ``absurd``: and is such that nobody does; with ``strict`` the stream breaks
    there. ``stops``: offsets at which it breaks in any case.
    """

    def __init__(self, pages: Pages, result: Salvaged, *, partial: bool) -> None:
        self.pages = pages
        self.result = result
        self.partial = partial
        self.strict = False
        self.libraries: set[bytes] = set()
        self.stops: dict[int, int] = {}
        self.not_selects: set[int] = set()
        self.names = Names()
        self.newest: i64 = 1
        self.has_access = False
        self.has_expiry = False
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.broke_at: i64 = -1
        self.code = ""
        self.why = ""
        self.key: bytes | None = None
        self.starts: list[int] = []
        self.end_at: i64 = -1
        self.odd = False
        self.absurd = False
        self.sized = False
        self.shaky = False
        """Whether a value was bad, and no key behind it has a name that tells much."""
        self.swallows = False
        """Whether its last bytes are the expiry of the key behind it."""
        self.selects: list[tuple[int, int]] = []
        self.libraries.clear()

    def follow(self, run: Run) -> bool:
        """Read on from where ``run`` begins; whether that led to the end mark."""
        result = self.result
        is_first = not run.is_guessed
        size = self.pages.size
        w = self.pages.window(result.start if is_first else run.start, size)
        reader = RdbReader(w, checksum=is_first)
        if is_first:
            reader.templates = result.templates
            reader.next()
        else:
            reader.resume(result.dialect, result.version, run.db, result.templates)
        findings = Findings()
        ins = Inspection(findings)
        starts: list[int] = []
        self.shaky = run.is_weak
        self.starts = starts
        part = run.parts[-1]
        db = run.db
        selected = False
        while True:
            at = w.offset()
            run.end = at
            if self.stops and at in self.stops:
                self._broken(at, "swallowed", "its length, or that of its name, takes in the records behind it", None)
                return False
            key: bytes | None = None
            try:
                event = reader.next()
                if isinstance(event, Frame):
                    key = event.key
                    ins.begin(db, event.key)
                    event.type.verify(event.window(), ins)
            except InputError:
                raise
            except RdbToolError as e:
                self._broken(at, e.code, e.message, e.key if key is None else key)
                if reader.ended:
                    break  # the end mark is there, and the checksum is not
                return False
            if isinstance(event, Frame):
                if part.keys == 0 and len(run.parts) == 1:
                    run.is_bare = event.freq < 0 and event.idle_s < 0
                if event.type.since > result.version:
                    self.odd = True
                    if self.strict:
                        self._broken(at, "malformed", f"a type that is newer than RDB version {result.version}", None)
                        return False
                part.keys += 1
                self.names.add(event.key, self._coded(reader.key_offset, w))
                self.newest = max(self.newest, event.type.since)
                if event.freq >= 0 or event.idle_s >= 0:
                    self.has_access = True
                if event.expire_at_ms != -1:
                    self.has_expiry = True
                    part.expires += 1
                if event.type.byte == 0:
                    result.plain += 1
                if run.is_weak and ins.empty:
                    lost = self._lose(at, w.offset(), "doubtful", "an empty collection: nothing tells that it is one")
                    lost.keys.append(event.key)
                    lost.is_key = True
                elif self.shaky and not findings.items:
                    self._behind_bad(event, at, reader.key_offset, w.offset())
                if findings.items:
                    self._bad_value(event, at, reader.key_offset, w.offset(), findings)
                    findings = Findings()
                    ins.findings = findings
            elif isinstance(event, HashTemplate):
                template = event.template_id.to_bytes(8, "little")
                result.template_places.setdefault(template, (int(at), int(w.offset())))
            elif isinstance(event, SelectDb):
                w.need(1)
                odd = self._is_odd(event, at, w.data[w.pos] if w.pos < w.end else 0)
                if odd and self.strict:
                    self._broken(at, "malformed", f"the number of a database, {event.db}, where none is to be", None)
                    return False
                self.selects.append((int(at), int(event.db)))
                db = event.db
                part = Part(at, db)
                run.parts.append(part)
            elif isinstance(event, ResizeDb):
                is_newer = result.version < opcodes.RESIZE_DB_SINCE
                odd = is_newer or (not selected and (at > run.start or not run.is_guessed))
                self.absurd = self.absurd or is_newer
                self.odd = self.odd or odd
                if odd and self.strict:
                    self._broken(at, DATABASE, "the size of a database without its number", None)
                    return False
                self.sized = True
                self._resize(event, part, at, w.offset())
            elif isinstance(event, (Function, FunctionPreGa)):
                self._library(event, at, w.offset())
            elif event is None or isinstance(event, End):
                if isinstance(event, End) and is_first:
                    result.checksum = event.checksum
                break
            selected = isinstance(event, SelectDb) or (selected and isinstance(event, Aux))
            starts.append(int(at))
            if len(starts) > SUSPECTS:
                del starts[0]
        if result.checksum != "ok" and not ends_at(self.pages, w.offset()):
            self._broken(at, END_MARK, "an end mark, and the file goes on", None)
            self.end_at = w.offset()
            return False
        result.complete = True
        result.tail = -1 if w.at_end() else w.offset()
        return True

    def _coded(self, at: i64, w: Window) -> i64:
        """The first byte of the name at ``at``, which is mostly still in the window."""
        pos = at - w.base
        return w.data[pos] if 0 <= pos < w.end else self.pages.byte(at)

    def _broken(self, at: i64, code: str, why: str, key: bytes | None) -> None:
        self.broke_at = at
        self.code = code
        self.why = why
        self.key = key

    def _is_odd(self, event: SelectDb, at: i64, follows: i64) -> bool:
        """Whether servers do not write a number of a database here: they write the size behind each, since RDB
        version 7.
        """
        has_size = follows == opcodes.RESIZE_DB
        has_lost_size = self.result.version >= opcodes.RESIZE_DB_SINCE and self.sized and not has_size
        absurd = has_lost_size or (event.db >= MANY and not has_size)
        self.absurd = self.absurd or absurd
        odd = absurd or at in self.not_selects
        self.odd = self.odd or odd
        return odd

    def is_doubtful(self) -> bool:
        """Whether a number, or the size, of a database was read where servers do not write it: they come in ascending
        order. If so, the stream breaks there when it is followed again, with ``strict``.
        """
        least: i64 = 1 << 62
        for at, db in reversed(self.selects):
            if db >= least:
                self.not_selects.add(at)
            else:
                least = db
        return self.odd or bool(self.not_selects)

    def _resize(self, event: ResizeDb, part: Part, at: i64, end: i64) -> None:
        if event.keys > self.pages.size or event.expires > event.keys:
            self._lose(at, end, "size-hint", "the size that is announced for a database is wrong")
            return
        part.said = event.keys
        part.said_expires = event.expires
        self.has_expiry = self.has_expiry or event.expires > 0

    def _library(self, event: Event, at: i64, end: i64) -> None:
        """Leave out a function library that servers refuse."""
        if not isinstance(event, Function):
            return
        found = Findings()
        check_library(event, self.libraries, Inspection(found))
        if found.worst is Severity.ERROR:
            self._lose(at, end, "function-library", found.of(Severity.ERROR)[0].message)

    def _bad_value(self, frame: Frame, at: i64, key_at: i64, end: i64, findings: Findings) -> None:
        """Leave out a key whose value servers refuse."""
        if findings.worst is not Severity.ERROR:
            return
        worst: Finding | None = None
        for error in findings.of(Severity.ERROR):
            if error.code != MISCOUNTED:
                worst = error
                break
        if worst is None:
            self.result.miscounted += 1
            return
        lost = self._lose(at, end, worst.code, f"{frame.type.redis_type}: {worst.message}")
        lost.keys.append(frame.key)
        lost.is_key = True
        self.shaky = True
        tail = self.pages.take(end - EXPIRY, EXPIRY)
        self.swallows = tail[0] == opcodes.EXPIRE_MS and is_time(tail[1:])
        if self.partial:
            partial = Partial(self.pages, frame, end)
            lost.put, lost.elements = partial.record(at, key_at, self.result.version, broken=False)

    def _behind_bad(self, frame: Frame, at: i64, key_at: i64, end: i64) -> None:
        """Leave out a key behind a bad value of which next to nothing tells that it is one, or that may lack an expiry:
        where the length of the value is wrong, the stream may be in step again by chance.
        """
        swallowed = self.swallows and frame.expire_at_ms < 0
        self.swallows = False
        evidence = of_name(frame.key, self.pages.byte(key_at))
        if frame.type.byte == 0 and end == frame.value_offset + 1:
            evidence = 0  # the name may be an element, and the empty value any zero
        self.shaky = evidence < FIRST
        if evidence < NUMBER or swallowed:
            lost = self._lose(at, end, "doubtful", "the value before is bad: it may lack its expiry, or be none")
            lost.keys.append(frame.key)
            lost.is_key = True

    def _lose(self, start: i64, end: i64, code: str, message: str) -> Lost:
        lost = Lost(start, end, code, message, in_step=True)
        self.result.lost.append(lost)
        return lost
