"""``rdbtool check-rdb`` as it is used."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rdbtool.engine.scripting import compiling, process
from rdbtool.extras import how_to_install
from tests.cli.running import run
from tests.rdb.corpus import FIXTURES
from tests.rdb.craft import counted, listpack, rdb, record, string

try:
    from compression.zstd import compress as zstd_compress
except ImportError:  # before Python 3.14
    from zstandard import compress as zstd_compress

SOUND = FIXTURES / "redis-7.0.15" / "small-plain.rdb"
NASTY = b"\x1b[31mkey\n\x00"


def check(*arguments: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
    done = run("check-rdb", *arguments, stdin=stdin)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "damaged.rdb"
    path.write_bytes(
        rdb(b"\xfe\x03", record(20, NASTY, string(listpack(b"a", b"a"))), record(0, b"k", b"\x01v"), magic=b"REDIS0011")
    )
    return path


def test_a_sound_file_gets_its_facts_and_code_0() -> None:
    code, out, err = check(SOUND)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{SOUND}: sound"
    assert "RDB 10 of Redis, written by redis 7.0.15" in out
    assert "checksum ok" in out
    assert "keys       111, 8 with an expiry" in out
    assert "error" not in out


def test_a_damaged_file_gets_each_finding_with_its_place_and_code_1(damaged: Path) -> None:
    code, out, err = check(damaged)
    assert (code, err) == (1, "")
    assert ": damaged" in out
    (line,) = [line for line in out.splitlines() if "listpack-duplicate" in line]
    assert "error" in line
    assert "at offset 35" in line
    assert "key '\\x1b[31mkey\\x0a\\x00' in db 3" in line
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("name", "verdict", "code"),
    [("redis-7.0", "redis-7.0 loads the file", 0), ("redis-6.2", "redis-6.2 refuses the file", 1)],
)
def test_a_release_is_judged(name: str, verdict: str, code: int) -> None:
    got, out, _ = check("--for", name, SOUND)
    assert verdict in out
    assert got == code


def test_an_unknown_release_is_a_usage_error() -> None:
    code, out, err = check("--for", "redis-99", SOUND)
    assert (code, out) == (2, "")
    assert "unknown release 'redis-99'" in err
    assert "valkey-9.1" in err


def test_json_is_data_with_a_schema(damaged: Path, tmp_path: Path) -> None:
    code, out, _ = check("--format", "json", "--for", "valkey-9.1", damaged, SOUND, tmp_path / "missing")
    assert code == 2
    data = json.loads(out)
    assert (data["schema"], data["command"]) == (1, "check-rdb")
    first, second, third = data["files"]
    assert first["sound"] is False
    assert first["rdb"]["databases"] == {"3": 2}
    assert first["findings"][0]["code"] == "listpack-duplicate"
    assert first["findings"][0]["offset"] == 35
    assert first["for"]["loads"] is False
    assert second["sound"] is True
    assert second["for"] == {"release": "valkey-9.1", "loads": True, "reasons": [], "remarks": []}
    assert third["error"]["code"] == "unreadable"


def test_several_files_end_with_a_table_and_the_worst_code(damaged: Path) -> None:
    code, out, _ = check(SOUND, damaged)
    assert code == 1
    heading, *rows = out.rstrip().split("\n\n")[-1].splitlines()
    assert heading.split() == ["file", "verdict", "format", "keys", "errors", "warnings", "bytes"]
    assert rows[0].split() == [str(SOUND), "sound", "redis", "10", "111", "0", "0", "11,107"]
    assert rows[1].split()[1:6] == ["damaged", "redis", "11", "2", "1"]


def test_what_cannot_be_read_is_named_and_code_2(tmp_path: Path) -> None:
    code, out, _ = check(tmp_path / "missing.rdb")
    assert code == 2
    assert "cannot open: No such file or directory" in out
    code, out, _ = check(tmp_path)
    assert code == 2
    assert "is a directory; check-aof checks append-only directories" in out


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd_compress])
def test_standard_input_and_compressed_files(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    data = compress(SOUND.read_bytes())
    code, out, _ = check("-", stdin=data)
    assert code == 0
    assert out.startswith("standard input: sound")
    path = tmp_path / "dump.rdb.gz"
    path.write_bytes(data)
    code, out, _ = check(path)
    assert code == 0
    assert "size       11,107 bytes" in out


def test_what_is_no_rdb_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"*1\r\n$4\r\nPING\r\n")
    code, out, _ = check(path)
    assert code == 1
    assert ": not an RDB" in out
    assert "it begins like an AOF" in out
    path.write_bytes(b"")
    code, out, _ = check(path)
    assert code == 1
    assert "the input is empty" in out


def test_the_number_of_databases_is_an_option(damaged: Path) -> None:
    _, out, _ = check("--databases", "2", damaged)
    assert "a server with 2 databases refuses the file" in out
    code, _, err = check("--databases", "0", damaged)
    assert code == 2
    assert "--databases" in err


def test_many_findings_of_a_kind_are_one_line_with_a_count(tmp_path: Path) -> None:
    path = tmp_path / "many.rdb"
    bad = string(listpack(b"a", b"a"))
    path.write_bytes(rdb(*(record(20, b"%d" % i, bad) for i in range(1500)), magic=b"REDIS0011"))
    code, out, _ = check(path)
    assert code == 1
    assert out.count("listpack-duplicate at") == 1
    assert "(1,500 like this, the last at offset" in out


def test_a_compressed_file_that_is_cut_short_could_not_be_read(tmp_path: Path) -> None:
    for compress in (gzip.compress, zstd_compress):
        whole = compress(SOUND.read_bytes())
        path = tmp_path / "cut"
        path.write_bytes(whole[: len(whole) // 2])
        code, out, err = check(path)
        assert (code, err) == (2, "")
        assert "cut: unreadable" in out
        assert "cut short" in out


def test_a_newer_version_is_called_unsupported(tmp_path: Path) -> None:
    path = tmp_path / "new.rdb"
    path.write_bytes(b"REDIS0099\xff" + bytes(8))
    code, out, _ = check(path)
    assert code == 1
    assert "new.rdb: unsupported" in out
    assert "RDB version 99 of Redis is newer than this program knows" in out


def test_all_findings_are_shown_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "twice.rdb"
    path.write_bytes(rdb(*(record(2, b"s%d" % n, counted(b"x", b"x")) for n in range(1500))))
    for options, count in ((), 1), (("--all-findings",), 1500):
        lines = [line for line in check(*options, path)[1].splitlines() if "duplicate-member" in line]
        assert len(lines) == count
    shown = json.loads(check("--all-findings", "--format", "json", path)[1])
    assert len(shown["files"][0]["findings"]) == 1500


LIBRARY = b"#!lua name=%b\nredis.register_function('f', function(%b return 1 end)"


def test_a_library_that_does_not_compile_is_damage_as_to_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis 7.0 and Valkey 9.1 refuse to load it, with these words."""
    said = "function library 'bad' does not compile: user_function:2: <name> or '...' expected near 'return'"
    aux = b"\xfa" + string(b"aof-base") + string(b"1")
    libraries = b"\xf5" + string(LIBRARY % (b"good", b")")) + b"\xf5" + string(LIBRARY % (b"bad", b""))
    data = rdb(libraries, record(0, b"k", string(b"v")), magic=b"REDIS0010" + aux)
    for command in ("check-rdb", "check-aof"):
        path = tmp_path / command
        path.write_bytes(data)
        done = run(command, path, "--for", "redis-7.0")
        assert done.returncode == 1
        assert said in done.stdout
        assert "not checked" not in done.stdout
        with monkeypatch.context() as without:
            for module in (process, compiling):
                without.setattr(module, "is_available", lambda: False)
            done = run(command, path, "--for", "redis-7.0")
        assert done.returncode == 0
        assert f"compile was not checked: that needs lupa, {how_to_install('lua')}" in done.stdout
