"""Sources that give their bytes in other portions, and readers' events as data."""

from __future__ import annotations

import io
import random

from rdbtool.errors import RdbToolError
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader


class Dribble(io.BytesIO):
    """A source that gives a few bytes at a time."""

    def __init__(self, data: bytes, rng: random.Random) -> None:
        super().__init__(data)
        self.rng = rng

    def read(self, n: int | None = -1, /) -> bytes:
        return super().read(min(n or 0, self.rng.randint(1, 5000)))


class Dripping:
    """A source that gives few bytes at a time."""

    def __init__(self, data: bytes, at_once: int) -> None:
        self.data = data
        self.at_once = at_once
        self.pos = 0

    def read(self, n: int, /) -> bytes:
        n = min(n, self.at_once)
        data = self.data[self.pos : self.pos + n]
        self.pos += len(data)
        return data


def told(reader: RdbReader, *, raw: bool = True) -> list[tuple[object, ...]]:
    """Events as tuples, for comparison; an error is the last one."""
    out: list[tuple[object, ...]] = []
    try:
        while True:
            event = reader.next()
            if event is None:
                return out
            facts = {
                k: getattr(event, k) for k in dir(event) if not k.startswith("_") and not callable(getattr(event, k))
            }
            facts.pop("type", None)
            name: object = type(event).__name__
            if isinstance(event, Frame):
                name = event.type.name
                if raw:
                    facts["raw"] = event.raw()
            out.append((name, tuple(sorted(facts.items()))))
    except RdbToolError as e:
        out.append((type(e).__name__, e.message, e.offset, e.doing, e.key))
    return out
