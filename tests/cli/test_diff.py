"""``rdbtool diff`` as it is typed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from rdbtool.basics.text import AUTO, from_text
from rdbtool.errors import UsageError
from rdbtool.inputs.filters import parse_size
from tests.cli import running
from tests.rdb import craft


@dataclass
class Shown:
    returncode: int
    stdout: bytes
    stderr: bytes


def run(*arguments: object, stdin: bytes = b"") -> Shown:
    done = running.run("diff", *arguments, stdin=stdin)
    return Shown(done.returncode, done.output, done.stderr.encode())


def text(key: bytes, value: bytes) -> bytes:
    return craft.record(0, key, craft.string(value))


def hash_of(key: bytes, *pairs: bytes) -> bytes:
    return craft.record(16, key, craft.string(craft.listpack(*pairs)))


LEFT = craft.rdb(
    text(b"same", b"1"),
    text(b"gone", b"1"),
    text(b"text", b"one\ntwo\nthree\n"),
    hash_of(b"user:1", b"name", b"ann", b"age", b"41"),
    text(b"ttl", b"1"),
    text(b"bin\x00\xff", b"\x1b[31m"),
)
RIGHT = craft.rdb(
    b"\xfc" + (1_900_000_000_000).to_bytes(8, "little") + text(b"ttl", b"1"),
    text(b"bin\x00\xff", b"\x1b[32m"),
    hash_of(b"user:1", b"name", b"ann", b"age", b"42", b"city", b"Graz"),
    text(b"new", b"1"),
    text(b"text", b"one\n2\nthree\n"),
    text(b"same", b"1"),
)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    left, right = tmp_path / "left.rdb", tmp_path / "right.rdb"
    left.write_bytes(LEFT)
    right.write_bytes(RIGHT)
    return left, right


def test_what_is_no_key_is_not_counted_as_one(tmp_path: Path) -> None:
    path = tmp_path / "functions.rdb"
    library = b"#!lua name=mine\nredis.register_function('f', function() return 1 end)"
    path.write_bytes(craft.rdb(b"\xf5" + craft.string(library), text(b"k", b"1"), magic=b"REDIS0011"))
    assert f"{path}: the same, 1 key, 1 function\n" in run(path, path).stdout.decode()


def test_damage_is_code_2_and_the_way_on_is_told(pair: tuple[Path, Path]) -> None:
    pair[1].write_bytes(RIGHT[:-30])
    shown = run(*pair)
    assert shown.returncode == 2
    assert b"to compare what can be read: --keep-going" in shown.stderr
    shown = run("--keep-going", *pair)
    assert shown.returncode == 1
    assert b"truncated" in shown.stderr
    assert b"--keep-going" not in shown.stderr


def test_any_size_may_be_the_memory_limit(pair: tuple[Path, Path]) -> None:
    assert run("--memory-limit", f"{10**25}T", *pair).returncode == 1


def test_the_same_is_code_0(pair: tuple[Path, Path]) -> None:
    shown = run(pair[0], pair[0])
    assert shown.returncode == 0
    assert shown.stdout.decode() == f"{pair[0]} and {pair[0]}: the same, 6 keys\n"


def test_differences_are_lines_and_a_summary_and_code_1(pair: tuple[Path, Path]) -> None:
    shown = run(*pair)
    assert shown.returncode == 1
    assert shown.stdout.decode() == (
        "expiry    0 string   ttl  (expiry none -> 2030-03-17T17:46:40.000Z)\n"
        "changed   0 string   base64:YmluAP8=\n"
        "changed   0 hash     user:1\n"
        "added     0 string   new\n"
        "changed   0 string   text\n"
        "removed   0 string   gone\n"
        "\n"
        "db  type    added  removed  changed  expiry  same\n"
        " 0  hash        0        0        1       0     0\n"
        " 0  string      1        1        2       1     1\n"
        "    all         1        1        3       1     1\n"
        f"{pair[0]} and {pair[1]}: different\n"
    )


def test_detail_shows_the_inside_and_no_control_characters(pair: tuple[Path, Path]) -> None:
    shown = run(*pair, "--detail").stdout.decode()
    assert "    ~ field age: 41 -> 42\n    + field city: Graz\n" in shown
    assert "    - [1] two\n    + [1] 2\n" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in run(*pair, "--detail", "--bytes", "escape").stdout.decode()


def test_limit_shows_fewer_but_counts_all(pair: tuple[Path, Path]) -> None:
    shown = run(*pair, "--limit", 2).stdout.decode()
    assert "... and 4 more\n" in shown
    assert "    all         1        1        3       1     1\n" in shown
    assert len(run(*pair, "--limit", 2, "-f", "jsonl").stdout.splitlines()) == 2


def test_jsonl_is_one_object_per_difference(pair: tuple[Path, Path]) -> None:
    shown = run(*pair, "-f", "jsonl", "--values", "--detail")
    assert shown.returncode == 1
    records = {from_text(r["key"], AUTO): r for r in map(json.loads, shown.stdout.splitlines())}
    assert records[b"new"] == {
        "schema": 1,
        "kind": "added",
        "db": 0,
        "key": "new",
        "type": "string",
        "differs": [],
        "right": {"type": "string", "encoding": "string", "size": 2, "value": "1"},
    }
    changed = records[b"user:1"]
    assert changed["left"]["value"] == {"name": "ann", "age": "41"}
    assert changed["right"]["value"] == {"name": "ann", "age": "42", "city": "Graz"}
    assert changed["changes"] == [
        {"part": "field", "op": "changed", "name": "age", "left": "41", "right": "42"},
        {"part": "field", "op": "added", "name": "city", "right": "Graz"},
    ]
    assert records[b"ttl"]["right"]["expire_at_ms"] == 1_900_000_000_000
    assert records[b"ttl"]["differs"] == ["expiry"]
    assert b"bin\x00\xff" in records
    assert all("value" not in line for line in run(*pair, "-f", "jsonl").stdout.decode().splitlines()[:1])


def test_json_is_one_document_with_the_counts(pair: tuple[Path, Path]) -> None:
    document = json.loads(run(*pair, "-f", "json").stdout)
    assert document["schema"] == 1
    assert not document["same"]
    assert len(document["differences"]) == 6
    assert {"db": 0, "type": "hash", "changed": 1} in document["counts"]
    same = json.loads(run(pair[0], pair[0], "-f", "json").stdout)
    assert same["same"]
    assert same["differences"] == []


def test_commands_are_those_that_make_the_difference(pair: tuple[Path, Path]) -> None:
    shown = run(*pair, "-f", "commands").stdout.decode().splitlines()
    assert shown[0] == "SELECT 0"
    assert "PEXPIREAT ttl 1900000000000" in shown
    assert "HSET user:1 age 42 city Graz" in shown
    assert "DEL gone" in shown
    assert r'SET "bin\x00\xff" "\x1b[32m"' in shown
    assert run(*pair, "-f", "resp").stdout.startswith(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n")


def test_filters_and_options_reach_the_comparison(pair: tuple[Path, Path]) -> None:
    assert run(*pair, "--key", "same").returncode == 0
    assert run(*pair, "--key", "ttl").returncode == 1
    assert run(*pair, "--key", "ttl", "--ignore", "expiry").returncode == 0


def test_one_side_may_be_standard_input_but_not_both(pair: tuple[Path, Path]) -> None:
    assert run("-", pair[1], stdin=LEFT).stdout.splitlines()[:-1] == run(*pair).stdout.splitlines()[:-1]
    refused = run("-", "-", stdin=LEFT)
    assert refused.returncode == 2
    assert b"standard input" in refused.stderr


def test_damage_is_code_2_or_told_when_going_on(pair: tuple[Path, Path]) -> None:
    pair[1].write_bytes(LEFT[:-9])
    shown = run(*pair)
    assert shown.returncode == 2
    assert b"right.rdb" in shown.stderr
    assert b"Traceback" not in shown.stderr
    shown = run(*pair, "--keep-going")
    assert shown.returncode == 3
    assert b"truncated" in shown.stderr
    pair[1].write_bytes(RIGHT[:-9])
    assert run(*pair, "--keep-going").returncode == 1


def test_a_set_is_compared_at_two_points(tmp_path: Path) -> None:
    log = b"".join(
        b"*3\r\n$3\r\nSET\r\n$1\r\n%d\r\n$1\r\nv\r\n" % n if n else b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
        for n in range(9)
    )
    (tmp_path / "log.aof").write_bytes(log)
    shown = run(tmp_path / "log.aof", tmp_path / "log.aof", "--until-command-a", 5, "--until-command-b", 8)
    assert shown.returncode == 1
    assert [line.split()[:4] for line in shown.stdout.decode().splitlines()[:3]] == [
        ["added", "0", "string", str(n)] for n in (5, 6, 7)
    ]


def test_sizes_have_units() -> None:
    assert [parse_size(t) for t in ("512MiB", "1g", "64", "64k", "2MB", "10b")] == [
        512 << 20,
        1 << 30,
        64,
        64 << 10,
        2 << 20,
        10,
    ]
    for wrong in ("", "x", "-1", "1.5g", "5 apples", "MiB"):
        with pytest.raises(UsageError):
            parse_size(wrong)


def test_a_key_that_is_there_twice_counts_as_it_stands_first_on_both_sides(tmp_path: Path) -> None:
    twice, once = tmp_path / "twice.rdb", tmp_path / "once.rdb"
    twice.write_bytes(craft.rdb(text(b"a", b"1"), text(b"b", b"1"), text(b"a", b"2")))
    once.write_bytes(craft.rdb(text(b"a", b"1"), text(b"b", b"1")))
    for pair in ((twice, twice), (twice, once), (once, twice)):
        assert run(*pair).returncode == 2
        shown = run("--keep-going", *pair)
        assert shown.returncode == 3, shown.stdout
        assert b"the same, 2 keys" in shown.stdout
        assert b"the key stands in the file twice" in shown.stderr


def test_a_damaged_value_is_told_with_its_file_and_key(tmp_path: Path) -> None:
    left, right = tmp_path / "left.rdb", tmp_path / "right.rdb"
    for path, second in ((left, b"m"), (right, b"n")):
        path.write_bytes(craft.rdb(craft.record(2, b"key", craft.counted(b"m", second))))
    shown = run(left, right)
    assert shown.returncode == 2
    assert shown.stderr.decode().startswith(f"rdbtool: {left}, offset ")
    assert b"key 'key'" in shown.stderr


def test_a_memory_limit_says_that_it_does_not_hold_for_a_replay(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    log = tmp_path / "log.txt"
    log.write_text("SET a 1\n")
    note = b"--memory-limit does not hold for the replay of a log"
    assert note in run("--memory-limit", "64MiB", log, pair[0]).stderr
    assert note not in run(log, pair[0]).stderr
    assert note not in run("--memory-limit", "64MiB", *pair).stderr
    log.write_text("SETBIT a 4294967295 1\n")
    done = run("--memory-limit", "64MiB", log, pair[0])
    assert (done.returncode, b"--memory-limit" in done.stderr) == (2, True)


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("output", ["text", "json", "jsonl", "commands", "resp"])
def test_several_processes_show_what_one_shows(output: str, pair: tuple[Path, Path]) -> None:
    options = ["--format", output, *([] if output in {"commands", "resp"} else ["--detail", "--values"])]
    one, two = (run(*pair, *options, "--jobs", jobs) for jobs in (1, 2))
    assert two == one
    assert two.returncode == 1


@pytest.mark.usefixtures("forked")
def test_several_processes_tell_which_prefixes_grew(pair: tuple[Path, Path]) -> None:
    one, two = (run(*pair, "--memory", "--format", "json", "--jobs", jobs) for jobs in (1, 2))
    assert two == one
    assert two.stdout
