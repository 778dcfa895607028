"""``rdbtool history`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import run as rdbtool

SEED = 'SET user:1 "a b"\nSET user:2 x\nRENAME user:2 user:3\nLPUSH user:1 x\nFLUSHALL\n'


@pytest.fixture
def seed(tmp_path: Path) -> str:
    path = tmp_path / "seed"
    path.write_text(SEED)
    return str(path)


def test_a_line_per_command_and_key(seed: str) -> None:
    shown = rdbtool("history", "--from", "commands", seed, "--key", "user:*")
    assert shown.returncode == 0
    assert [line.split("  ", 2)[2] for line in shown.stdout.splitlines()] == [
        'db 0  user:1  created (string)  SET user:1 "a b"',
        "db 0  user:2  created (string)  SET user:2 x",
        "db 0  user:2  renamed-to 'user:3'  RENAME user:2 user:3",
        "db 0  user:3  renamed-from 'user:2'  RENAME user:2 user:3",
        "db 0  user:1  error (WRONGTYPE Operation against a key holding the wrong kind of value)  LPUSH user:1 x",
        "db 0  user:1  deleted (string)  FLUSHALL",
        "db 0  user:3  deleted (string)  FLUSHALL",
    ]
    assert shown.stdout.startswith("seed:0  -  db 0")
    assert "7 commands on 3 keys, of 5" in shown.stderr


def test_json_is_one_object_per_line(seed: str) -> None:
    shown = rdbtool("history", "--from", "commands", seed, "--key", "user:3", "--format", "json")
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(line["effect"], line.get("other_key"), line["offset"]) for line in lines] == [
        ("renamed-from", "user:2", SEED.index("RENAME")),
        ("deleted", None, SEED.index("FLUSHALL")),
    ]
    assert lines[0]["command"] == ["RENAME", "user:2", "user:3"]


def test_keys_may_be_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text('SET "\\xff\\x00" 1\nSET "\\xfe" 1\n')
    shown = rdbtool("history", "--from", "commands", str(path), "--key", r"\xff\x00", "--format", "json")
    assert [json.loads(line)["key"] for line in shown.stdout.splitlines()] == [r"\xff\x00"]


def test_stats(seed: str) -> None:
    shown = rdbtool("history", "--from", "commands", seed, "--stats")
    assert shown.returncode == 0
    assert "5 commands" in shown.stdout
    assert "LPUSH" in shown.stdout
    report = json.loads(rdbtool("history", "--from", "commands", seed, "--stats", "--format", "json").stdout)
    assert {row["name"]: row["errors"] for row in report["by_name"]} == {
        "SET": 0,
        "RENAME": 0,
        "LPUSH": 1,
        "FLUSHALL": 0,
    }


@pytest.mark.parametrize("options", [[], ["--stats", "--key", "a"]])
def test_options_that_make_no_sense_are_refused(seed: str, options: list[str]) -> None:
    assert rdbtool("history", "--from", "commands", seed, *options).returncode == 2
