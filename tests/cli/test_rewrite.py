"""``rdbtool rewrite`` as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.running import run as rdbtool

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "aof"


def test_before_and_after_are_told(tmp_path: Path) -> None:
    out = tmp_path / "appendonlydir"
    shown = rdbtool("rewrite", str(FIXTURES / "multi-rdb"), "-o", str(out))
    assert shown.returncode == 0
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["before", "after", "keys", "for", "into"]
    report = json.loads(rdbtool("rewrite", str(out), "-o", str(tmp_path / "x.aof"), "--format", "json").stdout)
    assert report["schema"] == 1
    sizes = [path.stat().st_size for path in out.iterdir() if not path.name.endswith(".manifest")]
    assert report["before"] == {"bytes": sum(sizes), "commands": 0}
    assert report["files"] == [str(tmp_path / "x.aof")]


def test_a_log_that_does_not_tell_its_server_is_for_the_oldest_that_keeps_what_it_holds(tmp_path: Path) -> None:
    """Redis 7.4 and Valkey 9 both have field expiries, and neither reads the other's snapshots of them."""
    out = str(tmp_path / "out")
    shown = rdbtool("rewrite", str(FIXTURES / "multi"), "-o", out)
    assert shown.returncode == 0
    assert "rdb-12" in shown.stdout
    digests = rdbtool("digest", "--as", "redis-7.4", out, str(FIXTURES / "multi")).stdout.splitlines()
    assert len({line.split()[0] for line in digests}) == 1
    plain = tmp_path / "plain.aof"
    plain.write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    assert "redis-7.0" in rdbtool("rewrite", str(plain), "-o", str(tmp_path / "set")).stdout
    for name in ("redis-7.4", "valkey-9.1"):
        out = str(tmp_path / name)
        assert rdbtool("rewrite", str(FIXTURES / "multi"), "-o", out, "--target", name).returncode == 0
        assert rdbtool("digest", "--as", name, out, str(FIXTURES / "multi")).returncode == 0


def test_commands_go_to_standard_output(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text("SET a 1\nDEL a\nSET b 2\n")
    done = rdbtool("rewrite", "--from", "commands", str(path), "--resp", "-o", "-")
    assert done.output == b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n"
    assert "before" in done.stderr


def test_in_place(tmp_path: Path) -> None:
    path = tmp_path / "set"
    shutil.copytree(FIXTURES / "multi", path)
    digest = rdbtool("digest", "--as", "redis-7.4", str(path)).stdout.split()[0]
    shown = rdbtool("rewrite", "--in-place", str(path), "--target", "redis-7.4")
    assert shown.returncode == 0
    assert "as history" in shown.stdout
    assert rdbtool("digest", "--as", "redis-7.4", str(path)).stdout.split()[0] == digest
    assert rdbtool("check-aof", str(path)).returncode == 0


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--in-place", "-o", "x"],
        ["-o", "x", "--purge-history"],
        ["--in-place", "--from", "commands"],
        ["-o", "x", "--target", "redis-1.0"],
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "seed"
    path.write_text("SET a 1\n")
    assert rdbtool("rewrite", str(path), *options).returncode == 2
    assert [p.name for p in tmp_path.iterdir()] == ["seed"]


def test_nothing_is_written_for_a_log_that_a_server_refuses(tmp_path: Path) -> None:
    path = tmp_path / "bad.aof"
    path.write_bytes(b"*1\r\n$4\r\nNOPE\r\n")
    shown = rdbtool("rewrite", str(path), "-o", str(tmp_path / "out"))
    assert shown.returncode == 1
    assert "unknown command 'NOPE'" in shown.stderr
    assert not (tmp_path / "out").exists()
    cut = rdbtool("rewrite", str(path), "-o", str(tmp_path / "out"), "--unknown", "skip")
    assert cut.returncode == 3


@pytest.mark.parametrize("resp", [False, True])
def test_keys_are_chosen_as_by_convert(tmp_path: Path, resp: bool) -> None:
    out, same = str(tmp_path / "out.aof"), str(tmp_path / "same.rdb")
    shown = rdbtool("rewrite", str(FIXTURES / "multi-rdb"), "-o", out, "--type", "list,zset", *["--resp"] * resp)
    assert shown.returncode == 0
    assert " left out" in shown.stdout
    assert rdbtool("convert", str(FIXTURES / "multi-rdb"), same, "--type", "list,zset").returncode == 0
    assert rdbtool("diff", out, same).returncode == 0


def test_what_was_left_out_in_place_stays_in_the_history(tmp_path: Path) -> None:
    place = tmp_path / "appendonlydir"
    shutil.copytree(FIXTURES / "multi-rdb", place)
    before = {path.name: path.read_bytes() for path in place.iterdir() if not path.name.endswith(".manifest")}
    shown = rdbtool("rewrite", str(place), "--in-place", "--purge-history", "--not-key", "*a*")
    assert "the old files are kept" in shown.stderr
    assert {name: (place / name).read_bytes() for name in before} == before
