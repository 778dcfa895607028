"""Damaged values: our verdict against that of real servers, which answer RESTORE."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import RdbToolError
from rdbtool.findings import Findings, Severity
from rdbtool.io.window import window_over
from rdbtool.rdb.layout.codes import ALWAYS, CODES
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.opcodes import REDIS, VALKEY
from rdbtool.rdb.types import TABLE
from rdbtool.servers.releases import release_named
from tests.servers.harness import SERVERS, Server, ServerKind, running

SEED = 20260406
PER_VALUE = 120
AMBIGUOUS = "unknown length"
"""RESTORE takes a wrong length for 2^64 - 1 where it is a mere number; the loading of a file ends there."""


@pytest.fixture(scope="module", params=SERVERS, ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind: ServerKind = request.param
    directory: Path = tmp_path_factory.mktemp(kind.name)
    with running(kind, directory, "--sanitize-dump-payload", "yes", "--list-compress-depth", "0") as running_server:
        yield running_server


def fill(server: Server) -> list[bytes]:
    """Make keys of every type and encoding this server has; their names."""
    text = [f"member-{i}" for i in range(12)]
    long = ["x" * 70 + str(i) for i in range(6)]
    commands: list[tuple[bytes | str | int, ...]] = [
        ("SET", "string", "value"),
        ("SET", "int", 12345),
        ("SET", "lzf", "abc" * 50),
        ("RPUSH", "list", *text, 1, 300, 70000, 5 * 10**9, -1, -40000),
        ("RPUSH", "list-large", *long, "y" * 9000),
        ("SADD", "intset16", 1, 2, 300),
        ("SADD", "intset32", 1, 70000, 80000),
        ("SADD", "intset64", 1, 5 * 10**12, 7),
        ("SADD", "set", *text, 5, 600),
        ("SADD", "set-large", *long),
        ("HSET", "hash", *text, 1, 2, "f", 70000),
        ("HSET", "hash-large", *long),
        ("ZADD", "zset", *(x for i, m in enumerate(text) for x in (f"{i}.5", m))),
        ("ZADD", "zset-large", *(x for i, m in enumerate(long) for x in (f"{i}.5", m))),
        ("XADD", "stream", "1-1", "a", "1", "b", "two"),
        ("XADD", "stream", "2-1", "a", "3", "b", "four"),
        ("XADD", "stream", "2-2", "other", "3"),
        ("XADD", "stream", "3-0", "a", "x", "b", "y"),
        ("XDEL", "stream", "2-1"),
        ("XGROUP", "CREATE", "stream", "g", 0),
        ("XREADGROUP", "GROUP", "g", "alice", "COUNT", 2, "STREAMS", "stream", ">"),
        ("XREADGROUP", "GROUP", "g", "bob", "COUNT", 1, "STREAMS", "stream", ">"),
    ]
    if server.kind.at_least("valkey", 9, 0) or server.kind.at_least("redis", 7, 4):
        commands += [
            ("HSET", "fields", "a", 1, "b", 2, "c", 3),
            ("HPEXPIREAT", "fields", 4_000_000_000_000, "FIELDS", 1, "b"),
        ]
    for reply in server.send(*commands):
        assert not isinstance(reply, Exception), reply
    keys = server.execute("KEYS", "*")
    assert isinstance(keys, list)
    return sorted(key for key in keys if isinstance(key, bytes))


def mutate(rng: random.Random, payload: bytes) -> bytes:
    """Damage bytes of a payload; often where lengths and counts are."""
    data = bytearray(payload)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(min(len(data), rng.choice((12, 40, len(data)))))
        kind = rng.random()
        if kind < 0.4:
            data[at] ^= 1 << rng.randrange(8)
        elif kind < 0.6:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xC3, 0xFE, 0xFF))
        elif kind < 0.8:
            data[at] = (data[at] + rng.choice((-1, 1))) & 255
        elif kind < 0.9:
            data.insert(at, rng.randrange(256))
        else:
            del data[at]
    return bytes(data)


def refusals(type_byte: int, payload: bytes, footer: bytes, dialect: int) -> tuple[list[str], bool]:
    """Codes of what is wrong with a value, and whether it is empty. As in the server, the footer can be read into."""
    row = TABLE[dialect][type_byte]
    if row is None:
        return ["unsupported"], False
    findings = Findings()
    inspection = Inspection(findings)
    inspection.begin(0, b"k")
    try:
        row.verify(window_over(payload + footer), inspection)
    except RdbToolError as e:
        return [AMBIGUOUS if e.message.startswith("unknown length encoding") else e.code], False
    return [f.code for f in findings.items if f.severity is Severity.ERROR], inspection.empty


def minded(server: Server, codes: list[str]) -> list[str]:
    """The codes that this server minds, answering RESTORE."""
    if server.kind.name != "valkey-9.1":
        codes = [c for c in codes if c not in CODES or CODES[c].minds != ALWAYS]
    if server.kind.version < (7, 0, 0):
        codes = [c for c in codes if c != "stream-length"]
    return codes


def test_damaged_values_are_refused_exactly_where_the_server_refuses_them(server: Server) -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    kind = server.kind
    version = release_named(kind.name).rdb_version
    dialect = VALKEY if version >= 80 else REDIS
    wrong: list[str] = []
    refused = 0
    for key in fill(server):
        dump = server.execute("DUMP", key)
        assert isinstance(dump, bytes)
        payloads = [dump[:-10], *(mutate(rng, dump[:-10]) for _ in range(PER_VALUE))]
        dumps = []
        for body in payloads:
            body += struct.pack("<H", version)
            dumps.append(body + struct.pack("<Q", crc64(body)))
        replies = server.send(*(("RESTORE", f"copy{i}", 0, dump, "REPLACE") for i, dump in enumerate(dumps)))
        for body, dump, reply in zip(payloads, dumps, replies, strict=True):
            if not body or body[0] == 7:  # a module's value, which no server here can load
                continue
            codes, empty = refusals(body[0], body[1:], dump[-10:], dialect)
            if codes == [AMBIGUOUS]:
                continue
            codes = minded(server, codes)
            theirs = isinstance(reply, Exception)
            refused += theirs
            if theirs != (bool(codes) or empty):
                wrong.append(f"{key!r} {body.hex()} server: {reply!r} we: {codes} empty={empty}")
    assert not wrong, f"{len(wrong)} of {refused} refused\n" + "\n".join(wrong[:40])
    assert refused > 100
