"""What holds for every subcommand."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.cli.app import COMMANDS
from tests.cli.running import run as rdbtool

ROOT = Path(__file__).resolve().parents[2]


def test_help_lists_every_command() -> None:
    shown = rdbtool("--help")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_place_in_the_readme(name: str) -> None:
    shown = rdbtool(name, "--help")
    assert shown.returncode == 0
    assert f"rdbtool {name}" in shown.stdout
    assert f"rdbtool {name}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_options_are_refused_with_code_2(name: str) -> None:
    shown = rdbtool(name, "--no-such-option", "x")
    assert shown.returncode == 2
    assert "no-such-option" in shown.stderr


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", ["missing", "directory", "empty", "random"])
def test_bad_inputs_end_without_a_traceback(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "input"
    if kind == "directory":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "random":
        path.write_bytes(bytes(range(256)) * 100)
    module = importlib.import_module(f"rdbtool.cli.{name.replace('-', '_')}")
    shown = rdbtool(name, *[str(path) if a == "INPUT" else a for a in getattr(module, "EXAMPLE", ("INPUT",))])
    assert shown.returncode in {0, 1, 2}
    assert "Traceback" not in shown.stderr
    if kind in {"missing", "directory"}:
        assert shown.returncode == 2
        assert "input" in shown.stdout + shown.stderr
    if kind == "random":
        assert shown.returncode != 0


def test_a_reader_that_goes_away_ends_the_program_quietly() -> None:
    command = f"{sys.executable} -m rdbtool --help | head -c 1; echo ${{PIPESTATUS[0]}}"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert shown.stderr == ""


def test_version_with_other_words_is_answered_too() -> None:
    command = [sys.executable, "-m", "rdbtool", "--version"]  # a start of its own answers this
    alone = subprocess.run(command, capture_output=True, text=True, check=True)
    assert rdbtool("--version", "check-rdb").stdout == alone.stdout


RDB = ROOT / "fixtures/rdb/redis-7.4.1/small-plain.rdb"
LOG = ROOT / "fixtures/aof/truncated.aof"
RUNS = [
    ["check-aof", LOG],
    ["check-rdb", RDB],
    ["check-rdb", "--format", "json", RDB],
    ["diff", RDB, RDB],
    ["dump", RDB],
    ["history", "--stats", ROOT / "fixtures/aof/multi"],
    ["--version"],
    ["check-aof", "--help"],
]


@pytest.mark.slow  # starts the program many times
@pytest.mark.parametrize("arguments", RUNS, ids=lambda a: a[0])
@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written_is_one_line_and_code_2(arguments: list[str], redirect: str) -> None:
    if arguments == ["--version"] and redirect == ">&-":
        return  # Python prints nothing then, and there is nothing to lose
    words = " ".join(f"'{a}'" for a in arguments)
    shown = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m rdbtool {words} {redirect}"], capture_output=True, text=True, check=False
    )
    assert shown.returncode == 2, shown.stderr
    assert shown.stderr.count("\n") == 1, shown.stderr
    assert shown.stderr.startswith("rdbtool: standard output")
    assert "cannot write" in shown.stderr


@pytest.mark.slow  # starts the program many times
@pytest.mark.parametrize(("redirect", "code"), [("2>&-", 2), ("<&-", 2), ("2>&- <&-", 2)])
def test_other_streams_may_be_closed(redirect: str, code: int) -> None:
    command = f"{sys.executable} -m rdbtool check-aof --fix {LOG} {redirect}"
    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert shown.returncode == code
    assert "good up to" in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr


HUGE = "99999999999999999999999"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check-rdb", RDB, "--databases", HUGE],
        ["check-aof", LOG, "--databases", HUGE],
        ["check-aof", LOG, "--max-bulk", HUGE],
        ["check-aof", LOG, "--fix", "--yes", "--max-loss", HUGE],
        ["check-aof", LOG, "--until", HUGE],
        ["check-aof", LOG, "--until", "0001-01-01"],
        ["check-aof", LOG, "--truncate-to-timestamp", HUGE],
        ["check-aof", LOG, "--truncate-to-timestamp", "-1"],
        ["diff", RDB, RDB, "--ttl-tolerance", HUGE],
        ["diff", RDB, RDB, "--min-size", HUGE],
        ["diff", RDB, RDB, "--db", HUGE],
        ["diff", RDB, RDB, "--until-a", HUGE],
        ["diff", RDB, RDB, "--until-command-b", HUGE],
        ["diff", RDB, RDB, "--until-offset-b", HUGE],
        ["diff", RDB, RDB, "--now", HUGE],
    ],
    ids=lambda a: f"{a[0]} {a[-2]} {a[-1]}",
)
def test_numbers_too_large_are_refused(arguments: list[object]) -> None:
    shown = rdbtool(*map(str, arguments))
    assert shown.returncode == 2, shown.stderr
    assert "Traceback" not in shown.stderr


def test_an_expiry_further_than_time_goes_is_forever() -> None:
    assert rdbtool("diff", str(RDB), str(RDB), "--ttl", f"0-{HUGE}").returncode == 0


@pytest.mark.parametrize("name", ["check-rdb", "dump", "info", "memory"])
def test_what_a_sound_snapshot_does_not_need_is_not_loaded(name: str) -> None:
    path = ROOT / "fixtures" / "rdb" / "redis-7.0.15" / "lru.rdb"
    script = (
        "import sys; from rdbtool.cli.app import run\n"
        f"try: run([{name!r}, {str(path)!r}])\n"
        "except SystemExit as e: print(e.code, *sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, *loaded = done.stderr.split()
    assert code == "0"
    assert "rdbtool.rdb.reader" in loaded
    for unneeded in ("rdbtool.engine.commands", "rdbtool.rdb.salvage.salvager", "concurrent.futures"):
        assert unneeded not in loaded
