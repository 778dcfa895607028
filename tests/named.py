"""Tests that a table names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def missing(named: Mapping[str, Iterable[str]]) -> list[str]:
    """Those of ``named``, functions by file, that are not there."""
    return [
        f"{path}::{name}"
        for path, names in named.items()
        for name in names
        if f"def {name}(" not in (TESTS / path).read_text()
    ]
