"""The examples of the README, and whether they are true of a given installation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def transcripts() -> list[tuple[str, str]]:
    """Commands and what they print, in the order of the README."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", README, re.DOTALL | re.MULTILINE):
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


def check_transcripts(directory: Path, environment: dict[str, str]) -> None:
    """Run every transcript in ``directory``, with the `rdbtool` that is first on the PATH of ``environment``."""
    shutil.copytree(ROOT / "fixtures", directory / "fixtures")
    environment = {**environment, "COLUMNS": "100"}
    environment.pop("PYTHONUNBUFFERED", None)  # what comes first must not depend on it
    for command, expected in transcripts():
        run = subprocess.run(
            ["bash", "-c", command],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert matches(expected, run.stdout), f"$ {command}\n{run.stdout}"


def check_library_examples(directory: Path, environment: dict[str, str]) -> None:
    """Run every example of the library in ``directory``, by the `python` that is first on the PATH."""
    shutil.copy(ROOT / "fixtures/rdb/redis-7.4.1/small-plain.rdb", directory / "dump.rdb")
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        run = subprocess.run(
            [shutil.which("python", path=environment["PATH"]) or "python", "-c", block],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr


def environment_without(*names: str) -> dict[str, str]:
    """This process's environment without these variables."""
    return {name: value for name, value in os.environ.items() if name not in names}
