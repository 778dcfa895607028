from __future__ import annotations

from pathlib import Path
from random import Random, randrange

import pytest

from tests.engine.differential import Command, args, compare
from tests.servers.harness import SERVERS, ServerKind

SOURCES = [b"list", b"set", b"zset", b"none"]


def element(random: Random) -> str:
    return str(random.randrange(60))


def make(random: Random, kind: ServerKind) -> Command:
    pick = random.randrange(10)
    if pick == 0:
        return args("RPUSH", b"list", *[element(random) for _ in range(random.randrange(1, 9))])
    if pick == 1:
        return args("SADD", b"set", *[element(random) for _ in range(random.randrange(1, 9))])
    if pick == 2:
        return args("ZADD", b"zset", random.randrange(3), element(random))
    if pick == 3:
        return args("SET", f"w_{element(random)}", random.choice(["a", "b", "B", "ab", "1", "2"]))
    if pick == 4:
        return args("HSET", f"h_{element(random)}", "f", random.choice(["a", "b", "7", "-1.5", ""]))
    if pick == 5 and random.random() < 0.05:
        return args("DEL", random.choice(SOURCES))
    options: list[str | int] = []
    if random.random() < 0.6:
        options += ["BY", random.choice(["w_*", "h_*->f", "nosort", "none_*"])]
    if random.random() < 0.6:
        options += ["LIMIT", random.randrange(-1, 12), random.randrange(-1, 12)]
    for pattern in ("#", "w_*", "h_*->f"):
        if random.random() < 0.2:
            options += ["GET", pattern]
    options += [option for option in ("ALPHA", "DESC") if random.random() < 0.6]
    # Sets have no order of their own in which what compares equal could stay.
    source = b"list" if "ALPHA" in options and "BY" in options else random.choice(SOURCES)
    return args("SORT", source, *options, "STORE", "result")


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_random_sorts_store_the_same_lists(kind: ServerKind, tmp_path: Path) -> None:
    compare(kind, tmp_path, make, seed=randrange(1 << 30), count=1200, batch=10)
