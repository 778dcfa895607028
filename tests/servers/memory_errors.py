"""How far what rdbtool says of memory is from what a server says. Run as a program, it prints the README's table."""

from __future__ import annotations

import csv
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rdbtool.analysis.contents import Wanted
from rdbtool.analysis.costs import Costs
from rdbtool.analysis.encodings import ENCODINGS
from rdbtool.analysis.measure import Measure
from rdbtool.io.source import open_input
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.templates import read_fields
from rdbtool.rdb.reader import RdbReader
from rdbtool.servers.features import HASH_TEMPLATES
from rdbtool.servers.memory import LIBC, SYSTEM_JEMALLOC
from rdbtool.servers.releases import release_named
from rdbtool.tasks.memory import memory
from tests.servers.harness import SERVERS, Server, ServerError, ServerKind, running
from tests.servers.memory_corpus import Command, corpus, dataset

BATCH = 500


@dataclass
class Told:
    """What a server said of a key, and what rdbtool does."""

    key: str
    type: str
    encoding: str
    usage: int
    counted: int = 0
    encoding_here: str = ""

    @property
    def error(self) -> float:
        """In percent."""
        return 100 * (self.counted / self.usage - 1)


@dataclass
class Compared:
    keys: list[Told]
    snapshot: bytes

    def errors(self, kind: str = "") -> list[float]:
        """Without their signs, in order."""
        return sorted(abs(told.error) for told in self.keys if told.type.startswith(kind))


def median(errors: list[float]) -> float:
    return statistics.median(errors)


def p95(errors: list[float]) -> float:
    return errors[int(0.95 * len(errors))]


def info(server: Server, field: str) -> int:
    reply = server.execute("INFO", "memory")
    assert isinstance(reply, bytes)
    found = re.search(rf"{field}:(\d+)".encode(), reply)
    assert found
    number = int(found.group(1))
    return number - (1 << 64) if number >> 63 else number  # of empty servers, Redis 8.2 and 8.6 tell less than nothing


def allocator_of(server: Server) -> str:
    """Which of `servers.memory.ALLOCATORS` the server has; that of a distribution links jemalloc."""
    reply = server.execute("INFO", "memory")
    assert isinstance(reply, bytes)
    return LIBC if b"mem_allocator:libc" in reply else SYSTEM_JEMALLOC


def fill(server: Server, commands: Iterable[Command]) -> None:
    batch: list[Command] = []
    for command in commands:
        batch.append(command)
        if len(batch) == BATCH:
            _send(server, batch)
    _send(server, batch)


def _send(server: Server, batch: list[Command]) -> None:
    for reply in server.send(*batch):
        assert not isinstance(reply, ServerError), reply
    batch.clear()


def asked(server: Server) -> dict[bytes, Told]:
    """What the server says of its keys."""
    keys = server.execute("KEYS", "*")
    assert isinstance(keys, list)
    told = {}
    for key in keys:
        assert isinstance(key, bytes)
        usage, encoding, kind = server.send(
            ("MEMORY", "USAGE", key, "SAMPLES", 0), ("OBJECT", "ENCODING", key), ("TYPE", key)
        )
        assert isinstance(usage, int)
        assert isinstance(encoding, bytes)
        assert isinstance(kind, bytes)
        told[key] = Told(key.decode(), kind.decode(), encoding.decode(), usage)
    return told


def count(server: Server, told: dict[bytes, Told], *, list_depth: int = 0) -> None:
    """What rdbtool says of the same keys, from a snapshot that the server saves."""
    server.execute("SAVE")
    costs = Costs(release_named(server.kind.name), allocator_of(server), reported=True)
    users: dict[tuple[bytes, ...], list[Told]] = {}
    measure = Measure(costs, list_depth=list_depth)
    with open_input(str(server.directory / "dump.rdb")) as source:
        for event in RdbReader(source.window()):
            if isinstance(event, Frame):
                one = told[event.key]
                if event.type.name.startswith("hash-template"):
                    event.raw()
                    users.setdefault(tuple(read_fields(event.window())), []).append(one)
                measure.measure(event)
                one.counted = measure.bytes
                one.encoding_here = ENCODINGS[measure.encoding]
    for names, keys in users.items():  # the server counts a template with the keys that have it, equal parts of it
        for one in keys:
            one.counted += int(costs.template(list(names))) // len(keys)


@cache
def compared(kind: ServerKind) -> Compared:
    """Keys of every type and encoding on that server, and what is said of them from its snapshot."""
    with tempfile.TemporaryDirectory() as directory, running(kind, Path(directory)) as server:
        fill(server, corpus(newest=release_named(kind.name).does(HASH_TEMPLATES)))
        told = asked(server)
        count(server, told)
        return Compared(list(told.values()), Path(directory, "dump.rdb").read_bytes())


LOOKUPS = {b"hash": "HEXISTS", b"set": "SISMEMBER", b"zset": "ZSCORE"}
EACH = 500
"""Lookups that move any table of the dataset to its new place."""


def look_up(server: Server) -> None:
    """Read from every key with a table: tables that grew are moved to their new place as they are used."""
    keys = server.execute("KEYS", "*")
    assert isinstance(keys, list)
    for key in keys:
        assert isinstance(key, bytes)
        kind, encoding = server.send(("TYPE", key), ("OBJECT", "ENCODING", key))
        if encoding in {b"hashtable", b"skiplist"} and isinstance(kind, bytes):
            server.send(*[(LOOKUPS[kind], key, i) for i in range(EACH)])


def sums(kind: ServerKind, commands: Iterable[Command]) -> list[float]:
    """How far the sum over a dataset is from what INFO says, in percent: from ``used_memory_dataset`` as the dataset
    was written, and after each key was read from; and from ``used_memory`` then.
    """
    fields = ("used_memory_dataset", "used_memory")
    # Otherwise the first call of each command adds a histogram of its own to the dataset.
    options = ("--latency-tracking", "no") if kind.version >= (7, 0, 0) else ()
    with tempfile.TemporaryDirectory() as directory, running(kind, Path(directory), *options) as server:
        before = [info(server, field) for field in fields]
        fill(server, commands)
        written = info(server, fields[0])
        look_up(server)
        after = [info(server, field) for field in fields]
        server.execute("SAVE")
        allocator = allocator_of(server)
        report = memory([f"{directory}/dump.rdb"], Wanted(), allocator=allocator)
    total = report.contents.total
    of_dataset = total.bytes - Costs(report.files[0].release, allocator).overhead(total.keys, total.expires)
    everything = total.bytes + report.contents.tables
    return [
        100 * (of_dataset / (written - before[0]) - 1),
        100 * (of_dataset / (after[0] - before[0]) - 1),
        100 * (everything / (after[1] - before[1]) - 1),
    ]


def redis_rdb_tools(snapshot: bytes, told: list[Told], program: str) -> list[float]:
    """The errors of redis-rdb-tools on the same file."""
    with tempfile.NamedTemporaryFile(suffix=".rdb") as file:
        file.write(snapshot)
        file.flush()
        text = subprocess.run([program, "-c", "memory", file.name], capture_output=True, text=True, check=True).stdout
    sizes = {row["key"]: int(row["size_in_bytes"]) for row in csv.DictReader(text.splitlines()) if row["key"]}
    return sorted(abs(100 * (sizes[one.key] / one.usage - 1)) for one in told)


def main() -> None:
    print("| server | keys | median | 95th percentile | used_memory_dataset, as written | after reads | used_memory |")
    print("|---|---|---|---|---|---|---|")
    for kind in SERVERS:
        found = compared(kind)
        errors = found.errors()
        of_sums = [f"{error:+.1f} %" for error in sums(kind, dataset())]
        cells = [kind.name, str(len(errors)), f"{median(errors):.2f} %", f"{p95(errors):.1f} %"]
        print("| " + " | ".join([*cells, *of_sums]) + " |")
        if kind.name == "redis-6.2" and len(sys.argv) > 1:
            others = redis_rdb_tools(found.snapshot, found.keys, sys.argv[1])
            print(
                f"| the same by redis-rdb-tools | {len(others)} | {median(others):.2f} % | {p95(others):.1f} % | | | |"
            )
    print()
    for kind in SERVERS:
        for name in sorted({told.type for told in compared(kind).keys}):
            errors = compared(kind).errors(name)
            print(f"{kind.name} {name}: {median(errors):.2f} {p95(errors):.1f} {errors[-1]:.1f}")


if __name__ == "__main__":
    main()
