"""``rdbtool dump -o``: files that are whole, one for each input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.outputs.options import OutputOptions
from rdbtool.tasks.dump_files import shard_names, shard_outputs
from tests.cli.running import run
from tests.rdb import craft
from tests.rdb.corpus import FIXTURES

FILE = FIXTURES / "redis-7.4.1" / "small-plain.rdb"


def shard(path: Path, *keys: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(craft.rdb(*(craft.record(0, key, craft.string(b"x")) for key in keys)))
    return path


def test_the_format_is_that_of_the_name(tmp_path: Path) -> None:
    done = run("dump", shard(tmp_path / "a.rdb", b"k"), "-o", tmp_path / "x.csv.gz")
    assert (done.returncode, done.output) == (0, b"")
    assert "1 key written to" in done.stderr
    shown = run("dump", shard(tmp_path / "a.rdb", b"k"), "-o", tmp_path / "x.odt")
    assert shown.returncode == 2
    assert "give a name that ends in one of .resp, .jsonl" in shown.stderr


def test_named_keys_go_into_a_file(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.rdb", b"one", b"two")
    assert run("dump", path, "two", "-o", tmp_path / "x.jsonl").returncode == 0
    assert [json.loads(line)["key"] for line in (tmp_path / "x.jsonl").read_text().splitlines()] == ["two"]
    assert run("dump", path, "three", "-o", tmp_path / "y.jsonl").returncode == 1
    assert not (tmp_path / "y.jsonl").exists()


def test_each_input_gets_a_file_and_one_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    shards = [shard(tmp_path / f"shard-{i}.rdb", b"k%d" % i) for i in range(3)]
    shards[1].write_bytes(shards[1].read_bytes()[:-3])
    done = run("dump", *shards, tmp_path / "gone.rdb", "-f", "jsonl", "-o", f"{tmp_path}/out/")
    assert done.returncode == 2
    assert "gone.rdb" in done.stderr
    assert f"{tmp_path}/shard-1.rdb: nothing was written\n" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["shard-0.rdb.jsonl", "shard-2.rdb.jsonl"]


def test_what_is_there_is_overwritten_only_when_asked(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.rdb", b"k")
    out = tmp_path / "x.jsonl"
    assert run("dump", path, "-o", out).returncode == 0
    before = out.read_bytes()
    again = run("dump", FILE, "-o", out)
    assert again.returncode == 2
    assert "exists" in again.stderr
    assert out.read_bytes() == before
    assert run("dump", FILE, "-o", out, "--force").returncode == 0
    assert out.read_bytes() != before
    assert run("dump", path, "-o", path, "-f", "jsonl", "--force").returncode == 2


def test_shards_have_names_that_tell_them_apart() -> None:
    assert shard_names(["a/shard-1.rdb", "b/shard-2.rdb"]) == ["shard-1.rdb", "shard-2.rdb"]
    assert shard_names(["/a/x/dump.rdb", "/b/x/dump.rdb"]) == ["a/x/dump.rdb", "b/x/dump.rdb"]
    with pytest.raises(UsageError, match="twice"):
        shard_names(["a.rdb", "a.rdb"])
    options = OutputOptions("parquet", values=False)
    assert shard_outputs(["a/x=1.rdb", "b/x=1.rdb"], "out/", options) == [
        "out/shard=a%2Fx%3D1.rdb/keys.parquet",
        "out/shard=b%2Fx%3D1.rdb/keys.parquet",
    ]


def test_each_input_is_converted_to_an_output_of_its_name(tmp_path: Path) -> None:
    shards = [shard(tmp_path / f"shard-{i}.rdb", b"k%d" % i) for i in range(3)]
    shards[1].write_bytes(b"REDIS")
    done = run("convert", *shards, tmp_path / "new" / "{name}.jsonl", "--limit", "1")
    assert done.returncode == 1
    assert f"{shards[1]}:\n" in done.stderr
    assert [path.name for path in sorted((tmp_path / "new").iterdir())] == ["shard-0.jsonl", "shard-2.jsonl"]
    keys = [json.loads(line).get("key") for line in (tmp_path / "new/shard-2.jsonl").read_text().splitlines()]
    assert keys == [None, "k2"]
    again = run("convert", *shards, tmp_path / "new" / "{name}.jsonl")
    assert (again.returncode, "exists" in again.stderr) == (2, True)
    twice = run("convert", shards[0], shards[0], tmp_path / "{name}.jsonl")
    assert (twice.returncode, "twice" in twice.stderr) == (2, True)


def test_an_output_below_a_file_is_one_line(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.rdb", b"k")
    for arguments in (["dump", path, "-o", path / "x.csv"], ["convert", path, path / "{name}.csv"]):
        done = run(*arguments)
        assert done.returncode == 2
        assert "cannot create" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_what_other_processes_do_is_what_this_one_does(tmp_path: Path) -> None:
    shards = [tmp_path / f"shard-{i}.rdb" for i in range(3)]
    for path, release in zip(shards, ("redis-7.0.15", "redis-7.4.1", "valkey-9.1.2"), strict=True):
        path.write_bytes((FIXTURES / release / "small-plain.rdb").read_bytes())
    told = []
    for jobs in ("1", "2"):
        out = tmp_path / jobs
        choice = ["--key", "s*", "--type", "set", "--jobs", jobs]
        for arguments in (
            ["dump", *shards, "-f", "parquet", "-o", f"{out}/keys/", *choice],
            ["dump", *shards, "-f", "csv", "-o", f"{out}/csv/", "--bytes", "hex", *choice],
            ["convert", *shards, out / "{name}.rdb", "--target", "redis-6.2", "--pack", "set-entries=1", *choice],
            ["convert", *shards, out / "{name}.jsonl", "--db-map", "0=3", "--drop-expiry", *choice],
        ):
            assert run(*arguments).returncode in {0, 3}, arguments
        files = {
            str(path.relative_to(out)): run("dump", path).output if path.suffix == ".rdb" else path.read_bytes()
            for path in out.rglob("*")
            if path.is_file()
        }  # an RDB has the time in it
        texts = [run("memory", *shards, "--slots", *choice).stdout, run("verify", *shards, "--jobs", jobs).stdout]
        told.append((files, texts))
    assert len(told[0][0]) == 12
    assert told[0] == told[1]
