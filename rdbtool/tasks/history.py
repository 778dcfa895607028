"""What a log tells of chosen keys: every command that touched them, and what it did."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rdbtool.aof.names import STOP, uncarried
from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay.key_history import Chosen, KeyHistory, Touch, loaded
from rdbtool.engine.replay.replay import Replay
from rdbtool.errors import UsageError
from rdbtool.findings import Report
from rdbtool.inputs.replaying import Commands, Feed, Source, replay
from rdbtool.inputs.selection import matches_glob
from rdbtool.inputs.server import STOCK_SERVER, Server
from rdbtool.io.progress import Progress

GLOB: Final = b"*?[\\"


@dataclass(slots=True, kw_only=True)
class HistoryReport(Report):
    """``touches``: how many were told; ``keys``: of how many keys; ``commands``: seen in the log; ``stopped``: why
    the replay ended early, or "".
    """

    touches: int = 0
    keys: int = 0
    commands: int = 0
    stopped: str = ""


def choose(keys: Sequence[bytes], db: int = -1) -> Chosen:
    """The keys that are meant: names, and globs as KEYS takes them. Raises `UsageError` for none."""
    if not keys:
        raise UsageError("history of which key? Name one, or a glob")
    patterns = [key for key in keys if any(byte in GLOB for byte in key)]
    # A name that could be a pattern is one, as for KEYS; a backslash makes its signs plain.
    names = [key for key in keys if key not in patterns]
    return Chosen(names, patterns, matches_glob, db)


def history(
    path: str | os.PathLike[str],
    keys: Sequence[bytes],
    on_touch: Callable[[Touch], None],
    *,
    db: int | Sequence[int] = -1,
    point: PointInTime = WHOLE,
    unknown: str = STOP,
    source: Source = "auto",
    now_ms: int | None = None,
    server: Server = STOCK_SERVER,
    progress: Progress | None = None,
) -> HistoryReport:
    """Tell ``on_touch`` of every command that touched one of ``keys``, in order.

    ``db``: in this database only, or in these; -1 or none for any. The whole log is replayed, because only the
    state before and after tells what a command did. Raises as `replaying.replay` does.
    """
    dbs = [db] if isinstance(db, int) else list(db)
    teller = _Teller(choose(keys, dbs[0] if len(dbs) == 1 else -1), on_touch, dbs if len(dbs) > 1 else [])
    replayed = replay(
        path,
        point=point,
        unknown=uncarried(unknown),
        source=source,
        now_ms=now_ms,
        feed=teller,
        server=server,
        progress=progress,
    )
    return HistoryReport(
        findings=replayed.findings,
        loss=replayed.loss,
        touches=teller.touches,
        keys=len(teller.keys),
        commands=replayed.replay.count,
        stopped=replayed.stopped,
    )


class _Teller(Feed):
    """Looks on, and counts. ``dbs``: the databases that are meant, none for all."""

    def __init__(self, chosen: Chosen, on_touch: Callable[[Touch], None], dbs: Sequence[int]) -> None:
        self.chosen = chosen
        self.on_touch = on_touch
        self.dbs = dbs
        self.touches = 0
        self.keys: set[tuple[int, bytes]] = set()

    def loaded(self, dataset: Dataset, path: str) -> None:
        for touch in loaded(dataset, self.chosen, path):
            self.tell(touch)

    def log(self, replay: Replay, commands: Commands) -> bool:
        replay.observer = KeyHistory(replay, self.chosen, self.tell)
        return super().log(replay, commands)

    def tell(self, touch: Touch) -> None:
        if self.dbs and touch.db not in self.dbs:
            return
        self.touches += 1
        self.keys.add((touch.db, touch.key))
        self.on_touch(touch)
