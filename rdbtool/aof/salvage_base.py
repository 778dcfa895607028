"""Mend the snapshot that a log, or a set of files, begins with: as cuts, and what takes their place."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import UsageError
from rdbtool.io.random_access import Pages
from rdbtool.rdb.salvage.salvaged import Lost, Salvaged
from rdbtool.rdb.salvage.salvager import Salvager

from .cuts import UNDONE, Cut
from .salvage import KEYS

SNAPSHOT: Final = "snapshot"
"""Code of a cut that loses nothing: the checksum of a snapshot that is changed."""


BUILT_ON_LOSS: Final = "keys that are lost, and that what follows changes, may end up with another value than they had"
"""What it means for a key to be lost where commands stand behind it."""


@final
class MendedBase:
    """``cuts`` make bytes up to ``log_start`` of a file of ``size`` bytes a sound snapshot; ``result`` says what of it
    comes back.
    """

    def __init__(self, cuts: list[Cut], size: i64, log_start: i64, result: Salvaged) -> None:
        self.cuts = cuts
        self.size: i64 = size
        self.log_start: i64 = log_start
        self.result = result


def is_worth_mending(result: Salvaged, role: str) -> bool:
    """Whether what can be read of the snapshot in a file of this ``role`` is something to go on with. The base of a log
    that was begun anew holds no keys, and all of its data stand in other files; of one that has nothing but NULs in it
    no other can be told, and the other files are what is left.
    """
    if role == "base" and (result.zeroed or (not result.headless and bool(result.runs))):
        return True
    return result.keys > 0


def mend_base(path: str, role: str) -> MendedBase:
    """Plan it for the file at ``path``. Raises `UsageError` where nothing of it can be read, and `InputError`."""
    with Pages(path) as pages:
        result = Salvager(pages).run()
        if not is_worth_mending(result, role):
            raise UsageError("nothing can be read of the snapshot it begins with", path=path, offset=0)
        log_start = result.tail if result.tail >= 0 else pages.size
        cuts: list[Cut] = []
        undone = result.undone
        if undone is not None:
            cut = Cut(undone.start, undone.end, UNDONE, undone.what)
            cut.insert = undone.put
            return MendedBase([cut], pages.file.size, undone.offset_in_file(log_start), result)
        at: i64 = 0
        insert = b""
        for piece in result.pieces():
            if piece.end < 0:
                insert += piece.data
                continue
            _cut(pages, cuts, at, piece.start, insert, result)
            at = piece.end
            insert = b""
        if at < log_start or insert:
            _cut(pages, cuts, at, log_start, insert, result)
        return MendedBase(cuts, pages.file.size, log_start, result)


def _cut(pages: Pages, cuts: list[Cut], start: i64, end: i64, insert: bytes, result: Salvaged) -> None:
    """Add a cut, unless it would change nothing."""
    if start == end and not insert:
        return
    if len(insert) == end - start and pages.take(start, end - start) == insert:
        return
    lost = [one for one in result.lost if start <= one.start < end or one.start == start]
    first: Lost | None = lost[0] if lost else None
    if first is None:
        cut = Cut(start, end, SNAPSHOT, "the end of the snapshot, whose checksum is left out")
    else:
        cut = Cut(start, end, first.code, first.message)
    cut.insert = insert
    for one in lost:
        cut.keys += tuple(one.keys[: KEYS - len(cut.keys)])
    cuts.append(cut)
