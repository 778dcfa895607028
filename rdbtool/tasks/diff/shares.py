"""The comparison with several workers, each of them a share of the keys.

Each worker reads both files and passes over the keys of others, which takes a fifth of the time that looking at them
takes. It writes what differs to a temporary file, in the order in which it meets it. These are merged to the order in
which one process gives the differences.
"""

from __future__ import annotations

import heapq
import marshal
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, closing, contextmanager, suppress
from io import BufferedReader, BufferedWriter
from math import gcd
from operator import add
from typing import Final, NamedTuple, TypeAlias, final
from zlib import crc32

from rdbtool.errors import ChangedError, InputError, LostWorkerError, OutputError, RdbToolError, reason
from rdbtool.rdb.compare import MOST_SHARES, Facts, Match, kept_of, shares_within
from rdbtool.tasks.parts import FileState
from rdbtool.tasks.units import Unit, in_order
from rdbtool.tasks.watching import Note, noted
from rdbtool.tasks.workers import cores

from .difference import Difference
from .run import UNDECIDED, Diff, DiffOptions
from .snapshot import Snapshot

TOGETHER: Final = 256
"""Differences that are written and read together,"""
BYTES_TOGETHER: Final = 1 << 18
"""unless their keys have more bytes than this."""
LENGTH: Final = 8
"""Bytes that tell how many bytes they are."""
PLAIN: Final = 2
"""The version of `marshal` that looks for no value that comes again."""
MANY: Final = 20_000
"""Where so many keys of a share, and most of them, are new, to tell another process of them takes longer than to find
them there.
"""
LOOK_EVERY: Final = 8 << 20
"""Bytes that are read between two looks whether anybody waits for it."""

Record: TypeAlias = tuple[int, int, bytes, Facts | None, Facts | None, tuple[str, ...] | None]
"""The offset that tells its place, and that no other has; database, key, what is kept of it on both sides, and what
differs, None where that is undecided.
"""
Other: TypeAlias = tuple[str, bytes, str, tuple[bytes, bytes], tuple[str, ...]]
"""A difference that is about no key: kind, name, what it is, contents, what differs."""


class _Share(NamedTuple):
    """The keys whose hash by ``modulus`` leaves ``remainder``. ``number``: of the unit of work; the first one looks at
    what is no key, and verifies the checksum of the left side, as the second does that of the right side.
    """

    number: int
    remainder: int
    modulus: int


class _Options(NamedTuple):
    """``parts``: of the memory, one for each worker; ``place``: a directory for what is found, and how far it is."""

    left: FileState
    right: FileState
    diff: DiffOptions
    parts: int
    place: str

    @property
    def notes(self) -> str:
        """The file of notes."""
        return os.path.join(self.place, "notes")


class _Found(NamedTuple):
    """What was found in a ``share``, which has become smaller where keys were ``left_over``, by remainder and modulus.

    ``path``: of the file of records, where those of keys that only the left side has begin at the byte ``missing_at``;
    ``others``: differences that are about no key. ``counts``: as in `DiffReport`. ``keys``: that were looked at, of
    both sides; ``used``: bytes that those of the left side take in a table, and ``costs``: see `Matching.costs`; left
    out where they are much less than may be.
    """

    share: _Share
    left_over: list[tuple[int, int]]
    path: str
    missing_at: int
    others: list[Other]
    counts: dict[tuple[int, str], dict[str, int]]
    keys: int
    used: int
    costs: list[int]


@contextmanager
def in_shares(diff: Diff, executor: Executor, workers: int) -> Iterator[Iterator[Difference] | None]:
    """The differences that ``diff`` is to give, found by so many ``workers``; None where one process has to find them:
    where something else than an RDB file is compared, where damage is to be told or most keys are new, and without room
    for temporary files. The report has all counts then, and memory stays bounded.

    Raises `LostWorkerError`.
    """
    selection = diff.options.selection
    limited = selection is not None and (selection.limit >= 0 or selection.exact is not None)
    plain = diff.left.plain and diff.right.plain
    if not plain or limited or diff.options.keep_going:
        yield None
        return
    try:
        place = tempfile.TemporaryDirectory(prefix="rdbtool-diff-", ignore_cleanup_errors=True)
    except OSError:
        yield None
        return
    with place:
        shared = _Shared(diff, executor, workers or cores(), place.name)
        yield shared.differences() if shared.compare() else None


@final
class _Shared:
    """The shares of one comparison."""

    def __init__(self, diff: Diff, executor: Executor, workers: int, place: str) -> None:
        self._diff = diff
        self._executor = executor
        self._workers = workers
        states = (_state_of(diff.left), _state_of(diff.right))
        self._options = _Options(*states, diff.options, workers, place)
        self._found: list[_Found] = []
        self._used = 0
        self._costs = [0] * MOST_SHARES
        self._begun = 0

    def compare(self) -> bool:
        """Let the workers find all. Returns whether they could; raises `LostWorkerError`."""
        selection = self._diff.options.selection
        kept = 0 if selection is None else selection.kept
        shares = [(remainder, self._workers) for remainder in range(self._workers)]
        done = True
        while shares and done:
            done, shares = self._compare(shares)
        if done:
            # Shares that are much smaller than others do not tell how the passes of one process are made of them.
            done = self._used <= self._diff.options.table_limit or sum(self._costs) == self._used
        if selection is not None:
            selection.kept = kept + sum(found.keys for found in self._found) if done else kept
        return done

    def _compare(self, shares: list[tuple[int, int]]) -> tuple[bool, list[tuple[int, int]]]:
        """The same for some shares; also returns those that are left over."""
        begun = self._begun
        self._begun += len(shares)
        with open(self._options.notes, "ab"):
            pass
        left_over: list[tuple[int, int]] = []
        units = (
            Unit(_compare, self._diff.left.name, _Share(begun + i, *share), self._options)
            for i, share in enumerate(shares)
        )
        error: RdbToolError | None = None
        with closing(in_order(self._executor, units, self._workers, self._progress)) as results:
            for _, result in results:
                if isinstance(result, RdbToolError):
                    error = result if error is None or isinstance(result, LostWorkerError) else error
                    with suppress(FileNotFoundError):
                        os.unlink(self._options.notes)  # which ends the others
                    continue
                self._used += result.used
                self._costs = list(map(add, self._costs, result.costs)) if result.costs else self._costs
                self._found.append(result._replace(costs=[]))
                left_over += result.left_over
        if isinstance(error, LostWorkerError):
            raise error
        return error is None, left_over

    def _progress(self) -> None:
        progress = self._diff.progress
        if progress is not None and os.path.exists(self._options.notes):
            done = sum(noted(self._options.notes, self._begun)) // self._workers
            size = self._diff.left.size + self._diff.right.size
            progress(done, max(done, size * self._begun // self._workers))

    def differences(self) -> Iterator[Difference]:
        """What was found, in the order in which one process finds it."""
        diff = self._diff
        for found in self._found:
            for (db, type_), row in found.counts.items():
                for kind, n in row.items():
                    diff.report.add(db, type_, kind, n)
        limit = diff.options.table_limit
        for remainder, modulus in shares_within(self._costs, limit) if self._used > limit else [(0, 1)]:
            with ExitStack() as stack:
                files = [
                    (stack.enter_context(open(found.path, "rb")), found.missing_at)
                    for found in self._found
                    if (found.share.remainder - remainder) % gcd(found.share.modulus, modulus) == 0
                ]
                yield from self._merged([_records(*file, remainder, modulus) for file in files])
                if diff.report.passes == 0:
                    for other in self._found[0].others:
                        yield _difference_of(other)
                for file, missing_at in files:
                    file.seek(missing_at)
                yield from self._merged([_records(file, -1, remainder, modulus) for file, _ in files])
            diff.report.passes += 1

    def _merged(self, records: list[Iterator[Record]]) -> Iterator[Difference]:
        for _, db, key, left, right, differs in heapq.merge(*records):
            match = Match(db, key, left and kept_of(left), right and kept_of(right))
            difference = self._diff.difference(match, differs)
            if difference is not None:
                yield difference


def _state_of(snapshot: Snapshot) -> FileState:
    status = snapshot.status()
    return FileState(snapshot.name, status.st_ino, snapshot.size, status.st_mtime_ns)


def _difference_of(other: Other) -> Difference:
    kind, name, what, codes, differs = other
    difference = Difference(kind, -1, name, None, None, differs)
    difference.other = what
    difference.codes = codes
    return difference


def _records(file: BufferedReader, end: int, remainder: int, modulus: int) -> Iterator[Record]:
    """The records of a file up to the byte ``end``, -1 for its end, that are about keys of this share."""
    while file.tell() != end:
        size = int.from_bytes(file.read(LENGTH), "little")
        if not size:
            return
        for record in marshal.loads(file.read(size)):  # noqa: S302 - of a process that this one began
            if modulus == 1 or crc32(record[2]) % modulus == remainder:
                yield record


@final
class _Records:
    """Writes records to a file."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file = file
        self._together: list[Record] = []
        self._bytes = 0
        self.missing_at = -1

    def add(self, difference: Difference) -> None:
        """Write a difference that is about a key; those that only the left side has come last."""
        side = difference.right
        if side is None:
            self._begin_missing()
            side = difference.left
        assert side is not None
        left, right = (s and s.kept.facts() for s in (difference.left, difference.right))
        differs = None if difference.kind == UNDECIDED else difference.differs
        self._together.append((side.kept.offset, difference.db, difference.key, left, right, differs))
        self._bytes += len(difference.key)
        if len(self._together) == TOGETHER or self._bytes > BYTES_TOGETHER:
            self._write()

    def end(self) -> None:
        """Write what is left."""
        self._begin_missing()
        self._write()
        self._file.flush()

    def _begin_missing(self) -> None:
        if self.missing_at < 0:
            self._write()
            self.missing_at = self._file.tell()

    def _write(self) -> None:
        if self._together:
            data = marshal.dumps(self._together, PLAIN)
            self._file.write(len(data).to_bytes(LENGTH, "little") + data)
            self._together = []
            self._bytes = 0


@final
class _Noting:
    """Notes how far it is, as long as anybody wants to know it; then it raises `InputError`."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._last = 0

    def __call__(self, done: int, total: int) -> None:
        self._note(done, total)
        if done >= self._last + LOOK_EVERY:
            self._last = done
            if not os.path.exists(self._note.path):
                raise InputError("another process could not do its share")


def _compare(_: str, share: _Share, options: _Options) -> _Found:
    path = os.path.join(options.place, f"{share.number}")
    with _opened(options.left) as left, _opened(options.right) as right:
        diff = Diff(left, right, options.diff)
        diff.decided = diff.large // options.parts
        note = Note(options.notes, share.number)
        diff.progress = _Noting(note)
        try:
            with open(path, "wb") as file:
                return _found(diff, share, options.parts, file)
        except OSError as e:
            raise OutputError(f"cannot keep what differs in a temporary file: {reason(e)}", path=path) from e
        finally:
            note.close()


@contextmanager
def _opened(state: FileState) -> Iterator[Snapshot]:
    file = state.open()
    try:
        with Snapshot(state.path, os.dup(file.handle), state.size, plain=True) as snapshot:
            yield snapshot
            if snapshot.status().st_mtime_ns != state.changed_ns:
                raise ChangedError("the file was changed while it was read", path=state.path)
    finally:
        file.close()


def _found(diff: Diff, share: _Share, parts: int, file: BufferedWriter) -> _Found:
    """What is found in a share, the differences of keys in ``file``."""
    first = share.number == 0
    matching = diff.matching(share.remainder, share.modulus, parts)
    diff.load(matching, checksum=first)
    used = int(matching.used)
    halved = matching.modulus > parts
    costs = matching.costs() if halved or 4 * used > matching.limit else []
    records = _Records(file)
    others: list[Other] = []
    left_keys = int(matching.keys)
    added = 0
    for difference in diff.compare(matching, checksum=share.number == min(1, parts - 1), others=first):
        if difference.db < 0:
            others.append((difference.kind, difference.key, difference.other, difference.codes, difference.differs))
            continue
        records.add(difference)
        if difference.left is None:
            added += 1
            if added > MANY and 2 * added > int(matching.keys) - left_keys:
                raise InputError("one process is faster")
    records.end()
    share = share._replace(modulus=int(matching.modulus))
    counts = diff.report.counts
    return _Found(
        share, matching.left_over, file.name, records.missing_at, others, counts, int(matching.keys), used, costs
    )
