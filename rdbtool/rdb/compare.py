"""Two RDBs side by side: which keys stand in one of them only, or with other bytes.

The keys of the left RDB go into a table, each with its facts and a digest of its payload; then the right
one is read, and every key looked up. Keys that do not fit the table are left to further passes: a pass
takes the keys whose hash has a given remainder, and a table that outgrows its limit halves its share.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, TypeAlias, final
from zlib import crc32

from mypy_extensions import i64, mypyc_attr

from rdbtool.errors import FormatError, RdbToolError
from rdbtool.io.window import Window
from rdbtool.model import NO_EXPIRY

from .events import End, Event, Function, FunctionPreGa, ModuleAux, Update
from .frame import Frame, frame_of
from .reader import RdbReader
from .types import TABLE, TypeRow

DIGESTED: Final = 32
"""Payloads up to this many bytes stand for themselves; of longer ones a digest of 16 bytes is kept."""
KEY_COST: Final = 256
"""Bytes of memory that a key in the table takes, beside its own: its facts, its digest, its place."""

FAR: Final = 1 << 62
"""Expiries beyond this (ms) are told apart exactly: their difference may not fit 64 bits."""
MOST_SHARES: Final = 1 << 16
"""Shares are halved no further: what is too large then are single keys."""

Facts: TypeAlias = tuple[int, int, int, int, bytes, bytes, int, int, int, bytes]
"""A `Kept` as plain values: dialect and byte of the type, then its attributes."""


def shares_within(costs: list[int], limit: int) -> list[tuple[int, int]]:
    """The shares, as remainder and modulus, that passes within ``limit`` bytes take one after the other, where the keys
    of each remainder by `MOST_SHARES` take ``costs`` bytes in a table.
    """
    found: list[tuple[int, int]] = []
    shares = [(0, 1)]
    while shares:
        remainder, modulus = shares.pop()
        left_over: list[tuple[int, int]] = []
        while modulus < MOST_SHARES and sum(costs[remainder::modulus]) > limit:
            left_over.append((remainder + modulus, 2 * modulus))
            modulus *= 2
        found.append((remainder, modulus))
        shares += reversed(left_over)
    return found


@final
@mypyc_attr(acyclic=True)
class Kept:
    """What is kept of a key: its facts as in `Frame`, ``size`` of its payload and ``offset`` of that in the
    file, and ``digest``: of equal ``type``, ``size`` and ``digest`` are equal payloads. ``names``: of the template of a
    hash, which stand elsewhere in the file.
    """

    __slots__ = ("digest", "expire_at_ms", "freq", "idle_s", "met", "meta", "names", "offset", "size", "type")

    def __init__(self, frame: Frame, size: i64, digest: bytes, names: bytes = b"") -> None:
        self.names = names
        self.type: TypeRow = frame.type
        self.offset: i64 = frame.value_offset
        self.size: i64 = size
        self.digest = digest
        self.expire_at_ms: i64 = frame.expire_at_ms
        self.idle_s: i64 = frame.idle_s
        self.freq: i64 = frame.freq
        self.meta = frame.meta
        self.met = False
        """Whether the right RDB has the key too."""

    def facts(self) -> Facts:
        """All of it but whether it was met, for `kept_of`."""
        byte = self.type.byte
        dialect = 0 if TABLE[0][byte] is self.type else 1
        place = (self.size, self.offset, self.digest, self.names)
        return (dialect, byte, *place, self.expire_at_ms, self.idle_s, self.freq, self.meta)

    def same_payload(self, other: Kept) -> bool:
        """Whether both have the same encoding and bytes."""
        return (
            self.type is other.type
            and self.size == other.size
            and self.digest == other.digest
            and self.meta == other.meta
        )


def kept_of(facts: Facts) -> Kept:
    """What `Kept.facts` were told of."""
    dialect, byte, size, offset, digest, names, expire_at_ms, idle_s, freq, meta = facts
    row = TABLE[dialect][byte]
    assert row is not None
    frame = frame_of(0, b"", row, b"")
    frame.value_offset = offset
    frame.expire_at_ms = expire_at_ms
    frame.idle_s = idle_s
    frame.freq = freq
    frame.meta = meta
    return Kept(frame, size, digest, names)


@final
class Match:
    """A key that is not the same on both sides, as far as bytes tell; None on the side that lacks it."""

    __slots__ = ("db", "key", "left", "right")

    def __init__(self, db: i64, key: bytes, left: Kept | None, right: Kept | None) -> None:
        self.db: i64 = db
        self.key = key
        self.left = left
        self.right = right


@final
class Rules:
    """What counts beside the value: ``ttl_tolerance`` is the difference of expiries in ms that does not,
    -1 if no difference does.
    """

    __slots__ = ("eviction", "ttl_tolerance")

    def __init__(self, ttl_tolerance: int = 0, *, eviction: bool = False) -> None:
        self.ttl_tolerance: i64 = ttl_tolerance
        self.eviction = eviction

    def same_expiry(self, left: i64, right: i64) -> bool:
        """Whether two expiries (ms, `NO_EXPIRY` for none) count as equal."""
        if left == right or self.ttl_tolerance < 0:
            return True
        if NO_EXPIRY in {left, right} or not (-FAR < left < FAR and -FAR < right < FAR):
            return False
        return -self.ttl_tolerance <= left - right <= self.ttl_tolerance

    def same_eviction(self, left: Kept, right: Kept) -> bool:
        """Whether idle times and access frequencies count as equal."""
        return not self.eviction or (left.idle_s == right.idle_s and left.freq == right.freq)


def digest_of(payload: bytes) -> bytes:
    """What stands for a payload at hand."""
    return payload if len(payload) <= DIGESTED else sha256(payload).digest()[:16]


@final
class _Tap:
    """Stands between a window and its observer, and digests a payload that the window slides over."""

    def __init__(self, observer: Callable[[bytes], object] | None) -> None:
        self.observer = observer
        self.hasher: Any = None
        self.skip: i64 = -1
        """Bytes of the next run that stand before the payload; -1 outside of payloads."""

    def feed(self, data: bytes) -> None:
        """A run of bytes that was passed."""
        if self.observer is not None:
            self.observer(data)
        if self.skip >= 0:
            if self.hasher is None:
                self.hasher = sha256()
            self.hasher.update(data[self.skip :])
            self.skip = 0


@final
class Keeper:
    """Makes a `Kept` of each frame of one reader, in memory that does not depend on the payload."""

    def __init__(self, reader: RdbReader) -> None:
        self.reader = reader
        self._tap: _Tap | None = None
        self._names: dict[bytes, bytes] = {}
        """Names of templates, held once each."""

    def keep(self, frame: Frame) -> Kept:
        """What is kept of ``frame``, whose payload is passed. Raises what reading raises."""
        w = frame.window()
        if w is not self.reader.window:  # somebody has asked for the bytes before
            data = w.data
            before = len(data) - frame.size
            if frame.size < 0 or before == 0:
                return Kept(frame, len(data), digest_of(data))
            names = data[:before]
            return Kept(frame, frame.size, digest_of(data), self._names.setdefault(names, names))
        try:
            return self._walk(frame, w)
        except RdbToolError as e:
            raise self.reader.located(e) from None

    def _walk(self, frame: Frame, w: Window) -> Kept:
        tap = self._tap
        if tap is None:
            tap = _Tap(w.observer)
            w.observer = tap.feed
            self._tap = tap
        start = w.pos
        base = w.base
        tap.skip = start - w.observed
        frame.type.skip(w)
        tap.skip = -1
        size = w.base + w.pos - base - start
        if w.base == base:
            tap.hasher = None
            return Kept(frame, size, digest_of(w.data[start : w.pos]))
        hasher = tap.hasher
        if hasher is None:  # the window slid before the payload's first byte
            return Kept(frame, size, digest_of(w.data[w.pos - size : w.pos]))
        hasher.update(w.data[w.observed : w.pos])
        tap.hasher = None
        digest: bytes = hasher.digest()
        return Kept(frame, size, digest[:16])


@final
class Matching:
    """One pass over both RDBs: `load` the left one, take from `next_right` until None, then from `missing`.

    ``remainder`` and ``modulus`` say which keys it is about; `load` raises the modulus when the table
    outgrows ``limit`` bytes, and ``left_over`` tells the shares that further passes must take. ``accept``
    is asked of every frame of these keys. ``same`` counts equal keys: database -> type -> count.
    ``others`` collects functions, module data and `End` that were read, in order.
    ``damaged`` is called for keys that a file holds twice, and may raise.
    """

    def __init__(
        self,
        rules: Rules,
        limit: int,
        damaged: Callable[[FormatError], None],
        accept: Callable[[Frame], bool] | None = None,
        remainder: int = 0,
        modulus: int = 1,
    ) -> None:
        self.rules = rules
        self.limit: i64 = limit
        self.remainder: i64 = remainder
        self.modulus: i64 = modulus
        self.left_over: list[tuple[int, int]] = []
        self.same: dict[int, dict[str, int]] = {}
        self.others: list[Event] = []
        self.keys: i64 = 0
        """Keys that it was about, on both sides."""
        self._damaged = damaged
        self._accept = accept
        self._table: dict[int, dict[bytes, Kept]] = {}
        self.used: i64 = 0
        """Bytes that the table takes."""
        self._reader: RdbReader | None = None
        self._keeper: Keeper | None = None

    def load(self, reader: RdbReader) -> None:
        """Take the keys of the left RDB, to its end. Raises what reading raises."""
        keeper = Keeper(reader)
        db: i64 = -1
        keys: dict[bytes, Kept] = {}
        while True:
            event = reader.next()
            if event is None:
                return
            if not isinstance(event, Frame):
                self._note(event, reader)
                continue
            key = event.key
            if not self._mine(event):
                continue
            if event.db != db:
                db = event.db
                keys = self._database(db)
            if key in keys:
                self._twice(reader, event)
                continue  # the first one counts, as on the right side
            keys[key] = keeper.keep(event)
            self.used += KEY_COST + len(key)
            while self.used > self.limit and self.modulus < MOST_SHARES:
                self._halve()
                db = -1

    def costs(self) -> list[int]:
        """Bytes that the keys in the table take, by remainder by `MOST_SHARES`."""
        found = [0] * MOST_SHARES
        for keys in self._table.values():
            for key in keys:
                found[crc32(key) % MOST_SHARES] += KEY_COST + len(key)
        return found

    def start_right(self, reader: RdbReader) -> None:
        """Begin with the right RDB."""
        self._reader = reader
        self._keeper = Keeper(reader)

    def next_right(self) -> Match | None:
        """The next key of the right RDB that is new or not the same; None at its end."""
        reader = self._reader
        keeper = self._keeper
        assert reader is not None
        assert keeper is not None
        db: i64 = -1
        keys: dict[bytes, Kept] = {}
        same: dict[str, int] = {}
        while True:
            event = reader.next()
            if event is None:
                return None
            if not isinstance(event, Frame):
                self._note(event, reader)
                continue
            if not self._mine(event):
                continue
            if event.db != db:
                db = event.db
                keys = self._database(db)
                same = self._counts(db)
            left = keys.get(event.key)
            if left is not None and left.met:
                self._twice(reader, event)
                continue
            right = keeper.keep(event)
            if left is None:
                if self.used < self.limit:  # to notice it if it comes again
                    right.met = True
                    keys[event.key] = right
                    self.used += KEY_COST + len(event.key)
                return Match(db, event.key, None, right)
            left.met = True
            if (
                left.same_payload(right)
                and self.rules.same_expiry(left.expire_at_ms, right.expire_at_ms)
                and self.rules.same_eviction(left, right)
            ):
                type_ = right.type.redis_type
                same[type_] = same.get(type_, 0) + 1
                continue
            return Match(db, event.key, left, right)

    def missing(self) -> list[Match]:
        """The keys that only the left RDB has, in its order. Empties the table."""
        found: list[Match] = []
        for db, keys in self._table.items():
            for key, left in keys.items():
                if not left.met:
                    found.append(Match(db, key, left, None))
        self._table = {}
        found.sort(key=_left_offset)
        return found

    def _mine(self, frame: Frame) -> bool:
        if self.modulus > 1:
            hashed: i64 = crc32(frame.key)
            if hashed % self.modulus != self.remainder:
                return False
        if self._accept is not None and not self._accept(frame):
            return False
        self.keys += 1
        return True

    def _note(self, event: Event, reader: RdbReader) -> None:
        if isinstance(event, (Function, FunctionPreGa, ModuleAux, End)):
            self.others.append(event)
        elif isinstance(event, Update):
            raise event.refusal(reader.window.path)

    def _twice(self, reader: RdbReader, frame: Frame) -> None:
        self._damaged(
            FormatError("the key stands in the file twice", path=reader.window.path, offset=frame.offset, key=frame.key)
        )

    def _database(self, db: i64) -> dict[bytes, Kept]:
        keys = self._table.get(db)
        if keys is None:
            keys = {}
            self._table[db] = keys
        return keys

    def _counts(self, db: i64) -> dict[str, int]:
        counts = self.same.get(db)
        if counts is None:
            counts = {}
            self.same[db] = counts
        return counts

    def _halve(self) -> None:
        """Keep the keys of one half of this pass's share; the other half is left over."""
        self.left_over.append((self.remainder + self.modulus, 2 * self.modulus))
        self.modulus *= 2
        self.used = 0
        for db in self._table:
            kept: dict[bytes, Kept] = {}
            for key, value in self._table[db].items():
                hashed: i64 = crc32(key)
                if hashed % self.modulus == self.remainder:
                    kept[key] = value
                    self.used += KEY_COST + len(key)
            self._table[db] = kept


def _left_offset(match: Match) -> int:
    return -1 if match.left is None else match.left.offset
