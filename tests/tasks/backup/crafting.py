"""What the tests of backups share: snapshots, and what must hold of a directory whatever happened."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rdbtool.tasks.backup.record import MADE_BY
from rdbtool.tasks.check_rdb import check_rdb
from tests.rdb import craft


def snapshot(keys: int, size: int = 10) -> bytes:
    """A snapshot of so many strings of so many bytes."""
    value = bytes(range(256)) * (size // 256 + 1)
    return craft.rdb(*[craft.record(0, b"key:%d" % i, craft.string(value[:size])) for i in range(keys)])


def shown(directory: Path) -> set[str]:
    """The names in a directory that are not hidden."""
    return {name for name in os.listdir(directory) if not name.startswith(".")}


def record(path: Path) -> dict[str, Any]:
    """The record beside a backup."""
    facts: dict[str, Any] = json.loads(Path(f"{path}.json").read_text())
    assert facts["made_by"] == MADE_BY
    return facts


def all_whole(directory: Path) -> int:
    """Assert that every backup in a directory is whole; how many there are."""
    names = [name for name in shown(directory) if not name.endswith(".json")]
    for name in names:
        report = check_rdb(str(directory / name))
        assert report.sound, name
        assert report.facts is not None
        assert report.facts.complete
    return len(names)
