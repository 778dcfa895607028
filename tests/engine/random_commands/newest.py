"""Random commands that came with Redis 8.8 and 8.10: arrays, blocks of lists, released entries, imported hashes."""

from __future__ import annotations

from random import Random

from tests.engine.differential import Command, args
from tests.servers.harness import ServerKind

ARRAYS = [b"a", b"b", b"c"]
LISTS = [b"l", b"m", b"n"]
TEXTS: list[str | int | float] = [
    "",
    "x",
    "short",
    "1234567",
    "12345678",
    "a longer text, of no use",
    0,
    -7,
    1 << 62,
    3.5,
]
TEXTS += ["-0", "1e3", "0.1", ".5", "007", "nan", (1 << 61) - 1, 1 << 61, -(1 << 61), "100.25", "1.50"]


def key_of(random: Random, keys: list[bytes]) -> bytes:
    return b"string" if random.random() < 0.02 else random.choice(keys)


def index(random: Random) -> int | str:
    if random.random() < 0.03:
        # the greatest index is left out: a digest would take a step for each one below it
        return random.choice(["-1", "+1", "01", "1.0", "x", "", str(1 << 64)])
    return random.randrange(60) if random.random() < 0.95 else random.randrange(1 << 12)


def texts(random: Random, most: int = 4) -> list[str | int | float]:
    return [random.choice(TEXTS) for _ in range(random.randint(1, most))]


def array(random: Random) -> Command:
    key = key_of(random, ARRAYS)
    pick = random.randrange(9)
    if pick == 0:
        return args("ARSET", key, index(random), *texts(random))
    if pick == 1:
        pairs = [part for text in texts(random) for part in (index(random), text)]
        return args("ARMSET", key, *pairs, *(["odd"] if random.random() < 0.03 else []))
    if pick in {2, 3}:
        return args("ARINSERT", key, *texts(random))
    if pick == 4:
        size = random.choice(["0", "-1", "x"]) if random.random() < 0.05 else str(random.randint(1, 12))
        return args("ARRING", key, size, *texts(random))
    if pick == 5:
        return args("ARSEEK", key, index(random))
    if pick == 6:
        return args("ARDEL", key, *(index(random) for _ in range(random.randint(1, 5))))
    if pick == 7:
        return args("ARDELRANGE", key, *(index(random) for _ in range(random.choice([2, 2, 2, 4, 3]))))
    return args(*random.choice([("COPY", key, random.choice(ARRAYS), "REPLACE"), ("DEL", key)]))


def lists(random: Random) -> Command:
    side = ["LEFT", "RIGHT", "left"]
    if random.random() < 0.4:
        return args("RPUSH", key_of(random, LISTS), *texts(random, 8))
    options: list[str] = []
    if random.random() < 0.8:
        count = random.choice(["0", "-1", "x"]) if random.random() < 0.05 else str(random.randint(1, 6))
        options = [random.choice(["COUNT", "EXACTLY"]), count, random.choice(["OBO", "BULK"])]
        if random.random() < 0.05:
            options = options[: random.randrange(3)]
    return args(
        "LMOVEM", key_of(random, LISTS), key_of(random, LISTS), random.choice(side), random.choice(side), *options
    )


def hashes(random: Random) -> Command:
    names = random.choice(["one", "two", "three"])
    pick = random.randrange(6)
    if pick == 0:
        fields = random.sample(["f", "g", "name", "email", "age", "", "10"], random.randint(1, 4))
        return args("HIMPORT", "PREPARE", names, *fields)
    if pick == 1 and random.random() < 0.2:
        return args("HIMPORT", "DISCARD", names)
    if pick < 5:
        return args("HIMPORT", "SET", random.choice([b"h", b"i"]), names, *texts(random))
    return args(*random.choice([("HSET", b"h", "f", "v"), ("HDEL", b"h", "f"), ("EXPIRE", b"h", 10000)]))


def sets(random: Random) -> Command:
    if random.random() < 0.5:
        return args("ZADD", random.choice([b"y", b"z"]), random.randint(-5, 5), random.choice("abcd"))
    weights = ["WEIGHTS", str(random.randint(-3, 3)), "2.5"] if random.random() < 0.5 else []
    name = random.choice(["ZUNIONSTORE", "ZINTERSTORE"])
    return args(name, b"w", 2, b"y", b"z", *weights, "AGGREGATE", "COUNT")


def streams(random: Random) -> Command:
    pick = random.randrange(8)
    entry = f"{random.randint(1, 30)}-1"
    if pick == 0:
        return args("XADD", b"s", entry, "f", "v")
    if pick == 1:
        return args("XGROUP", "CREATE", b"s", "g", "0", "MKSTREAM")
    if pick == 2:
        return args("XCLAIM", b"s", "g", random.choice(["c", "d"]), "0", entry, "TIME", 1000, "FORCE", "JUSTID")
    if pick == 3:
        return args("XACK", b"s", "g", entry)
    if pick == 4 and random.random() < 0.3:
        return args("XDEL", b"s", entry)
    if pick == 5 and random.random() < 0.2:
        return args("XGROUP", "DELCONSUMER", b"s", "g", random.choice(["c", "d"]))
    ids = [f"{random.randint(1, 30)}-1" for _ in range(random.randint(1, 4))]
    told = random.choice(["0", "-1", "9", "x"]) if random.random() < 0.04 else str(len(ids))
    options = ["IDS", told, *ids]
    if random.random() < 0.4:
        options += ["RETRYCOUNT", str(random.randrange(9))]
    if random.random() < 0.4:
        options.append("FORCE")
    group = "none" if random.random() < 0.1 else "g"
    return args("XNACK", b"s", group, random.choice(["SILENT", "FAIL", "FATAL"]), *options)


def make(random: Random, kind: ServerKind) -> Command:
    return random.choice([array, array, array, lists, hashes, sets, streams])(random)
