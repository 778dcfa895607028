"""Keys of every type and encoding in many sizes, for comparing what rdbtool says of their memory with servers."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from tests.bench.data import dataset_commands

Command = tuple[bytes | str | int, ...]
SEED = 20260115
LENGTHS = (0, 1, 3, 7, 8, 11, 15, 20, 31, 32, 39, 44, 45, 60, 64, 100, 127, 128, 200, 255, 256, 500, 1000, 4000, 20000)
COUNTS = (1, 2, 5, 10, 30, 60, 100, 128, 129, 200, 400, 512, 513, 700, 1000, 2000)
WIDE = (8, 40, 70, 150, 500)


def text(rng: random.Random, size: int) -> str:
    """Letters, so that no server takes it for a number."""
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGH", k=size))


def corpus(seed: int = SEED, *, newest: bool = False) -> Iterator[Command]:
    """The commands, in an order that every server takes. ``newest``: with types that only Redis 8.10 has."""
    rng = random.Random(seed)
    yield from strings(rng)
    yield from lists(rng)
    yield from sets(rng)
    yield from hashes(rng)
    yield from zsets(rng)
    yield from streams(rng)
    if newest:
        yield from arrays(rng)
        yield from templates(rng)


def dataset(seed: int = SEED) -> Iterator[Command]:
    """Keys as applications have them, and many small ones."""
    yield from itertools.islice(dataset_commands(random.Random(seed)), 6000)
    for i in range(6000):
        yield "SET", f"small:{i}", f"value{i}"
        yield "SET", f"expiring:{i}", f"value{i}", "PX", 10**12


def strings(rng: random.Random) -> Iterator[Command]:
    for size in LENGTHS:
        for name in ("s", "string:" + text(rng, 12), "string:" + text(rng, 40), "string:" + text(rng, 150)):
            yield "SET", f"{name}:{size}", text(rng, size)
        yield "SET", f"string:with-expiry:{size}", text(rng, size), "PX", 10**12
    for number in (0, 1, -1, 9999, 10000, 2**31, 2**40, -(2**60), 2**63 - 1):
        yield "SET", f"number:{number}", number
        yield "SET", f"number:a-longer-name:{number}", number


def lists(rng: random.Random) -> Iterator[Command]:
    for count in COUNTS:
        for size in (3, 20, 64, 200):
            for start in range(0, count, 500):
                items = (text(rng, rng.randint(1, 2 * size)) for _ in range(min(500, count - start)))
                yield "RPUSH", f"list:{size}:{count}", *items
        yield "RPUSH", f"list:of-numbers:{count}", *(rng.getrandbits(rng.randint(1, 40)) for _ in range(count))
    for size in (5000, 9000, 30000):
        yield "RPUSH", f"list:large:{size}", *(text(rng, size) for _ in range(5))


def sets(rng: random.Random) -> Iterator[Command]:
    for count in COUNTS:
        for bits in (10, 28, 60):
            yield "SADD", f"set:of-numbers:{bits}:{count}", *(rng.getrandbits(bits) for _ in range(count))
        for size in WIDE:
            yield "SADD", f"set:{size}:{count}", *(text(rng, rng.randint(4, 2 * size)) for _ in range(count))


def hashes(rng: random.Random) -> Iterator[Command]:
    for count in COUNTS:
        for size in WIDE:
            parts: list[str | int] = []
            for i in range(count):
                parts += [f"field:{i}", text(rng, rng.randint(1, 2 * size))]
            yield "HSET", f"hash:{size}:{count}", *parts
        numbers: list[str | int] = []
        for _ in range(count):
            numbers += [text(rng, 12), rng.getrandbits(rng.randint(1, 40))]
        yield "HSET", f"hash:of-numbers:{count}", *numbers


def zsets(rng: random.Random) -> Iterator[Command]:
    for count in COUNTS:
        for size in WIDE:
            parts: list[str | int] = []
            for _ in range(count):
                score = rng.getrandbits(20) if size != 40 else f"{rng.uniform(0, 1000):.4f}"
                parts += [score, text(rng, rng.randint(4, 2 * size))]
            yield "ZADD", f"zset:{size}:{count}", *parts


def streams(rng: random.Random) -> Iterator[Command]:
    for count in (1, 2, 10, 50, 100, 101, 250, 500, 1000):
        for size in (5, 40, 300):
            ms = 1_700_000_000_000
            for _ in range(count):
                ms += rng.randint(1, 5000)
                yield "XADD", f"stream:{size}:{count}", f"{ms}-0", "a", text(rng, size), "b", rng.getrandbits(20)
        key = f"stream:grouped:{count}"
        for i in range(count):
            yield "XADD", key, f"{1_700_000_000_000 + 1000 * i}-0", "a", text(rng, 30)
        for group in range(3):
            yield "XGROUP", "CREATE", key, f"group{group}", "0"
            for consumer in range(2):
                read = ("GROUP", f"group{group}", f"consumer{consumer}", "COUNT", max(count // 3, 1))
                yield "XREADGROUP", *read, "STREAMS", key, ">"


def arrays(rng: random.Random) -> Iterator[Command]:
    for count in (1, 4, 5, 9, 10, 11, 12, 30, 100, 500, 3000, 10_000):
        for start in range(0, count, 1000):
            some = range(min(1000, count - start))
            yield "ARSET", f"array:of-numbers:{count}", start, *(rng.getrandbits(40) for _ in some)
            yield "ARSET", f"array:short:{count}", start, *(text(rng, rng.randint(1, 7)) for _ in some)
            yield "ARSET", f"array:long:{count}", start, *(text(rng, rng.randint(8, 120)) for _ in some)
    for count in (3, 50, 400):
        for step in (10, 100, 5000, 10**6, 10**12):
            for i in range(count):
                yield "ARSET", f"array:sparse:{step}:{count}", i * step, text(rng, 30) if rng.random() < 0.5 else 5


def templates(rng: random.Random) -> Iterator[Command]:
    for fields in (1, 3, 10, 40, 200, 600):
        yield "HIMPORT", "PREPARE", f"names:{fields}", *(f"field:{i}" for i in range(fields))
        for size in WIDE:
            values = [text(rng, rng.randint(1, 2 * size)) for _ in range(fields)]
            yield "HIMPORT", "SET", f"hash:template:{size}:{fields}", f"names:{fields}", *values
        yield (
            "HIMPORT",
            "SET",
            f"hash:template:of-numbers:{fields}",
            f"names:{fields}",
            *(rng.getrandbits(30) for _ in range(fields)),
        )
