"""Find out what can be read of a damaged RDB.

Records are read and checked in step, as long as that goes (`Following`). A value that is bad, but whose end is known,
costs its key. Where the stream breaks, `Search` looks for the place from which records run again, and `Judge` weighs
the last records before the break once more: a wrong length shows only behind the value that has it.

- A record within which records run again that pass the break is the damaged one, and swallows them.
- Where nothing like the head of a record stands at the break, the value before may have ended too early, unless its
  own form proves its end.

A search begins a few records before the break, and goes on from there: it takes time linear in the size.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import InputError, RdbToolError
from rdbtool.io.random_access import Pages
from rdbtool.rdb import opcodes
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.seen import Seen
from rdbtool.servers.releases import CHECKSUM_SINCE

from .databases import database_in, doubtful, settle, with_all_expiries
from .effort import Effort
from .evidence import FIRST, is_time, of_key
from .following import DATABASE, END_MARK, EXPIRY, Following
from .judge import AN_EXPIRY, MORE, PROVEN, Break, Judge, Suspect
from .leading import leading, may_be_elements
from .names import Names
from .partial import Partial
from .salvaged import IN_A_ROW, IN_STEP, LEADING, TO_THE_END, ZEROED, Lost, Run, Salvaged
from .search import Search
from .start import Start, consists_of_nuls, expected, find_magic, header_at
from .swallowed import UNSAID, Swallowed
from .undoing import Undoing

HEADER: Final[i64] = 9
LEAST_VERSIONS: Final = (9, 80)
"""By dialect, the version that a file is given of which nothing tells it."""


@final
class Salvager:
    """Goes through an open file. `run` gives what was found. ``partial``: also what can be read of bad collections.

    ``undo``: where the checksum gives the damage away it is undone, and ``pages`` then show what was written.
    """

    def __init__(self, pages: Pages, *, partial: bool = False, undo: bool = True) -> None:
        self.pages = pages
        self.partial = partial
        self.undo = undo
        self.size: i64 = pages.size
        self.result = Salvaged(pages.path, pages.size)
        self.following = Following(pages, self.result, partial=partial)
        self.chosen = False
        """Whether a SELECTDB was read."""
        self.ends: dict[int, int] = {}
        """See `Search.ends`."""
        self.effort = Effort(self.size)
        self.seen = Seen()
        self.names = Names()
        self.stops: dict[int, int] = {}
        """Records that swallow others, and where those begin."""

    def run(self) -> Salvaged:
        """Find what can be read. Raises `InputError`."""
        found = self._find()
        if found.whole or not self.undo or found.checksum == "none" or found.version < CHECKSUM_SINCE:
            return found
        for undone in Undoing(self.pages, found).find():
            self.pages.replace(undone.start, undone.end, undone.put)
            self.size = self.pages.size
            self.stops = {}
            other = self._find()
            if other.whole and other.checksum == "ok":
                other.undone = undone
                return other
        if self.pages.file.put_at >= 0:
            self.pages.replace(-1, -1, b"")
        return found

    def _find(self) -> Salvaged:
        """Find what can be read of the bytes as they are."""
        start = expected(self.pages)
        self.names = Names()
        self._from(start, strict=False)
        if self.result.headless and not start.version and self.result.keys and len(self.result.lost) > 1:
            start = self._better(start)
        if any(run.is_guessed for run in self.result.runs):
            self.names.complete = True  # now what stands behind damage is known better
            self._from(start, strict=False)
        self.stops = self._swallowing()
        if self.stops:
            self._from(start, strict=True)
        complete = with_all_expiries(self.result.runs)
        for run in self.result.runs:
            if run.lacking is not None and run.parts[0].keys and int(run.db) not in complete:
                self._pass_first(run, run.lacking)
                run.parts[0].keys -= 1
        left_out = {int(run.start) for run in doubtful(self.result.runs)}
        for run in self.result.runs:
            if int(run.start) in left_out:
                self._lose(run.start, run.end, "doubtful", "more records than the database is said to have")
        self.result.runs = [run for run in self.result.runs if int(run.start) not in left_out]
        settle(self.result.runs, len(self.result.lost) + 1)
        return self.result

    def _swallowing(self) -> dict[int, int]:
        """Where records begin that swallow others, and where the first of those does."""
        result = self.result
        if result.checksum == "ok" or result.headless:
            return {}
        swallowed = Swallowed(self.pages, result)
        if result.lost:
            return swallowed.find_in_bad()
        found = swallowed.find() if result.complete else None
        return {} if found is None else {int(found[0]): int(found[1])}

    def _better(self, start: Start) -> Start:
        """Read the records of a file that does not say what wrote it as those of the other product too, and begin
        with what loses less.
        """
        lost = self.result.lost_bytes
        other = Start(start.at)
        other.dialect = opcodes.REDIS if start.dialect == opcodes.VALKEY else opcodes.VALKEY
        for one in (other, start):
            self.names = Names()
            self._from(one, strict=False)
            if self.result.lost_bytes < lost:
                break
        return one

    def _from(self, start: Start, *, strict: bool) -> None:
        """Find what can be read from where the RDB should begin."""
        self.ends.clear()
        self.effort = Effort(self.size)
        self.chosen = False
        self.result = result = Salvaged(self.pages.path, self.size)
        doubtful = self.following.not_selects if strict else set()
        self.following = Following(self.pages, result, partial=self.partial)
        self.following.names = self.names
        self.following.strict = strict
        self.following.not_selects = doubtful
        self.following.stops = self.stops
        run = self._first(start)
        while run is not None:
            result.runs.append(run)
            going = self.following.follow(run)
            following = self.following
            if not following.strict and self._is_unsure(going) and following.is_doubtful():
                self._from(start, strict=True)  # something is wrong, and this is where it may show
                return
            self._first_key(run)
            if going:
                break
            self.following.strict = True
            run = self._behind(run)
        if result.headless and not start.version:
            result.version = max(self.following.newest, LEAST_VERSIONS[result.dialect])

    def _is_unsure(self, going: bool) -> bool:
        """Whether something is wrong with the file, for sure or in all likelihood. ``going``: it was read in step."""
        checksum = self.result.checksum
        return not going or checksum == "bad" or (self.following.absurd and checksum != "ok")

    def _first(self, start: Start) -> Run | None:
        """The run that begins with the header, or where that is lost the first that is found."""
        result = self.result
        self._read_as(start)
        if not start.is_sound:
            magic = find_magic(self.pages, start.at)
            search = self._search()
            place = search.find(start.at, self.size if magic < 0 else magic, start.at)
            other = header_at(self.pages, magic) if place < 0 and magic >= 0 else start
            if not other.is_sound:
                result.headless = True
                if place < 0:
                    if consists_of_nuls(self.pages):
                        self._lose(0, self.size, ZEROED, "there is nothing but NULs: all that stood there is lost")
                    else:
                        self._lose(0, self.size, "not-rdb", "no records of an RDB can be found")
                    return None
                self._lose(0, place, "header", "the header, which says what the file is, is damaged")
                return _found(place, 0, search)
            self._lose(0, magic, LEADING, "the snapshot begins behind them")
            self._read_as(other)
            start = other
        result.start = start.at
        return Run(start.at + HEADER, 0, IN_STEP)

    def _read_as(self, start: Start) -> None:
        self.result.dialect = start.dialect
        self.result.version = start.highest
        self.judge = Judge(self.pages, start.dialect, start.highest)
        self.judge.templates = self.result.templates

    def _search(self) -> Search:
        search = Search(self.pages, self.result.dialect, self.result.version)
        search.has_access = self.following.has_access
        search.templates = self.result.templates
        search.ends = self.ends
        search.seen = self.seen
        search.effort = self.effort
        search.names = self.names
        return search

    def _lose(self, start: i64, end: i64, code: str, message: str) -> Lost:
        lost = Lost(start, end, code, message, in_step=False)
        self.result.lost.append(lost)
        return lost

    def _behind(self, run: Run) -> Run | None:
        """The run behind the break at which ``run`` ended, and what is lost between them; None where none is."""
        following = self.following
        at = following.broke_at
        self.chosen = self.chosen or len(run.parts) > 1
        search = self._search()
        last = run.parts[-1]
        is_full = 0 <= last.said < last.keys  # then not only the number of the next database is damaged
        goes_on = at > run.start or not run.is_guessed  # else it would begin here again and again
        if following.code == DATABASE and goes_on and not is_full and search.begins_at(at):
            self._lose(at, at, DATABASE, following.why)
            run.end = at
            behind = Run(at, run.parts[-1].db, IN_A_ROW)
            database_in(self.pages, self.result.runs, self.result.lost[-1], behind, self.chosen)
            return behind
        self.judge.has_access = following.has_access
        self.judge.has_expiry = following.has_expiry
        suspects = [self.judge.suspect(start) for start in following.starts]
        bad = {int(lost.end) for lost in self.result.lost[-len(suspects) :] if lost.is_key}
        place: i64 = self.stops.get(int(at), -1)
        is_weak = False
        led: i64 = -1
        if place < 0:
            is_head = following.key is not None and of_key(following.key) >= FIRST
            begin = at + 1 if is_head else _begin(suspects, at)  # where a name stands, the record before ends
            search.doubts = _doubts(suspects)
            place = search.find(begin, self.size, at)
            led = leading(self.judge, self.judge.cut(Break(at, following.code, place, suspects, bad)), place)
            if led >= 0 and place > at:
                place = led
            elif place < 0 or not search.runs_on:  # perhaps no name in the file is one that tells much
                weak = self._search()
                weak.first = 0
                other = weak.find(begin, self.size if place < 0 else place, at)
                if other >= 0:
                    place, search = other, weak
                    is_weak = weak.runs_on
        if place < 0 and following.code == END_MARK:
            self.result.complete = True
            self.result.tail = following.end_at
            return None
        broken = Break(at, following.code, place, suspects, bad)
        cut = at if at in self.stops else self.judge.cut(broken)
        lost = self._end_at(run, cut, suspects)
        if following.key is not None and of_key(following.key) >= FIRST and following.key not in lost.keys:
            lost.keys.append(following.key)
        if self.partial and cut == at and at < self.size:
            self._keep_start(lost, at, place, is_cut=place < 0 and following.code == "truncated")
        if place < 0:
            return None
        lost.end = place
        behind = _found(place, run.parts[-1].db, search)
        behind.is_weak = is_weak
        database_in(self.pages, self.result.runs, lost, behind, self.chosen)
        lacks = self.judge.may_lack(broken, cut)
        names = self.names
        if is_weak or lacks == MORE or (led < 0 and may_be_elements(self.judge, cut, place, names)):
            passed = self._pass_doubtful(behind, lost)
            while passed and may_be_elements(self.judge, cut, behind.start, names):
                passed = self._pass_doubtful(behind, lost)
        elif lacks == AN_EXPIRY:
            behind.lacking = lost
        return behind

    def _end_at(self, run: Run, cut: i64, suspects: list[Suspect]) -> Lost:
        """Let ``run`` end at ``cut``, and what is behind be lost."""
        run.end = cut
        dropped = [suspect.key for suspect in suspects if suspect.start >= cut and suspect.key is not None]
        keys: i64 = len(dropped)
        while len(run.parts) > 1 and run.parts[-1].start >= cut:
            keys -= run.parts.pop().keys
        run.parts[-1].keys -= max(keys, 0)
        for suspect in suspects:
            if suspect.start >= max(cut, run.parts[-1].start) and self.pages.byte(suspect.start) == opcodes.EXPIRE_MS:
                run.parts[-1].expires -= 1
        if run.parts[-1].keys == 0:
            run.parts[-1].said = -1  # what stands right before damage is not to be relied on
        lost = self.result.lost
        while lost and lost[-1].start >= cut:
            lost.pop()
        gap = self._lose(cut, self.size, self.following.code, self.following.why)
        gap.keys += dropped
        return gap

    def _keep_start(self, lost: Lost, at: i64, place: i64, *, is_cut: bool) -> None:
        """Keep the elements that can be read of the collection at ``at`` in which reading broke; ``is_cut``: because
        the file ends there.
        """
        reader = self.judge.reader(self.pages.window(at, self.size))
        try:
            event = reader.next()
        except InputError:
            raise
        except RdbToolError:
            return
        if isinstance(event, Frame) and of_key(event.key) >= FIRST:
            partial = Partial(self.pages, event, self.size if place < 0 else place)
            version = self.result.version
            lost.put, lost.elements = partial.record(at, reader.key_offset, version, broken=not is_cut)

    def _first_key(self, run: Run) -> None:
        """Leave out the first key of ``run`` if all others have access times in front of them: it had one too."""
        if run.is_guessed and run.is_bare and self.following.has_access and run.parts[0].keys > 1:
            lost = next(lost for lost in reversed(self.result.lost) if lost.end == run.start)
            self._pass_first(run, lost)
            run.parts[0].keys -= 1

    def _pass_doubtful(self, run: Run, lost: Lost) -> bool:
        """`_pass_first`, but for records that the first one swallows, if it is none."""
        first = run.start
        if not self._pass_first(run, lost):
            return False
        search = self._search()
        place = search.leads_to(first + 1, run.start)
        if place >= 0 and search.run_keys >= UNSAID:
            lost.end = run.start = run.end = run.parts[0].start = place
        return True

    def _pass_first(self, run: Run, lost: Lost) -> bool:
        """Let ``run`` begin behind its first record, or with the expiry of the next that this ends with; False where it
        is none of a key.
        """
        w = self.pages.window(run.start, self.size)
        try:
            event = self.judge.reader(w).next()
            if not isinstance(event, Frame):
                return False
            event.skip()
        except InputError:
            raise
        except RdbToolError:
            return False
        end = w.offset()
        tail = self.pages.take(end - EXPIRY, EXPIRY)
        if end - EXPIRY > run.start and tail[0] == opcodes.EXPIRE_MS and is_time(tail[1:]):
            end -= EXPIRY
        lost.keys.append(event.key)
        lost.end = end
        run.start = run.parts[0].start = end
        run.end = max(run.end, run.start)
        return True


def _begin(suspects: list[Suspect], at: i64) -> i64:
    """Where to begin to look for records behind a break at ``at``."""
    evidence: i64 = 0
    begin = at + 1
    for suspect in reversed(suspects):
        begin = suspect.start + 1
        evidence += suspect.evidence
        if evidence >= PROVEN:
            break
    return begin


def _doubts(suspects: list[Suspect]) -> list[tuple[int, int]]:
    """See `Search.doubts`."""
    found: list[tuple[int, int]] = []
    evidence: i64 = 0
    for suspect in reversed(suspects):
        found.append((int(suspect.end), int(evidence)))
        evidence += suspect.evidence
    return found


def _found(place: i64, db: i64, search: Search) -> Run:
    """The run that ``search`` found at ``place``."""
    return Run(place, db, TO_THE_END if search.leads_to_end else IN_A_ROW)
