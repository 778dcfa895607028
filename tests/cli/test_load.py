"""``rdbtool load`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.cli.validating import holds
from tests.live.serving import url_of
from tests.servers.harness import SERVERS, running

RDB = Path(__file__).resolve().parents[2] / "fixtures" / "rdb" / "redis-7.0.15" / "small-plain.rdb"
KIND = next((kind for kind in SERVERS if kind.is_valkey), None)


@pytest.mark.server
def test_what_is_printed_tells_what_was_done(tmp_path: Path) -> None:
    assert KIND is not None
    with running(KIND, tmp_path) as server:
        url = url_of(server)
        dry = run("load", RDB, url, "--dry-run")
        assert (dry.returncode, dry.stdout.splitlines()[0]) == (0, f"{url}: 111 keys would be loaded ({KIND.name})")
        assert server.execute("DBSIZE") == 0
        done = run("load", RDB, url, "--verify", "--format", "json")
        assert done.returncode == 0, done.stderr
        holds("load", done.stdout)
        told = json.loads(done.stdout)
        assert (told["loaded"], told["functions"], told["verified"]["compared"]) == (111, 2, 111)
        refused = run("load", RDB, url)
        assert refused.returncode == 2
        assert "--into-nonempty" in refused.stderr
        there = run("load", RDB, url, "--into-nonempty", "--format", "json")
        assert there.returncode == 3
        holds("load", there.stdout)
        kept = run("load", RDB, url, "--into-nonempty", "--on-conflict", "skip", "--quiet")
        assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", "")
        only = run("load", RDB, url, "--key", "no such key", "--into-nonempty", "--prefix", "x:")
        assert only.stdout.startswith(f"{url}: 0 keys loaded")


@pytest.mark.server
def test_a_key_that_is_named_or_chosen_is_loaded_alone(tmp_path: Path) -> None:
    assert KIND is not None
    with running(KIND, tmp_path) as server:
        done = run("load", RDB, url_of(server), "--type", "stream", "--db-map", "0=2")
        assert done.returncode == 0, done.stderr
        server.execute("SELECT", 2)
        keys = server.execute("KEYS", "*")
        assert isinstance(keys, list)
        assert keys
        assert {server.execute("TYPE", key) for key in keys if isinstance(key, bytes)} == {b"stream"}
        assert not server.execute("FUNCTION", "LIST")


@pytest.mark.server
def test_a_damaged_file_is_loaded_up_to_the_damage(tmp_path: Path) -> None:
    assert KIND is not None
    bad = tmp_path / "bad.rdb"
    bad.write_bytes(RDB.read_bytes()[:-200])
    with running(KIND, tmp_path) as server:
        done = run("load", bad, url_of(server))
        assert done.returncode == 1
        assert "truncated" in done.stderr
        assert server.execute("DBSIZE")
        again = run("load", bad, url_of(server), "--keep-going", "--into-nonempty", "--on-conflict", "replace")
        assert again.returncode == 3


def test_what_makes_no_sense_is_refused() -> None:
    for words in (
        ["load", RDB, "dump.rdb"],
        ["load", "-", "redis://localhost:1", "--verify"],
        ["load", RDB, "redis://localhost:1", "--on-conflict", "merge"],
        ["load", RDB, "redis://localhost:1", "--scan"],
        ["load", RDB, "redis://localhost:1", "--db-map", "x"],
    ):
        done = run(*words)
        assert done.returncode == 2, words
        assert "Traceback" not in done.stderr
