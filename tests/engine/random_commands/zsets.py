"""Random commands: sorted sets."""

from __future__ import annotations

from random import Random

from tests.engine.differential import Command, args
from tests.servers.harness import ServerKind

KEYS = [b"a", b"b", b"c", b"set"]
SCORES = [
    "0",
    "-0",
    "1",
    "-1",
    "2.5",
    "0.1",
    "inf",
    "-inf",
    "1e300",
    "-1e300",
    "3",
    "1e-310",
    "17",
    "0.30000000000000004",
]
BAD = ["nan", "x", "", " 1", "1 ", "0x1p3", "1e400"]
BOUNDS = ["-inf", "+inf", "(0", "0", "(1", "1", "2", "(inf", "0.5", "x"]
LEX = ["-", "+", "[a", "(a", "[m3", "(m3", "[m5", "[z", "z"]


def member(random: Random) -> str:
    return (
        random.choice(["a", "m", "", "1", "-5", "é"])
        + str(random.randrange(12))
        + "x" * (80 * (random.random() < 0.003))
    )


def score(random: Random) -> str:
    if random.random() < 0.02:
        return random.choice(BAD)
    return random.choice(SCORES) if random.random() < 0.6 else repr(random.uniform(-50, 50))


def limit(random: Random) -> list[str | int]:
    return ["LIMIT", random.randrange(-2, 6), random.randrange(-2, 6)] if random.random() < 0.5 else []


def make(random: Random, kind: ServerKind) -> Command:
    key = random.choice(KEYS)
    pick = random.randrange(18)
    if pick < 5:
        options = [o for o in ("NX", "XX", "GT", "LT", "CH", "INCR") if random.random() < 0.12]
        size = random.choice([1, 1, 2, 5, 20 if random.random() < 0.1 else 3, 140 if random.random() < 0.01 else 1])
        pairs: list[str] = []
        for i in range(size):
            pairs += [score(random) if size < 10 else "1.5", member(random) if size < 50 else f"n{i}"]
        return args("ZADD", key, *options, *pairs)
    if pick == 5:
        return args("ZINCRBY", key, score(random), member(random))
    if pick == 6:
        return args("ZREM", key, *[member(random) for _ in range(random.randrange(1, 4))])
    if pick == 7:
        return args("ZREMRANGEBYRANK", key, random.randrange(-6, 6), random.randrange(-6, 6))
    if pick == 8:
        return args("ZREMRANGEBYSCORE", key, random.choice(BOUNDS), random.choice(BOUNDS))
    if pick == 9:
        return args(
            random.choice(["ZPOPMIN", "ZPOPMAX"]), key, *([random.randrange(-1, 3)] if random.random() < 0.5 else [])
        )
    if pick == 10:
        return args("SADD", b"set", *[member(random) for _ in range(3)])
    if pick < 14:
        name = random.choice(["ZUNIONSTORE", "ZINTERSTORE", "ZDIFFSTORE"])
        number = random.randrange(1, 4)
        options2: list[str | int] = []
        if random.random() < 0.4:
            options2 += ["WEIGHTS", *[random.choice(["1", "-2", "0", "inf", "0.5"]) for _ in range(number)]]
        if random.random() < 0.4:
            options2 += ["AGGREGATE", random.choice(["SUM", "MIN", "MAX", "max"])]
        return args(name, random.choice([b"b", b"c", b"d"]), number, *random.choices(KEYS, k=number), *options2)
    if pick == 14:
        return args(
            "ZRANGESTORE",
            random.choice([b"c", b"d"]),
            key,
            random.randrange(-9, 9),
            random.randrange(-9, 9),
            *(["REV"] if random.random() < 0.5 else []),
        )
    if pick == 15:
        return args(
            "ZRANGESTORE",
            random.choice([b"c", b"d"]),
            key,
            random.choice(BOUNDS),
            random.choice(BOUNDS),
            "BYSCORE",
            *(["REV"] if random.random() < 0.5 else []),
            *limit(random),
        )
    if pick == 16 and kind.version >= (7, 0):
        return args(
            "ZMPOP",
            2,
            random.choice(KEYS),
            random.choice(KEYS),
            random.choice(["MIN", "MAX"]),
            *(["COUNT", str(random.randrange(3))] if random.random() < 0.5 else []),
        )
    return args("DEL", key) if random.random() < 0.3 else args("ZREM", key, member(random))


def make_lex(random: Random, kind: ServerKind) -> Command:
    """Keys that no other group names: where scores differ, a skiplist's random levels decide what is in a range."""
    pick = random.randrange(5)
    if pick < 3:
        return args("ZADD", b"same", *[p for _ in range(5) for p in ("0", member(random))])
    if pick == 3:
        return args("ZREMRANGEBYLEX", b"same", random.choice(LEX), random.choice(LEX))
    return args(
        "ZRANGESTORE",
        b"part",
        b"same",
        random.choice(LEX),
        random.choice(LEX),
        "BYLEX",
        *(["REV"] if random.random() < 0.5 else []),
        *limit(random),
    )
