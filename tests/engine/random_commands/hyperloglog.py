"""Random commands: HyperLogLogs."""

from __future__ import annotations

from random import Random

from tests.engine.differential import Command, args
from tests.servers.harness import ServerKind

KEYS = [b"a", b"b", b"c", b"d"]


def element(random: Random) -> bytes:
    if random.random() < 0.3:
        return str(random.randrange(5000)).encode()
    return random.randbytes(random.randrange(40))


def make(random: Random, kind: ServerKind) -> Command:
    key = random.choice(KEYS)
    pick = random.randrange(20)
    if pick < 13:
        return args("PFADD", key, *[element(random) for _ in range(random.choice([0, 1, 1, 3, 10, 100]))])
    if pick < 15:
        return args("PFMERGE", random.choice(KEYS), *random.choices(KEYS, k=random.randrange(3)))
    if pick < 18:
        return args("PFCOUNT", *random.choices(KEYS, k=random.choice([1, 1, 2, 3])))
    if pick == 18 and random.random() < 0.2:
        return args("PFDEBUG", random.choice(["TODENSE", "todense", "ENCODING", "GETREG"]), key)
    if random.random() < 0.3:
        return args("DEL", key)
    return (
        args("SET", b"d", random.choice(["x", "12", "HYLL" + "x" * 20]))
        if random.random() < 0.05
        else args("PFCOUNT", key)
    )
