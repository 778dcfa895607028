"""What earlier looks at servers saw, kept in a file: how a value has changed tells more than what it is."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rdbtool.errors import FormatError, InputError, reason
from rdbtool.io.sink import open_sink

MADE_BY: Final = "rdbtool health"
SCHEMA: Final = 1
LIMIT: Final = 16 << 20
"""Bytes beyond which a file is no such state."""
SAVES_KEPT: Final = 10
"""Saves and rewrites of which is kept how much memory they copied."""


@dataclass(slots=True)
class Look:
    """One look at a server: ``at_s``, a Unix time; ``run_id`` of the server, which changes when it is restarted;
    ``delayed_fsyncs`` since it was started; ``saved``: tells one save or rewrite from the next; ``copied``: the part of
    the dataset that each of the last ones copied, as far as looks saw them, the last one last.
    """

    at_s: int = 0
    run_id: str = ""
    delayed_fsyncs: int = 0
    saved: str = ""
    copied: list[float] = field(default_factory=list)


class State:
    """The last look at each server, by its URL without a password."""

    def __init__(self, path: str, looks: dict[str, Look]) -> None:
        self.path = path
        self.looks = looks

    def write(self) -> None:
        """Put it where it was read from, whole or not at all. Raises `OutputError`."""
        looks = {url: asdict(look) for url, look in self.looks.items()}
        document = {"schema": SCHEMA, "made_by": MADE_BY, "servers": looks}
        with open_sink(self.path) as sink:
            sink.write(json.dumps(document, indent=1).encode() + b"\n")


def read_state(path: str) -> State:
    """The state in a file, which need not exist. Raises `InputError`, and `FormatError` for what is none."""
    try:
        with open(path, "rb") as stream:
            document = json.loads(stream.read(LIMIT))
    except FileNotFoundError:
        return State(path, {})
    except OSError as e:
        raise InputError(f"cannot open: {reason(e)}", path=path) from e
    except ValueError as e:
        raise FormatError(f"is no state of {MADE_BY}: remove it", path=os.fspath(path)) from e
    try:
        if document["made_by"] != MADE_BY or document["schema"] != SCHEMA:
            raise TypeError
        return State(path, {url: _look(facts) for url, facts in document["servers"].items()})
    except (TypeError, KeyError, AttributeError) as e:
        raise FormatError(f"is no state of {MADE_BY}: remove it", path=path) from e


def _look(facts: dict[str, Any]) -> Look:
    look = Look(**facts)
    numbers = [look.at_s, look.delayed_fsyncs, *look.copied]
    if any(isinstance(one, bool) or not isinstance(one, (int, float)) for one in numbers):
        raise TypeError
    return look
