"""Servers with keys of all kinds."""

from __future__ import annotations

import random

from tests.servers import workload
from tests.servers.harness import Server

LARGE = b"large" * 1_000_000


def fill(server: Server, seed: int) -> None:
    """Keys of all types in several databases, some with expiries, and values that are large."""
    print("seed", seed)
    workload.run(server, list(workload.script(random.Random(seed), server.kind, 1500)))
    server.execute("SELECT", 7)
    server.execute("SET", "own-large", LARGE, "PX", 10**10)
    server.execute("RPUSH", "own-list", *[b"%d" % n * 20 for n in range(20000)])
    server.execute("HSET", "own-hash", *[b"%d" % n for n in range(2000)])
    server.execute("SELECT", 0)
