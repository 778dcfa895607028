"""Random values of every type."""

from __future__ import annotations

import math
import random
from collections import deque

from hypothesis import strategies as st

from rdbtool.model import Consumer, Group, Hash, Id, Pending, SortedSet, Stream, Value

EDGES = [
    edge + delta
    for edge in (0, 12, 127, 128, 255, 4095, 4096, 8191, 32767, 8388607, 2147483647, (1 << 63) - 2)
    for delta in (-1, 0, 1)
]


def element(rng: random.Random) -> bytes:
    """A string as values have them: numbers at the edges of encodings, near-numbers, text, long runs."""
    kind = rng.random()
    if kind < 0.25:
        return b"%d" % (rng.choice((1, -1)) * rng.choice(EDGES))
    if kind < 0.3:
        return rng.choice(
            (b"", b"-", b"-0", b"00", b"+1", b" 1", b"1.0", b"9223372036854775808", b"-9223372036854775808")
        )
    if kind < 0.4:
        return b"%d" % rng.randint(-(1 << 70), 1 << 70)
    if kind < 0.5:
        return rng.randbytes(1) * rng.choice((20, 21, 62, 63, 64, 65, 250, 254, 4094, 4096, 16383, 16384, 20000))
    return rng.randbytes(rng.choice((1, 3, 11, 30, 64, 100)))


def elements(rng: random.Random) -> list[bytes]:
    most = rng.choice((1, 4, 20, 140, 700))
    pool = element if rng.random() < 0.5 else small_element
    return [pool(rng) for _ in range(rng.randint(1, most))]


def small_element(rng: random.Random) -> bytes:
    """One that fits into packed values."""
    return element(rng)[:60] if rng.random() < 0.3 else b"%d" % rng.randint(-70000, 70000)


def score(rng: random.Random) -> float:
    if rng.random() < 0.3:
        return rng.choice((0.0, -0.0, math.inf, -math.inf, 1e300, -5e-324, 0.1, 1e-7, 2.0**53, 2.0**62, 3.0))
    return rng.choice((rng.uniform(-1e6, 1e6), float(rng.randint(-1000, 1000)), rng.lognormvariate(0, 100)))


def entry_id(rng: random.Random, after: Id) -> Id:
    ms, seq = after
    if rng.random() < 0.3:
        return ms, seq + rng.randint(1, 3)
    return ms + rng.randint(1, 1 << rng.randint(1, 44)), rng.randint(0, 1 << 63)


def stream(rng: random.Random) -> Stream:
    out = Stream()
    fields = [small_element(rng) for _ in range(rng.randint(1, 3))]
    last: Id = (rng.randint(0, 1 << 62), 0)
    for _ in range(rng.choice((0, 1, 3, 250))):
        last = entry_id(rng, last)
        if rng.random() < 0.1:
            fields = [small_element(rng) for _ in range(rng.randint(1, 3))]
        out.entries.append((last, [x for field in fields for x in (field, element(rng))]))
    out.last_id = entry_id(rng, last)
    out.max_deleted_id = (rng.randint(0, 5), rng.randint(0, 5))
    out.entries_added = len(out.entries) + rng.randint(0, 100)
    for _ in range(rng.randint(0, 3)):
        group = Group(last, rng.choice((-1, 0, 17)))
        for _ in range(rng.randint(0, 3)):
            seen = rng.randint(0, 1 << 42)
            group.consumers[small_element(rng)] = Consumer(seen, rng.choice((-1, seen, seen - 1)))
        if group.consumers:
            for pending, _ in sorted(rng.sample(out.entries, min(len(out.entries), 5))):
                consumer = rng.choice(sorted(group.consumers))
                group.pending.append(Pending(pending, consumer, rng.randint(0, 1 << 42), rng.randint(1, 300)))
        out.groups[small_element(rng)] = group
    return out


def any_value(rng: random.Random, kind: str) -> Value:
    """A random value of that Redis type."""
    if kind == "string":
        return element(rng)
    if kind == "list":
        return deque(elements(rng))
    if kind == "set":
        items = elements(rng) if rng.random() < 0.6 else [b"%d" % rng.randint(-(1 << 40), 1 << 40) for _ in range(50)]
        return dict.fromkeys(items)
    if kind == "zset":
        return SortedSet({member: score(rng) for member in elements(rng)})
    if kind == "hash":
        fields = {field: element(rng) if rng.random() < 0.2 else small_element(rng) for field in elements(rng)}
        if rng.random() < 0.5:
            return Hash(fields)
        return Hash(fields, {f: rng.randint(0, 1 << 45) for f in fields if rng.random() < 0.5} or None)
    return stream(rng)


KINDS = ("string", "list", "set", "zset", "hash", "stream")

INTEGERS = st.one_of(st.sampled_from(EDGES + [-n for n in EDGES]), st.integers(-(1 << 63), (1 << 63) - 1))
