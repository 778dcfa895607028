"""The record beside a backup: what it holds, and that we made it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Final

from rdbtool.errors import InputError, reason

from .naming import RECORD

MADE_BY: Final = "rdbtool backup"
SCHEMA: Final = 1
LIMIT: Final = 64 << 20
"""Bytes beyond which a file is no record."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that has a record: its ``path``, what it was made of, and when, a Unix time."""

    path: str
    source: str
    taken_s: int

    @property
    def record(self) -> str:
        """The path of its record."""
        return self.path + RECORD


def record_text(facts: dict[str, Any]) -> bytes:
    """A record of these facts, among them ``source`` and ``taken_s``."""
    document = {"schema": SCHEMA, "made_by": MADE_BY, **facts}
    return json.dumps(document, indent=2, ensure_ascii=True).replace("\x7f", "\\u007f").encode() + b"\n"


def made_at(path: str) -> Made | None:
    """The backup whose name is ``path``, which need not exist, if its record says that we made it."""
    try:
        with open(path + RECORD, "rb") as stream:
            facts = json.loads(stream.read(LIMIT))
    except (OSError, ValueError):
        return None
    if not isinstance(facts, dict) or facts.get("made_by") != MADE_BY or facts.get("file") != os.path.basename(path):
        return None
    source, taken = facts.get("source"), facts.get("taken_s")
    return Made(path, source, taken) if isinstance(source, str) and isinstance(taken, int) else None


def made_in(directory: str) -> list[Made]:
    """All that have a record in a directory, whether or not they are there. Raises `InputError`."""
    try:
        names = os.listdir(directory or ".")
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=directory) from e
    paths = [os.path.join(directory, name.removesuffix(RECORD)) for name in names if name.endswith(RECORD)]
    return [made for path in paths if (made := made_at(path)) is not None]
