"""What counts keys: sums, distributions, and the first N of them. All of it merges, and takes little memory whatever
the number of keys.
"""

from __future__ import annotations

from heapq import heappush, heapreplace
from typing import Any, Final, final

from librt.vecs import vec
from mypy_extensions import i64

from rdbtool.model import NO_EXPIRY

POWERS: Final = 63
"""Powers of two that a distribution tells apart."""


@final
class Tally:
    """Of some keys: how many, how many of them expire, their elements, their bytes on the server and in the file."""

    __slots__ = ("bytes", "elements", "expires", "keys", "size")

    def __init__(self) -> None:
        self.keys: i64 = 0
        self.expires: i64 = 0
        self.elements: i64 = 0
        self.bytes: i64 = 0
        self.size: i64 = 0

    def merge(self, other: Tally) -> None:
        """Add what another one counted."""
        self.keys += other.keys
        self.expires += other.expires
        self.elements += other.elements
        self.bytes += other.bytes
        self.size += other.size

    def as_json(self) -> dict[str, Any]:
        """The same as data; ``size`` is of the values' bytes in the file."""
        return {
            "keys": self.keys,
            "expires": self.expires,
            "elements": self.elements,
            "bytes": self.bytes,
            "size": self.size,
        }


@final
class MeasuredKey:
    """A key with its facts, and what `measure.Measure` found out; ``largest``, ``idle_s`` and ``freq`` are -1 where
    they are not known, ``expire_at_ms`` is `NO_EXPIRY` for none. ``type`` is what the TYPE command answers.
    """

    __slots__ = (
        "bytes",
        "db",
        "elements",
        "encoding",
        "expire_at_ms",
        "freq",
        "idle_s",
        "key",
        "largest",
        "size",
        "type",
    )

    def __init__(self, db: i64, key: bytes, type_: str, encoding: str) -> None:
        self.db: i64 = db
        self.key = key
        self.type = type_
        self.encoding = encoding
        self.bytes: i64 = 0
        self.size: i64 = 0
        self.elements: i64 = 0
        self.largest: i64 = -1
        self.expire_at_ms: i64 = NO_EXPIRY
        self.idle_s: i64 = -1
        self.freq: i64 = -1

    def __reduce__(self) -> tuple[object, ...]:
        return MeasuredKey, (0, b"", "", ""), self.__getstate__()


@final
class Top:
    """The ``n`` keys of which something is greatest."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.least: i64 = -1 if n > 0 else (1 << 62)
        """A key that has no more than this does not count."""
        self._heap: list[tuple[int, int, MeasuredKey]] = []
        self._order = 0

    def __reduce__(self) -> tuple[object, ...]:
        return Top, (0,), self.__getstate__()

    def add(self, value: int, key: MeasuredKey) -> None:
        """Take in a key whose ``value`` is more than ``least``."""
        self._order -= 1  # of equals, those that come first stay
        item = (value, self._order, key)
        if len(self._heap) < self.n:
            heappush(self._heap, item)
        elif self.n > 0 and item[0] > self._heap[0][0]:
            heapreplace(self._heap, item)
        if len(self._heap) == self.n and self.n > 0:
            self.least = self._heap[0][0]

    def merge(self, other: Top) -> None:
        """Take in those of another one."""
        for value, _, key in sorted(other._heap, key=_rank):
            if value > self.least:
                self.add(value, key)

    def ranked(self) -> list[tuple[int, MeasuredKey]]:
        """Values and keys, the greatest first."""
        return [(value, key) for value, _, key in sorted(self._heap, key=_rank)]


def _rank(item: tuple[int, int, MeasuredKey]) -> tuple[int, int]:
    return -item[0], -item[1]


@final
class Distribution:
    """How many keys have how much of something, and their bytes, by powers of two: ``keys[i]`` of more than half of
    ``2 ** i``, up to that; ``keys[0]`` of none or 1.
    """

    def __init__(self) -> None:
        self.keys: vec[i64] = vec[i64]([0] * POWERS)
        self.bytes: vec[i64] = vec[i64]([0] * POWERS)

    def add(self, value: i64, size: i64) -> None:
        """Count a key of ``size`` bytes."""
        power: i64 = 0
        most: i64 = 1
        while most < value and power < POWERS - 1:
            most *= 2
            power += 1
        self.keys[power] += 1
        self.bytes[power] += size

    def merge(self, other: Distribution) -> None:
        """Add what another one counted."""
        for i in range(POWERS):
            self.keys[i] += other.keys[i]
            self.bytes[i] += other.bytes[i]

    def as_json(self) -> list[dict[str, int]]:
        """The classes that have keys; ``up_to``: the most that such a key has."""
        return [
            {"up_to": 1 << i, "keys": int(self.keys[i]), "bytes": int(self.bytes[i])}
            for i in range(POWERS)
            if self.keys[i]
        ]


MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

SPANS: Final[list[tuple[str, int]]] = [
    ("expired", 0),
    ("within a minute", MINUTE),
    ("within an hour", HOUR),
    ("within a day", DAY),
    ("within a week", 7 * DAY),
    ("within 30 days", 30 * DAY),
    ("within a year", 365 * DAY),
    ("later", 1 << 62),
]
"""When keys expire: names, and how much time is left at most, in ms."""
NEVER: Final = "never"


@final
class Expiries:
    """When keys fall due, seen from ``now_ms``: keys and bytes by the spans of `SPANS`, and at last those that never
    do.
    """

    def __init__(self, now_ms: i64) -> None:
        self.now_ms: i64 = now_ms
        self.keys: vec[i64] = vec[i64]([0] * (len(SPANS) + 1))
        self.bytes: vec[i64] = vec[i64]([0] * (len(SPANS) + 1))
        self._until: vec[i64] = vec[i64]([most for _, most in SPANS])

    def __reduce__(self) -> tuple[object, ...]:
        return Expiries, (0,), self.__getstate__()

    def add(self, expire_at_ms: i64, size: i64) -> None:
        """Count a key of ``size`` bytes."""
        span: i64 = 0
        if expire_at_ms == NO_EXPIRY:
            span = len(self._until)
        else:
            left = expire_at_ms - self.now_ms
            while left > self._until[span]:
                span += 1
        self.keys[span] += 1
        self.bytes[span] += size

    def merge(self, other: Expiries) -> None:
        """Add what another one counted."""
        for i in range(len(SPANS) + 1):
            self.keys[i] += other.keys[i]
            self.bytes[i] += other.bytes[i]

    def rows(self) -> list[tuple[str, int, int]]:
        """Name, keys and bytes of each span."""
        names = [name for name, _ in SPANS] + [NEVER]
        return [(name, int(self.keys[i]), int(self.bytes[i])) for i, name in enumerate(names)]
