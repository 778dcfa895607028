"""Random commands: places."""

from __future__ import annotations

from random import Random

from tests.engine.differential import Command, args
from tests.servers.harness import ServerKind

KEYS = [b"g", b"h"]


def longitude(random: Random) -> str:
    pick = random.random()
    if pick < 0.02:
        return random.choice(["180", "-180", "181", "x", "0"])
    return f"{random.uniform(-180, 180):.4f}" if pick < 0.5 else f"{random.uniform(10, 12):.6f}"


def latitude(random: Random) -> str:
    pick = random.random()
    if pick < 0.02:
        return random.choice(["85.05112878", "-85.05112878", "86", "0"])
    return f"{random.uniform(-85, 85):.4f}" if pick < 0.5 else f"{random.uniform(45, 47):.6f}"


def member(random: Random) -> str:
    return f"m{random.randrange(300)}"


def radius(random: Random) -> list[str]:
    number = (
        random.choice(["0", "1", "0.5", "10", "200", "5000", "20000"])
        if random.random() < 0.5
        else f"{10 ** random.uniform(-1, 7):.3f}"
    )
    return [number, random.choice(["m", "km", "ft", "mi", "KM", "x" if random.random() < 0.05 else "km"])]


def polygon(random: Random) -> list[str | int]:
    """Valkey 9.0 and later take it; for others it is an error."""
    count = random.choice([3, 4, 7]) if random.random() < 0.95 else random.choice([0, 2, -1, 9])
    points: list[str | int] = []
    for _ in range(abs(count)):
        points += [longitude(random), latitude(random)]
    wrong: list[str | int] = ["x", count + 1]
    return ["BYPOLYGON", count if random.random() < 0.97 else random.choice(wrong), *points]


def options(random: Random, kind: ServerKind) -> list[str | int]:
    chosen: list[str | int] = []
    if random.random() < 0.5:
        chosen += ["COUNT", random.choice([1, 2, 3, 10, 50, 0 if random.random() < 0.1 else 5])]
        if random.random() < 0.3:
            chosen += ["ANY"]
    if random.random() < 0.5:
        chosen += [random.choice(["ASC", "DESC"])]
    return chosen


def make(random: Random, kind: ServerKind) -> Command:
    key = random.choice(KEYS)
    pick = random.randrange(12)
    if pick < 4:
        flags = [flag for flag in ("NX", "XX", "CH") if random.random() < 0.1]
        points: list[str] = []
        for _ in range(random.randrange(1, 12)):
            points += [longitude(random), latitude(random), member(random)]
        if random.random() < 0.3:  # many members at one place
            points += [*points[:2], member(random), *points[:2], member(random)]
        return args("GEOADD", key, *flags, *points)
    store = random.choice([["STORE", "d"], ["STOREDIST", "e"], ["storedist", "h" if random.random() < 0.02 else "e"]])
    if pick < 6:
        return args(
            "GEORADIUS", key, longitude(random), latitude(random), *radius(random), *options(random, kind), *store
        )
    if pick < 8:
        return args("GEORADIUSBYMEMBER", key, member(random), *radius(random), *options(random, kind), *store)
    if pick < 11:
        where = (
            ["FROMMEMBER", member(random)]
            if random.random() < 0.5
            else ["FROMLONLAT", longitude(random), latitude(random)]
        )
        size = ["BYRADIUS", *radius(random)] if random.random() < 0.5 else ["BYBOX", radius(random)[0], *radius(random)]
        parts: list[list[str | int]] = [[*where], [*size], options(random, kind)]
        if random.random() < 0.4:
            parts = [polygon(random), options(random, kind)]
            if random.random() < 0.05:
                parts.append([*random.choice([where, size])])
        if random.random() < 0.5:
            parts.append(["STOREDIST"])
        random.shuffle(parts)
        return args(
            "GEOSEARCHSTORE",
            random.choice(["d", "e"]),
            random.choice([key, key, b"none"]),
            *[p for part in parts for p in part],
        )
    return args("ZREM", key, *[member(random) for _ in range(3)]) if random.random() < 0.9 else args("DEL", key)
