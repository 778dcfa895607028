"""What keys take in memory is what servers say: MEMORY USAGE of each, and the sums of INFO."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rdbtool.analysis.contents import Wanted
from rdbtool.servers.features import FIELD_EXPIRIES
from rdbtool.servers.releases import release_named
from rdbtool.tasks.memory import memory
from tests.servers.harness import SERVERS, ServerKind, running
from tests.servers.memory_corpus import Command, dataset
from tests.servers.memory_errors import allocator_of, asked, compared, count, fill, median, p95, sums

SEED = 20260305
TYPES = ("string", "list", "set", "hash", "zset", "stream")


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_keys_take_what_memory_usage_says(kind: ServerKind) -> None:
    found = compared(kind)
    assert len(found.keys) > 500
    assert median(found.errors()) < 1
    assert p95(found.errors()) < 10
    for name in TYPES:
        errors = found.errors(name)
        assert median(errors) < 3, name
        assert p95(errors) < 20, name


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_encodings_are_those_of_the_server(kind: ServerKind) -> None:
    found = compared(kind)
    wrong = [told for told in found.keys if told.encoding != told.encoding_here]
    # Whether a list of about 8 KiB is one node depends on what it was before.
    assert all(told.type == "list" and 7000 < told.usage < 9500 for told in wrong), wrong
    assert len({(told.type, told.encoding) for told in found.keys}) >= 11


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_sums_are_those_of_info(kind: ServerKind) -> None:
    print("seed", SEED)
    written, in_use, used = sums(kind, dataset())
    assert abs(written) < 7  # tables that have just grown are there twice
    assert abs(in_use) < 3
    assert abs(used) < 3


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_nodes_of_lists_that_the_server_compresses_are_counted_so(kind: ServerKind, tmp_path: Path) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    with running(kind, tmp_path, "--list-compress-depth", "1") as server:
        commands: list[Command] = []
        for n in (50, 300, 2000):
            commands.append(("RPUSH", f"text:{n}", *(f"lorem ipsum dolor {rng.getrandbits(10)}" * 4 for _ in range(n))))
            commands.append(("RPUSH", f"random:{n}", *(rng.randbytes(60) for _ in range(n))))
        fill(server, commands)
        told = asked(server)
        count(server, told, list_depth=1)
    for one in told.values():
        assert abs(one.error) < 1.5, one
    assert told[b"text:2000"].usage < told[b"random:2000"].usage / 2


@pytest.mark.parametrize(
    "kind", [kind for kind in SERVERS if release_named(kind.name).has(FIELD_EXPIRIES)], ids=lambda kind: kind.name
)
def test_expiries_of_hash_fields_are_counted(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        commands: list[Command] = []
        for n in (1, 10, 600):
            for i in range(n):
                commands.append(("HSET", f"h:{n}", f"field:{i}", f"value of {i}"))
                commands.append(("HPEXPIRE", f"h:{n}", 10**9, "FIELDS", 1, f"field:{i}"))
        fill(server, commands)
        told = asked(server)
        count(server, told)
    for one in told.values():
        assert one.encoding_here == one.encoding
        assert abs(one.error) < 15, one  # how many buckets chain depends on the random seed of the server's hashes


@pytest.mark.server("redis-7.0", "valkey-9.1")
def test_small_sets_are_packed_by_a_release_that_does_so(tmp_path: Path) -> None:
    old, new = (next(kind for kind in SERVERS if kind.name == name) for name in ("redis-7.0", "valkey-9.1"))
    commands: list[Command] = [
        ("SADD", f"set:{n}:{size}", *(f"{i:0{size}}x" for i in range(n)))
        for n in (1, 5, 128, 129)
        for size in (4, 63, 64)
    ]
    with running(old, tmp_path) as server:
        fill(server, commands)
        server.execute("SAVE")
    snapshot = tmp_path / "dump.rdb"
    with running(new, tmp_path) as server:
        told = asked(server)
        allocator = allocator_of(server)
    report = memory(
        [str(snapshot)], Wanted(top=100), release=release_named(new.name), allocator=allocator, reported=True
    )
    assert len(report.contents.by_bytes.ranked()) == len(told) == 12
    for _, key in report.contents.by_bytes.ranked():
        one = told[key.key]
        assert key.encoding == one.encoding, one
        assert abs(key.bytes / one.usage - 1) < 0.05, (one, key.bytes)
