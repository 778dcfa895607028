from __future__ import annotations

from pathlib import Path
from random import Random, randrange

import pytest

from tests.engine.differential import Command, args, compare
from tests.servers.harness import SERVERS, ServerKind

KEYS = [b"a", b"b", b"same", b"bits", b"none"]
BOUNDS = ["-inf", "+inf", "(0", "0", "(1", "1", "2", "(3", "0.5", "x", "", "("]
LEX = ["-", "+", "[a", "(a", "[m3", "(m3", "[m5", "[z", "z"]


def member(random: Random) -> str:
    return random.choice(["a", "m", ""]) + str(random.randrange(12))


def options(random: Random, *names: str) -> list[str | int]:
    chosen: list[str | int] = [name for name in names if random.random() < 0.3]
    if random.random() < 0.3:
        chosen += ["LIMIT", random.randrange(-2, 4), random.randrange(-2, 4)]
    return chosen


def make(random: Random, kind: ServerKind) -> Command:
    key = random.choice(KEYS)
    pick = random.randrange(16)
    lex = [random.choice(LEX), random.choice(LEX)]
    bounds = [random.choice(BOUNDS), random.choice(BOUNDS)]
    ranks = [random.randrange(-9, 9), random.randrange(-9, 9)]
    if pick < 2:
        return args(
            "ZADD",
            random.choice([b"a", b"b"]),
            random.randrange(-3, 4),
            member(random),
            random.uniform(0, 2),
            member(random),
        )
    if pick == 2:
        return args("ZADD", b"same", 0, member(random), 0, member(random))
    if pick == 3:
        return args("SETBIT", b"bits", random.randrange(200), random.randrange(2))
    if pick == 4:
        return args(random.choice(["ZRANGE", "ZREVRANGE"]), key, *ranks, *options(random, "WITHSCORES"))
    if pick == 5:
        return args("ZRANGE", key, *bounds, "BYSCORE", *options(random, "REV", "WITHSCORES"))
    if pick == 6:
        return args(random.choice(["ZRANGEBYSCORE", "ZREVRANGEBYSCORE"]), key, *bounds, *options(random, "WITHSCORES"))
    if pick == 7:
        return args("ZRANGE", b"same", *lex, "BYLEX", *options(random, "REV"))
    if pick == 8:
        return args(random.choice(["ZRANGEBYLEX", "ZREVRANGEBYLEX"]), b"same", *lex, *options(random))
    if pick == 9:
        return args("ZCOUNT", key, *bounds) if random.random() < 0.5 else args("ZLEXCOUNT", b"same", *lex)
    if pick == 10:
        return args(random.choice(["ZRANK", "ZREVRANK", "ZSCORE"]), key, member(random))
    if pick == 11:
        return args("ZMSCORE", key, member(random), member(random))
    if pick == 12:
        unit = [random.choice(["BIT", "BYTE"])] if kind.version >= (7, 0) and random.random() < 0.5 else []
        return args("BITCOUNT", key, *ranks, *unit)
    if pick == 13:
        return args("ZREM", key, member(random))
    if pick == 14:
        return args("GEODIST", key, member(random), member(random), random.choice(["m", "km", "mi"]))
    return args("ZCARD", key)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_reading_commands_answer_the_same(kind: ServerKind, tmp_path: Path) -> None:
    compare(kind, tmp_path, make, seed=randrange(1 << 30), count=5000)
