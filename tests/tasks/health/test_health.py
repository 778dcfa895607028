"""What a server says of its persistence is held against thresholds, on real servers in real trouble."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.live.address import Access
from rdbtool.live.connection import Connection
from rdbtool.tasks.health.run import health
from rdbtool.tasks.health.thresholds import CHECKS, DEFAULT, Thresholds, checks_named
from rdbtool.tasks.judgement import MET, UNKNOWN, UNMET, Judgement
from tests.live.serving import free_port, url_of
from tests.servers.harness import SERVERS, Server, ServerKind, running

SAVING = ("CONFIG", "SET", "save", "3600 1")
LOGGED = ("--appendonly", "yes")
ROOMY = replace(DEFAULT, max_disk_used=1.0, max_cow=1e9)
"""What does not depend on the machine that runs the tests."""


def failing(judged: Judgement) -> list[str]:
    return [check.name for check in judged.checks if not check.met]


def wait_for(server: Server, field: str, value: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        info = server.execute("INFO", "persistence")
        assert isinstance(info, bytes)
        if f"{field}:{value}\r\n".encode() in info:
            return
        time.sleep(0.02)
    raise AssertionError(info)


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_server_that_is_well_is_found_well(kind: ServerKind, logged: bool, tmp_path: Path) -> None:
    with running(kind, tmp_path, *(LOGGED if logged else ())) as server:
        server.execute(*SAVING)
        server.execute("SET", "k", "v")
        server.execute("BGSAVE")
        wait_for(server, "rdb_bgsave_in_progress", "0")
        judged = health(url_of(server), ROOMY)
        assert failing(judged) == []
        assert judged.verdict == MET
        assert judged.notes[0].startswith("valkey " if kind.is_valkey else "redis ")
        names = {check.name for check in judged.checks}
        left_out = {"last-save"} if logged else {n for n in CHECKS if "aof" in n or "fsync" in n}
        assert names == set(CHECKS) - left_out
        measures = {measure.name: measure.value for measure in judged.measures}
        assert measures["used_memory_bytes"] > 0
        assert measures["latest_fork_seconds"] > 0


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_server_that_writes_nothing_down_is_told(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        judged = health(url_of(server), ROOMY)
        assert failing(judged) == ["persistence"]
        assert judged.verdict == UNMET
        assert health(url_of(server), replace(ROOMY, ignored=checks_named(["persistence"]))).verdict == MET


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_an_old_snapshot_matters_where_there_are_changes_and_no_log(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        server.execute(*SAVING)
        limits = replace(ROOMY, max_save_age_s=0)
        time.sleep(1.1)
        assert failing(health(url_of(server), limits)) == []
        server.execute("SET", "k", "v")
        assert failing(health(url_of(server), limits)) == ["last-save"]
        assert failing(health(url_of(server), ROOMY)) == []
        server.execute("CONFIG", "SET", "appendonly", "yes")
        wait_for(server, "aof_rewrite_in_progress", "0")
        assert failing(health(url_of(server), limits)) == []


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_saves_and_rewrites_that_fail_are_told(kind: ServerKind, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with running(kind, data, *LOGGED) as server:
        server.execute("SET", "k", "v")
        (data / "dump.rdb" / "x").mkdir(parents=True)  # no file can take the place of a directory
        server.execute("BGSAVE")
        wait_for(server, "rdb_last_bgsave_status", "err")
        assert failing(health(url_of(server), ROOMY)) == ["last-bgsave"]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_log_that_is_not_rewritten_or_not_synced_is_told(kind: ServerKind, tmp_path: Path) -> None:
    settings = ("--auto-aof-rewrite-percentage", "100", "--auto-aof-rewrite-min-size", "64mb", "--appendfsync", "no")
    with running(kind, tmp_path, *LOGGED, *settings) as server:
        for i in range(100):
            server.execute("SET", "k", str(i) * 1000)
        assert failing(health(url_of(server), ROOMY)) == ["fsync"]
        server.execute("CONFIG", "SET", "appendfsync", "everysec")
        assert failing(health(url_of(server), ROOMY)) == []


@pytest.mark.server
@pytest.mark.parametrize(
    ("said", "check"),
    [
        ({"aof_current_size": "230", "aof_base_size": "100"}, "aof-rewrite-due"),
        ({"aof_last_bgrewrite_status": "err"}, "aof-rewrite"),
        ({"aof_last_write_status": "err"}, "aof-write"),
        ({"aof_delayed_fsync": "500"}, "delayed-fsync"),
        ({"latest_fork_usec": "900000"}, "fork-time"),
        ({"total_system_memory": "1000"}, "fork-memory"),
        ({"aof_last_cow_size": str(1 << 50)}, "copy-on-write"),
    ],
)
def test_states_that_a_server_is_hard_to_bring_into_are_told(
    said: dict[str, str], check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("--auto-aof-rewrite-percentage", "100", "--auto-aof-rewrite-min-size", "64")
    with running(SERVERS[0], tmp_path, *LOGGED, *settings) as server:
        real = Connection.info
        monkeypatch.setattr(Connection, "info", lambda connection: real(connection) | said)
        assert failing(health(url_of(server), replace(ROOMY, max_cow=10.0))) == [check]
        if check == "aof-rewrite-due":
            said["aof_current_size"] = "215"  # the slack
            assert failing(health(url_of(server), ROOMY)) == []
            said |= {"aof_current_size": "900", "aof_rewrite_scheduled": "1"}
            assert failing(health(url_of(server), ROOMY)) == []


@pytest.mark.parametrize(
    ("limits", "check"),
    [
        (replace(ROOMY, max_fork_s=0.0), "fork-time"),
        (replace(ROOMY, min_fork_memory=1e9), "fork-memory"),
        (replace(ROOMY, max_cow=0.0), "copy-on-write"),
        (replace(ROOMY, max_disk_used=0.0), "disk-used"),
        (replace(ROOMY, max_delayed_fsyncs=-1), "delayed-fsync"),
    ],
)
@pytest.mark.server
def test_every_threshold_can_be_met_and_not(limits: Thresholds, check: str, tmp_path: Path) -> None:
    with running(SERVERS[0], tmp_path, *LOGGED) as server:
        server.execute("DEBUG", "POPULATE", 10000)
        server.execute("BGSAVE")
        wait_for(server, "rdb_bgsave_in_progress", "0")
        assert failing(health(url_of(server), limits)) == [check]
        assert failing(health(url_of(server), ROOMY)) == []


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_server_that_hides_its_settings_is_judged_by_the_rest(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path, *LOGGED) as server:
        server.execute("ACL", "SETUSER", "watch", "on", ">pw", "+info", "+ping")
        judged = health(url_of(server).replace("unix://", "unix://watch:pw@"), ROOMY)
        assert judged.verdict == MET
        assert "pw" not in judged.subject
        assert any("its settings are not known" in note for note in judged.notes)
        assert "fsync" not in {check.name for check in judged.checks}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_server_that_loads_is_told(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        server.execute(*SAVING)
        server.execute("CONFIG", "SET", "rdbcompression", "no")
        server.execute("DEBUG", "POPULATE", 6000, "key", 5000)  # it answers after every 2 MB that it has loaded
        server.execute("CONFIG", "SET", "key-load-delay", "500")
        other = Server(kind, tmp_path, server.process, server._path)
        other._socket.sendall(b"*2\r\n$5\r\nDEBUG\r\n$6\r\nRELOAD\r\n")
        time.sleep(0.5)
        judged = health(url_of(server), ROOMY)
        assert failing(judged) == ["loaded"], judged.error
        other._reply()
        other.close()


def test_a_server_that_cannot_be_reached_is_not_known() -> None:
    judged = health(f"redis://:secret@127.0.0.1:{free_port()}", access=Access(timeout_s=5))
    assert judged.verdict == UNKNOWN
    assert "refused" in str(judged.error)
    assert "secret" not in str(judged.as_json())


@pytest.mark.server
def test_a_server_that_refuses_us_is_not_known_in_its_words(tmp_path: Path) -> None:
    with running(SERVERS[0], tmp_path) as server:
        server.execute("CONFIG", "SET", "requirepass", "right")
        judged = health(url_of(server), access=Access("wrong"))
        assert judged.verdict == UNKNOWN
        assert "the server says: invalid username-password pair" in str(judged.error)


def test_wrong_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no check 'fork'"):
        checks_named(["fork"])
    with pytest.raises(UsageError):
        health("/no/url")
