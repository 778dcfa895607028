"""What holds for every subcommand."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def rdbtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "rdbtool", *arguments], capture_output=True, text=True, check=False)


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
    assert rdbtool("--version", "check-rdb").stdout == rdbtool("--version").stdout
