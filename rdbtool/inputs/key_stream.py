"""The keys of any input, one after the other, for whoever uses the library."""

from __future__ import annotations

import os
from typing import final

from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.errors import RdbToolError
from rdbtool.findings import Finding
from rdbtool.model import Entry, Value, type_name
from rdbtool.rdb.frame import Frame

from .keys import EntryEvent
from .opening import OpenedKeys, open_keys
from .selection import Selection
from .server import STOCK_SERVER, Server


@final
class Key:
    """A key of an input.

    ``db``: its database; ``key``: its name; ``type``: what the server's TYPE says; ``encoding``: how the input holds
    it, "" where it was replayed or decoded; ``expire_at_ms``: Unix time, -1 for never; ``idle_s`` and ``freq``: -1
    where the input does not say.
    """

    __slots__ = ("_held", "db", "encoding", "expire_at_ms", "freq", "idle_s", "key", "type")

    def __init__(self, held: Frame | Entry) -> None:
        self._held = held
        self.db: int = held.db
        self.key: bytes = held.key
        self.type: str = held.type.redis_type if isinstance(held, Frame) else type_name(held.value)
        self.encoding: str = held.type.name if isinstance(held, Frame) else ""
        self.expire_at_ms: int = held.expire_at_ms
        self.idle_s: int = held.idle_s
        self.freq: int = held.freq

    def value(self) -> Value:
        """The value, decoded when it is asked for, which can be at any time and more than once.

        Raises `FormatError` where its bytes are damaged.
        """
        held = self._held
        return held.value() if isinstance(held, Frame) else held.value

    def __repr__(self) -> str:
        return f"<Key{repr(self._held).removeprefix('<Frame').removeprefix('<Entry')}"


@final
class Keys:
    """The keys of an opened input, in its order. Iterate once; `close` it, or use it as a context manager.

    ``findings``: what is to be said of the input; ``loss``: not all of it could be taken; ``path``: for messages.
    Iterating raises `FormatError` where the input is damaged, and `InputError`; nothing comes after that.
    """

    def __init__(self, opened: OpenedKeys, selection: Selection) -> None:
        self.path: str = opened.source.path
        self.findings: list[Finding] = opened.findings
        self.loss: bool = opened.loss
        self._opened = opened
        self._selection = selection
        self._last: Frame | None = None

    def __enter__(self) -> Keys:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()

    def __iter__(self) -> Keys:
        return self

    def __repr__(self) -> str:
        return f"<Keys of {self.path}>"

    def __next__(self) -> Key:
        try:
            key = None if self._selection.full else self._next()
        except RdbToolError:
            self.close()
            raise
        if key is None:
            self.close()
            raise StopIteration
        return key

    def _next(self) -> Key | None:
        last = self._last
        if last is not None:
            self._last = None
            last.keep()  # whoever has it may still ask for its value
        next_event = self._opened.source.next
        while (event := next_event()) is not None:
            if isinstance(event, Frame):
                if self._selection.keeps(event):
                    self._last = event
                    return Key(event)
            elif isinstance(event, EntryEvent) and self._selection.keeps_entry(event.entry):
                return Key(event.entry)
        return None

    def close(self) -> None:
        """Close what was opened."""
        self._last = None
        self._opened.close()


def keys(
    path: str | os.PathLike[str],
    selection: Selection | None = None,
    *,
    point: PointInTime = WHOLE,
    unknown: str = "stop",
    commands: bool = False,
    now_ms: int | None = None,
    server: Server = STOCK_SERVER,
) -> Keys:
    """The keys of whatever is at ``path`` (``-``: standard input) that ``selection`` wants: a snapshot, a log, a
    manifest or the directory of a set, JSON lines, a text of commands, compressed or not.

    A snapshot and JSON lines are read as keys are asked for, in memory for one of them; a log is replayed before the
    first one comes, in memory for what it amounts to. ``point``: how far a log is replayed; ``unknown``: what to do
    about commands that no server has: ``stop`` there, or ``skip`` them; ``commands``: the input is a text of commands,
    which its beginning tells too; ``now_ms``: what relative expiries count from, else the present; ``server``: how the
    log's server was set up.

    Raises `InputError`, `FormatError`, `UnsupportedError`, `IncompleteError` for a log that cannot be carried out here,
    and `UsageError`.
    """
    if selection is None:
        selection = Selection()
    selection.kept = 0  # it may have chosen from another input
    opened = open_keys(os.fspath(path), point=point, unknown=unknown, commands=commands, now_ms=now_ms, server=server)
    return Keys(opened, selection)
