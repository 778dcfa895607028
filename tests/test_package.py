"""The tree: imports go down only, the top level is what it should be, stale compiled files do not run."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rdbtool
from rdbtool._build import CustomBuildHook
from rdbtool.extras import DISTRIBUTION
from rdbtool.rdb.types import TABLE

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "rdbtool"

ROOMS = (
    ("errors", "exit_codes", "extras", "findings", "model"),
    ("io", "basics", "servers"),
    ("rdb",),
    ("aof",),
    ("engine",),
    ("inputs", "outputs", "analysis"),
    ("live",),
    ("tasks",),
    ("cli",),
    ("__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def imported_names(path: Path) -> set[str]:
    """What a module imports from this package: modules, and names in modules."""
    package = ("rdbtool", *path.relative_to(PACKAGE).parent.parts)
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            names |= {f"{base}{node.module or ''}.{alias.name}".replace("..", ".") for alias in node.names}
    return {name for name in names if name.startswith("rdbtool.")}


def imported_rooms(path: Path) -> set[str]:
    """The rooms that a module imports from."""
    return {name.split(".")[1] for name in imported_names(path)} & LEVEL.keys()


def folder_of(name: str) -> Path:
    """The folder that holds the module of that name, or in which that name is a module's."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    while not path.is_dir():
        path = path.parent
    return path


MODULES = sorted(
    p for p in PACKAGE.rglob("*.py") if p.name not in {"_build.py", "_compiled.py"} and p.parent != PACKAGE
)
MODULES += [PACKAGE / f"{name}.py" for name in ROOMS[0]]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    room = relative.parts[0].removesuffix(".py")
    upward = {name for name in imported_rooms(path) if LEVEL[name] > LEVEL[room]}
    assert not upward


def test_no_two_folders_import_from_each_other() -> None:
    imports = {(path.parent, folder_of(name)) for path in MODULES for name in imported_names(path)}
    folders = {(importing, imported) for importing, imported in imports if PACKAGE not in {importing, imported}}
    assert (PACKAGE / "rdb", PACKAGE / "rdb" / "layout") in folders
    circles = {(a, b) for a, b in folders if a != b and (b, a) in folders}
    assert not circles


def test_only_the_command_line_prints_or_reads_the_environment() -> None:
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] == "cli" or path.name == "child.py":
            continue  # the second is a program of its own, and clears what scripts must not see
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "input"}, f"{path}:{node.lineno}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                assert name not in {"os.environ", "os.getenv", "sys.exit"}, f"{path}:{node.lineno}"


def test_the_top_level_holds_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {name.split("/")[0] for name in listed.splitlines()}
    allowed = {"rdbtool", "tests", "fixtures", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"}
    assert {name for name in top if not name.startswith(".")} <= allowed


def test_no_type_byte_is_given_twice_and_names_are_unique() -> None:
    for rows in TABLE:
        names = [row.name for row in rows if row is not None]
        assert len(names) == len(set(names))
        assert all(row is None or row.byte == byte for byte, row in enumerate(rows))


def test_version_says_how_the_code_runs() -> None:
    shown = subprocess.run([sys.executable, "-m", "rdbtool", "--version"], capture_output=True, text=True, check=True)
    mode = "compiled" if rdbtool.is_compiled() else "interpreted"
    assert shown.stdout == f"rdbtool {rdbtool.__version__} ({mode})\n"


def test_an_edited_source_beside_its_compiled_file_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "rdbtool"
    package.mkdir()
    (package / "__init__.py").write_text((PACKAGE / "__init__.py").read_text())
    (package / "model.py").write_text("edited = True\n")
    (package / "_compiled.py").write_text('SOURCES = {"rdbtool/model.py": (0, "0" * 64)}\n')
    run = subprocess.run(
        [sys.executable, "-c", "import rdbtool"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert "rdbtool/model.py was edited after it was compiled" in run.stderr


@pytest.mark.parametrize(("how", "code", "end"), [("-m", 2, ""), ("-c", 1, "ImportError: ")])
def test_an_old_python_is_refused_in_one_line(how: str, code: int, end: str, tmp_path: Path) -> None:
    package = tmp_path / "rdbtool"
    package.mkdir()
    for name in ("__init__.py", "errors.py", "exit_codes.py"):
        source = (PACKAGE / name).read_text()
        ast.parse(source, feature_version=(3, 8))
        (package / name).write_text(source)
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.version_info = (3, 10, 4, 'final', 0)\n")
    run = subprocess.run(
        [sys.executable, how, {"-m": "rdbtool", "-c": "import rdbtool"}[how]],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    line = f"{end}rdbtool needs Python 3.11 or later, and this is 3.10\n"
    assert (run.returncode, run.stderr if how == "-m" else run.stderr.splitlines(keepends=True)[-1]) == (code, line)


def test_what_names_the_distribution_or_an_extra_is_right() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == DISTRIBUTION
    assert list(project["scripts"]) == ["rdbtool"]
    extras = {name for name in project["optional-dependencies"] if name not in {"test", "unit"}}
    asked = set()
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        asked |= set(re.findall(r"how_to_install\(['\"](\w+)['\"]\)", text))
        assert not re.findall(r"rdbtool(?:kit)?\[\w+\]", text), path
    assert {"lua", "zstd"} <= asked <= extras
    told = re.findall(r"\b([\w-]+)\[(\w+)\]", "".join(re.findall(r"`[^`\n]*`", (ROOT / "README.md").read_text())))
    assert {(name, extra) for name, extra in told if extra in extras} == {(DISTRIBUTION, extra) for extra in extras}


def test_each_exception_from_a_lint_rule_has_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line == "ignore = [")
    reason_above = False
    for line in lines[start + 1 :]:
        text = line.strip()
        if text == "]":
            break
        if text.startswith("#"):
            reason_above = True
        elif "#" in text:
            reason_above = False
        else:
            assert reason_above, f"no reason given for {text}"
    assert tomllib.loads("\n".join(lines))["tool"]["ruff"]["lint"]["select"] == ["ALL"]


def test_without_a_compiler_the_sources_are_installed_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = CustomBuildHook.__new__(CustomBuildHook)
    monkeypatch.delenv("RDBTOOL_PURE", raising=False)
    monkeypatch.setenv("CC", "/no/such/cc -O2")
    assert hook.reason_not_to() == "no C compiler: /no/such/cc not found"
    monkeypatch.setenv("RDBTOOL_PURE", "1")
    assert hook.reason_not_to() == "RDBTOOL_PURE is set"
    assert hook.dependencies() == []


def test_the_compiler_is_the_one_whose_types_the_tests_check() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    compiler = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["compiler"]
    extra = settings["project"]["optional-dependencies"]["test"]
    assert {name for name in compiler if name.startswith("mypy")} == {name for name in extra if name.startswith("mypy")}
