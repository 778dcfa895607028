"""Snapshots as masters send them, whole or with an error that says what happened."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from rdbtool.errors import InputError
from rdbtool.findings import Findings
from rdbtool.io.source import open_input
from rdbtool.live.address import Access
from rdbtool.live.connection import Connection, RefusedError
from rdbtool.live.replication import Snapshot
from rdbtool.live.source import register
from rdbtool.rdb.check import verify_rdb
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.digest import digest
from tests.live.serving import AT_ONCE, pretending, received, url_of
from tests.servers.harness import SERVERS, ServerKind, running

FULL = b"+FULLRESYNC 0123456789012345678901234567890123456789 77\r\n"
MARK = b"f" * 40
RDB = b"REDIS0011" + bytes(range(256)) * 2000


@pytest.mark.parametrize("diskless", ["no", "yes"])
@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_snapshot_has_the_digest_of_the_server(kind: ServerKind, diskless: str, tmp_path: Path) -> None:
    register()
    with running(kind, tmp_path, "--repl-diskless-sync", diskless, *AT_ONCE) as server:
        server.execute("DEBUG", "POPULATE", 20000)
        server.execute("SELECT", 3)
        server.execute("HSET", "h", "f", "v", "g", "w")
        server.execute("SET", "big", b"x" * 3_000_000)
        if kind.is_valkey:
            server.execute("HEXPIRE", "h", 1000, "FIELDS", 1, "f")  # what RDB 11 cannot hold
        assert digest(url_of(server)).digest == server.digest()
        report = check_rdb(url_of(server))
        assert not report.findings.counts
        assert report.path == url_of(server)
        log = (tmp_path / "server.log").read_text()
        assert "terminated by signal" not in log


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_an_empty_server_sends_a_snapshot_too(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path, *AT_ONCE) as server:
        register()
        with open_input(url_of(server)) as opened:
            facts = verify_rdb(opened.window(), Findings())
        assert facts.complete
        assert facts.keys == 0


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_replica_without_its_master_refuses_with_its_words(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path, *AT_ONCE) as server:
        server.execute("REPLICAOF", "127.0.0.1", 1)
        with Connection(url_of(server)) as connection, pytest.raises(RefusedError, match="NOMASTERLINK"):
            received(connection)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_server_without_psync_is_asked_the_old_way(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path, "--rename-command", "PSYNC", "", *AT_ONCE) as server:
        server.execute("SET", "k", "v")
        with Connection(url_of(server)) as connection:
            snapshot = Snapshot(connection)
            assert snapshot.replication_id == ""
            assert snapshot.read(5) in {b"REDIS", b"VALKE"}
    without = ("--rename-command", "PSYNC", "", "--rename-command", "SYNC", "")
    told = pytest.raises(RefusedError, match="unknown command")
    with running(kind, tmp_path, *without) as server, Connection(url_of(server)) as connection, told:
        Snapshot(connection)


def test_both_forms_are_read_with_signs_of_life_between() -> None:
    waits: list[float] = []

    def with_length(client: socket.socket) -> None:
        client.sendall(FULL + b"\n\n")
        time.sleep(0.7)
        client.sendall(b"\n$%d\r\n" % len(RDB) + RDB)

    def with_mark(client: socket.socket) -> None:
        client.sendall(FULL + b"\n$EOF:" + MARK + b"\r\n")
        for start in range(0, len(RDB), 100_003):
            client.sendall(RDB[start : start + 100_003])
        for byte in MARK:
            client.sendall(bytes([byte]))

    for answer in (with_length, with_mark):
        with pretending(answer) as url, Connection(url) as connection:
            snapshot = Snapshot(connection, waits.append)
            assert (snapshot.replication_id[:3], snapshot.offset) == ("012", 77)
            parts = []
            while part := snapshot.read(1 << 15):
                parts.append(part)
            assert b"".join(parts) == RDB
            assert snapshot.size == len(RDB)
    assert max(waits) > 0.4


@pytest.mark.parametrize("cut", [0, 1, 5, 40, 57, 60, 64, 105, 110, 150, 10_000, len(RDB) - 1])
@pytest.mark.parametrize("start", [FULL + b"\n$%d\r\n" % len(RDB), FULL + b"$EOF:" + MARK + b"\r\n"])
def test_a_connection_that_ends_early_is_told(start: bytes, cut: int) -> None:
    ended = pytest.raises(InputError, match="the server ended the connection before the snapshot was whole")
    with pretending(lambda c: c.sendall((start + RDB)[:cut])) as url, Connection(url) as connection, ended:
        received(connection)


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n", b"$EOF:short\r\n", b"x" * 5000, b":1\r\n"]
)
def test_what_is_no_answer_of_a_master_is_told(garbage: bytes) -> None:
    told = pytest.raises(InputError, match="what came is no")
    with pretending(lambda c: c.sendall(garbage)) as url, Connection(url) as connection, told:
        received(connection)


@pytest.mark.parametrize("start", [b"", FULL, FULL + b"$100\r\n0123", FULL + b"$EOF:" + MARK + b"\r\n0123"])
def test_a_server_that_stalls_is_left_after_the_timeout(start: bytes) -> None:
    def stall(client: socket.socket) -> None:
        client.sendall(start)
        client.recv(1)  # until we leave

    began = time.monotonic()
    told = pytest.raises(InputError, match="nothing has come for 1 seconds")
    with pretending(stall) as url, Connection(url, Access(timeout_s=1)) as connection, told:
        received(connection)
    assert time.monotonic() - began < 5
