"""Check an RDB part by part, by itself or side by side, with the answer of a check from end to end."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.basics.crc64 import crc64_of_both
from rdbtool.findings import KINDS, Findings, add_counts
from rdbtool.io.window import Window

from .check import RdbCheck, RdbFacts
from .cutting import Cutter, RdbPart
from .events import End
from .layout.duplicates import Duplicates
from .opcodes import DIALECT_NAMES

ONCE = ("module-value", "module-data", "update")
"""Findings that are told once for a file, where the first of their kind is."""


@final
class PartOfCheck:
    """What was found out about a part: ``crc`` of its ``size`` bytes, the hashes of its keys, and of the last one what
    its end says: ``stored``, the checksum, and where the end begins; -1 for none. ``stop``: where the next part begins,
    in the database ``stop_db``; -1 behind the end and damage.
    """

    def __init__(self, facts: RdbFacts, findings: Findings, hashes: bytes) -> None:
        self.facts = facts
        self.findings = findings
        self.hashes = hashes
        self.crc = 0
        self.lost: dict[str, int] = {}
        self.is_enterprise = False
        self.stop = -1
        self.stop_db = 0
        self.ended_at: i64 = -1
        self.stored = -1

    def __reduce__(self) -> tuple[object, ...]:
        return PartOfCheck, (self.facts, self.findings, b""), self.__getstate__()


def check_part(w: Window, part: RdbPart, findings: Findings, seed: int, databases: int, now_ms: int) -> PartOfCheck:
    """Check a part of an RDB, from a window at its first byte. ``seed``: of the hashes of keys, the same for all parts;
    the rest as for `check.verify_rdb`.
    """
    check = RdbCheck(w, findings, databases, now_ms, False, True, None)
    check.reader = part.open(w)
    check.lost = check.reader.lost
    check.db = part.db
    if not part.first:
        check.facts.dialect = DIALECT_NAMES[part.dialect]
        check.facts.good_to = -1  # the part before knows it, as long as nothing was read here
    check.seen = Duplicates(keep=False, seed=seed, collect=True)
    check.read()
    w.report()
    done = PartOfCheck(check.facts, findings, check.seen.records.getvalue())
    done.crc = check.reader.crc
    done.lost = check.lost
    done.is_enterprise = check.is_enterprise
    ended = check.ended
    if ended is None and check.reader.ended:
        done.stop = int(done.facts.end)
        done.stop_db = int(check.reader.db)
    if ended is not None:
        done.ended_at = ended.offset
        done.stored = ended.stored
    return done


@final
class PartsOfCheck:
    """Puts the results for parts together, in their order. ``differs``: a check from end to end could say something
    else, and is to be made.
    """

    def __init__(self, cutter: Cutter, findings: Findings, seed: int, databases: int, now_ms: int) -> None:
        check = RdbCheck(cutter.reader.window, findings, databases, now_ms, False, True, None)
        check.reader = cutter.reader
        check.seen = Duplicates(keep=False, seed=seed)
        check.lost = {}
        self._check = check
        self._findings = findings
        self._crc = 0
        self._parts = 0
        self.differs = False

    def add(self, part: RdbPart, done: PartOfCheck) -> bool:
        """Take in the next part; False if it is the last one, or damage ended its reading."""
        check = self._check
        facts = check.facts
        more = done.facts
        if self._parts == 0:
            check.facts = facts = more
        else:
            if more.functions and facts.functions:
                self.differs = True  # libraries of one name are found in one part only
            facts.add(more)
        self._parts += 1
        end = more.end if done.ended_at < 0 else done.ended_at + 1
        self._crc = crc64_of_both(self._crc, done.crc, int(end - part.start))
        self._findings.add_next(done.findings, ONCE)
        if len(self._findings.alike) >= KINDS:
            self.differs = True  # some were not counted
        check.seen.add_records(done.hashes)
        add_counts(check.lost, done.lost)
        check.is_enterprise = check.is_enterprise or done.is_enterprise
        if done.ended_at >= 0:
            check.ended = End(done.ended_at, done.stored, self._crc)
        if part.end == more.end:
            return True
        if not more.complete and done.findings.worst == 0:
            self.differs = True  # it did not end where the next one begins
        return False

    def conclude(self) -> RdbFacts:
        """Tell what is known when all is read; the facts of all parts. Raises `OutputError`."""
        check = self._check
        check.conclude()
        if check.seen.pairs or check.seen.more:
            self.differs = True  # where a duplicate is told depends on how many keys there are
        return check.facts
