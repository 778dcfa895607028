"""What holds for the tests themselves."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = Path(__file__).resolve().parent
FIXTURES = TESTS.parent / "fixtures"


def imported(path: Path) -> set[str]:
    """The full names of all that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(TESTS.parent).with_suffix("").parts[: -node.level] if node.level else ()
            module = ".".join([*package, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def test_what_tests_share_stands_in_modules_without_tests() -> None:
    shared = {
        f"{path.relative_to(TESTS)} imports {name}"
        for path in TESTS.rglob("*.py")
        for name in imported(path)
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split("."))
    }
    assert shared == set()


def test_every_set_of_fixtures_is_described() -> None:
    """The README of the fixtures says of every directory, and of every file that has none, where it comes from."""
    text = (FIXTURES / "README.md").read_text()
    names = {path.name for path in (FIXTURES / "rdb").iterdir()}
    names |= {path.name for path in (FIXTURES / "aof").iterdir() if path.suffix != ".json"}
    assert {name for name in names if f"`{name}" not in text} == set()
    lists = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert {
        name
        for name in lists
        if not (FIXTURES / "rdb" / name.rstrip("/")).exists() and not (FIXTURES / "aof" / name.rstrip("/")).exists()
    } == set()
