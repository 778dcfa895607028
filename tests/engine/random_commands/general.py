"""Random commands: strings, keys, lists, sets, hashes and SORT."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from xxhash import xxh3_64_hexdigest

from tests.engine.differential import Command, args
from tests.servers.harness import ServerKind

NUMBERS = ["0", "1", "-1", "12", "100", "-129", "9223372036854775807", "-9223372036854775808", "32768"]
NOT_NUMBERS = ["", "a", "1.5", " 1", "+1", "01", "9223372036854775808", "-0"]
FLOATS = ["0.1", "-0.5", "3", "1e5", "5.0e3", "0x1p3", "inf", "-1e-10", "1e4000", "1234567.891", "99999999999999999999"]
WORDS = ["", "a", "hello", "x" * 45, "y" * 100, "7", "-3"]


def ttl(random: Random, *odd: str) -> str:
    """A far time to live that no other one is near to: both sides count it from their own clock."""
    return random.choice(odd) if odd and random.random() < 0.15 else str(random.randrange(200, 90000) * 100)


def one(random: Random, *of: Sequence[str | int]) -> str | int:
    return random.choice(random.choice(of))


def maybe(random: Random, chance: float, *parts: str | int) -> list[str | int]:
    return list(parts) if random.random() < chance else []


def expiry(random: Random) -> list[str | int]:
    unit = random.choice(["EX", "PX", "ex"])
    return [unit, ttl(random, "0", "-1", "x")]


def strings(random: Random, kind: ServerKind) -> Command:
    key = random.choice("abc")
    pick = random.randrange(16)
    if pick < 3:
        options: list[str | int] = []
        for option in random.sample(["NX", "XX", "GET", "KEEPTTL", "T"], random.choice([0, 0, 1, 2])):
            options += expiry(random) if option == "T" else [option]
        if kind.version < (7, 0) and {"NX", "GET"} <= set(options):
            options.remove("GET")
        if kind.is_valkey:
            options += maybe(random, 0.1, "IFEQ", one(random, NUMBERS, WORDS))
        elif kind.version >= (8, 4) and "GET" not in options:  # with a wrong digest, it would answer twice
            options += maybe(random, 0.3, *condition(random))
        return args("SET", key, one(random, NUMBERS, WORDS), *options)
    if pick == 3:
        return args("APPEND", key, one(random, WORDS, NUMBERS, ["z" * 600]))
    if pick == 4:
        return args("SETRANGE", key, random.choice([0, 1, 3, 50, 200, 1500, -1]), one(random, WORDS))
    if pick == 5:
        return args(random.choice(["INCR", "DECR"]), key)
    if pick == 6:
        return args(random.choice(["INCRBY", "DECRBY"]), key, one(random, NUMBERS, NUMBERS, NOT_NUMBERS))
    if pick == 7:
        return args("INCRBYFLOAT", key, one(random, FLOATS, FLOATS, NOT_NUMBERS))
    if pick == 8:
        return args(
            random.choice(["MSET", "MSETNX"]), key, one(random, WORDS), random.choice("abcd"), one(random, NUMBERS)
        )
    if pick == 9:
        how: list[list[str | int]] = [["PERSIST"], expiry(random), []]
        return args("GETEX", key, *random.choice(how))
    if pick == 10:
        return args(random.choice(["GETDEL", "GET", "STRLEN"]), key)
    if pick == 11:
        return args(random.choice(["GETSET", "SETNX"]), key, one(random, WORDS))
    if pick == 12:
        return args(random.choice(["SETEX", "PSETEX"]), key, ttl(random, "0"), one(random, WORDS))
    if pick == 13:
        return args("GETRANGE", key, random.randrange(-9, 9), random.randrange(-9, 60))
    if pick == 14 and kind.is_valkey and kind.version >= (9, 0):
        return args("DELIFEQ", key, one(random, NUMBERS, WORDS))
    if pick == 14 and kind.at_least("redis", 8, 4):
        return args("DELEX", key, *maybe(random, 0.8, *condition(random)))
    if pick == 15 and (kind.at_least("redis", 8, 4) or kind.at_least("valkey", 9, 1)):
        names = random.choices("abcd", k=random.randrange(1, 4))
        pairs = [part for name in names for part in (name, one(random, NUMBERS, WORDS))]
        how = [expiry(random), ["KEEPTTL"], []]
        return args("MSETEX", len(names), *pairs, *random.choice(how), *maybe(random, 0.4, random.choice(["NX", "XX"])))
    return args("DEL", key) if random.random() < 0.5 else args("LPUSH", random.choice("de"), "x")


def condition(random: Random) -> list[str | int]:
    """Of SET and DELEX since Redis 8.4."""
    operand = one(random, NUMBERS, WORDS)
    if random.random() < 0.5:
        return [random.choice(["IFEQ", "IFNE", "ifeq"]), operand]
    return [
        random.choice(["IFDEQ", "IFDNE"]),
        random.choice([xxh3_64_hexdigest(str(operand).encode()), "0" * 16, "12"]),
    ]


def keys(random: Random, kind: ServerKind) -> Command:
    key, other = random.choices("abcde", k=2)
    pick = random.randrange(15)
    if pick < 3:
        name = random.choice(["SET", "RPUSH", "SADD"])
        return args(name, key, one(random, WORDS))
    if pick == 3:
        return args("HSET", key, one(random, WORDS), "v")
    if pick < 6:
        conditions = (
            maybe(random, 0.4, random.choice(["NX", "XX", "GT", "LT", "lt", "Q"])) if kind.version >= (7, 0) else []
        )
        name = random.choice(["EXPIRE", "PEXPIRE"])
        when = ttl(random, "x", "9223372036854775807")
        return args(name, key, when, *conditions, *(maybe(random, 0.05, "NX") if conditions else []))
    if pick == 6:
        return args("EXPIREAT", key, "9999999999") if random.random() < 0.5 else args("PEXPIREAT", key, "9999999999999")
    if pick == 7:
        return args("PERSIST", key)
    if pick == 8:
        return args(random.choice(["RENAME", "RENAMENX"]), key, other)
    if pick == 9:
        return args(
            "COPY",
            key,
            other,
            *maybe(random, 0.3, "DB", random.choice(["0", "1", "x", "-1"])),
            *maybe(random, 0.4, "REPLACE"),
        )
    if pick == 10:
        return args("MOVE", key, random.choice([0, 1, 2]))
    if pick == 11:
        return args("SELECT", random.choice([0, 1, 2]))
    if pick == 12:
        return args("SWAPDB", random.choice([0, 1]), random.choice(["1", "2", "x"]))
    if pick == 13:
        return args(random.choice(["DEL", "UNLINK", "EXISTS", "TYPE", "TOUCH"]), key, *maybe(random, 0.4, other))
    return (
        args(random.choice(["FLUSHDB", "FLUSHALL"]), *maybe(random, 0.5, random.choice(["ASYNC", "SYNC", "x"])))
        if random.random() < 0.1
        else args("SET", key, "1", "PX", "8000000")
    )


LENGTHS = [1, 2, 10, 63, 64, 100, 500, 1000, 2500, 4000, 5000, 8170, 8180, 8192, 8193, 9000]


def element(random: Random) -> str:
    if random.random() < 0.5:
        return str(random.choice(["a", "b", "c", "1", "200", "-5000", "70000", "12345678901"]))
    return random.choice("pqr") * random.choice(LENGTHS if random.random() < 0.3 else LENGTHS[:6])


def lists(random: Random, kind: ServerKind) -> Command:
    key, other = random.choices("ab", k=2)
    pick = random.randrange(15)
    if pick < 5:
        name = random.choice(["RPUSH", "LPUSH", "RPUSH", "LPUSH", "RPUSHX", "LPUSHX"])
        return args(name, key, *[element(random) for _ in range(random.choice([1, 1, 2, 5, 30]))])
    if pick == 5:
        return args("LINSERT", key, random.choice(["BEFORE", "after"]), element(random), element(random))
    if pick == 6:
        return args("LSET", key, random.randrange(-12, 12), element(random))
    if pick == 7:
        return args("LREM", key, random.choice(["0", "1", "2", "-1", "-2", "x"]), element(random))
    if pick == 8:
        return args("LTRIM", key, random.choice([0, 1, 2, 5, -3, -20]), random.choice([-1, -2, -6, 3, 30]))
    if pick < 11:
        count = maybe(random, 0.4, random.choice([0, 1, 3, 10, -1]))
        return args(random.choice(["LPOP", "RPOP"]), key, *count)
    if pick == 11:
        sides = random.choices(["LEFT", "RIGHT", "left"], k=2)
        return args(random.choice(["LMOVE", "LMOVE"]), key, other, *sides)
    if pick == 12:
        return args("RPOPLPUSH", key, other)
    if pick == 13 and kind.version >= (7, 0):
        return args(
            "LMPOP",
            2,
            key,
            other,
            random.choice(["LEFT", "RIGHT"]),
            *maybe(random, 0.5, "COUNT", random.choice([0, 1, 4])),
        )
    return (
        args("DEL", key)
        if random.random() < 0.1
        else args("LRANGE", key, random.randrange(-5, 5), random.randrange(-5, 9))
    )


def set_member(random: Random) -> str:
    if random.random() < 0.5:
        return str(random.randrange(-300, 300))
    return random.choice(["a", "b", "-0", "01", "x" * random.choice([3, 64, 65])]) + str(random.randrange(20))


def sets(random: Random, kind: ServerKind) -> Command:
    key, other, third = random.choices("abcd", k=3)
    pick = random.randrange(14)
    if pick < 5:
        n = random.choice([1, 2, 10, 60])
        if random.random() < 0.5:
            return args("SADD", key, *[random.randrange(1000) for _ in range(random.choice([n, 300, 520]))])
        return args("SADD", key, *[set_member(random) for _ in range(n)])
    if pick < 7:
        return args("SREM", key, *[set_member(random) for _ in range(random.choice([1, 5]))])
    if pick == 7:
        return args("SMOVE", key, other, set_member(random))
    if pick < 10:
        name = random.choice(["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"])
        return args(name, third, *random.choices("abcde", k=random.choice([1, 2, 3])))
    if pick == 10:
        return args(random.choice(["SINTER", "SUNION", "SDIFF", "SMEMBERS"]), key)
    if pick == 11 and kind.version >= (7, 0):
        return args("SINTERCARD", 2, key, other, *maybe(random, 0.5, "LIMIT", random.choice([0, 1, 3, -1])))
    if pick == 12:
        return args("SMISMEMBER", key, set_member(random), set_member(random))
    return args("DEL", key) if random.random() < 0.4 else args("COPY", key, other, "REPLACE")


def hash_field(random: Random) -> str:
    return random.choice(["f", "g", "1", "x" * random.choice([1, 64, 65]) if random.random() < 0.05 else "h"]) + str(
        random.randrange(8)
    )


def hashes(random: Random, kind: ServerKind) -> Command:
    key = random.choice("ab")
    pick = random.randrange(10)
    if pick < 3:
        pairs = [
            p for _ in range(random.choice([1, 1, 2, 6])) for p in (hash_field(random), one(random, WORDS[:4], NUMBERS))
        ]
        return args(random.choice(["HSET", "HMSET"]), key, *pairs, *maybe(random, 0.03, "odd"))
    if pick == 3 and random.random() < 0.05:
        return args("HSET", key, *[p for i in range(random.choice([200, 520])) for p in (f"n{i % 515}", i)])
    if pick == 4:
        return args("HSETNX", key, hash_field(random), one(random, WORDS))
    if pick == 5:
        return args("HDEL", key, *[hash_field(random) for _ in range(random.choice([1, 5, 20]))])
    if pick == 6:
        return args("HINCRBY", key, hash_field(random), one(random, NUMBERS, NUMBERS, NOT_NUMBERS))
    if pick == 7:
        return args("HINCRBYFLOAT", key, hash_field(random), one(random, FLOATS, FLOATS, NOT_NUMBERS))
    if pick == 8:
        return args(random.choice(["HGETALL", "HLEN", "HKEYS", "HVALS"]), key)
    return args("DEL", key) if random.random() < 0.2 else args("HMGET", key, hash_field(random), hash_field(random))


TO_GET: list[list[str]] = [[], ["PERSIST"], ["PX", "9000000"], ["EXAT", "9999999999"], ["EX", "5", "PERSIST"]]
TO_SET: list[list[str]] = [
    [],
    ["KEEPTTL"],
    ["PX", "9000000"],
    ["EXAT", "9999999999"],
    ["EX", "-1"],
    ["EX", "5", "KEEPTTL"],
]


def field_expiry(random: Random, kind: ServerKind) -> Command:
    key = random.choice("ab")
    pick = random.randrange(12)
    names = [hash_field(random) for _ in range(random.choice([1, 2, 3]))]
    number = str(len(names)) if random.random() < 0.97 else random.choice(["0", "1", "9", "x"])
    if pick < 3:
        return hashes(random, kind)
    if pick < 7:
        name = random.choice(["HPEXPIREAT", "HEXPIREAT", "HPEXPIRE", "HEXPIRE"])
        when = random.choice(["9999999999", "9999999998"]) if name.endswith("AT") else ttl(random, "x")
        if name == "HPEXPIREAT":
            when += "999"
        conditions: list[str | int] = maybe(random, 0.4, random.choice(["NX", "XX", "GT", "LT", "gt"]))
        return args(name, key, when, *conditions, "FIELDS", number, *names)
    if pick == 7:
        return args("HPERSIST", key, "FIELDS", number, *names)
    if pick == 8:
        return args("HGETDEL", key, "FIELDS", number, *names)
    if pick == 9:
        return args("HGETEX", key, *random.choice(TO_GET), "FIELDS", number, *names)
    pairs = [p for name in names for p in (name, one(random, WORDS))]
    return args(
        "HSETEX",
        key,
        *maybe(random, 0.3, random.choice(["FNX", "FXX"])),
        *random.choice(TO_SET),
        "FIELDS",
        number,
        *pairs,
    )


def sorting(random: Random, kind: ServerKind) -> Command:
    key = random.choice(["l", "s", "z", "ids", "gone"])
    pick = random.randrange(10)
    numbers = [str(random.randrange(-40, 40)), repr(random.uniform(-9, 9)), "word"]
    if pick == 0:
        return args("RPUSH", "l", *[random.choice(numbers[:2]) for _ in range(3)])
    if pick == 1:
        return args("SADD", random.choice(["s", "s", "ids"]), random.randrange(60), *maybe(random, 0.1, "word"))
    if pick == 2:
        return args("ZADD", "z", random.randrange(9), random.randrange(60))
    if pick == 3:
        return args(
            "MSET",
            f"w_{random.randrange(60)}",
            random.choice(numbers),
            f"v_{random.randrange(60)}_",
            "x" * random.randrange(9),
        )
    if pick == 4:
        return args("HSET", f"h_{random.randrange(60)}", "f", random.randrange(1000))
    if pick == 5 and random.random() < 0.2:
        return args("DEL", random.choice(["l", "s", "z", "out"]))
    options: list[str | int] = [*maybe(random, 0.5, "ALPHA"), *maybe(random, 0.5, "DESC")]
    options += maybe(random, 0.5, "LIMIT", random.randrange(-1, 5), random.randrange(-1, 9))
    options += maybe(random, 0.4, "BY", random.choice(["w_*", "h_*->f", "nosort", "v_*_", "h_*->"]))
    if "ALPHA" in options and "BY" in options:  # what has no value to be compared by comes in any order
        options.remove("ALPHA")
    for _ in range(random.choice([0, 0, 1, 2])):
        options += ["GET", random.choice(["#", "w_*", "h_*->f", "fixed", "v_*_"])]
    return args("SORT", key, *options, "STORE", random.choice(["out", "l"]))
