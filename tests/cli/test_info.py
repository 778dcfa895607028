"""`info` as users see it."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.rdb.corpus import expected_of, written_files

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
WHOLE = FIXTURES / "rdb" / "redis-7.4.1" / "small-plain.rdb"
AOF = FIXTURES / "aof"


def test_a_screen_tells_what_a_snapshot_is() -> None:
    shown = run("info", WHOLE)
    assert shown.returncode == 0
    assert shown.stderr == ""
    for part in (
        "a snapshot (RDB)",
        "RDB 12 of Redis, written by redis 7.4.1",
        "2026-11-20 21:06:30 UTC",
        "checksum ok",
        "115, 9 with an expiry, 9 hash fields with an expiry",
        "0: 109, 1: 2, 9: 2, 15: 2",
        "lib_two, mylib",
        "redis-bits=64",
        "types",
        "encodings in the file",
        "largest keys in the file",
        "keys with most elements",
    ):
        assert part in shown.stdout


@pytest.mark.parametrize(
    "path", [p for p in written_files() if FIXTURES in p.parents and p.name == "small-plain.rdb"], ids=str
)
def test_types_are_those_that_the_server_said(path: Path) -> None:
    facts = json.loads(run("info", path, "--format", "json").stdout)["files"][0]
    told: dict[str, int] = {}
    for keys in expected_of(path)["dbs"].values():
        for key in keys:
            told[key["type"]] = told.get(key["type"], 0) + 1
    assert {name: tally["keys"] for name, tally in facts["types"].items()} == told
    assert sum(tally["size"] for tally in facts["stored"].values()) == facts["total"]["size"]


def test_a_set_has_its_files_in_order_commands_and_times() -> None:
    shown = run("info", AOF / "multi-rdb")
    assert shown.returncode == 0
    base, increment = (shown.stdout.index(f"appendonly.aof.2.{name}") for name in ("base.rdb", "incr.aof"))
    assert base < increment
    assert "timestamps  2026-11-20 21:10:04 UTC to 2026-11-20 21:10:05 UTC" in shown.stdout
    facts = json.loads(run("info", AOF / "multi-rdb", "--format", "json").stdout)["files"][0]
    assert {row["name"]: row["count"] for row in facts["log"]["by_name"]} == {"SET": 2, "SELECT": 1}
    assert [part["role"] for part in facts["parts"]] == ["base", "incr"]
    assert facts["total"]["keys"] == 151


def test_a_log_behind_a_snapshot_is_counted_and_not_replayed() -> None:
    shown = run("info", AOF / "preamble+tail.aof")
    assert "a log (AOF) behind a snapshot" in shown.stdout
    assert "83 commands, 2 transactions" in shown.stdout
    stats = json.loads(run("history", AOF / "preamble+tail.aof", "--stats", "--format", "json").stdout)
    facts = json.loads(run("info", AOF / "preamble+tail.aof", "--format", "json").stdout)["files"][0]
    assert facts["log"]["commands"] == stats["commands"]


def test_several_inputs_are_a_line_each_and_a_sum(tmp_path: Path) -> None:
    packed = tmp_path / "x.rdb.gz"
    packed.write_bytes(gzip.compress(WHOLE.read_bytes()))
    shown = run("info", WHOLE, AOF / "truncated.aof", packed)
    assert shown.returncode == 1
    lines = shown.stdout.splitlines()
    assert [line.split()[0] for line in lines[-4:]] == [str(WHOLE), str(AOF / "truncated.aof"), str(packed), "sum"]
    assert "(partial)" in lines[-3]
    assert lines[0].startswith("PARTIAL")
    assert lines[-1].split()[1:3] == ["230", "18"]


def test_damage_is_partial_and_exits_with_1(tmp_path: Path) -> None:
    for name, data in (("cut.rdb", WHOLE.read_bytes()[:5000]), ("empty.rdb", b""), ("rubbish", b"rubbish" * 50)):
        path = tmp_path / name
        path.write_bytes(data)
        shown = run("info", path)
        assert shown.returncode == 1
        assert shown.stdout.startswith("PARTIAL: ")
        assert shown.stderr.startswith("error")
        assert json.loads(run("info", path, "--format", "json").stdout)["files"][0]["partial"]
    flipped = bytearray(WHOLE.read_bytes())
    flipped[-1] ^= 1
    (tmp_path / "flipped.rdb").write_bytes(flipped)
    shown = run("info", tmp_path / "flipped.rdb")
    assert shown.returncode == 1
    assert "checksum bad" in shown.stdout


def test_a_set_without_one_of_its_files_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    shutil.copytree(AOF / "multi-rdb", tmp_path / "set")
    (tmp_path / "set" / "appendonly.aof.2.incr.aof").unlink()
    shown = run("info", tmp_path / "set")
    assert shown.returncode == 2
    assert shown.stdout.startswith("PARTIAL")
    assert "keys        151" in shown.stdout or "keys       151" in shown.stdout
    assert "is not there" in shown.stderr


def test_what_cannot_be_read_is_code_2(tmp_path: Path) -> None:
    assert run("info", tmp_path / "missing").returncode == 2
    assert run("info", tmp_path).returncode == 2
    shown = run("info", tmp_path / "missing", WHOLE, "--format", "json")
    assert shown.returncode == 2
    assert json.loads(shown.stdout)["sum"] == {
        "inputs": 1,
        "size": 11354,
        "keys": 115,
        "expires": 9,
        "values": 8923,
        "commands": 0,
    }


def test_texts_and_json_lines_are_inputs_too(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("SET a 1\nMULTI\nSET b 1\nEXEC\n")
    assert "4 commands, 1 transaction" in run("info", tmp_path / "t").stdout
    (tmp_path / "l").write_bytes(run("dump", WHOLE, "--format", "jsonl").output)
    assert "keys       115" in run("info", tmp_path / "l").stdout
    (tmp_path / "nothing").write_bytes(b"")
    assert "an empty file" in run("info", tmp_path / "nothing").stdout


def test_expiries_are_seen_from_a_time() -> None:
    facts = json.loads(run("info", WHOLE, "--now", "2100-01-01T00:00:00Z", "--format", "json").stdout)["files"][0]
    due = {row["expires"]: row["keys"] for row in facts["expiries"]}
    assert due["within a minute"] == 7
    assert due["never"] == 106
