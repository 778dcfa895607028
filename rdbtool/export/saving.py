"""A whole dataset into a snapshot or a log: the loops."""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.aof.emit import write_command
from rdbtool.engine.cells import FrameCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay import Carried
from rdbtool.model import NO_EXPIRY, Entry
from rdbtool.rdb.output import Output
from rdbtool.rdb.reader import Frame
from rdbtool.rdb.writer import RdbWriter

from .resp import Resp

NEVER: int = -1
"""In place of a time: no key is left out for having expired."""


@final
class Saved:
    """How many keys were written, and how many had expired and were left out."""

    def __init__(self) -> None:
        self.keys: i64 = 0
        self.expired: i64 = 0


def placed(frame: Frame, db: int, key: bytes, expire_at_ms: i64) -> Frame:
    """A frame that the log may have renamed, moved or given another expiry since, with what it has now."""
    frame.db = db
    frame.key = key
    frame.expire_at_ms = expire_at_ms
    return frame


def save_rdb(dataset: Dataset, writer: RdbWriter, expired_by_ms: i64) -> Saved:
    """Write function libraries and keys. Keys that have expired by ``expired_by_ms`` are left out (`NEVER`: none).

    Raises what writing raises, and `FormatError` for a damaged value that was loaded unread.
    """
    saved = Saved()
    for code in dataset.functions.values():
        writer.function(code)
    for db in sorted(dataset.dbs):
        cells = dataset.dbs[db]
        total: i64 = 0
        expiring: i64 = 0
        for cell in cells.values():
            at = cell.expire_at_ms
            if at == NO_EXPIRY:
                total += 1
            elif expired_by_ms == NEVER or at > expired_by_ms:
                total += 1
                expiring += 1
        writer.resize(db, total, expiring)
        for key, cell in cells.items():
            at = cell.expire_at_ms
            if at != NO_EXPIRY and expired_by_ms != NEVER and at <= expired_by_ms:
                saved.expired += 1
            elif isinstance(cell, FrameCell):
                writer.frame(placed(cell.frame, db, key, at))
                saved.keys += 1
            else:
                writer.entry(Entry(db, key, cell.value(), at))
                saved.keys += 1
    return saved


def save_commands(dataset: Dataset, exporter: Resp, expired_by_ms: i64) -> Saved:
    """The same as the commands that BGREWRITEAOF writes."""
    saved = Saved()
    for code in dataset.functions.values():
        exporter.function(code)
    for db in sorted(dataset.dbs):
        for key, cell in dataset.dbs[db].items():
            at = cell.expire_at_ms
            if at != NO_EXPIRY and expired_by_ms != NEVER and at <= expired_by_ms:
                saved.expired += 1
            elif isinstance(cell, FrameCell):
                damage = exporter.frame(placed(cell.frame, db, key, at))
                if damage is not None:
                    raise damage
                saved.keys += 1
            else:
                exporter.entry(Entry(db, key, cell.value(), at))
                saved.keys += 1
    return saved


def save_carried(carried: list[Carried], output: Output) -> int:
    """Write commands that no server knows, as they stood in the log; how many commands that makes."""
    db = -1
    count = 0
    for command in carried:
        if command.db != db:
            db = command.db
            write_command(output.buffer, [b"SELECT", b"%d" % db])
            count += 1
        write_command(output.buffer, command.args)
        output.room()
        count += 1
    return count
