"""``rdbtool digest`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.running import run as rdbtool

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "aof"
MULTI = str(FIXTURES / "multi-rdb")
DIGEST = json.loads((FIXTURES / "multi-rdb.json").read_text())["debug_digest"]


def test_a_line_per_file_like_sha1sum() -> None:
    shown = rdbtool("digest", MULTI, MULTI)
    assert (shown.returncode, shown.stdout) == (0, f"{DIGEST}  {MULTI}\n" * 2)


def test_json_says_which_server_it_follows() -> None:
    report = json.loads(rdbtool("digest", "--format", "json", MULTI).stdout)
    (file,) = report["files"]
    assert (report["schema"], file["digest"], file["as"], file["path"]) == (1, DIGEST, "valkey-9.1", MULTI)


def test_keys_come_with_their_database(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text('SET a 1\nSELECT 3\nSET "b\\x00\\n" 1\n')
    lines = rdbtool("digest", "--keys", "--from", "commands", str(path)).stdout.splitlines()
    assert [line.split("  ")[1:] for line in lines] == [["0", "a"], ["3", r"b\x00\x0a"], [str(path)]]
    assert lines[0].split()[0] == lines[1].split()[0]


def test_a_file_that_cannot_be_read_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    shown = rdbtool("digest", str(tmp_path / "missing.rdb"), MULTI)
    assert shown.returncode == 2
    assert shown.stdout == f"{DIGEST}  {MULTI}\n"
    assert "missing.rdb" in shown.stderr


def test_files_of_servers_that_print_scores_differently_are_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text("ZADD z 0.1 m\n")
    for name in ("redis-6.2", "redis-7.2"):
        assert rdbtool("convert", "--from", "commands", str(path), str(tmp_path / f"{name}.rdb"), "--target", name)
    files = [str(tmp_path / f"{name}.rdb") for name in ("redis-6.2", "redis-7.2")]
    shown = rdbtool("digest", *files)
    assert len({line.split()[0] for line in shown.stdout.splitlines()}) == 2
    assert "--as" in shown.stderr
    same = rdbtool("digest", "--as", "redis-7.4", *files)
    assert len({line.split()[0] for line in same.stdout.splitlines()}) == 1


def test_the_state_before_a_command(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text("SET a 1\nFLUSHALL\nSET b 1\n")
    before = tmp_path / "before"
    before.write_text("SET a 1\n")
    shown = rdbtool("digest", "--from", "commands", "--before-command", "FLUSHALL", str(path))
    assert shown.stdout.split()[0] == rdbtool("digest", "--from", "commands", str(before)).stdout.split()[0]
    wrong = rdbtool("digest", "--from", "commands", "--before-command", "FLUSHALL", "--nth", "2", str(path))
    assert wrong.returncode == 2
    assert "no FLUSHALL number 2" in wrong.stderr
    assert rdbtool("digest", "--nth", "2", str(path)).returncode == 2


def test_keys_are_chosen_as_by_convert(tmp_path: Path) -> None:
    source = str(ROOT / "fixtures" / "rdb" / "redis-7.4.1" / "small-nochecksum.rdb")
    for options in (["--key", "*a*"], ["--type", "hash,list"], ["--ttl", "any"], ["--limit", "3"], ["--db", "0"]):
        for path in (source, MULTI):
            out = tmp_path / "chosen.rdb"
            assert rdbtool("convert", path, str(out), "--force", *options).returncode in {0, 3}
            shown = rdbtool("digest", "--as", "redis-7.4", "--format", "json", *options, path, str(out))
            chosen, copied = json.loads(shown.stdout)["files"]
            assert chosen["digest"] == copied["digest"], (options, path)
            assert 0 < chosen["keys"] == copied["keys"]
            assert chosen.get("left_out", 0) > 0 or options == ["--db", "0"]
