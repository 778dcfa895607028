"""Random commands: bitmaps."""

from __future__ import annotations

from random import Random

from tests.engine.differential import Command, args
from tests.servers.harness import ServerKind

KEYS = [b"a", b"b", b"c", b"list"]
NUMBERS: list[int | str] = [
    0,
    1,
    -1,
    127,
    128,
    -128,
    -129,
    255,
    256,
    (1 << 63) - 1,
    -(1 << 63),
    1 << 62,
    -5,
    1000,
    "x",
    1 << 63,
]


def number(random: Random) -> int | str:
    return random.choice(NUMBERS) if random.random() < 0.5 else random.randrange(-300, 300)


def kind_of_integer(random: Random) -> str:
    if random.random() < 0.02:
        return random.choice(["u64", "i65", "i0", "x8", "u", "i08"])
    return random.choice("iu") + str(random.choice([1, 2, 5, 7, 8, 9, 13, 16, 31, 32, 33, 63, random.randrange(1, 64)]))


def offset(random: Random) -> str:
    if random.random() < 0.02:
        return random.choice(["-1", "#-1", "x", "#", "4294967296", "99999999999999999999"])
    return random.choice(["", "", "#"]) + str(random.randrange(80))


def make(random: Random, kind: ServerKind) -> Command:
    key = random.choice(KEYS)
    pick = random.randrange(10)
    if pick < 3:
        where = random.randrange(100) if random.random() < 0.95 else random.randrange(40000)
        return args(
            "SETBIT",
            key,
            where if random.random() < 0.98 else offset(random),
            random.choice([0, 1, 1, 1, 2 if random.random() < 0.1 else 1]),
        )
    if pick < 6:
        parts: list[str | int] = []
        for _ in range(random.randrange(1, 5)):
            if random.random() < 0.3:
                parts += [
                    "OVERFLOW",
                    random.choice(["WRAP", "SAT", "FAIL", "sat", "x" if random.random() < 0.1 else "fail"]),
                ]
            name = random.choice(["GET", "SET", "INCRBY", "incrby"])
            parts += [name, kind_of_integer(random), offset(random), *([] if name == "GET" else [number(random)])]
        return args("BITFIELD", key, *parts)
    if pick < 8:
        name = random.choice(["AND", "OR", "XOR", "NOT", "and", "nand" if random.random() < 0.1 else "or"])
        if kind.at_least("redis", 8, 2):
            name = random.choice([name, "DIFF", "diff1", "ANDOR", "ONE"])
        sources = random.choices(KEYS[:3] if random.random() < 0.9 else KEYS, k=random.randrange(1, 4))
        return args("BITOP", name, random.choice([b"b", b"c", b"d"]), *(sources[:1] if name == "NOT" else sources))
    if pick == 8:
        return args("SET", random.choice(KEYS[:3]), random.choice([b"12345", b"\xff" * 9, b"abc", b"x" * 2000]))
    return args("DEL", key) if random.random() < 0.2 else args("GETBIT", key, random.randrange(100))
