"""Logs of servers whose keys moved to another one: clusters and MIGRATE."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.servers.harness import SERVERS, Server, ServerKind, running
from tests.servers.workload import OPTIONS, log_of, rdbtool


def digest_of_log(kind: ServerKind, directory: Path) -> str:
    return rdbtool("digest", "--as", kind.name, log_of(kind, directory)).split()[0]


def digest_of_rewrite(kind: ServerKind, directory: Path, place: Path, *options: str) -> str:
    place.mkdir()
    rdbtool("rewrite", log_of(kind, directory), "-o", log_of(kind, place), "--target", kind.name)
    with running(kind, place, *OPTIONS, *options) as server:
        return server.digest()


def serve_all_slots(server: Server) -> None:
    server.execute("CLUSTER", "ADDSLOTS", *range(16384))
    for _ in range(200):
        info = server.execute("CLUSTER", "INFO")
        assert isinstance(info, bytes)
        if b"cluster_state:ok" in info:
            return
        time.sleep(0.05)
    raise AssertionError(info)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_a_log_of_a_cluster_means_what_it_means_to_its_server(kind: ServerKind, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    with running(kind, first, *OPTIONS, "--cluster-enabled", "yes") as server:
        serve_all_slots(server)
        server.send(*[("SET", f"k{n}", n) for n in range(200)], ("SET", "{k7}same slot", "v"), ("HSET", "h", "f", "v"))
        (payload,) = server.send(("DUMP", "h"))
        assert isinstance(payload, bytes)
        assert server.send(("RESTORE-ASKING", "restored", 0, payload)) == [b"OK"]
        server.send(("RESTORE-ASKING", "restored", 10**13, payload, "REPLACE", "ABSTTL"))
        size = server.execute("DBSIZE")
        if kind.is_valkey and kind.version >= (9, 0):
            assert server.execute("CLUSTER", "FLUSHSLOT", server.execute("CLUSTER", "KEYSLOT", "k7")) == b"OK"  # type: ignore[arg-type]  # a number
            assert server.execute("DBSIZE") == size - 2  # type: ignore[operator]  # a number
        server.execute("DEBUG", "LOADAOF")
        expected = server.digest()
    assert digest_of_log(kind, first) == expected
    assert digest_of_rewrite(kind, first, tmp_path / "second", "--cluster-enabled", "yes") == expected


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_keys_that_migrate_are_where_their_servers_have_them(kind: ServerKind, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [tmp_path / "source", tmp_path / "target"]
    for place in places:
        place.mkdir()
    with (
        running(kind, places[0], *OPTIONS) as source,
        running(kind, places[1], *OPTIONS, "--port", str(port)) as target,
    ):
        source.send(*[("RPUSH", f"l{n}", n, "x" * n) for n in range(100)], ("SET", "s", 1, "PX", 10**10))
        target.send(("SET", "l9", "replaced"))
        address = ("127.0.0.1", port)
        assert source.send(("MIGRATE", *address, "l1", 0, 5000)) == [b"OK"]
        assert source.send(("MIGRATE", *address, "s", 3, 5000)) == [b"OK"]
        assert source.send(("MIGRATE", *address, "l2", 0, 5000, "COPY")) == [b"OK"]
        assert source.send(("MIGRATE", *address, "", 0, 5000, "REPLACE", "KEYS", "l8", "l9", "none")) == [b"OK"]
        assert source.execute("DBSIZE") == 97
        expected = []
        for server in (source, target):
            server.execute("DEBUG", "LOADAOF")
            expected.append(server.digest())
    assert [digest_of_log(kind, place) for place in places] == expected
    for place, digest in zip(places, expected, strict=True):
        assert digest_of_rewrite(kind, place, place.with_name(f"{place.name} rewritten")) == digest
