"""``rdbtool verify``: its options, and what it says."""

from __future__ import annotations

import inspect
import io
import os
import tarfile
from pathlib import Path

import pytest

from rdbtool.cli import judging
from rdbtool.tasks.verify.expectations import ENTRIES
from tests.cli.running import run
from tests.servers.harness import SERVERS, ServerKind, program, program_on_path

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
SNAPSHOT = FIXTURES / "rdb/redis-5.0.14/small-plain.rdb"
SMALLER = FIXTURES / "rdb/redis-2.4.18/small-plain.rdb"


def packed(path: Path, **files: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, source in files.items():
            archive.add(source, name.replace("_", "."))
    return path


def test_a_file_can_hold_what_options_say_and_nothing_else() -> None:
    parameters = inspect.signature(judging.expected, eval_str=True).parameters.values()
    given = [parameter.annotation.__metadata__[0] for parameter in parameters]
    options = {str(option.default).removeprefix("--") for option in given}  # where typer keeps the first name
    assert options | {"optional"} == set(ENTRIES)


@pytest.mark.parametrize(
    ("options", "check", "code"),
    [
        (["--max-age", "1h"], "max-age", 1),
        (["--max-age", "9000w"], "max-age", 0),
        (["--min-size", "1KB"], "min-size", 0),
        (["--min-size", "1MB"], "min-size", 1),
        (["--min-keys", "10"], "min-keys", 0),
        (["--min-keys", "10000"], "min-keys", 1),
        (["--expect-key", "str:*>=2"], "expect-key", 0),
        (["--expect-key", "nothing:*"], "expect-key", 1),
        (["--expect-key", "nothing:*=0"], "expect-key", 0),
        (["--expect-type", "hash"], "expect-type", 0),
        (["--expect-type", "module"], "expect-type", 1),
        (["--max-expired", "0%"], "max-expired", 0),
        (["--for", "redis-7.0"], "for redis-7.0", 0),
        (["--for", "redis-4.0"], "for redis-4.0", 1),
        (["--digest", "0" * 40], "digest", 1),
        (["--no-warnings"], "no-warnings", 0),
        (["--no-modules"], "no-modules", 0),
        (["--max-shrink", "10%", "--against", SNAPSHOT], "max-shrink keys", 0),
    ],
)
def test_each_expectation_is_named_in_the_result(options: list[str], check: str, code: int) -> None:
    shown = run("verify", SNAPSHOT, *options)
    assert shown.returncode == code, shown.stdout
    (line,) = [line for line in shown.stdout.splitlines() if f" {check}" in line]
    assert line.split()[0] == ("FAILED" if code else "ok")
    assert ("expected: " in line) == bool(code)


@pytest.mark.parametrize(
    "path", [SNAPSHOT, FIXTURES / "aof/multi-rdb", FIXTURES / "aof/preamble+tail.aof"], ids=lambda p: p.name
)
def test_the_digest_is_that_of_the_command_for_it(path: Path) -> None:
    digest = run("digest", path).stdout.split()[0]
    assert run("verify", path, "--digest", digest.upper()).returncode == 0


def test_modules_are_found_in_what_needs_them() -> None:
    shown = run("verify", FIXTURES / "rdb/redis-7.4.1/module-aux.rdb", "--no-modules", "--no-warnings")
    assert shown.returncode == 1
    assert "FAILED  no-modules" in shown.stdout


def test_expired_keys_are_counted() -> None:
    shown = run("verify", FIXTURES / "rdb/redis-7.0.15/expired.rdb", "--max-expired", "1%")
    assert shown.returncode == 1
    assert "FAILED  max-expired" in shown.stdout


def test_shrinking_is_told_in_keys_and_bytes(tmp_path: Path) -> None:
    shown = run("verify", SMALLER, "--max-shrink", "5", "--against", SNAPSHOT)
    assert shown.returncode == 1
    assert "FAILED  max-shrink keys" in shown.stdout
    assert "max-shrink bytes" in shown.stdout
    before = tmp_path / "before"
    before.mkdir()
    (before / SMALLER.name).write_bytes(SNAPSHOT.read_bytes())
    assert run("verify", SMALLER, "--max-shrink", "5", "--against", before).stdout == shown.stdout


def test_all_else_is_judged_where_the_previous_one_cannot_be_looked_at() -> None:
    shown = run("verify", SNAPSHOT, "--max-shrink", "10", "--against", "/no/such/file", "--min-keys", "1")
    assert shown.returncode == 2
    assert "ok      min-keys" in shown.stdout
    assert "UNKNOWN max-shrink" in shown.stdout


def test_archives_are_compared_with_archives(tmp_path: Path) -> None:
    sets = {"old": FIXTURES / "aof/multi-rdb", "new": FIXTURES / "aof/multi"}
    old = packed(tmp_path / "old.tar.gz", dump_rdb=SNAPSHOT, appendonlydir=sets["old"])
    new = packed(tmp_path / "new.tar.gz", dump_rdb=SMALLER, appendonlydir=sets["new"])
    same = run("verify", old, "--max-shrink", "0", "--against", old)
    assert same.returncode == 0, same.stdout + same.stderr
    assert same.stdout.count("max-shrink keys") == 2
    shown = run("verify", new, "--max-shrink", "1", "--against", old)
    assert shown.returncode == 1
    assert "FAILED  max-shrink keys" in shown.stdout
    other = packed(tmp_path / "other.tar.gz", x_rdb=SNAPSHOT)
    assert run("verify", other, "--max-shrink", "1", "--against", old).returncode == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--max-shrink", "10%"],
        ["--against", str(SNAPSHOT)],
        ["--max-shrink", "10%", "--against", "/no/such/file"],
        ["--config", "/no/such/file"],
        ["--boot-config", str(SNAPSHOT)],
        ["--boot-dir", "/tmp"],
        ["--conf", str(SNAPSHOT)],
        ["--expect-key", "=3"],
        ["--expect-type", "strings"],
        ["--digest", "abc"],
        ["--max-age", "soon"],
        ["--max-expired", "200%"],
        ["--for", "redis-99"],
        ["--boot=/no/such/server"],
        ["--boot-timeout", "never", "--boot"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_ends_with_2(options: list[str]) -> None:
    shown = run("verify", SNAPSHOT, *options)
    assert shown.returncode == 2
    assert "Traceback" not in shown.stderr
    assert shown.stderr or "UNKNOWN" in shown.stdout


def test_a_table_that_no_path_matches_is_a_backup_that_is_gone(tmp_path: Path) -> None:
    config = tmp_path / "verify.toml"
    config.write_text('["*.rdb"]\nmin-keys = 1\n["*.aof"]\nmin-keys = 1\n["x"]\noptional = true\n')
    shown = run("verify", SNAPSHOT, "--config", config)
    assert shown.returncode == 1
    assert "*.aof: not as expected" in shown.stdout
    assert "x: " not in shown.stdout


def test_quiet_says_nothing_of_what_is_good() -> None:
    assert run("verify", "-q", SNAPSHOT).stdout == ""
    shown = run("verify", "-q", SNAPSHOT, FIXTURES / "aof/truncated.aof").stdout
    assert SNAPSHOT.name not in shown
    assert "truncated.aof" in shown


@pytest.mark.server
@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
@pytest.mark.parametrize("place", ["behind", "before", "alone before", "alone behind"])
def test_boot_takes_a_server_or_stands_alone(
    kind: ServerKind, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_on_path(kind, tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    words: list[object] = {
        "behind": [SNAPSHOT, "--boot", program(kind)],
        "before": ["--boot", program(kind), SNAPSHOT],
        "alone before": ["--boot", SNAPSHOT],
        "alone behind": [SNAPSHOT, "--boot"],
    }[place]
    shown = run("verify", *words)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "boot digest" in shown.stdout


@pytest.mark.server
def test_a_backup_that_may_be_executed_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(SNAPSHOT.read_bytes())
    path.chmod(0o755)
    assert run("verify", "--boot", path).returncode == 0
    monkeypatch.setenv("PATH", str(tmp_path))
    shown = run("verify", "--boot", path)
    assert shown.returncode == 2
    assert "PATH has no" in shown.stderr


def test_the_terminal_is_safe_from_names_in_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("\x1b[31mdump.rdb")
        info.size = SNAPSHOT.stat().st_size
        archive.addfile(info, io.BytesIO(SNAPSHOT.read_bytes()))
    for form in ("text", "json", "junit", "prometheus"):
        assert "\x1b" not in run("verify", path, "--min-keys", 99999, "--format", form).stdout


def test_a_damaged_snapshot_is_judged_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    data = bytearray(SNAPSHOT.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    done = run("verify", path, SNAPSHOT)
    assert done.returncode == 1
    assert done.stderr == f"to save what can be read of it: rdbtool check-rdb {path} --salvage -o OUT\n"
    assert run("verify", "--format", "json", path).stderr == ""
