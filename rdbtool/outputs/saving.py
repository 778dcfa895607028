"""A whole dataset into a snapshot or a log: the loops."""

from __future__ import annotations

from mypy_extensions import i64

from rdbtool.aof.command_writer import write_command
from rdbtool.basics.numbers import natural
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.keyspace import Keyspace, Walk
from rdbtool.engine.records import entry_of, frame_of_held
from rdbtool.engine.replay.carrying import Carried
from rdbtool.inputs.keys import KeySource
from rdbtool.io.output import Output
from rdbtool.model import NO_EXPIRY
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.writer import RdbWriter

from .exporter import Exporter, Verifier


def save_rdb(dataset: Dataset, writer: RdbWriter, *, verify: bool = False) -> int:
    """Write function libraries and keys; how many keys. ``verify``: look into values that were loaded unread.

    Raises what writing raises, and `FormatError` for such a value that is damaged.
    """
    verifier = Verifier() if verify else None
    for code in dataset.functions.values():
        writer.function(code)
    keys: i64 = 0
    for db in sorted(dataset.dbs):
        cells = dataset.dbs[db]
        writer.resize(db, len(cells), expiring(cells))
        walk = Walk(cells)
        while walk.next():
            frame = frame_of_held(db, walk.key, walk.held)
            if frame is not None:
                damage = None if verifier is None else verifier.flaw_of(frame)
                if damage is not None:
                    raise damage
                writer.frame(frame)
            else:
                writer.entry(entry_of(db, walk.key, walk.held))
        keys += len(cells)
    return keys


def save_apart(dataset: Dataset, untouched: RdbWriter, others: RdbWriter) -> int:
    """Write the keys whose values are as they stood in a file, and ``others``; how many keys."""
    keys: i64 = 0
    for db in sorted(dataset.dbs):
        cells = dataset.dbs[db]
        walk = Walk(cells)
        while walk.next():
            frame = frame_of_held(db, walk.key, walk.held)
            if frame is not None:
                untouched.frame(frame)
            else:
                others.entry(entry_of(db, walk.key, walk.held))
        keys += len(cells)
    return keys


def expiring(cells: Keyspace) -> i64:
    """How many keys have an expiry."""
    count: i64 = 0
    walk = Walk(cells)
    while walk.next():
        held = walk.held
        if not isinstance(held, bytes) and held.expire_at_ms != NO_EXPIRY:
            count += 1
    return count


def save_frames(source: KeySource, writer: RdbWriter) -> int:
    """Write what a source gives that has frames only; how many keys. Raises what reading and writing raise."""
    keys: i64 = 0
    while (event := source.next()) is not None:
        writer.event(event)
        keys += isinstance(event, Frame)
    return keys


def save_commands(dataset: Dataset, exporter: Exporter) -> int:
    """The same as the commands that BGREWRITEAOF writes."""
    for code in dataset.functions.values():
        exporter.function(code)
    keys: i64 = 0
    for db in sorted(dataset.dbs):
        cells = dataset.dbs[db]
        for key, held in cells.items():
            frame = frame_of_held(db, key, held)
            if frame is not None:
                damage = exporter.frame(frame)
                if damage is not None:
                    raise damage
            else:
                exporter.entry(entry_of(db, key, held))
        keys += len(cells)
    return keys


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
        if command.args[0].upper() == b"SELECT":
            db = natural(command.args[1]) if len(command.args) == 2 else -1
        output.room()
        count += 1
    return count
