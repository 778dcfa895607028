"""Installing: nothing is compiled where it is installed, and what says how wheels are made and tested is sound.

`RDBTOOL_TEST_WHEEL` names a compiled wheel to be tried; without it an uncompiled one is built here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from rdbtool.extras import DISTRIBUTION
from tests.readme import ROOT, check_library_examples, check_transcripts, environment_without

pytestmark = pytest.mark.cold
COMPILER = re.compile(r"(.*-)?(cc|[cg]\+\+|gcc|clang(\+\+)?|tcc|c89|c99|cpp|ld|as|make|cmake|cargo|rustc)(-[\d.]+)?")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
OTHERS = ("PYTHONPATH", "VIRTUAL_ENV", "CC", "RDBTOOL_PURE")
"""What an install must not take from whoever runs the tests."""


def built(target: str, directory: Path) -> Path:
    """The sdist, or an uncompiled wheel, of what is committed."""
    clone = directory / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(directory)]
    subprocess.run(command, cwd=clone, env=environment_without(*OTHERS) | {"RDBTOOL_PURE": "1"}, check=True)
    (made,) = directory.glob(f"{DISTRIBUTION}-*")
    return made


def path_without_build_tools(directory: Path) -> str:
    """A PATH of what is on this process's, but compilers and what drives them."""
    directory.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for name in os.listdir(place) if os.path.isdir(place) else []:
            if not COMPILER.fullmatch(name) and not name.startswith(("python", "pip", "rdbtool")):
                (directory / name).unlink(missing_ok=True)
                (directory / name).symlink_to(os.path.join(place, name))
    for name in ("cc", "gcc", "clang", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"):
        assert shutil.which(name, path=str(directory)) is None
    assert shutil.which("bash", path=str(directory))
    return str(directory)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sdist", "wheel"])
def test_it_is_installed_without_a_compiler_and_does_what_the_readme_says(target: str, tmp_path: Path) -> None:
    given = os.environ.get("RDBTOOL_TEST_WHEEL") if target == "wheel" else None
    made = Path(given).resolve() if given else built(target, tmp_path)
    venv = tmp_path / "venv"
    environment = environment_without(*OTHERS)
    environment["PATH"] = f"{venv / 'bin'}:{path_without_build_tools(tmp_path / 'bin')}"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, env=environment)
    pip = [str(venv / "bin" / "pip"), "--no-cache-dir", "--quiet"]
    subprocess.run([*pip, "uninstall", "--yes", "setuptools", "wheel"], check=True, env=environment)
    # No dependency may be built, not even by what pip would fetch for it.
    install = [*pip, "install", "--only-binary", ":all:", str(made)]
    done = subprocess.run(install, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    version = subprocess.run([str(venv / "bin/rdbtool"), "--version"], capture_output=True, text=True, check=True)
    assert f"({'compiled' if given else 'interpreted'})" in version.stdout
    (tmp_path / "readme").mkdir()
    check_transcripts(tmp_path / "readme", environment)
    check_library_examples(tmp_path / "readme", environment)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_what_github_takes(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # A job without a limit that hangs costs six hours.
    command[-2] = "custom.github-workflows-require-timeout"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_a_workflow_for_pushes_and_one_for_releases() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "wheels.yml"]


def test_settings_of_cibuildwheel_are_what_it_takes_and_choose_every_wheel() -> None:
    schema = json.loads((files("cibuildwheel") / "resources" / "cibuildwheel.schema.json").read_text())
    jsonschema.validate(PROJECT["tool"]["cibuildwheel"], schema)
    chosen = set()
    for platform, machines in (("linux", "x86_64,aarch64"), ("macos", "x86_64,arm64")):
        command = [sys.executable, "-m", "cibuildwheel", "--platform", platform, "--archs", machines]
        command += ["--print-build-identifiers", str(ROOT)]
        chosen |= set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    places = ["macosx_x86_64", "macosx_arm64"]
    places += [f"{libc}_{machine}" for libc in ("manylinux", "musllinux") for machine in ("x86_64", "aarch64")]
    assert chosen == {f"cp3{minor}-{place}" for minor in (11, 12, 13, 14) for place in places}
    assert [name for name in PROJECT["tool"]["cibuildwheel"]["test-sources"] if not (ROOT / name).exists()] == []


def test_the_newest_python_that_gets_a_wheel_is_the_newest_with_one_of_lzf() -> None:
    """Where the fork of python-lzf has no wheel, installing would need a compiler: the marker keeps it out."""
    (lzf,) = (line for line in PROJECT["project"]["dependencies"] if line.startswith("python-neo-lzf"))
    newest = max(int(minor) for minor in re.findall(r"cp3(\d+)", " ".join(PROJECT["tool"]["cibuildwheel"]["build"])))
    assert f"python_version < '3.{newest + 1}'" in lzf
