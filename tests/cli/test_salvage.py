"""``check-rdb --salvage``, and the way to it, on the command line."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from rdbtool.cli.schemas import schema_of
from tests.aof.craft import command
from tests.cli.running import run
from tests.rdb.corpus import FIXTURES
from tests.rdb.craft import rdb, record, string

PLAIN = FIXTURES / "redis-7.4.1" / "small-plain.rdb"


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    data = PLAIN.read_bytes()
    path = tmp_path / "damaged.rdb"
    path.write_bytes(data[:4000] + bytes(512) + data[4512:])
    return path


def test_it_tells_what_is_read_and_what_is_lost(damaged: Path, tmp_path: Path) -> None:
    output = tmp_path / "saved.rdb"
    done = run("check-rdb", damaged, "--salvage", "-o", output)
    assert done.returncode == 3
    assert "in step from the header on" in done.stdout
    assert "found behind damage, and led to the end mark" in done.stdout
    assert f"of them from behind the damage, to {output} for redis-7.4" in done.stdout
    assert run("check-rdb", output).returncode == 0


def test_the_report_is_data_too_as_its_schema_says(damaged: Path, tmp_path: Path) -> None:
    done = run("check-rdb", damaged, "--salvage", "-o", tmp_path / "saved.rdb", "--format", "json")
    document = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schema_of("check-rdb")).validate(document)
    (file,) = document["files"]
    salvage = file["salvage"]
    assert salvage["loss"]
    assert salvage["written"] == salvage["keys"] > 80
    assert salvage["lost_bytes"] == sum(lost["bytes"] for lost in salvage["lost"])
    assert salvage["runs"][0]["sure"] == "in step"


def test_it_goes_to_standard_output_and_the_report_to_standard_error(damaged: Path, tmp_path: Path) -> None:
    run("check-rdb", damaged, "--salvage", "-o", tmp_path / "saved.rdb")
    done = run("check-rdb", damaged, "--salvage", "-o", "-")
    assert done.returncode == 3
    assert len(done.output) == (tmp_path / "saved.rdb").stat().st_size
    assert "saved with loss" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--salvage"],
        ["-o", "x"],
        ["--partial"],
        ["--max-lost", "1"],
        ["--salvage", "-o", "x", "another"],
        ["--salvage", "-o", "x", "--max-lost", "10"],
    ],
)
def test_options_that_make_no_sense_are_refused(damaged: Path, tmp_path: Path, options: list[str]) -> None:
    options = [str(tmp_path / "x") if option == "x" else option for option in options]
    assert run("check-rdb", damaged, *options).returncode == 2
    assert not (tmp_path / "x").exists()


def test_a_file_is_not_overwritten_unasked(damaged: Path, tmp_path: Path) -> None:
    output = tmp_path / "saved.rdb"
    output.write_bytes(b"mine")
    assert run("check-rdb", damaged, "--salvage", "-o", output).returncode == 2
    assert run("check-rdb", damaged, "--salvage", "-o", damaged, "--force").returncode == 2
    assert output.read_bytes() == b"mine"
    assert run("check-rdb", damaged, "--salvage", "-o", output, "--force").returncode == 3


@pytest.mark.parametrize(
    "subcommand", ["check-rdb", "dump", "convert", "digest", "diff", "rewrite", "info", "memory", "report"]
)
def test_whatever_stops_at_damage_names_the_way_out(subcommand: str, damaged: Path, tmp_path: Path) -> None:
    options: dict[str, list[object]] = {
        "convert": [tmp_path / "x.rdb"],
        "diff": [PLAIN],
        "rewrite": ["-o", tmp_path / "x.aof"],
        "report": ["-o", tmp_path / "x.html"],
    }
    more = options.get(subcommand, [])
    done = run(subcommand, damaged, *more)
    line = f"rdbtool check-rdb {damaged} --salvage -o OUT"
    assert line in done.stdout + done.stderr
    assert run(subcommand, PLAIN, *more).stderr.count("--salvage") == 0


@pytest.mark.parametrize(
    ("name", "of"), [("x.aof", "x.aof"), ("y.1.incr.aof", ""), ("y.1.base.aof", ""), ("x.txt", "x.txt")]
)
def test_whatever_stops_at_damage_of_a_log_names_check_aof(name: str, of: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(command("SET", "a", "b") + b"\0" * 9)
    for words in (["dump", path], ["convert", path, tmp_path / "x.rdb"], ["digest", path]):
        told = run(*words).stderr.splitlines()
        assert f"to repair it, or save what can be read of it: rdbtool check-aof {(tmp_path / of)}" in told
    path.write_bytes(command("NOSUCH", "a", "b"))
    assert "check-aof" not in run("convert", path, tmp_path / "x.rdb").stderr


@pytest.mark.parametrize("text", [None, b""])
def test_whatever_stops_at_a_manifest_says_how_it_is_rebuilt(text: bytes | None, tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(FIXTURES.parent / "aof" / "multi-rdb", made)
    manifest = made / "appendonly.aof.manifest"
    manifest.unlink()
    if text is not None:
        manifest.write_bytes(text)
    of = made if text is None else manifest
    words: list[list[object]] = [
        ["dump", made, "-o", tmp_path / "x.jsonl"],
        ["convert", made, tmp_path / "x.rdb"],
        ["rewrite", made, "-o", tmp_path / "copy"],
        ["digest", made],
    ]
    for one in words:
        done = run(*one)
        assert done.returncode in {1, 2}
        if text is not None or one[0] == "dump":
            assert f"to rebuild the manifest from the files: rdbtool check-aof --fix {of}" in done.stderr.splitlines()
    if text is None:  # what is taken is what the manifest would name
        same = run("digest", FIXTURES.parent / "aof" / "multi-rdb").stdout.split()[0]
        for path in (made, tmp_path / "x.rdb", tmp_path / "copy"):
            assert run("digest", path).stdout.split()[0] == same


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def test_where_all_damage_is_undone_nothing_is_called_lost(tmp_path: Path) -> None:
    path, output = tmp_path / "flipped.rdb", tmp_path / "saved.rdb"
    path.write_bytes(flipped(PLAIN.read_bytes(), 5000))
    done = run("check-rdb", path, "--salvage", "-o", output)
    assert done.returncode == 3
    assert f"\nsaved, and nothing is lost: 115 keys, to {output} for redis-7.4\n" in done.stdout
    told = json.loads(run("check-rdb", path, "--salvage", "-o", output, "--force", "--format", "json").stdout)
    assert told["files"][0]["salvage"]["loss"] is False
    for words in (["dump", path, "-o", tmp_path / "x.jsonl"], ["convert", path, tmp_path / "x.rdb"]):
        done = run(*words, "--keep-going")
        assert done.returncode == 3
        assert [line.split()[1] for line in done.stderr.splitlines() if line.startswith("warning")] == ["undone"]


def test_what_may_be_wrong_is_not_called_lost(tmp_path: Path) -> None:
    data = PLAIN.read_bytes()
    path = tmp_path / "doubtful.rdb"
    path.write_bytes(data[:-8] + bytes([1]) * 8)
    done = run("check-rdb", path, "--salvage", "-o", tmp_path / "saved.rdb")
    assert done.returncode == 3
    assert "the checksum differs, and every record is in form" in done.stdout
    assert "\nsaved, and not all of it is certain: 115 keys" in done.stdout


def test_a_log_behind_a_snapshot_whose_damage_is_undone_changes_no_key_that_is_lost(tmp_path: Path) -> None:
    made = tmp_path / "set"
    shutil.copytree(FIXTURES.parent / "aof" / "multi-rdb", made)
    base = made / "appendonly.aof.2.base.rdb"
    base.write_bytes(flipped(base.read_bytes(), 6000))
    for words in (
        ["dump", made, "--keep-going", "-o", tmp_path / "x.jsonl"],
        ["convert", made, tmp_path / "x.rdb", "--keep-going"],
        ["rewrite", made, "--keep-going", "-o", tmp_path / "rewritten"],
    ):
        done = run(*words)
        assert done.returncode == 3, done
        assert "lost" not in done.stdout + done.stderr
    done = run("check-aof", made, "--salvage", "-o", tmp_path / "copy")
    assert "puts right what was damaged, drops nothing" in done.stdout
    assert "nothing of the snapshot is lost\nrepaired: the copy is" in done.stdout
    assert run("check-aof", tmp_path / "copy").returncode == 0


def test_the_key_in_whose_value_the_file_ends_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.rdb"
    path.write_bytes(PLAIN.read_bytes()[:7000])
    done = run("check-rdb", path, "--salvage", "-o", tmp_path / "saved.rdb")
    assert "6,915 to the end: 85 bytes (input ends: 60 bytes needed, 41 left)\n    zset:bin\n" in done.stdout


def test_what_stands_in_front_of_a_snapshot_is_left_out_and_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "downloaded.rdb"
    path.write_bytes(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + PLAIN.read_bytes())
    assert "begins with the header of an answer over HTTP" in run("check-rdb", path).stdout
    done = run("check-rdb", path, "--salvage", "--max-lost", "0", "-o", tmp_path / "saved.rdb")
    assert done.returncode == 3
    assert "\nleft out  45 bytes of " in done.stdout
    assert "\nsaved, and nothing is lost: 115 keys" in done.stdout


@pytest.mark.parametrize("data", [bytes(3000), b"hello\n" * 100, b"REDIS0012", PLAIN.read_bytes()[:100]])
def test_where_nothing_can_be_saved_nothing_is_written_and_no_way_out_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(data)
    done = run("check-rdb", path, "--salvage", "-o", tmp_path / "saved.rdb")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "saved.rdb").exists()


def test_the_way_out_is_named_of_what_cannot_be_unpacked_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb.gz"
    path.write_bytes(gzip.compress(PLAIN.read_bytes())[:4000])
    assert "--salvage -o OUT" in run("check-rdb", path).stdout


def test_databases_that_no_server_has_by_default_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(rdb(b"\xfe\x14", record(0, b"a", string(b"v"))))
    for words in (["check-rdb", path, "--salvage", "-o", tmp_path / "y.rdb"], ["check-rdb", tmp_path / "y.rdb"]):
        assert "database-number" in run(*words).stdout


@pytest.mark.parametrize("head", [bytes(9), b"HTTP/1.1 200 OK\r\n\r\nREDIS0012"], ids=["lost", "behind others"])
def test_a_rewrite_takes_what_can_be_read_as_dump_and_convert_do(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(head + PLAIN.read_bytes()[9:])
    assert run("dump", path, "-o", tmp_path / "x.jsonl", "--keep-going").returncode == 3
    assert run("convert", path, tmp_path / "y.rdb", "--keep-going").returncode == 3
    assert run("rewrite", path, "-o", tmp_path / "z", "--keep-going").returncode == 3
    for other in (tmp_path / "x.jsonl", tmp_path / "z"):
        assert "the same, 115 keys" in run("diff", tmp_path / "y.rdb", other).stdout
