"""Layouts know nothing of values, and values nothing of the table of types: imports between the folders go one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

RDB = Path(__file__).resolve().parents[2] / "rdbtool" / "rdb"
BELOW = {"layout": {"layout"}, "values": {"layout", "values"}}
"""The folders of the room that each folder may import from."""


def imported(path: Path) -> Iterator[str]:
    """What a module imports from this room, from the room on: ``layout.cursor``, ``types``."""
    package = ("rdbtool", "rdb", *path.relative_to(RDB).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            for alias in node.names:
                name = f"{base}{node.module or ''}.{alias.name}".replace("..", ".")
                if name.startswith("rdbtool.rdb."):
                    yield name.removeprefix("rdbtool.rdb.")


@pytest.mark.parametrize("folder", BELOW)
def test_imports_between_folders_go_one_way(folder: str) -> None:
    found = {name for path in (RDB / folder).glob("*.py") for name in imported(path)}
    assert found
    assert {name.split(".")[0] for name in found} <= BELOW[folder]
