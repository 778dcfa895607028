"""DEBUG DIGEST: a fingerprint of a dataset that does not depend on the order of what has no order.

From debug.c. Digests are SHA-1 values: elements without order are joined by exclusive or, for which they are held as
integers, ordered ones by hashing what came before with them.
"""

from __future__ import annotations

from hashlib import sha1
from math import copysign
from typing import ClassVar, Final, final

from mypy_extensions import i64

from rdbtool.basics.fpconv import seventeen, shortest
from rdbtool.errors import RdbToolError, UnsupportedError
from rdbtool.model import NO_EXPIRY
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.facts import (
    ARRAY_CURSORS,
    CONSUMERS,
    GROUPS,
    IDEMPOTENCE,
    PENDING,
    PENDING_OWNERS,
    RELEASED,
    STREAM_COUNTERS,
)
from rdbtool.rdb.layout.visitor import (
    ARRAY,
    HASH,
    LIST,
    MODULE,
    PATH_HASH,
    SET,
    STREAM,
    STRING,
    ZSET,
    Visitor,
    visit_value,
)
from rdbtool.rdb.types import TypeRow
from rdbtool.rdb.walk import Walker
from rdbtool.servers.features import FIELD_EXPIRIES, INTEGER_SCORES, SHORTEST_SCORES
from rdbtool.servers.releases import Release

from .cells.cell import Cell, FrameCell
from .cells.zset import SortedSetCell

FOREVER: Final[i64] = -(1 << 62)
"""Before the expiry of any field."""
MOST_HOLES: Final = 1 << 24
"""Indexes without an element between two that have one: a digest takes a step for each, of about a microsecond."""
SCORES_KEPT: Final = 4096
"""Scores whose hashes are remembered: working out their text costs more than all the rest."""


_new: Final = sha1(usedforsecurity=False).copy
"""Copying one that holds nothing is faster than making one."""


def _sha1(data: bytes) -> bytes:
    hasher = _new()
    hasher.update(data)
    return hasher.digest()


def _hash(data: bytes) -> int:
    return int.from_bytes(_sha1(data))


def _mixed(digest: bytes, data: bytes) -> bytes:
    return _sha1((int.from_bytes(digest) ^ _hash(data)).to_bytes(20))


def _mix(digest: int, data: bytes) -> int:
    return _hash((digest ^ _hash(data)).to_bytes(20))


def _mixed_into_nothing(data: bytes) -> bytes:
    """Mixed into a digest that is 0."""
    return _sha1(_sha1(data))


_EXPIRES: Final = _hash(b"!!expire!!")
_FIELD_EXPIRES: Final = _hash(b"!!hexpire!!")

TYPE_NUMBERS: Final[dict[i64, int]] = {
    STRING: 0,
    LIST: 1,
    SET: 2,
    ZSET: 3,
    HASH: 4,
    MODULE: 5,
    STREAM: 6,
    ARRAY: 7,
    PATH_HASH: 7,
}
"""What the servers number types as, by kind of the visitor; the last one stands for another type in each product."""
_TYPES: Final = [b""] * len(TYPE_NUMBERS)
for _kind, _number in TYPE_NUMBERS.items():
    _TYPES[_kind] = _number.to_bytes(4)


@final
class ValueDigest(Visitor):
    """The digest of the value that is told: set ``digest`` to what it is mixed into, before.

    ``modules``: module values met. What their modules mix in is their own secret, and taken for nothing.
    ``fields_from``: fields of hashes that expire before (ms) are passed over; ``fields``: those of the last hash that
    were not.
    """

    # DEBUG DIGEST takes only the entries of a stream (debug.c), and only the elements of an array.
    IGNORES: ClassVar[frozenset[str]] = frozenset(
        {STREAM_COUNTERS, GROUPS, PENDING, CONSUMERS, PENDING_OWNERS, RELEASED, IDEMPOTENCE, ARRAY_CURSORS}
    )

    def __init__(self, release: Release) -> None:
        self.digest = 0
        self.modules: i64 = 0
        self._limits = release.limits
        self._packs_integers = release.has(INTEGER_SCORES)
        self._shortest = release.has(SHORTEST_SCORES)
        self._marks_fields = not release.valkey  # Valkey does not mix in that a field expires
        self._scores: dict[float, int] = {}
        self._kind: i64 = STRING
        self._element = b""
        self._path = b""
        self._next = 0
        """The index that follows the last element of an array."""
        self._in_field = False
        self._expires = False
        self.fields_from: i64 = FOREVER
        self.fields: i64 = 0
        self._has_expired = False
        self._members: i64 = 0
        self._longest: i64 = 0
        self._zeros = 0
        self._is_exact = False
        self.type: TypeRow | None = None
        """How the value that is told next stands in a file."""

    def tell(self, cell: Cell) -> None:
        """Be told the value of a cell; that of a sorted set holds each -0 as its server does."""
        self.type = cell.frame.type if isinstance(cell, FrameCell) else None
        self._is_exact = isinstance(cell, SortedSetCell)
        visit_value(cell.value(), self)
        self._is_exact = False

    def begin(self, kind: i64, expiring: bool) -> None:
        self._kind = kind
        self._in_field = False
        self._expires = False
        self._has_expired = False
        self.fields = 0
        self._members = 0
        self._longest = 0
        self._zeros = 0
        self._next = 0
        self.digest = _mix(self.digest, _TYPES[kind])

    def end(self) -> None:
        # one that is packed in the file keeps the text -0, as Redis 6.2 writes it, whatever server loads it
        if (
            self._zeros
            and self._packs_integers
            and not self._is_exact
            and (self.type is None or self.type.name not in {"zset-ziplist", "zset-listpack"})
        ):
            limits = self._limits
            # A packed sorted set, which a small one is once it is loaded, holds -0 as the integer 0.
            if self._members <= limits.zset_entries and self._longest <= limits.zset_value:
                self.digest ^= self._zeros

    def text(self, data: bytes, start: i64, end: i64) -> None:
        self._piece(data if start == 0 and end == len(data) else data[start:end])

    def integer(self, n: i64) -> None:
        self._piece(b"%d" % n)

    def _piece(self, piece: bytes) -> None:
        kind = self._kind
        if kind == HASH:
            if not self._in_field:
                self._element = _mixed_into_nothing(piece)
                self._in_field = True
                return
            self._in_field = False
            if self._has_expired:
                self._has_expired = False
                self._expires = False
                return
            self.fields += 1
            element = _mixed(self._element, piece)
            if self._expires:
                element = (int.from_bytes(element) ^ _FIELD_EXPIRES).to_bytes(20)
            self._expires = False
            self.digest ^= _hash(element)
        elif kind == ZSET:
            self._element = _mixed_into_nothing(piece)
            self._members += 1
            self._longest = max(self._longest, len(piece))
        elif kind == SET:
            self.digest ^= _hash(piece)
        elif kind == PATH_HASH:
            if not self._in_field:
                self._element = _mixed(self._path, piece)
            else:
                self.digest ^= _hash(_mixed(self._element, piece))
            self._in_field = not self._in_field
        else:
            self.digest = _mix(self.digest, piece)

    def score(self, x: float) -> None:
        if not x:
            self._zero(x)
            return
        hashed = self._scores.get(x)
        if hashed is None:
            hashed = _hash(shortest(x) if self._shortest else seventeen(x))
            if len(self._scores) >= SCORES_KEPT:
                self._scores.clear()
            self._scores[x] = hashed
        self.digest ^= _hash(_sha1((int.from_bytes(self._element) ^ hashed).to_bytes(20)))

    def _zero(self, x: float) -> None:
        zero = _hash(_mixed(self._element, b"0"))
        if copysign(1.0, x) < 0:
            negative = _hash(_mixed(self._element, b"-0"))
            self._zeros ^= negative ^ zero
            zero = negative
        self.digest ^= zero

    def expiry(self, ms: i64) -> None:
        self._expires = self._marks_fields
        self._has_expired = ms < self.fields_from

    def entry(self, ms: int, seq: int) -> None:
        self.digest = _mix(self.digest, b"%d.%d" % (ms, seq))

    def index(self, index: int) -> None:
        holes = index - self._next
        self._next = index + 1
        if holes > MOST_HOLES:
            raise UnsupportedError(
                f"the digest of an array takes a step for every index: here are {holes} without an element (a server "
                "that is asked for it hangs)",
                doing="computing a digest",
            )
        while holes > 0:
            self.digest = _mix(self.digest, b"(null)")
            holes -= 1

    def path(self, name: bytes) -> None:
        self._path = _mixed_into_nothing(name)

    def module(self, name: str, version: int, payload: bytes) -> None:
        self.modules += 1


@final
class Digester:
    """DEBUG DIGEST of the keys that are added, in any order, and of each key DEBUG DIGEST-VALUE.

    ``release`` is the server whose way of printing scores is followed; ``loaded_ms``: when it loads the file, where
    it drops the fields of a snapshot, also of one in front of a log, that have expired by then (seen of Valkey 9.1);
    ``keys`` counts; ``modules`` counts keys whose digest only their module knows; ``emptied``: hashes without a field
    that has not expired, which are left out.
    """

    def __init__(self, release: Release, *, loaded_ms: int | None = None) -> None:
        self.keys: i64 = 0
        self.emptied: i64 = 0
        self._value = ValueDigest(release)
        if loaded_ms is not None and release.valkey and release.has(FIELD_EXPIRIES):
            self._value.fields_from = loaded_ms
        self._walker = Walker(self._value)
        self._dbs: dict[int, int] = {}
        self._modules_added = 0
        self._miscounted_added = 0

    @property
    def modules(self) -> int:
        """Keys whose digest only their module knows."""
        return self._value.modules + self._modules_added

    @property
    def miscounted(self) -> int:
        """Streams that hold another number of entries than they say."""
        return int(self._walker.miscounted) + self._miscounted_added

    def sums(self) -> dict[int, int]:
        """What the keys of each database add up to, for `add_sums` of another one."""
        return self._dbs

    def add_sums(self, sums: dict[int, int], keys: int, emptied: int, modules: int, miscounted: int) -> None:
        """Add the keys of another one."""
        for db, digest in sums.items():
            self._dbs[db] = self._dbs.get(db, 0) ^ digest
        self.keys += keys
        self.emptied += emptied
        self._modules_added += modules
        self._miscounted_added += miscounted

    def add_cell(self, db: int, key: bytes, cell: Cell) -> None:
        """Add a key that is no frame."""
        self._value.digest = _hash(_sha1(key))
        self._value.tell(cell)
        self._join(db, cell.expire_at_ms)

    def add_frame(self, frame: Frame, db: int, key: bytes, expire_at_ms: int) -> RdbToolError | None:
        """Add a key from its bytes; its database, name and expiry may have changed since. Damage inside its value
        is returned. Raises what reading raises.
        """
        self._value.digest = _hash(_sha1(key))
        self._value.type = frame.type
        damage = self._walker.walk(frame)
        value = self._value
        if damage is None and value.fields == 0 and value.fields_from != FOREVER and frame.type.kind == HASH:
            self.emptied += 1
        else:
            self._join(db, expire_at_ms)
        return damage

    def _join(self, db: int, expire_at_ms: int) -> None:
        digest = self._value.digest
        if expire_at_ms != NO_EXPIRY:
            digest ^= _EXPIRES
        self._dbs[db] = self._dbs.get(db, 0) ^ _hash(digest.to_bytes(20))
        self.keys += 1

    def cell_digest(self, cell: Cell) -> str:
        """DEBUG DIGEST-VALUE, 40 hex digits."""
        self._value.digest = 0
        self._value.tell(cell)
        return f"{self._value.digest ^ (0 if cell.expire_at_ms == NO_EXPIRY else _EXPIRES):040x}"

    def frame_digest(self, frame: Frame, expire_at_ms: int) -> str:
        """The same from a key's bytes, which are then passed."""
        self._value.digest = 0
        self._value.type = frame.type
        self._walker.walk(frame)
        return f"{self._value.digest ^ (0 if expire_at_ms == NO_EXPIRY else _EXPIRES):040x}"

    def result(self) -> str:
        """The digest of all, 40 hex digits."""
        total = 0
        for db in sorted(self._dbs):
            total = _mix(total, db.to_bytes(4)) ^ self._dbs[db]
        return f"{total:040x}"


def tell_cell(cell: Cell, visitor: Visitor) -> None:
    """Tell the value of a cell, from its bytes where nobody has opened it. Raises `FormatError` for damage."""
    if isinstance(cell, FrameCell):
        damage = Walker(visitor).walk(cell.frame)
        if damage is not None:
            raise damage
    else:
        visit_value(cell.value(), visitor)
