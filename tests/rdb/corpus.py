"""RDB files that real servers wrote, with what they said is in them: fixtures, and the whole corpus where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "rdb"
CORPUS = ROOT.parent / "shared" / "corpus"
NEXT = ROOT.parent / "shared" / "corpus-next"
"""Files of the newest formats."""
BROKEN = {"broken", "broken-vcs"}


def expected_of(path: Path) -> dict[str, Any]:
    """The JSON beside an RDB."""
    beside = path.parent / (path.name + ".expected.json")
    if not beside.exists():
        beside = path.parent / (path.stem + ".expected.json")
    expected: dict[str, Any] = json.loads(beside.read_text())
    return expected


def written_files() -> list[Path]:
    """Files as servers wrote them."""
    found = sorted(path for path in FIXTURES.glob("*/*.rdb") if path.parent.name not in BROKEN)
    newest = [path for path in sorted(NEXT.glob("*/*.rdb")) if path.name != "update-inline.rdb"]
    return found + sorted((CORPUS / "made").glob("*/*.rdb")) + newest


def numbered(files: list[Path]) -> list[Any]:
    """The numbers of ``files`` for a test that is given them; those of the corpus beside the clone are slow."""
    return [
        pytest.param(number, id=name_of(path), marks=[pytest.mark.slow] * (CORPUS in path.parents))
        for number, path in enumerate(files)
    ]


def name_of(path: Path) -> str:
    """A short name for test ids."""
    where = "corpus" if {CORPUS, NEXT} & set(path.parents) else "fixtures"
    return f"{where}:{path.parent.name}/{path.name}"
