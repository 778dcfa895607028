"""The README is true: its transcripts are run, and so is its set-up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```console\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def transcripts() -> list[tuple[str, str]]:
    """Commands and what they print, in the order of the README."""
    found = []
    for block in BLOCKS:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = command[:-1] + more
            found.append((command, output))
    return found


def matches(expected: str, shown: str) -> bool:
    """Whether ``shown`` is ``expected``, where a line of ``...`` stands for any lines."""
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line + "\n") for line in expected.splitlines())
    return re.fullmatch(pattern, shown) is not None


def test_there_are_transcripts() -> None:
    assert len(transcripts()) > 5


@pytest.mark.slow
def test_every_transcript_is_what_the_program_prints(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }
    environment.pop("PYTHONUNBUFFERED", None)  # what comes first must not depend on it
    for command, expected in transcripts():
        run = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert matches(expected, run.stdout), f"$ {command}\n{run.stdout}"


@pytest.mark.slow
def test_the_first_set_up_command_installs_and_repairs(tmp_path: Path) -> None:
    (command,) = re.findall(r"^(python3 -m venv .*check-aof.*)$", README, re.MULTILINE)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    # Compiling takes minutes, and is what an install for development has done just before this test.
    environment["RDBTOOL_PURE"] = "1"
    run = subprocess.run(
        ["bash", "-c", command], cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "repaired" in run.stdout
    version = subprocess.run([clone / ".venv/bin/rdbtool", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("rdbtool ")
    dirt = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert dirt.stdout == ""


def test_the_library_examples_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "fixtures/rdb/redis-7.4.1/small-plain.rdb", tmp_path / "dump.rdb")
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            [sys.executable, "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr


def test_every_place_that_the_contributors_page_names_is_there() -> None:
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:rdbtool|tests|fixtures|\.ci)/[^`\s]*)`", text))
    assert len(named) > 20
    assert [place for place in sorted(named) if not (ROOT / place).exists()] == []
