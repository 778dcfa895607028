"""The recipes of the README do what they say. They are run as they stand there, with other directories' names."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.aof import craft
from tests.cli.running import run
from tests.servers.harness import SERVERS, Server, ServerKind, program_on_path, running

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
README = (ROOT / "README.md").read_text()
DIRECTORIES = ("/var/backups/redis", "/var/lib/redis", "/var/lib/node_exporter", "/etc/rdbtool", "/etc/redis", "/data")

pytestmark = pytest.mark.slow


def blocks(language: str, word: str) -> str:
    """The block in that language in which a word stands."""
    (found,) = [b for b in re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE) if word in b]
    return str(found)


class Machine:
    """Directories of its own for those of the recipes, and programs that stand for those of a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in DIRECTORIES:
            self.at(name).mkdir(parents=True)
        self.programs = root / "bin"
        self.programs.mkdir()
        self.program("rdbtool", f'exec "{sys.executable}" -m rdbtool "$@"')

    def at(self, name: str) -> Path:
        return self.root / name.strip("/")

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def here(self, text: str) -> str:
        for name in DIRECTORIES:
            text = re.sub(rf"(?<![\w/.]){name}\b", str(self.at(name)), text)
        return text

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{self.programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            ["sh", "-c", self.here(script)],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def cron(word: str) -> str:
    """The command of the line for cron: behind five fields and a user."""
    (line,) = blocks("cron", word).splitlines()
    fields = line.split(None, 6)
    assert re.fullmatch(r"[\d*/]+", fields[0])
    assert fields[5] == "root"
    return fields[6]


def snapshot(path: Path, keys: int) -> Path:
    """A snapshot of now with so many users."""
    text = "".join(f"SET user:{i} 1\n" for i in range(keys)) + "SET config 1\n"
    assert run("convert", "--from", "commands", "-", path, stdin=text.encode()).returncode == 0
    return path


@pytest.fixture
def shards(machine: Machine) -> Machine:
    """Two days of backups of two shards."""
    machine.at("/etc/rdbtool").joinpath("verify.toml").write_text(machine.here(blocks("toml", "shard-*")))
    for day, keys in (("yesterday", 1100), ("today", 1200)):
        directory = machine.at("/var/backups/redis") / day
        directory.mkdir()
        for i in range(2):
            snapshot(directory / f"shard-{i}.rdb", keys)
    return machine


def test_the_line_for_cron_is_silent_while_all_is_well(shards: Machine) -> None:
    done = shards.run(cron("verify --quiet"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("trouble", ["shrunk", "old", "gone", "cut"])
def test_the_line_for_cron_speaks_when_something_is_wrong(trouble: str, shards: Machine) -> None:
    today = shards.at("/var/backups/redis") / "today"
    if trouble == "gone":
        for path in today.iterdir():
            path.rename(today / path.name.replace("shard", "part"))
    elif trouble == "cut":
        (today / "shard-1.rdb").write_bytes((today / "shard-1.rdb").read_bytes()[:-20])
    elif trouble == "old":
        shutil.copy(FIXTURES / "rdb/redis-7.0.15/small-plain.rdb", today / "other.rdb")
    else:
        (today / "shard-1.rdb").unlink()
        snapshot(today / "shard-1.rdb", 800)
    done = shards.run(cron("verify --quiet"))
    assert done.returncode == 1
    assert "FAILED" in done.stdout


def test_what_prometheus_is_told_is_what_its_rules_ask_for(shards: Machine) -> None:
    done = shards.run(cron("verify /var"))
    assert done.returncode == 0, done.stderr
    written = (shards.at("/var/lib/node_exporter") / "rdbtool.prom").read_text()
    metrics = {family.name for family in text_string_to_metric_families(written)}
    rules = yaml.safe_load(blocks("yaml", "RedisBackupBad"))["groups"][0]["rules"]
    assert len(rules) == 2
    for rule in rules:
        asked = set(re.findall(r"rdbtool_\w+", rule["expr"]))
        assert asked
        assert asked <= metrics
    (shards.at("/var/backups/redis") / "today" / "shard-1.rdb").write_bytes(b"")
    shards.run(cron("verify /var"))
    written = (shards.at("/var/lib/node_exporter") / "rdbtool.prom").read_text()
    verdicts = [line for line in written.splitlines() if line.startswith("rdbtool_verify_verdict{")]
    assert sorted(line.rpartition(" ")[2] for line in verdicts) == ["0", "1"]


def test_the_steps_for_github_run(machine: Machine) -> None:
    steps = yaml.safe_load(blocks("yaml", "Make dump.rdb"))
    (machine.root / "seed.redis").write_text("HSET user:1 name Ada\nHSET user:2 name Bob\n")
    for step in steps:
        done = machine.run(step["run"])
        assert done.returncode == 0, done.stdout + done.stderr
    assert "<testsuites" in (machine.root / "verify.xml").read_text()
    (machine.root / "seed.redis").write_text("HSET user:1 name Ada\n")
    (machine.root / "dump.rdb").unlink()
    assert [machine.run(step["run"]).returncode for step in steps] == [0, 1]


def init_container() -> str:
    (container,) = yaml.safe_load(blocks("yaml", "initContainers"))["initContainers"]
    assert container["volumeMounts"][0]["mountPath"] == "/data"
    shell, option, script = container["command"]
    assert (shell, option) == ("sh", "-c")
    return str(script)


def state(path: Path) -> dict[str, Any]:
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes()) for p in path.rglob("*") if p.is_file()}


def test_the_init_container_passes_an_empty_volume_and_a_sound_log(machine: Machine) -> None:
    data = machine.at("/data")
    assert machine.run(init_container()).returncode == 0
    (data / "lost+found").mkdir()
    assert machine.run(init_container()).returncode == 0
    shutil.copy(FIXTURES / "rdb/redis-7.0.15/small-plain.rdb", data / "dump.rdb")
    assert machine.run(init_container()).returncode == 0
    shutil.copytree(FIXTURES / "aof/multi-rdb", data / "appendonlydir")
    before = state(data)
    assert machine.run(init_container()).returncode == 0
    assert state(data) == before
    shutil.rmtree(data)
    assert machine.run(init_container()).returncode == 0


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_the_init_container_repairs_and_the_server_starts(kind: ServerKind, machine: Machine) -> None:
    data = machine.at("/data")
    with running(kind, data, "--appendonly", "yes", "--aof-load-truncated", "no") as server:
        server.execute("SET", "a", "1")
    (log,) = [path for path in data.rglob("*.aof") if path.stat().st_size]
    with log.open("ab") as stream:
        stream.write(craft.command(b"SET", b"b", b"1")[:-3])
    assert machine.run(init_container()).returncode == 0
    with running(kind, data, "--appendonly", "yes", "--aof-load-truncated", "no") as server:
        assert server.execute("GET", "a") == b"1"


def test_the_init_container_gives_up_where_too_much_would_go(machine: Machine) -> None:
    data = machine.at("/data")
    (data / "appendonly.aof").write_bytes(craft.command(b"SET", b"a", b"1") + b"\0" * 1_000_001)
    before = state(data)
    assert machine.run(init_container()).returncode != 0
    assert state(data) == before


@pytest.mark.parametrize("kind", [k for k in SERVERS if k.version >= (7,)], ids=lambda k: k.name)
def test_the_restore_restores(kind: ServerKind, machine: Machine) -> None:
    backup = machine.at("/var/backups/redis") / "today"
    backup.mkdir()
    data = machine.at("/var/lib/redis")
    with running(kind, backup) as server:
        server.send(*[("SET", f"k{i}", i) for i in range(100)])
        server.execute("SAVE")
        digest = server.digest()
    with running(kind, data, "--appendonly", "yes") as server:
        server.execute("SET", "old", "1")
    (machine.at("/etc/redis") / "redis.conf").write_text("appendonly yes\n")
    for name in ("redis-cli", "systemctl"):
        machine.program(name, f'echo "{name} $@" >> "{machine.root}/called"')
    program_on_path(kind, machine.programs)
    done = machine.run("set -e\n" + blocks("sh", "shutdown nosave"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"^\S.*: good$", done.stdout, re.MULTILINE)) == 2
    assert (machine.root / "called").read_text() == "redis-cli shutdown nosave\nsystemctl start redis\n"
    with running(kind, data, "--appendonly", "yes") as server:
        assert server.digest() == digest


@contextlib.contextmanager
def serving(machine: Machine, directory: Path, *options: str) -> Iterator[tuple[Server, Callable[[str], str]]]:
    """A server, and what makes a recipe be about it."""
    with running(SERVERS[0], directory, "--repl-diskless-sync-delay", "0", *options) as server:
        yield server, lambda script: script.replace("redis://localhost:6379", f"unix://{server._path}")


@pytest.mark.server
def test_the_nightly_backup_is_silent_and_keeps_what_it_shall(machine: Machine) -> None:
    backups, data = machine.at("/var/backups/redis"), machine.at("/var/lib/redis")
    (backups / "by-hand.rdb").write_bytes(b"mine")
    with serving(machine, data) as (server, about):
        for keys in (100, 110, 120, 130, 140):
            server.execute("DEBUG", "POPULATE", keys)
            done = machine.run(about(cron("rdbtool backup")))
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            time.sleep(1)  # each has its own second
        kept = sorted(path.name for path in backups.iterdir() if path.name.endswith(".gz"))
        assert [json.loads((backups / f"{name}.json").read_text())["keys"] for name in kept] == [120, 130, 140]
        server.execute("FLUSHALL")
        server.execute("DEBUG", "POPULATE", 50)
        done = machine.run(about(cron("rdbtool backup")))
        assert done.returncode == 1
        assert "FAILED  max-shrink keys" in done.stdout
        assert sorted(path.name for path in backups.iterdir() if path.name.endswith(".gz")) == kept
    done = machine.run(about(cron("rdbtool backup")))
    assert done.returncode == 2
    assert (backups / "by-hand.rdb").read_bytes() == b"mine"


@pytest.mark.server
def test_what_prometheus_is_told_of_health_is_what_its_rules_ask_for(machine: Machine) -> None:
    data, written = machine.at("/var/lib/redis"), machine.at("/var/lib/node_exporter") / "rdbtool_health.prom"
    with serving(machine, data, "--appendonly", "yes") as (_, about):
        machine.run(about(cron("rdbtool health")))
        families = {family.name: family for family in text_string_to_metric_families(written.read_text())}
        for rule in yaml.safe_load(blocks("yaml", "RedisPersistenceBroken"))["groups"][0]["rules"]:
            asked = set(re.findall(r"rdbtool_\w+", rule["expr"]))
            assert asked
            assert asked <= set(families)
        (sample,) = families["rdbtool_health_verdict"].samples
        assert sample.value in {0, 1}  # whether the disk of this machine is full is its own affair
    machine.run(about(cron("rdbtool health")))
    assert re.search(r"^rdbtool_health_verdict\{.*\} 2$", written.read_text(), re.MULTILINE)


def test_a_fleet_is_asked_by_duckdb(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for i, keys in enumerate((30, 20)):
        snapshot(machine.root / f"shard-{i}.rdb", keys)
    done = machine.run(blocks("sh", "-o fleet/"))
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(machine.root)
    answer = duckdb.sql(blocks("sql", "fleet/"))
    assert answer is not None
    assert answer.columns == ["prefix", "keys", "kib", "shards", "expired"]
    ((prefix, count, kib, shards, expired),) = answer.fetchall()
    assert (prefix, count, shards, expired) == ("user:", 50, 2, 0)
    assert 1 <= kib <= 10
    partitions = duckdb.sql("SELECT DISTINCT shard FROM 'fleet/*/*.parquet' ORDER BY 1")
    assert partitions is not None
    assert partitions.fetchall() == [("shard-0.rdb",), ("shard-1.rdb",)]
