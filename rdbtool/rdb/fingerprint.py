"""A digest of what a value means, however it is encoded, made in memory that does not depend on its size.

Elements of sets, hashes and sorted sets are digested one by one and summed up, so their order does not
matter; the rest is digested in order.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any, Final, final

from mypy_extensions import i64

from rdbtool.errors import RdbToolError
from rdbtool.model import NO_PRODUCERS, Id

from .layout.visitor import HASH, SET, STRING, ZSET, Visitor
from .reader import Frame
from .walk import Walker

_MODULUS: Final = 1 << 256


@final
class Fingerprint(Visitor):
    """Digests the value it is told.

    ``expiries``: those of hash fields count; ``counters``: those of streams do; ``times``: when consumers
    were seen and active does.
    """

    def __init__(self, *, expiries: bool = True, counters: bool = True, times: bool = False) -> None:
        self.expiries = expiries
        self.counting = counters
        self.times = times
        self._ordered: Any = sha256()
        self._sum = 0
        self._kind: i64 = STRING
        self._name: bytes | None = None
        self._expiry: i64 = -1

    def digest(self) -> bytes:
        """The digest of the value that was told."""
        self._ordered.update(self._sum.to_bytes(32, "little"))
        out: bytes = self._ordered.digest()
        return out

    def _add(self, *parts: bytes) -> None:
        """Take an element whose place does not matter."""
        one = sha256()
        for part in parts:
            one.update(b"%d:" % len(part))
            one.update(part)
        self._sum = (self._sum + int.from_bytes(one.digest(), "little")) % _MODULUS

    def _append(self, kind: bytes, *parts: bytes) -> None:
        """Take an element whose place matters."""
        self._ordered.update(kind)
        for part in parts:
            self._ordered.update(b"%d:" % len(part))
            self._ordered.update(part)

    def begin(self, kind: i64, expiring: bool) -> None:
        self._ordered = sha256(b"%d" % kind)
        self._sum = 0
        self._kind = kind
        self._name = None
        self._expiry = -1

    def text(self, data: bytes, start: i64, end: i64) -> None:
        kind = self._kind
        item = data if start == 0 and end == len(data) else data[start:end]
        if kind == SET:
            self._add(item)
        elif kind == ZSET:
            self._name = item
        elif kind == HASH:
            name = self._name
            if name is None:
                self._name = item
            else:
                self._add(name, item, b"%d" % self._expiry if self.expiries else b"")
                self._name = None
                self._expiry = -1
        else:
            self._append(b"item", item)

    def integer(self, n: i64) -> None:
        data = b"%d" % n
        self.text(data, 0, len(data))

    def score(self, x: float) -> None:
        name = self._name
        assert name is not None
        self._add(name, struct.pack("<d", x + 0.0))  # -0 and 0 are one score

    def expiry(self, ms: i64) -> None:
        self._expiry = ms

    def entry(self, ms: int, seq: int) -> None:
        self._append(b"entry", b"%d-%d" % (ms, seq))

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        self._append(b"last", b"%d-%d" % last)
        if self.counting:
            self._append(b"counters", b"%d-%d" % max_deleted, b"%d" % added)

    def group(self, name: bytes, last: Id, entries_read: int) -> None:
        self._append(b"group", name, b"%d-%d" % last, b"%d" % entries_read if self.counting else b"")

    def pending(self, ms: int, seq: int, delivered_ms: int, deliveries: int) -> None:
        self._append(b"pending", b"%d-%d %d %d" % (ms, seq, delivered_ms, deliveries))

    def consumer(self, name: bytes, seen_ms: int, active_ms: int) -> None:
        self._append(b"consumer", name, b"%d %d" % (seen_ms, active_ms) if self.times else b"")

    def consumer_pending(self, ms: int, seq: int) -> None:
        self._append(b"owned", b"%d-%d" % (ms, seq))

    def idempotence(self, raw: bytes) -> None:
        if raw != NO_PRODUCERS:
            self._append(b"idempotence", raw)

    def module(self, name: str, version: int, payload: bytes) -> None:
        self._append(b"module", name.encode(), b"%d" % version, payload)


def fingerprint(frame: Frame, visitor: Fingerprint) -> bytes:
    """The digest of the value of ``frame``. Raises what reading raises, and `RdbToolError` for a damaged value."""
    damage: RdbToolError | None = Walker(visitor).walk(frame)
    if damage is not None:
        raise damage
    return visitor.digest()
