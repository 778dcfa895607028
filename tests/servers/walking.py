"""A random walk through a small dataset on a server: keys are made, changed and deleted."""

from __future__ import annotations

import random

from .harness import Server, ServerKind

Sent = tuple[bytes | str | int, ...]

KEYS = 12
"""Keys per type: few, so that most are touched more than once."""
FAR = 4_000_000_000_000
STEP = 1_000_000_000
"""Expiries are far in the future and far apart, so that a PTTL tells them without doubt."""


def word(rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return b"%d" % rng.randint(-5, 300)
    if rng.random() < 0.1:
        return rng.randbytes(rng.randint(0, 300))
    return b"word-%d" % rng.randint(0, 40)


def step(rng: random.Random, kind: ServerKind) -> Sent:
    """A command that may change something."""
    n = rng.randint(0, KEYS - 1)
    what = rng.random()
    if what < 0.12:
        return rng.choice(
            [
                ("SET", f"s{n}", word(rng) * rng.randint(1, 30)),
                ("APPEND", f"s{n}", word(rng)),
                ("SETRANGE", f"s{n}", rng.randint(0, 100), word(rng)),
                ("INCR", f"counter{n}"),
            ]
        )
    if what < 0.30:
        return rng.choice(
            [
                ("RPUSH", f"l{n}", *(word(rng) for _ in range(rng.randint(1, 40)))),
                ("LPUSH", f"l{n}", word(rng), word(rng)),
                ("LPOP", f"l{n}"),
                ("RPOP", f"l{n}"),
                ("LSET", f"l{n}", rng.randint(0, 9), word(rng)),
                ("LREM", f"l{n}", 1, word(rng)),
                ("LINSERT", f"l{n}", "BEFORE", word(rng), word(rng)),
            ]
        )
    if what < 0.42:
        return rng.choice(
            [
                ("SADD", f"set{n}", *(word(rng) for _ in range(rng.randint(1, 20)))),
                ("SADD", f"ints{n}", rng.randint(0, 99)),
                ("SREM", f"set{n}", word(rng)),
                ("SREM", f"ints{n}", rng.randint(0, 99)),
            ]
        )
    if what < 0.58:
        choices: list[Sent] = [
            ("HSET", f"h{n}", word(rng), word(rng), word(rng), word(rng)),
            ("HDEL", f"h{n}", word(rng)),
            ("HINCRBY", f"h{n}", "count", 1),
        ]
        if kind.is_valkey and kind.version >= (9, 0, 0):
            expiry = FAR + STEP * rng.randint(0, 20)
            choices += [("HPEXPIREAT", f"h{n}", expiry, "FIELDS", 1, word(rng))] * 2
            choices += [("HPERSIST", f"h{n}", "FIELDS", 1, word(rng))]
        return rng.choice(choices)
    if what < 0.70:
        return rng.choice(
            [
                ("ZADD", f"z{n}", rng.choice(["1", "2.5", "-inf", "1e300", "0.1", "17179869184"]), word(rng)),
                ("ZINCRBY", f"z{n}", "0.1", word(rng)),
                ("ZREM", f"z{n}", word(rng)),
            ]
        )
    if what < 0.86:
        group = f"g{rng.randint(0, 2)}"
        consumer = f"c{rng.randint(0, 2)}"
        return rng.choice(
            [
                ("XADD", f"x{n}", "*", "field", word(rng), "other", word(rng)),
                ("XADD", f"x{n}", "*", word(rng), word(rng)),
                ("XTRIM", f"x{n}", "MAXLEN", rng.randint(0, 20)),
                ("XGROUP", "CREATE", f"x{n}", group, rng.choice(["0", "$"])),
                ("XGROUP", "DESTROY", f"x{n}", group),
                ("XREADGROUP", "GROUP", group, consumer, "COUNT", 2, "STREAMS", f"x{n}", ">"),
                ("XGROUP", "DELCONSUMER", f"x{n}", group, consumer),
            ]
        )
    key = rng.choice(["s", "l", "set", "h", "z", "x"]) + str(n)
    return rng.choice(
        [
            ("PEXPIREAT", key, FAR + STEP * rng.randint(0, 20)),
            ("PERSIST", key),
            ("DEL", key),
            ("RENAME", key, key[0] + "renamed" + str(rng.randint(0, 3))),
            ("MOVE", key, 5),
            ("SELECT", rng.choice([0, 0, 0, 5])),
        ]
    )


def walk(server: Server, rng: random.Random, steps: int) -> None:
    commands = [step(rng, server.kind) for _ in range(steps)]
    server.send(*commands)
    if server.kind.version >= (7, 0, 0):
        code = "#!lua name=lib%d\nredis.register_function('f%d', function() return %d end)"
        n = rng.randint(0, 2)
        server.send(
            ("FUNCTION", "LOAD", "REPLACE", code % (n, rng.randint(0, 3), rng.randint(0, 1))),
            ("FUNCTION", "DELETE", f"lib{rng.randint(0, 2)}"),
        )
