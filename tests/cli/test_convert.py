"""``rdbtool convert`` as it is typed."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.basics.lzf import compress
from tests.cli import running
from tests.rdb import craft
from tests.rdb.corpus import FIXTURES

ALL = FIXTURES / "redis-7.4.1" / "small-nochecksum.rdb"


def run(*arguments: object, stdin: bytes = b"") -> tuple[int, bytes, str]:
    done = running.run("convert", *arguments, stdin=stdin)
    return done.returncode, done.output, done.stderr


@pytest.mark.parametrize("name", ["x.rdb", "x.aof", "x.resp", "x.jsonl", "x.json", "x.csv", "set/"])
def test_the_name_of_the_output_says_what_is_written(name: str, tmp_path: Path) -> None:
    code, out, err = run(ALL, f"{tmp_path}/{name}")
    # Commands do not say when a consumer was seen, and CSV has no place for groups and functions.
    assert (code, out) == (3 if name in {"x.aof", "x.resp", "x.csv"} else 0, b"")
    assert "keys written to" in err
    assert (tmp_path / name).exists()


def test_losses_are_listed_and_exit_with_3(tmp_path: Path) -> None:
    code, _, err = run(ALL, tmp_path / "x.rdb", "--target", "redis-6.2")
    assert code == 3
    assert "functions" in err
    assert "field expiries" in err
    code, _, err = run(ALL, tmp_path / "y.rdb", "--target", "redis-6.2", "--lossless")
    assert code == 2
    assert not (tmp_path / "y.rdb").exists()


def test_a_whole_snapshot_is_compressed_for_who_can_read_it(tmp_path: Path) -> None:
    code, _, err = run(ALL, tmp_path / "x.rdb", "--target", "valkey-9.2", "--compress", "vcs")
    assert code == 0
    assert (tmp_path / "x.rdb").read_bytes()[:11] == b"VCS\x01\x01\x00\x01\x04\x22\x4d\x18"
    assert run(ALL, tmp_path / "plain.rdb", "--target", "valkey-9.2")[0] == 0
    shown = [running.run("dump", tmp_path / name, "--format", "jsonl").output for name in ("x.rdb", "plain.rdb")]
    assert shown[0].splitlines()[1:] == shown[1].splitlines()[1:] != []
    for arguments in (("x.rdb", "--target", "valkey-9.1"), ("x.rdb",), ("x.jsonl", "--target", "valkey-9.2")):
        code, _, err = run(ALL, tmp_path / arguments[0], *arguments[1:], "--compress", "vcs", "--force")
        assert code == 2
        assert "only Valkey 9.2" in err


def test_an_unknown_target_lists_the_known_ones(tmp_path: Path) -> None:
    code, _, err = run(ALL, tmp_path / "x.rdb", "--target", "redis-3.9")
    assert code == 2
    assert "redis-4.0" in err
    assert "valkey-9.1" in err


def test_a_pipe_carries_it(tmp_path: Path) -> None:
    code, lines, _ = run("-", "-", "--to", "jsonl", stdin=ALL.read_bytes())
    assert code == 0
    assert json.loads(lines.split(b"\n")[0])["rdbtool"] == 1
    code, data, _ = run("-", "-", "--to", "rdb", stdin=lines)
    assert code == 0
    assert data.startswith(b"REDIS0012")


def test_binary_output_refuses_a_terminal() -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "rdbtool", "convert", str(ALL), "-", "--to", "rdb"]
    done = subprocess.run(command, stdout=slave, stderr=subprocess.PIPE, check=False)
    os.close(slave)
    os.close(master)
    assert done.returncode == 2
    assert b"terminal" in done.stderr


def test_several_outputs_and_inputs(tmp_path: Path) -> None:
    assert run(ALL, tmp_path / "s.rdb", "--split", "2")[0] == 0
    parts = sorted(tmp_path.iterdir())
    assert [part.name for part in parts] == ["s-0-8191.rdb", "s-8192-16383.rdb"]
    assert run(*parts, tmp_path / "all.rdb")[0] == 0
    code, _, err = run(*parts, ALL, tmp_path / "more.rdb")
    assert code == 2
    assert "has it too, and which counts is not said (on conflict: first or last): key " in err
    code, _, err = run(*parts, ALL, tmp_path / "more.rdb", "--on-conflict", "last")
    assert code == 0
    assert "left out that another input has" in err


def test_a_report_for_programs(tmp_path: Path) -> None:
    code, out, _ = run(ALL, tmp_path / "x.rdb", "--target", "redis-7.0", "--format", "json")
    report = json.loads(out)
    assert code == 3
    assert report["command"] == "convert"
    assert report["target"] == "redis-7.0"
    assert report["losses"]["field expiries"] > 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["only.rdb"],
        [ALL, "x.what"],
        [ALL, "x.rdb", "--split", "0"],
        [ALL, "-", "--to", "rdb", "--split", "2"],
        ["-", "-", "x.rdb"],
        [ALL, "x.rdb", "--pack", "what=1"],
        [ALL, "-", "--to", "aof-set"],
    ],
)
def test_what_makes_no_sense_exits_with_2(
    arguments: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments)
    assert code == 2
    assert err.startswith("rdbtool: ")
    assert list(tmp_path.iterdir()) == []


def test_damage_exits_with_1_and_writes_nothing(tmp_path: Path) -> None:
    cut = tmp_path / "cut.rdb"
    cut.write_bytes(ALL.read_bytes()[:-40])
    code, _, err = run(cut, tmp_path / "x.rdb")
    assert code == 1
    assert "nothing was written" in err
    assert not (tmp_path / "x.rdb").exists()
    code, _, err = run(cut, tmp_path / "x.rdb", "--keep-going")
    assert code == 3
    assert (tmp_path / "x.rdb").exists()


def test_json_lines_that_are_wrong_name_line_and_column(tmp_path: Path) -> None:
    lines = tmp_path / "x.jsonl"
    lines.write_text('{"db":0,"key":"a","type":"string","value":"1"}\n{"db":0,"key":\n')
    code, _, err = run(lines, tmp_path / "x.rdb")
    assert code == 1
    assert "line 2, column 15" in err


def test_a_text_of_commands_seeds_a_snapshot(tmp_path: Path) -> None:
    seed = tmp_path / "seed.redis"
    seed.write_text("SET greeting hello\n")
    assert run("--from", "commands", seed, tmp_path / "x.rdb")[0] == 0
    assert b"greeting" in (tmp_path / "x.rdb").read_bytes()


def test_a_damaged_key_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "bad.rdb"
    path.write_bytes(
        craft.rdb(craft.record(16, b"bad", craft.string(b"rubbish")), craft.record(0, b"good", craft.string(b"1")))
    )
    code, _, err = run(path, tmp_path / "x.rdb", "--keep-going")
    assert code == 3
    assert "'bad'" in err
    assert "1 damaged key left out" in err


TEXT = b"abcdefgh" * 100
PACKED = bytes(compress(TEXT) or b"")


def packed(*, checksum: bool) -> bytes:
    """A snapshot with a string whose LZF data is damaged inside, and in form."""
    bad = PACKED[:-3] + bytes((PACKED[-3] ^ 0xFF,)) + PACKED[-2:]
    sound = craft.record(0, b"a", craft.string(b"v"))
    return craft.rdb(sound, craft.record(0, b"k", craft.lzf(bad, len(TEXT))), checksum=checksum)


def test_what_no_checksum_vouches_for_is_verified_as_it_is_copied(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(packed(checksum=False))
    (tmp_path / "x.rdb.gz").write_bytes(gzip.compress(path.read_bytes()))
    (tmp_path / "trailing.rdb").write_bytes(path.read_bytes() + b"trailing")
    for name in ("x.rdb", "x.rdb.gz", "trailing.rdb", "-"):
        source = name if name == "-" else tmp_path / name
        code, _, err = run(source, tmp_path / "y.rdb", stdin=path.read_bytes())
        assert (code, "lzf" in err) == (1, True)
        assert not (tmp_path / "y.rdb").exists()
    assert run(path, f"{tmp_path}/set/")[0] == 1
    assert running.run("rewrite", path, "-o", tmp_path / "set").returncode == 2
    assert not (tmp_path / "set").exists()


def test_what_a_checksum_vouches_for_is_verified_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(packed(checksum=True))
    assert run(path, tmp_path / "y.rdb")[0] == 0
    assert run(path, tmp_path / "z.rdb", "--check")[0] == 1
    assert run("-", tmp_path / "z.rdb", stdin=path.read_bytes())[0] == 1
    assert run(path, tmp_path / "z.rdb", "--keep-going")[0] == 3
