"""The README is true: its transcripts are run, and so is its set-up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.readme import README, ROOT, check_library_examples, check_transcripts, environment_without, transcripts


def test_there_are_transcripts() -> None:
    assert len(transcripts()) > 5


@pytest.fixture
def environment() -> dict[str, str]:
    """One in which `rdbtool` and `python` are those of this run."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
def test_every_transcript_is_what_the_program_prints(tmp_path: Path, environment: dict[str, str]) -> None:
    check_transcripts(tmp_path, environment)


@pytest.mark.slow
@pytest.mark.cold
def test_the_first_set_up_command_installs_and_repairs(tmp_path: Path) -> None:
    (command,) = re.findall(r"^(python3 -m venv .*check-aof.*)$", README, re.MULTILINE)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    environment = environment_without("PYTHONPATH", "VIRTUAL_ENV")
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


def test_the_library_examples_run(tmp_path: Path, environment: dict[str, str]) -> None:
    check_library_examples(tmp_path, environment)


def test_every_place_that_the_contributors_page_names_is_there() -> None:
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:rdbtool|tests|fixtures|\.ci)/[^`\s]*)`", text))
    assert len(named) > 20
    assert [place for place in sorted(named) if not (ROOT / place).exists()] == []
