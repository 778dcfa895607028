"""The comparison: passes over both snapshots, each with its share of the keys."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError, UsageError
from rdbtool.findings import Report, Severity, finding_of
from rdbtool.inputs.selection import Selection
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.rdb.compare import Match, Matching, Rules
from rdbtool.rdb.events import End, Event, Function, FunctionPreGa, ModuleAux
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.libraries import library_name
from rdbtool.rdb.meaning import Scope
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.unordered import is_unordered, same_elements

from .difference import (
    ADDED,
    CHANGED,
    ENCODING,
    EVICTION,
    EXPIRY,
    FUNCTION,
    KINDS,
    MODULE_AUX,
    REMOVED,
    SAME,
    Difference,
    Side,
)
from .snapshot import Snapshot, open_snapshot

if TYPE_CHECKING:
    from concurrent.futures import Executor

MEMORY_LIMIT: Final = 512 << 20
LEAST_MEMORY: Final = 64 << 20
BASE_MEMORY: Final = 40 << 20
"""What the program itself takes, with both windows."""

LARGE_SHARE: Final = 24
"""The two values of a key may be this part of the memory limit, in the files, to be held for comparison."""
UNDECIDED: Final = "undecided"
"""In place of a kind, where another process is to find it out."""
KIND_BY_FACT: Final = {
    UNDECIDED: UNDECIDED,
    "value": CHANGED,
    EXPIRY: EXPIRY,
    EVICTION: EVICTION,
    ENCODING: ENCODING,
}
"""By what differs: the first of these that does is what the difference is called by."""


@dataclass(slots=True, kw_only=True)
class DiffOptions:
    """What counts, and how much memory to take.

    ``ignore_expiry``, ``ttl_tolerance_ms``: for keys and hash fields. ``eviction``: idle times, access
    frequencies and the times consumers were seen count. ``encodings``: so do encodings. ``keep_going``:
    compare what can be read of damaged input. ``selection``: which keys it is about, on each side by itself.
    """

    ignore_expiry: bool = False
    ttl_tolerance_ms: int = 0
    eviction: bool = False
    encodings: bool = False
    memory_limit: int = MEMORY_LIMIT
    keep_going: bool = False
    selection: Selection | None = None

    def rules(self) -> Rules:
        """The same for the comparison of bytes. Raises `UsageError`."""
        if self.ttl_tolerance_ms < 0:
            raise UsageError("the tolerance for expiries cannot be negative")
        if self.memory_limit < LEAST_MEMORY:
            raise UsageError(f"the memory limit must be {LEAST_MEMORY >> 20} MiB or more")
        return Rules(-1 if self.ignore_expiry else self.ttl_tolerance_ms, eviction=self.eviction)

    @property
    def table_limit(self) -> int:
        """Bytes that the keys of one pass may take."""
        return max(self.memory_limit - BASE_MEMORY, LEAST_MEMORY // 4) * 3 // 4

    @property
    def accept(self) -> Callable[[Frame], bool] | None:
        """What is asked of every key, None for nothing."""
        return None if self.selection is None or self.selection.everything else self.selection.keeps


@dataclass(slots=True)
class DiffReport(Report):
    """What was found. ``counts``: (database, type) -> kind of difference, or ``same`` -> keys.

    What is no key (function libraries, data of modules) is counted under database -1. ``passes``: how often
    both files were read.
    """

    counts: dict[tuple[int, str], dict[str, int]] = field(default_factory=dict)
    passes: int = 0

    def add(self, db: int, type_: str, kind: str, n: int = 1) -> None:
        """Count ``n`` keys."""
        row = self.counts.setdefault((db, type_), {})
        row[kind] = row.get(kind, 0) + n

    def total(self, kind: str) -> int:
        """Keys, and what is no key, of that kind."""
        return sum(row.get(kind, 0) for row in self.counts.values())

    @property
    def same(self) -> bool:
        """Whether no difference was found."""
        return all(row.keys() <= {SAME} for row in self.counts.values())

    def as_json(self) -> dict[str, Any]:
        """The report as data."""
        rows = [
            {"db": db, "type": type_, **{kind: row[kind] for kind in (*KINDS, SAME) if kind in row}}
            for (db, type_), row in sorted(self.counts.items())
        ]
        return {"same": self.same, "counts": rows, "passes": self.passes, **Report.as_json(self)}


@contextlib.contextmanager
def open_diff(
    left: str | os.PathLike[str],
    right: str | os.PathLike[str],
    options: DiffOptions | None = None,
    *,
    point: PointInTime = WHOLE,
    unknown: str = "stop",
    now_ms: int | None = None,
    server: Server = STOCK_SERVER,
    executor: Executor | None = None,
    workers: int = 0,
) -> Iterator[Diff]:
    """Open two inputs and give the differences between them, to be iterated once: ``with diff(a, b) as differences``.

    ``point``, ``unknown``, ``now_ms`` and ``server``: for logs on both sides, as for `keys`. Raises what opening and
    replaying raise. ``executor``, ``workers``: see `Diff`.
    """
    with (
        open_snapshot(os.fspath(left), point=point, unknown=unknown, now_ms=now_ms, server=server) as a,
        open_snapshot(os.fspath(right), point=point, unknown=unknown, now_ms=now_ms, server=server) as b,
    ):
        yield Diff(a, b, options, executor=executor, workers=workers)


@final
class Diff:
    """The differences from ``left`` to ``right``: iterate once. ``report`` grows meanwhile.

    Memory stays within the limit of the options, but for the largest single element. Of values whose bytes differ
    the facts are compared (`rdb.meaning`), or, where the values are too large to be held, digests of the facts: the
    tolerance for expiries then does not hold for the fields of hashes.

    ``executor``: where both are RDB files, so many ``workers`` of it (as many as there are cores for 0) on this machine
    compare a share of the keys each. They share the memory, and keep what they find in temporary files.
    """

    def __init__(
        self,
        left: Snapshot,
        right: Snapshot,
        options: DiffOptions | None = None,
        *,
        executor: Executor | None = None,
        workers: int = 0,
    ) -> None:
        self.left = left
        self.right = right
        self.options = options or DiffOptions()
        self.rules = self.options.rules()
        self.report = DiffReport()
        self.progress: Callable[[int, int], object] | None = None
        """Is told how many bytes have been read, and of how many; -1 where that is not known."""
        self.large = self.options.memory_limit // LARGE_SHARE
        self.decided = -1
        """Bytes of both values of a key up to which this process decides whether they mean the same; -1 for any."""
        self._executor = executor
        self._workers = workers
        self._done = 0
        self._passes = 1
        left.on_read = right.on_read = self._read

    def __repr__(self) -> str:
        return f"<Diff of {self.left.name} and {self.right.name}>"

    def __iter__(self) -> Iterator[Difference]:
        """The differences, as they are found. Raises `FormatError` and its like for damaged input, and
        `LostWorkerError`.
        """
        for snapshot in (self.left, self.right):
            self._take_findings(snapshot)
        if self._executor is not None:
            from .shares import in_shares

            with in_shares(self, self._executor, self._workers) as found:
                if found is not None:
                    yield from found
                    return
        shares = [(0, 1)]
        first = True
        while shares:
            self._passes = self.report.passes + len(shares)
            remainder, modulus = shares.pop()
            matching = self.matching(remainder, modulus)
            self.load(matching, checksum=first)
            yield from self.compare(matching, checksum=first, others=first)
            shares += reversed(matching.left_over)
            first = False
            self.report.passes += 1

    def matching(self, remainder: int, modulus: int, parts: int = 1) -> Matching:
        """What compares this share of the keys, in so many parts of the memory."""
        limit = self.options.table_limit // parts
        return Matching(self.rules, limit, self.damaged, self.options.accept, remainder, modulus)

    def load(self, matching: Matching, *, checksum: bool) -> None:
        """Let ``matching`` read the left side. ``checksum``: and verify that."""
        try:
            matching.load(RdbReader(self.left.window(), checksum=checksum))
        except RdbToolError as e:
            self.damaged(e)
        if checksum:
            self._check_end(matching.others, self.left)

    def compare(self, matching: Matching, *, checksum: bool, others: bool) -> Iterator[Difference]:
        """The differences of a share whose left side has been read. ``checksum``: and verify that of the right side.
        ``others``: and those of what is no key.
        """
        left_others = matching.others
        matching.others = []
        matching.start_right(RdbReader(self.right.window(), checksum=checksum))
        while True:
            try:
                match = matching.next_right()
            except RdbToolError as e:
                self.damaged(e)
                break
            if match is None:
                break
            difference = self.difference(match)
            if difference is not None:
                yield difference
        if checksum:
            self._check_end(matching.others, self.right)
        if others and self.options.accept is None:
            yield from self._others(left_others, matching.others)
        for match in matching.missing():
            difference = self.difference(match)
            if difference is not None:
                yield difference
        for db, counts in matching.same.items():
            for type_, n in counts.items():
                self.report.add(db, type_, SAME, n)

    def difference(self, match: Match, differs: tuple[str, ...] | None = None) -> Difference | None:
        """What ``match`` is, counted; None for the same. ``differs``: what another process has found, and counted."""
        left = None if match.left is None else Side(self.left, match.db, match.key, match.left)
        right = None if match.right is None else Side(self.right, match.db, match.key, match.right)
        scope: Scope | None = None
        large = (left.size if left else 0) + (right.size if right else 0) > self.large
        counted = differs is not None
        if left is None:
            kind, differs = ADDED, ()
        elif right is None:
            kind, differs = REMOVED, ()
        else:
            if left.type == right.type:
                scope = Scope(self.rules, left.row, right.row)
            if differs is None:
                differs = self._differing(match, left, right, scope, large=large)
            kind = SAME
            for name, as_kind in KIND_BY_FACT.items():
                if name in differs:
                    kind = as_kind
                    break
        difference = Difference(kind, match.db, match.key, left, right, differs, scope)
        difference.large = large
        if not counted and kind != UNDECIDED:
            self.report.add(match.db, difference.type, kind)
        return None if kind == SAME else difference

    def _differing(self, match: Match, left: Side, right: Side, scope: Scope | None, *, large: bool) -> tuple[str, ...]:
        """What differs of a key that both have."""
        assert match.left is not None
        assert match.right is not None
        found = []
        if not match.left.same_payload(match.right):
            if scope is None or left.meta != right.meta:
                same: bool | None = False
            else:
                same = self._same_value(left, right, scope, large=large)
            if same is None:
                return (UNDECIDED,)
            if not same:
                found.append("value")
            elif self.options.encodings and left.encoding != right.encoding:
                found.append(ENCODING)
        if not self.rules.same_expiry(left.expire_at_ms, right.expire_at_ms):
            found.append(EXPIRY)
        if not self.rules.same_eviction(match.left, match.right):
            found.append(EVICTION)
        return tuple(found)

    def _same_value(self, left: Side, right: Side, scope: Scope, *, large: bool) -> bool | None:
        """Whether two values of one type, whose payloads differ, mean the same; None where that is not decided here."""
        if not large and 0 <= self.decided < left.size + right.size:
            return None
        try:
            if large:
                return left.fingerprint(scope) == right.fingerprint(scope)
            if (
                left.row is right.row
                and left.size == right.size
                and is_unordered(left.row)
                and same_elements(left.row, left.frame().raw(), right.frame().raw())
            ):
                return True
            return left.facts(scope).same(right.facts(scope))
        except RdbToolError as e:
            if self.decided >= 0:
                return None
            if not isinstance(e, UnsupportedError):
                self.damaged(e)
                return False
            # bytes are all there is to compare, and they differ
            self.report.findings.add(finding_of(e, Severity.WARNING, left.db))
            return False

    def _others(self, left_events: list[Event], right_events: list[Event]) -> Iterator[Difference]:
        left = _named(left_events)
        right = _named(right_events)
        for other, name in [*left, *(place for place in right if place not in left)]:
            codes = (left.get((other, name), b""), right.get((other, name), b""))
            kind = SAME if codes[0] == codes[1] else ADDED if not codes[0] else REMOVED if not codes[1] else CHANGED
            self.report.add(-1, other, kind)
            if kind != SAME:
                difference = Difference(kind, -1, name, None, None, ("value",) if kind == CHANGED else ())
                difference.other = other
                difference.codes = codes
                yield difference

    def _check_end(self, events: list[Event], snapshot: Snapshot) -> None:
        for event in events:
            if isinstance(event, End) and event.checksum == "bad":
                self.damaged(FormatError("the checksum is wrong", path=snapshot.name, offset=int(event.offset)))

    def _read(self, n: int) -> None:
        if self.progress is not None:
            self._done += n
            known = self.left.size >= 0 and self.right.size >= 0
            self.progress(self._done, (self.left.size + self.right.size) * self._passes if known else -1)

    def _take_findings(self, snapshot: Snapshot) -> None:
        for finding in snapshot.findings:
            self.report.findings.add(finding)
        if snapshot.loss:
            if not self.options.keep_going:
                worst = max(snapshot.findings, key=lambda finding: finding.severity)
                raise FormatError(
                    worst.message, path=worst.path or snapshot.name, offset=worst.offset, doing=worst.doing
                )
            self.report.loss = True

    def damaged(self, error: RdbToolError) -> None:
        """Tell of damage: as a finding if it is to go on, else by raising it."""
        if not self.options.keep_going:
            raise error
        finding = finding_of(error)
        if finding not in self.report.findings.items:  # each pass meets it again
            self.report.findings.add(finding)
        self.report.loss = True


def _named(events: list[Event]) -> dict[tuple[str, bytes], bytes]:
    """What a snapshot holds beside keys: kind and name -> content."""
    found: dict[tuple[str, bytes], bytes] = {}
    for event in events:
        if isinstance(event, Function):
            found[FUNCTION, library_name(event.code)] = event.code
        elif isinstance(event, FunctionPreGa):
            found[FUNCTION, event.name] = event.upgraded()
        elif isinstance(event, ModuleAux):
            found[MODULE_AUX, b"%b/%d" % (event.module.encode(), event.when)] = event.raw
    return found
