"""A visitor that writes down what it is told."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.model import Id
from rdbtool.rdb.layout.visitor import Visitor


class Recorder(Visitor):
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    @classmethod
    def of(cls, calls: list[tuple[object, ...]]) -> Recorder:
        recorder = cls()
        recorder.calls = calls
        return recorder

    def comparable(self) -> list[tuple[object, ...]]:
        """The calls, but for the order of pending entries, which a decoded group has by entry, not by consumer."""
        entries = [call for call in self.calls if call[0] not in {"pending", "consumer_pending"}]
        return entries + sorted(call for call in self.calls if call[0] in {"pending", "consumer_pending"})

    def begin(self, kind: i64, expiring: bool) -> None:  # noqa: ARG002 - what is only a hint is not compared
        self.calls.append(("begin", kind))

    def text(self, data: bytes, start: i64, end: i64) -> None:
        self.calls.append(("string", data[start:end]))

    def integer(self, n: i64) -> None:
        self.calls.append(("string", b"%d" % n))

    def score(self, x: float) -> None:
        self.calls.append(("score", repr(x)))

    def expiry(self, ms: i64) -> None:
        self.calls.append(("expiry", ms))

    def entry(self, ms: int, seq: int) -> None:
        self.calls.append(("entry", ms, seq))

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        self.calls.append(("counters", last, max_deleted, added))

    def group(self, name: bytes, last: Id, entries_read: int) -> None:
        self.calls.append(("group", name, last, entries_read))

    def pending(self, ms: int, seq: int, delivered_ms: int, deliveries: int) -> None:
        self.calls.append(("pending", ms, seq, delivered_ms, deliveries))

    def consumer(self, name: bytes, seen_ms: int, active_ms: int) -> None:
        self.calls.append(("consumer", name, seen_ms, active_ms))

    def consumer_pending(self, ms: int, seq: int) -> None:
        self.calls.append(("consumer_pending", ms, seq))

    def released(self, ms: int, seq: int) -> None:
        self.calls.append(("released", ms, seq))

    def idempotence(self, raw: bytes) -> None:
        self.calls.append(("idempotence", raw))

    def index(self, index: int) -> None:
        self.calls.append(("index", index))

    def last_insert(self, index: int) -> None:
        self.calls.append(("last_insert", index))

    def path(self, name: bytes) -> None:
        self.calls.append(("path", name))

    def module(self, name: str, version: int, payload: bytes) -> None:
        self.calls.append(("module", name, version, payload))
