"""What a server says of its persistence is held against thresholds, on real servers in real trouble."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rdbtool.errors import FormatError, UsageError
from rdbtool.live.address import Access
from rdbtool.live.connection import Connection
from rdbtool.tasks.health import run
from rdbtool.tasks.health.run import health
from rdbtool.tasks.health.state import read_state
from rdbtool.tasks.health.thresholds import CHECKS, DEFAULT, Thresholds, checks_named
from rdbtool.tasks.judgement import MET, UNKNOWN, UNMET, Judgement
from tests.live.serving import free_port, url_of
from tests.servers.harness import SERVERS, Server, ServerKind, running

SAVING = ("CONFIG", "SET", "save", "3600 1")
LOGGED = ("--appendonly", "yes")
ROOMY = replace(DEFAULT, max_disk_used=1.0)
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
        left_out = set() if logged else {n for n in CHECKS if "aof" in n or "fsync" in n}
        assert names == set(CHECKS) - left_out - {"copy-on-write-growth"}
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
def test_an_old_snapshot_matters_where_snapshots_are_wanted(
    kind: ServerKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        assert failing(health(url_of(server), limits)) == ["last-save"]  # beside the log, snapshots are made as backups
        with monkeypatch.context() as patches:
            patches.setattr(run, "SAVE_AGE_S", 0)
            assert failing(health(url_of(server), ROOMY)) == ["last-save"]
            server.execute("CONFIG", "SET", "save", "")
            assert failing(health(url_of(server), ROOMY)) == []  # nobody wants any
        assert failing(health(url_of(server), limits)) == ["last-save"]  # unless somebody says so


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
        assert failing(health(url_of(server), ROOMY)) == [check]
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
        (replace(ROOMY, max_cow=0.0, cow_floor=0), "copy-on-write"),
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
def test_a_save_that_copies_more_than_those_before_is_told(kind: ServerKind, tmp_path: Path) -> None:
    limits = replace(ROOMY, cow_floor=0, max_cow=1e9, max_cow_growth=1e9)
    path = str(tmp_path / "state.json")

    def look(limits: Thresholds) -> Judgement:
        state = read_state(path)
        judged = health(url_of(server), limits, state=state)
        state.write()
        return judged

    def save_while_writing() -> None:
        server.execute("CONFIG", "SET", "rdb-key-save-delay", "300")
        server.execute("BGSAVE")
        for i in range(1000):
            server.execute("SETRANGE", f"key:{i}", 0, "y" * 5000)
        server.execute("CONFIG", "SET", "rdb-key-save-delay", "0")
        wait_for(server, "rdb_bgsave_in_progress", "0")

    data = tmp_path / "data"
    data.mkdir()
    with running(kind, data) as server:
        server.execute(*SAVING)
        server.execute("DEBUG", "POPULATE", 1000, "key", 5000)
        server.execute("BGSAVE")
        wait_for(server, "rdb_bgsave_in_progress", "0")
        first = look(limits)
        assert "copy-on-write-growth" not in {check.name for check in first.checks}
        again = look(limits)
        assert "copy-on-write-growth" not in {check.name for check in again.checks}  # it is the same save
        save_while_writing()
        strict = replace(limits, max_cow_growth=0.1)
        assert failing(health(url_of(server), replace(strict, cow_floor=1 << 30), state=read_state(path))) == []
        grown = look(strict)
        assert failing(grown) == ["copy-on-write-growth"]
        (check,) = [check for check in grown.checks if not check.met]
        assert "; the one before: " in check.found
        assert failing(look(strict)) == ["copy-on-write-growth"]  # as long as that is the last save
        measures = {measure.name: measure.value for measure in grown.measures}
        earlier = {measure.name: measure.value for measure in first.measures}
        assert measures["copy_on_write_ratio"] > earlier["copy_on_write_ratio"] + 0.1


@pytest.mark.server
def test_delayed_fsyncs_count_since_the_last_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"aof_delayed_fsync": "1000", "uptime_in_seconds": str(1000 * 3600)}
    with running(SERVERS[0], tmp_path, *LOGGED) as server:
        real = Connection.info
        monkeypatch.setattr(Connection, "info", lambda connection: real(connection) | said)
        state = read_state(str(tmp_path / "none"))
        assert failing(health(url_of(server), ROOMY, state=state)) == []  # one in an hour
        said["aof_delayed_fsync"] = "1010"
        assert failing(health(url_of(server), ROOMY, state=state)) == []
        said["aof_delayed_fsync"] = "1021"
        assert failing(health(url_of(server), ROOMY)) == []
        assert failing(health(url_of(server), ROOMY, state=state)) == ["delayed-fsync"]
        said |= {"aof_delayed_fsync": "3", "run_id": "another"}
        assert failing(health(url_of(server), ROOMY, state=state)) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"made_by":"rdbtool health","schema":1}',
        b'{"made_by":"rdbtool health","schema":2,"servers":{}}',
        b'{"made_by":"rdbtool health","schema":1,"servers":{"x":{"at_s":"y"}}}',
        b'{"made_by":"rdbtool health","schema":1,"servers":{"x":{"new":1}}}',
    ],
)
def test_what_is_no_state_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="is no state of rdbtool health"):
        read_state(str(path))
    assert path.read_bytes() == content


@pytest.mark.server
def test_of_a_disk_that_cannot_be_seen_nothing_is_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, str] = {}
    with running(SERVERS[0], tmp_path) as server:
        real = Connection.info
        monkeypatch.setattr(Connection, "info", lambda connection: real(connection) | said)
        for pid in ("1", str(os.getpid()), "999999999"):  # a port of this machine that leads into a container
            said["process_id"] = pid
            judged = health(url_of(server), ROOMY)
            assert not {"disk-used", "disk-for-fork"} & {check.name for check in judged.checks}
            assert any(note.startswith("unknown: how full its disk is") for note in judged.notes)
        said["used_memory_dataset"] = "12345"
        assert {m.name: m.value for m in health(url_of(server), ROOMY).measures}["disk_needed_bytes"] == 12345
        said.clear()
        server.execute("ACL", "SETUSER", "watch", "on", ">pw", "+info", "+ping")  # it may not ask for the directory
        names = {check.name for check in health(url_of(server).replace("unix://", "unix://watch:pw@"), ROOMY).checks}
        assert {"disk-used", "disk-for-fork"} <= names


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
        assert "the server says: WRONGPASS invalid username-password pair" in str(judged.error)


def test_wrong_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no check 'fork'"):
        checks_named(["fork"])
    with pytest.raises(UsageError):
        health("/no/url")
