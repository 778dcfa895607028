"""What a dataset is made of: every sum, distribution and list of first keys that reports show, filled key by key."""

from __future__ import annotations

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.visitor import KIND_NAMES, STRING
from rdbtool.servers.slots import SLOTS, hash_slot

from .costs import Costs
from .encodings import ENCODINGS
from .measure import Measure
from .prefixes import Prefixes, PrefixTree
from .tallies import Distribution, Expiries, MeasuredKey, Tally, Top

FEW: Final = 10
"""Keys of each list of first ones, where nobody asks for more."""


@final
class Wanted:
    """What to count besides sums: ``top``: keys in each list; ``prefixes``: sums by them, unless their depth is 0;
    ``slots``: by hash slot; ``now_ms``: what is left until keys expire is seen from then.
    """

    def __init__(
        self, *, top: int = FEW, prefixes: Prefixes | None = None, slots: bool = False, now_ms: int = 0
    ) -> None:
        self.top = top
        self.prefixes = Prefixes() if prefixes is None else prefixes
        self.slots = slots
        self.now_ms: i64 = now_ms


@final
class Contents:
    """The counts. ``kinds``: by Redis type; ``encodings``: by index in `ENCODINGS`; ``stored``: by the name of the
    encoding in the file; ``dbs``: by database; the lists of first keys are by bytes on the server, bytes in the file,
    elements, access frequency, and idle time. ``field_expiries``: fields of hashes that expire. ``tables``: bytes of
    the databases' tables, and of templates of hashes.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.total = Tally()
        self.kinds = [Tally() for _ in KIND_NAMES]
        self.encodings = [Tally() for _ in ENCODINGS]
        self.stored: dict[str, Tally] = {}
        self.dbs: dict[int, Tally] = {}
        self.by_bytes = Top(wanted.top)
        self.by_size = Top(wanted.top)
        self.by_elements = Top(wanted.top)
        self.by_freq = Top(wanted.top)
        self.by_idle = Top(wanted.top)
        self.bytes = Distribution()
        self.elements = Distribution()
        self.expiries = Expiries(wanted.now_ms)
        self.prefixes: PrefixTree | None = PrefixTree(wanted.prefixes) if wanted.prefixes.depth > 0 else None
        self.slot_keys: vec[i64] = vec[i64]([0] * SLOTS if wanted.slots else [])
        self.slot_bytes: vec[i64] = vec[i64]([0] * SLOTS if wanted.slots else [])
        self.slots = wanted.slots
        self.field_expiries: i64 = 0
        self.tables: i64 = 0
        self._db: i64 = -1
        self._of_db = Tally()
        self._name = ""
        self._of_name = Tally()

    def __reduce__(self) -> tuple[object, ...]:
        return Contents, (Wanted(),), self.__getstate__()

    def take(self, frame: Frame, m: Measure) -> None:
        """Count a key that was just measured."""
        count = m.bytes
        elements = m.elements
        size = m.size
        expires = frame.expire_at_ms >= 0
        if frame.db != self._db:
            self._db = frame.db
            self._of_db = self.dbs.setdefault(frame.db, Tally())
        row = frame.type
        if row.name != self._name:
            self._name = row.name
            found = self.stored.get(row.name)
            if found is None:
                found = Tally()
                self.stored[row.name] = found
            self._of_name = found
        _count(self.total, count, elements, size, expires)
        _count(self.kinds[row.kind], count, elements, size, expires)
        _count(self.encodings[m.encoding], count, elements, size, expires)
        _count(self._of_db, count, elements, size, expires)
        _count(self._of_name, count, elements, size, expires)
        self.field_expiries += m.field_expiries
        self.bytes.add(count, count)
        self.elements.add(elements, count)
        self.expiries.add(frame.expire_at_ms, count)
        prefixes = self.prefixes
        if prefixes is not None:
            prefixes.add(frame.key, count, size)
        if self.slots:
            slot = i64(hash_slot(frame.key))
            self.slot_keys[slot] += 1
            self.slot_bytes[slot] += count
        if (
            count > self.by_bytes.least
            or size > self.by_size.least
            or (elements > self.by_elements.least and row.kind != STRING)
            or frame.freq > self.by_freq.least
            or frame.idle_s > self.by_idle.least
        ):
            self._rank(frame, m)

    def _rank(self, frame: Frame, m: Measure) -> None:
        key = measured_key(frame, m)
        if m.bytes > self.by_bytes.least:
            self.by_bytes.add(m.bytes, key)
        if m.size > self.by_size.least:
            self.by_size.add(m.size, key)
        if m.elements > self.by_elements.least and frame.type.kind != STRING:
            self.by_elements.add(m.elements, key)
        if frame.freq > self.by_freq.least:
            self.by_freq.add(frame.freq, key)
        if frame.idle_s > self.by_idle.least:
            self.by_idle.add(frame.idle_s, key)

    def add_tables(self, costs: Costs) -> None:
        """Add what the tables of the databases take on a server; all keys have been taken."""
        for tally in self.dbs.values():
            self.tables += costs.keyspace(tally.keys, tally.expires)

    def adds_up(self, other: Contents) -> bool:
        """Whether `merge` gives what one would have that counted the keys of both: no prefix was or will be folded."""
        prefixes = self.prefixes
        return prefixes is None or other.prefixes is None or prefixes.adds_up(other.prefixes)

    def merge(self, other: Contents) -> None:
        """Add what was counted elsewhere, of other keys."""
        self.total.merge(other.total)
        for mine, theirs in zip(self.kinds, other.kinds, strict=True):
            mine.merge(theirs)
        for mine, theirs in zip(self.encodings, other.encodings, strict=True):
            mine.merge(theirs)
        for name, tally in other.stored.items():
            self.stored.setdefault(name, Tally()).merge(tally)
        for db, tally in other.dbs.items():
            self.dbs.setdefault(db, Tally()).merge(tally)
        self.by_bytes.merge(other.by_bytes)
        self.by_size.merge(other.by_size)
        self.by_elements.merge(other.by_elements)
        self.by_freq.merge(other.by_freq)
        self.by_idle.merge(other.by_idle)
        self.bytes.merge(other.bytes)
        self.elements.merge(other.elements)
        self.expiries.merge(other.expiries)
        if self.prefixes is not None and other.prefixes is not None:
            self.prefixes.merge(other.prefixes)
        if self.slots and other.slots:
            for slot in range(SLOTS):
                self.slot_keys[slot] += other.slot_keys[slot]
                self.slot_bytes[slot] += other.slot_bytes[slot]
        self.field_expiries += other.field_expiries
        self.tables += other.tables


def _count(tally: Tally, count: i64, elements: i64, size: i64, expires: bool) -> None:
    tally.keys += 1
    tally.bytes += count
    tally.elements += elements
    tally.size += size
    if expires:
        tally.expires += 1


def measured_key(frame: Frame, m: Measure) -> MeasuredKey:
    """What is known of a key that was just measured."""
    key = MeasuredKey(frame.db, frame.key, frame.type.redis_type, ENCODINGS[m.encoding])
    key.bytes = m.bytes
    key.size = m.size
    key.elements = m.elements
    key.largest = m.largest
    key.expire_at_ms = frame.expire_at_ms
    key.idle_s = frame.idle_s
    key.freq = frame.freq
    key.offset = frame.offset
    return key
