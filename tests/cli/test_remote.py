"""Commands on URLs, with fsspec's file system in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.cli.running import run
from tests.rdb.corpus import FIXTURES

FILES = {
    "shard-1.rdb": FIXTURES / "redis-7.4.1/small-plain.rdb",
    "shard-2.rdb": FIXTURES / "valkey-9.1.2/small-plain.rdb",
}
LOG = FIXTURES.parent / "aof" / "truncated.aof"


@pytest.fixture(autouse=True)
def store() -> Iterator[fsspec.AbstractFileSystem]:
    files = fsspec.filesystem("memory")
    files.store.clear()
    for name, path in FILES.items():
        files.pipe(f"/b/{name}", path.read_bytes())
    files.pipe("/b/log.aof", LOG.read_bytes())
    yield files
    files.store.clear()


def test_every_command_that_takes_several_inputs_takes_a_pattern() -> None:
    for command in (["check-rdb"], ["digest"], ["memory"], ["info"], ["verify"]):
        done = run(*command, "memory://b/shard-*.rdb", "--format", "json")
        assert done.returncode == 0, done.stderr
        told = done.stdout
        assert "memory://b/shard-1.rdb" in told
        assert "memory://b/shard-2.rdb" in told


def test_the_answer_is_that_of_the_file() -> None:
    for command in ("check-rdb", "digest", "memory", "info", "dump"):
        there = run(command, "memory://b/shard-1.rdb")
        here = run(command, FILES["shard-1.rdb"])
        assert there.stdout.replace("memory://b/shard-1.rdb", str(FILES["shard-1.rdb"])) == here.stdout
        assert there.returncode == here.returncode
    there, here = run("check-aof", "memory://b/log.aof"), run("check-aof", LOG)
    assert there.returncode == here.returncode == 1
    assert there.stdout.splitlines()[1:4] == here.stdout.splitlines()[1:4]


def test_outputs_are_written_there(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    done = run("convert", "memory://b/shard-1.rdb", "memory://b/new/out.rdb.gz", "--target", "redis-7.4")
    assert done.returncode == 0, done.stderr
    assert store.cat("/b/new/out.rdb.gz")[:2] == b"\x1f\x8b"
    assert run("diff", "memory://b/shard-1.rdb", "memory://b/new/out.rdb.gz").returncode == 0
    done = run("dump", "memory://b/shard-*.rdb", "-f", "parquet", "-o", "memory://b/fleet/")
    assert done.returncode == 0, done.stderr
    assert sorted(store.find("/b/fleet")) == [f"/b/fleet/shard={name}/keys.parquet" for name in FILES]
    assert run("dump", "memory://b/shard-1.rdb", "-o", tmp_path / "x.jsonl").returncode == 0
    again = run("dump", "memory://b/shard-1.rdb", "-o", "memory://b/fleet/shard=shard-1.rdb/keys.parquet")
    assert (again.returncode, "exists" in again.stderr) == (2, True)


def test_nothing_is_there_of_what_failed(store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/b/bad.rdb", FILES["shard-1.rdb"].read_bytes()[:-20])
    for command in (
        ["convert", "memory://b/bad.rdb", "memory://b/out.jsonl"],
        ["dump", "memory://b/bad.rdb", "-o", "memory://b/out.csv"],
    ):
        assert run(*command).returncode == 1
    assert not store.exists("/b/out.jsonl")
    assert not store.exists("/b/out.csv")


def test_what_is_not_there_is_one_line_and_code_2() -> None:
    for arguments in (
        ["check-rdb", "memory://b/none.rdb"],
        ["check-rdb", "memory://b/none*"],
        ["check-aof", "memory://b/none.aof"],
        ["dump", "memory://b/none.rdb"],
        ["convert", "memory://b/none.rdb", "memory://b/x.jsonl"],
        ["verify", "memory://b/none*"],
        ["convert", "memory://b/shard-1.rdb", "memory://b/set/"],
    ):
        done = run(*arguments)
        assert done.returncode == 2, arguments
        assert "memory://b/" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert run("check-aof", "memory://b/none.aof", "--missing-ok").returncode == 0
    assert run("check-aof", "memory://b/log.aof", "--fix", "--yes").returncode == 2


def test_urls_of_this_machine_are_paths(tmp_path: Path) -> None:
    for name, path in FILES.items():
        (tmp_path / name).write_bytes(path.read_bytes())
    done = run("digest", f"file://{tmp_path}/shard-*.rdb")
    assert [line.split("  ")[1] for line in done.stdout.splitlines()] == [str(tmp_path / name) for name in FILES]
    assert run("convert", f"file://{tmp_path}/shard-1.rdb", f"file://{tmp_path}/out.jsonl").returncode == 0
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["rdbtool"] == 1


def test_patterns_of_keys_are_left_alone() -> None:
    done = run("dump", FILES["shard-1.rdb"], "--key", "http://*")
    assert (done.returncode, done.stderr) == (0, "")
