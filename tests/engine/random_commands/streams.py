"""Random commands: streams."""

from __future__ import annotations

from random import Random

from tests.engine.differential import Command, Maker, args
from tests.servers.harness import ServerKind

KEYS = [b"s", b"t"]
GROUPS = [b"g", b"h"]
CONSUMERS = [b"c", b"d", b"e"]


def streams(random: Random) -> Maker:
    """Commands on streams whose ids rise slowly, so that most commands find something."""
    top = {b"s": 0, b"t": 0}
    # how far apart ids are: their differences take few bytes or many
    ms_step = random.choice([1, 1000, 1 << 40])
    seq_step = random.choice([1, 1 << 20, 1 << 62])

    def text(ms: int, seq: int) -> str:
        return f"{ms * ms_step}-{seq * seq_step}"

    def entry(key: bytes) -> str:
        return text(max(top[key] // 4 - random.randrange(30), 0), random.randrange(4))

    def item() -> str:
        return random.choice(["", "v" * random.randrange(600), str(random.getrandbits(70) >> random.randrange(80))])

    def policy(kind: ServerKind) -> list[str]:
        return [random.choice(["KEEPREF", "DELREF", "acked"])] if kind.at_least("redis", 8, 2) else []

    def trim(key: bytes, kind: ServerKind) -> list[str | int]:
        sign: list[str] = random.choice([[], ["="], ["~"]])
        # Redis 8.2.3 keeps nodes from which it has dropped all entries
        chosen = policy(kind) if kind.version >= (8, 4) and random.random() < 0.5 else []
        if random.random() < 0.5:
            return [*chosen, "MAXLEN", *sign, random.randrange(60)]
        return ["MINID", *sign, entry(key), *chosen]

    def ids(key: bytes) -> list[str | int]:
        some = [entry(key) for _ in range(random.randrange(1, 4))]
        return ["IDS", len(some), *some]

    def make(_: Random, kind: ServerKind) -> Command:
        key = random.choice(KEYS)
        group = random.choice(GROUPS)
        consumer = random.choice(CONSUMERS)
        pick = random.randrange(40)
        new = kind.version >= (7, 0)
        if pick < 15:
            top[key] += random.randrange(1, 5)
            identity = text(top[key] // 4, top[key] % 4) if random.random() < 0.95 else entry(key)
            if new and random.random() < 0.1:
                identity = f"{top[key] // 4 * ms_step}-*"
            options: list[str | int] = trim(key, kind) if random.random() < 0.2 else []
            if random.random() < 0.1:
                options.insert(0, "NOMKSTREAM")
            fields = ["f", "1"] if random.random() < 0.5 else ["f", item(), "e", item()]
            return args("XADD", key, *options, identity, *fields)
        if pick == 15:
            return args("XTRIM", key, *trim(key, kind))
        if pick == 16 and kind.at_least("redis", 8, 2):
            parts: list[list[str | int]] = [ids(key), [*policy(kind)]]
            random.shuffle(parts)
            name: list[str | bytes] = random.choice([["XDELEX", key], ["XACKDEL", key, group]])
            return args(*name, *parts[0], *parts[1])
        if pick == 17 and kind.at_least("redis", 8, 6) and random.random() < 0.3:
            settings: list[str | int] = random.choice(
                [["IDMP-DURATION", 100], ["IDMP-MAXSIZE", random.randrange(1, 9)]]
            )
            return args("XCFGSET", key, *settings)
        if pick < 19:
            return args("XDEL", key, *[entry(key) for _ in range(random.randrange(1, 4))])
        if pick == 19:
            options = ["ENTRIESADDED", random.randrange(2000)] if new and random.random() < 0.5 else []
            if options and random.random() < 0.5:
                options += ["MAXDELETEDID", entry(key)]
            return args("XSETID", key, text(top[key] // 4 + 1 - random.randrange(3), 0), *options)
        if pick == 20:
            options = ["MKSTREAM"] if random.random() < 0.5 else []
            if new and random.random() < 0.3:
                options += ["ENTRIESREAD", random.randrange(-2, 50)]
            return args("XGROUP", "CREATE", key, group, random.choice(["$", "0", entry(key)]), *options)
        if pick == 21:
            options = ["ENTRIESREAD", random.randrange(-1, 50)] if new and random.random() < 0.3 else []
            return args("XGROUP", "SETID", key, group, random.choice(["$", entry(key), "-"]), *options)
        if pick == 22:
            return args("XGROUP", "CREATECONSUMER", key, group, consumer)
        if pick == 23:
            return args("XGROUP", random.choice(["DELCONSUMER", "delconsumer"]), key, group, consumer)
        # Redis 8.2 may think on of a group that is gone as of one that has to read on (8.2.3 does, 8.6.2 does not)
        forgets = not kind.at_least("redis", 8, 2) or kind.version >= (8, 4)
        if pick == 24 and random.random() < 0.2 and forgets:
            return args("XGROUP", "DESTROY", key, group)
        if pick < 29:
            return args("XACK", key, group, *[entry(key) for _ in range(random.randrange(1, 4))])
        if pick < 33:
            options = [option for option in ("FORCE", "JUSTID") if random.random() < 0.5]
            if random.random() < 0.6:
                options += ["RETRYCOUNT", random.randrange(5)]
            if random.random() < 0.6:
                options += ["TIME", 1600000000000 + random.randrange(1000)]
            if random.random() < 0.3:
                options += ["LASTID", entry(key)]
            return args("XCLAIM", key, group, consumer, 0, *[entry(key) for _ in range(3)], *options)
        if pick < 35:
            options = ["JUSTID"] if random.random() < 0.5 else []
            return args(
                "XAUTOCLAIM",
                key,
                group,
                consumer,
                0,
                random.choice(["-", entry(key), "(" + entry(key)]),
                "COUNT",
                random.randrange(1, 5),
                *options,
            )
        if pick < 39:
            options = ["NOACK"] if random.random() < 0.2 else []
            start = ">" if random.random() < 0.8 else entry(key)
            return args(
                "XREADGROUP", "GROUP", group, consumer, "COUNT", random.randrange(6), *options, "STREAMS", key, start
            )
        if random.random() < 0.1:
            top[key] = 0
            return args("DEL", key)
        return args("XRANGE", key, entry(key), entry(key))

    return make
