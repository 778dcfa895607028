"""Keys are chosen the same way on every command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rdbtool.cli.app import COMMANDS
from rdbtool.errors import UsageError
from rdbtool.inputs.filters import database_map, database_numbers, looks_like_regex, parse_size, shift_ms
from tests.cli.running import run
from tests.rdb import craft

FILTERED = ("convert", "diff", "digest", "dump", "rewrite")
COMMAND_TEXT = "SET user:1 a\nHSET h f v\nSELECT 1\nSET user:2 b\nSELECT 2\nSADD s x\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_text(COMMAND_TEXT)
    return path


def arguments(command: str, path: Path, tmp_path: Path) -> list[object]:
    """The command on one input, to no file."""
    empty = tmp_path / "empty.rdb"
    empty.write_bytes(craft.rdb())
    words: dict[str, list[object]] = {
        "convert": [path, "-", "--to", "jsonl"],
        "diff": [empty, path],
        "digest": [path, "--keys"],
        "dump": [path, "--format", "jsonl"],
        "rewrite": [path, "-o", "-", "--resp"],
        "history": [path],
    }
    return words[command]


@pytest.mark.parametrize("command", [*FILTERED, "history"])
def test_k_is_key_everywhere(command: str, log: Path, tmp_path: Path) -> None:
    shown = run(command, *arguments(command, log, tmp_path), "-k", "user:*")
    assert shown.returncode in {0, 1}, shown.stderr
    assert "user:1" in shown.stdout
    assert "user:2" in shown.stdout
    assert "h f" not in shown.stdout.replace("SELECT", "")
    assert shown.stdout == run(command, *arguments(command, log, tmp_path), "--key", "user:*").stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_no_other_option_is_called_k(name: str) -> None:
    shown = run(name, "--help").stdout
    for line in shown.splitlines():
        assert " -k " not in line or "--key " in line


@pytest.mark.parametrize("command", [*FILTERED, "history"])
def test_databases_are_listed_and_repeated(command: str, log: Path, tmp_path: Path) -> None:
    some = ["-k", "*"] if command == "history" else []
    for options in (["--db", "0,1"], ["--db", "0", "--db", "1"], ["--db", " 0 , 1 "]):
        shown = run(command, *arguments(command, log, tmp_path), *some, *options)
        assert "user:1" in shown.stdout
        assert "user:2" in shown.stdout
        assert "SADD" not in shown.stdout
        assert '"s"' not in shown.stdout
    assert run(command, *arguments(command, log, tmp_path), *some, "--db", "x").returncode == 2


def test_filters_negate(log: Path) -> None:
    def left(*options: str) -> list[str]:
        shown = run("dump", log, "--format", "jsonl", *options)
        return [json.loads(line)["key"] for line in shown.stdout.splitlines()]

    assert left("--not-type", "string") == ["h", "s"]
    assert left("--not-type", "string,hash") == ["s"]
    assert left("--not-db", "0") == ["user:2", "s"]
    assert left("--not-db", "0,2") == ["user:2"]
    assert left("--db", "0,1", "--not-type", "hash", "--not-db", "1") == ["user:1"]
    assert run("dump", log, "--not-type", "what").returncode == 2


@pytest.mark.parametrize("command", [*FILTERED, "history"])
def test_a_glob_that_reads_like_a_regular_expression_and_finds_nothing_gets_a_hint(
    command: str, log: Path, tmp_path: Path
) -> None:
    shown = run(command, *arguments(command, log, tmp_path), "--key", "user:.*")
    assert "--key-regex" in shown.stderr
    for pattern in ("user:*", "nothing*"):
        assert "--key-regex" not in run(command, *arguments(command, log, tmp_path), "--key", pattern).stderr


@pytest.mark.parametrize("pattern", [b"user.*", b"^user", b"user$", b"(a|b)", b"\\d+", b"[0-9]+", b"a.+", b"x{3}"])
def test_regular_expressions_are_known(pattern: bytes) -> None:
    assert looks_like_regex(pattern)


@pytest.mark.parametrize("pattern", [b"user:*", b"*", b"a?c", b"[a-c]x", b"user.1", b"a\\*b", b"plain"])
def test_globs_are_no_regular_expressions(pattern: bytes) -> None:
    assert not looks_like_regex(pattern)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("4096", 4096), ("10b", 10), *[(f"64{unit}", 64 << 20) for unit in ("MB", "MiB", "M", "m")]],
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert [parse_size(larger) for larger in ("1GB", "2k", "1T")] == [1 << 30, 2048, 1 << 40]


@pytest.mark.parametrize("text", ["", "x", "-1", "5 apples", "MiB", "1e3", "1PB", "1kbb", "\u0663"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


def test_a_size_may_be_the_least(log: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(
        craft.rdb(*[craft.record(0, key, craft.string(b"x" * n)) for key, n in ((b"small", 10), (b"large", 2000))])
    )
    assert run("dump", path, "--keys-only", "--min-size", "1KB").stdout == "large\n"


def test_durations_have_a_sign() -> None:
    assert [shift_ms(text) for text in ("90", "+5m", "-2h", "1d", "1w")] == [
        90_000,
        300_000,
        -7_200_000,
        86_400_000,
        604_800_000,
    ]
    for wrong in ("", "+", "--1", "1x", "+-1"):
        with pytest.raises(UsageError):
            shift_ms(wrong)


def test_numbers_of_databases() -> None:
    assert database_numbers(["0,1", "15"]) == [0, 1, 15]
    assert database_map(["0=3,1=0", "4=4"]) == {0: 3, 1: 0, 4: 4}


NAMES = [
    b"\x00\x01\xff a",
    b"tab\tline\n",
    b"back\\slash",
    b"\xe2\x80\xaeevil",
    b"\xc2\x9b31m",
    b"\xf3\xa0\x80\x81x",
    b"\\x41",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_named_as_the_table_shows_it(name: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(
        craft.rdb(craft.record(0, name, craft.string(b"here")), craft.record(0, b"A", craft.string(b"no")))
    )
    shown = run("dump", path, "--format", "table").stdout.splitlines()[1]
    spelled = shown[4:].split("  string")[0].rstrip()
    found = run("dump", path, spelled)
    assert found.returncode == 0, found.stderr
    assert "here" in found.stdout
    assert "no\n" not in found.stdout


def test_a_key_may_be_named_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(craft.rdb(craft.record(0, b"C:\\new", craft.string(b"here"))))
    assert "here" in run("dump", path, "C:\\new").stdout
    missing = run("dump", path, "C:\\nothing", "C:\\new")
    assert missing.returncode == 1
    assert missing.stderr.count("no-such-key") == 1


def test_diff_has_all_points_in_time(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("SET a 1\nSET b 1\nFLUSHALL\nSET c 1\n")
    snapshot = tmp_path / "now.rdb"
    assert run("convert", log, snapshot).returncode == 0
    assert run("diff", snapshot, log).returncode == 0
    for options in (["--without", "16"], ["--without-b", "16"]):
        shown = run("diff", snapshot, log, *options, "--format", "jsonl")
        assert [json.loads(line)["key"] for line in shown.stdout.splitlines()] == ["a", "b"]
    shown = run("diff", log, log, "--before-command-a", "SET", "--nth-a", "2", "--format", "jsonl")
    assert {json.loads(line)["kind"] for line in shown.stdout.splitlines()} == {"added", "removed"}
    assert run("diff", log, log, "--until-command", "2").returncode == 0
    assert run("diff", snapshot, snapshot, "--without", "16").returncode == 2
    assert run("diff", snapshot, log, "--without-a", "16").returncode == 2


def test_sizes_of_check_aof_have_units(tmp_path: Path) -> None:
    log = tmp_path / "x.aof"
    log.write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2000\r\n" + b"x" * 2000 + b"\r\n*1\r\n$3\r\n")
    assert run("check-aof", log, "--max-bulk", "1KB").returncode == 1
    assert run("check-aof", log, "--fix", "--yes", "--max-loss", "1b").returncode == 2
    assert run("check-aof", log, "--fix", "--yes", "--max-loss", "1KB", "--max-bulk", "2k").returncode == 0
    for wrong in (["--max-bulk", "0"], ["--max-bulk", "x"], ["--fix", "--max-loss", "-1"]):
        assert run("check-aof", log, *wrong).returncode == 2
