"""``rdbtool convert``: keys that are changed on their way, inputs that are merged, outputs that are there already."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from rdbtool.aof.resp import Command, CommandReader
from rdbtool.io.window import window_over
from rdbtool.tasks.convert import shard_path
from tests.cli.running import run
from tests.servers.harness import SERVERS, ServerKind, running

LATER = 4_000_000_000_000
MODULE = {"db": 0, "key": "m", "type": "module", "value": {"name": "tairhash-", "version": 1, "payload": "AA=="}}
PLAIN = {"db": 0, "key": "plain", "type": "string", "value": "1"}


def rdb_of(path: Path, commands: str) -> Path:
    """A snapshot of what these commands give."""
    text = path.with_suffix(".txt")
    text.write_text(commands)
    done = run("convert", "--from", "commands", text, path, "--target", "redis-8.6")
    assert done.returncode == 0, done.stderr
    return path


def keys_of(path: Path) -> dict[tuple[int, str], Any]:
    """The records of an output, by database and key."""
    shown = run("dump", path, "--format", "jsonl")
    assert shown.returncode == 0, shown.stderr
    records = [json.loads(line) for line in shown.stdout.splitlines()]
    found = {(record["db"], record["key"]): record for record in records}
    assert len(found) == len(records), "a key twice"
    return found


def test_a_file_that_holds_something_is_not_overwritten_unasked(tmp_path: Path) -> None:
    source = rdb_of(tmp_path / "a.rdb", "SET a 1\n")
    there = tmp_path / "there.rdb"
    there.write_bytes(b"precious")
    refused = run("convert", source, there)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert there.read_bytes() == b"precious"
    assert run("convert", source, there, "--force").returncode == 0
    assert there.read_bytes() == source.read_bytes() or keys_of(there) == keys_of(source)
    there.write_bytes(b"")
    assert run("convert", source, there).returncode == 0  # nothing is lost
    shard = tmp_path / "s-8192-16383.rdb"
    shard.write_bytes(b"precious")
    assert run("convert", source, tmp_path / "s.rdb", "--split", "2").returncode == 2
    assert shard.read_bytes() == b"precious"
    assert not (tmp_path / "s-0-8191.rdb").exists()


@pytest.mark.slow  # starts the program on a terminal
@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 2), (b"\n", 2)])
def test_somebody_at_a_terminal_is_asked(answer: bytes, code: int, tmp_path: Path) -> None:
    source = rdb_of(tmp_path / "a.rdb", "SET a 1\n")
    there = tmp_path / "there.rdb"
    there.write_bytes(b"precious")
    master, slave = pty.openpty()
    os.write(master, answer)
    command = [sys.executable, "-m", "rdbtool", "convert", str(source), str(there)]
    done = subprocess.run(command, stdin=slave, stderr=subprocess.PIPE, check=False)
    os.close(slave)
    os.close(master)
    assert done.returncode == code
    assert b"Overwrite" in done.stderr
    assert (there.read_bytes() == b"precious") == (code != 0)


@pytest.mark.parametrize("name", ["x.rdb.gz", "x.rdb.zst", "x.jsonl.gz", "x.aof.zst"])
def test_an_output_is_compressed_as_its_name_says(name: str, tmp_path: Path) -> None:
    source = rdb_of(tmp_path / "a.rdb", "SET a 1\nRPUSH l 1 2 3\nSELECT 3\nSADD s x\n")
    out = tmp_path / name
    assert run("convert", source, out).returncode == 0
    packed = out.read_bytes()
    if name.endswith(".gz"):
        data = gzip.decompress(packed)
    else:
        data = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    assert data.startswith({"r": b"REDIS", "j": b'{"schema"', "a": b"*2\r\n"}[name[2]])
    assert keys_of(out).keys() == keys_of(source).keys()


def test_zstd_without_its_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = rdb_of(tmp_path / "a.rdb", "SET a 1\n")
    packed = tmp_path / "packed.rdb.zst"
    assert run("convert", source, packed).returncode == 0
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    for arguments in (["dump", packed], ["convert", source, tmp_path / "x.rdb.zst"]):
        done = run(*arguments)
        assert done.returncode == 2
        assert "pip install 'rdbtoolkit[zstd]'" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.rdb", "a.txt", "packed.rdb.zst"]


def test_parts_of_a_split_keep_both_endings() -> None:
    assert shard_path("out.rdb.gz", 0, 9) == "out-0-9.rdb.gz"
    assert shard_path("out.gz/", 0, 9) == "out-0-9.gz/"


@pytest.mark.parametrize("form", ["rdb", "aof", "resp", "jsonl", "json", "csv"])
def test_modules_are_left_out_of_every_format(form: str, tmp_path: Path) -> None:
    lines = tmp_path / "in.jsonl"
    lines.write_text("".join(json.dumps(record) + "\n" for record in (MODULE, PLAIN)))
    assert run("convert", lines, tmp_path / "in.rdb").returncode == 0
    for source in (lines, tmp_path / "in.rdb"):
        out = tmp_path / f"out.{form}"
        done = run("convert", source, out, "--drop-modules", "--force", "--format", "json")
        report = json.loads(done.stdout)
        assert done.returncode == 3
        assert report["losses"] == {"module values": 1}
        assert report["written"] == 1
        assert b"tairhash" not in out.read_bytes()
        assert b"plain" in out.read_bytes()
        assert run("convert", source, out, "--drop-modules", "--force", "--lossless").returncode == 2


def test_a_split_warns_of_databases_that_no_cluster_has(tmp_path: Path) -> None:
    source = rdb_of(tmp_path / "a.rdb", "SET a 1\nSELECT 5\nSET b 1\nSET c 1\n")
    done = run("convert", source, tmp_path / "s.rdb", "--split", "2")
    assert done.returncode == 0
    assert "warning databases: 2 keys" in done.stderr
    done = run("convert", source, tmp_path / "m.rdb", "--split", "2", "--db-map", "5=0")
    assert (done.returncode, "databases" in done.stderr) == (0, False)
    found = {**keys_of(tmp_path / "m-0-8191.rdb"), **keys_of(tmp_path / "m-8192-16383.rdb")}
    assert set(found) == {(0, "a"), (0, "b"), (0, "c")}


def test_databases_get_other_numbers(tmp_path: Path) -> None:
    source = rdb_of(tmp_path / "a.rdb", "SET a 1\nSELECT 3\nSET a 2\nHSET h f v\nSELECT 4\nSET b 1\n")
    assert run("convert", source, tmp_path / "x.rdb", "--db-map", "0=3,3=0").returncode == 0
    assert set(keys_of(tmp_path / "x.rdb")) == {(3, "a"), (0, "a"), (0, "h"), (4, "b")}
    both = run("convert", source, tmp_path / "y.rdb", "--db-map", "3=0")
    assert both.returncode == 2
    assert "databases 0 and 3 both have it" in both.stderr
    assert not (tmp_path / "y.rdb").exists()
    for wrong in ("3", "3=", "=3", "a=b", "1=2,1=3"):
        assert run("convert", source, tmp_path / "z.rdb", "--db-map", wrong).returncode == 2


def test_expiries_are_dropped_and_shifted(tmp_path: Path) -> None:
    commands = (
        f"SET a 1\nPEXPIREAT a {LATER}\nSET b 1\nHSET h f v g w\n"
        f"HPEXPIREAT h {LATER} FIELDS 1 f\nPEXPIREAT h {LATER + 5}\n"
    )
    source = rdb_of(tmp_path / "a.rdb", commands)
    for form in ("rdb", "jsonl", "aof"):
        out = tmp_path / f"dropped.{form}"
        assert run("convert", source, out, "--drop-expiry").returncode == 0
        found = keys_of(out)
        assert not any("expire_at_ms" in record for record in found.values())
        assert found[0, "h"]["value"] == {"f": "v", "g": "w"}
        out = tmp_path / f"shifted.{form}"
        assert run("convert", source, out, "--expire-shift", "+1d").returncode == 0
        found = keys_of(out)
        assert found[0, "a"]["expire_at_ms"] == LATER + 86_400_000
        assert "expire_at_ms" not in found[0, "b"]
        assert found[0, "h"]["expire_at_ms"] == LATER + 5 + 86_400_000
        assert found[0, "h"]["value"]["f"]["expire_at_ms"] == LATER + 86_400_000
    assert run("convert", source, tmp_path / "sooner.rdb", "--expire-shift", "-2h").returncode == 0
    assert keys_of(tmp_path / "sooner.rdb")[0, "a"]["expire_at_ms"] == LATER - 7_200_000
    for wrong in (["--expire-shift", "x"], ["--expire-shift", "1d", "--drop-expiry"]):
        assert run("convert", source, tmp_path / "z.rdb", *wrong).returncode == 2


def test_what_expired_since_the_backup_comes_back(tmp_path: Path) -> None:
    source = rdb_of(tmp_path / "a.rdb", "SET a 1\nPEXPIREAT a 1000000000000\n")
    assert run("convert", source, tmp_path / "x.rdb", "--expire-shift", "200w").returncode == 0
    assert keys_of(tmp_path / "x.rdb")[0, "a"]["expire_at_ms"] == 1_000_000_000_000 + 200 * 7 * 86_400_000


def test_collections_of_several_inputs_are_merged(tmp_path: Path) -> None:
    one = rdb_of(
        tmp_path / "a.rdb",
        f"SADD s x y\nHSET h a 1 b 1\nHPEXPIREAT h {LATER} FIELDS 1 a\nZADD z 1 m 2 n\nSET same 1\nSET only1 1\n"
        f"PEXPIREAT s {LATER}\nPEXPIREAT h {LATER}\n",
    )
    two = rdb_of(
        tmp_path / "b.rdb",
        f"SADD s y z\nHSET h b 2 c 2\nZADD z 3 n 4 o\nSET same 1\nSET only2 1\nPEXPIREAT s {LATER + 1}\n",
    )
    done = run("convert", one, two, tmp_path / "m.rdb", "--on-conflict", "merge", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["written"], report["merged"], report["dropped"]) == (6, 4, 0)
    found = keys_of(tmp_path / "m.rdb")
    assert set(found[0, "s"]["value"]) == {"x", "y", "z"}
    assert found[0, "s"]["expire_at_ms"] == LATER + 1
    assert found[0, "h"]["value"] == {"a": {"value": "1", "expire_at_ms": LATER}, "b": "2", "c": "2"}
    assert "expire_at_ms" not in found[0, "h"]
    assert found[0, "z"]["value"] == {"m": 1, "n": 3, "o": 4}


@pytest.mark.parametrize(
    ("first", "second"), [("SET k 1", "SET k 2"), ("SET k 1", "SADD k 1"), ("RPUSH k 1", "RPUSH k 2")]
)
def test_what_cannot_be_merged_is_refused_by_name(first: str, second: str, tmp_path: Path) -> None:
    one, two = rdb_of(tmp_path / "a.rdb", first + "\n"), rdb_of(tmp_path / "b.rdb", second + "\n")
    done = run("convert", one, two, tmp_path / "m.rdb", "--on-conflict", "merge")
    assert done.returncode == 2
    assert "key 'k'" in done.stderr
    assert not (tmp_path / "m.rdb").exists()


def test_standard_input_cannot_be_merged(tmp_path: Path) -> None:
    one = rdb_of(tmp_path / "a.rdb", "SADD s 1\n")
    done = run("convert", one, "-", tmp_path / "m.rdb", "--on-conflict", "merge", stdin=one.read_bytes())
    assert done.returncode == 2
    assert "twice" in done.stderr


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_commands_replace_what_a_server_has(kind: ServerKind, tmp_path: Path) -> None:
    source = rdb_of(tmp_path / "a.rdb", "RPUSH l 1 2\nHSET h f 1\nSADD s a\nZADD z 1 m\nSET t x\nXADD x 1-1 f v\n")
    with running(kind, tmp_path) as server:
        server.execute("SET", "other", "stays")
        digests = set()
        for options in ([], ["--replace"], ["--replace"]):
            commands = run("convert", source, "-", "--to", "resp", "--target", kind.name, *options)
            assert commands.returncode in {0, 3}, commands.stderr
            reader = CommandReader(window_over(commands.output))
            while (event := reader.next()) is not None:
                assert isinstance(event, Command)
                server.execute(*event.args)
            digests.add(server.digest())
        assert len(digests) == 1
        assert server.execute("LRANGE", "l", 0, -1) == [b"1", b"2"]
        assert server.execute("GET", "other") == b"stays"


@pytest.mark.parametrize("arguments", [["--to", "jsonl", "--replace"], ["--to", "jsonl", "--csv-safe"]])
def test_options_of_another_format_are_refused(arguments: list[str], tmp_path: Path) -> None:
    source = rdb_of(tmp_path / "a.rdb", "SET a 1\n")
    assert run("convert", source, "-", *arguments).returncode == 2
