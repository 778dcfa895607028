"""Commands on whole databases."""

from __future__ import annotations

from typing import Final

from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import i32_of, integer_between
from rdbtool.engine.replies import OK, CommandError, syntax_error, wrong_arity
from rdbtool.engine.table import handles
from rdbtool.servers.commands import COMMANDS, IDLE
from rdbtool.servers.slots import SLOTS, hash_slot

BAD_SLOT: Final = "ERR Invalid or out of range slot"


@handles(b"SELECT")
def select(dataset: Dataset, args: list[bytes]) -> object:
    db = i32_of(args[1])
    dataset.check_db(db)
    dataset.select(db)
    return OK


@handles(b"SWAPDB")
def swapdb(dataset: Dataset, args: list[bytes]) -> object:
    first = i32_of(args[1], "ERR invalid first DB index")
    second = i32_of(args[2], "ERR invalid second DB index")
    dataset.check_db(first)
    dataset.check_db(second)
    dataset.swap(first, second)
    dataset.dirty += 1
    return OK


def _check_flush(args: list[bytes]) -> None:
    if len(args) > 1 and (len(args) > 2 or args[1].upper() not in {b"SYNC", b"ASYNC"}):
        raise syntax_error()


@handles(b"FLUSHALL")
def flushall(dataset: Dataset, args: list[bytes]) -> object:
    _check_flush(args)
    for keys in dataset.dbs.values():
        keys.clear()
    dataset.dirty += 1
    return OK


@handles(b"FLUSHDB")
def flushdb(dataset: Dataset, args: list[bytes]) -> object:
    _check_flush(args)
    dataset.keys.clear()
    dataset.dirty += 1
    return OK


def _flush_slots(dataset: Dataset, slots: set[int]) -> None:
    for keys in dataset.dbs.values():
        for key in [key for key in keys if hash_slot(key) in slots]:
            del keys[key]
    dataset.dirty += 1


@handles(b"SFLUSH")
def sflush(dataset: Dataset, args: list[bytes]) -> object:
    ranges = args[1:]
    if ranges[-1].upper() in {b"SYNC", b"ASYNC"}:
        ranges.pop()
    if len(ranges) % 2 or not ranges:
        raise wrong_arity(b"SFLUSH")
    _flush_slots(dataset, _slots(ranges))
    return OK


@handles(b"TRIMSLOTS")
def trimslots(dataset: Dataset, args: list[bytes]) -> object:
    if args[1].upper() != b"RANGES":
        raise CommandError("ERR missing ranges argument")
    count = integer_between(args[2], 1, SLOTS, "ERR invalid number of ranges")
    ranges = args[3:]
    if 2 * count != len(ranges):
        raise CommandError("ERR invalid number of ranges")
    _flush_slots(dataset, _slots(ranges))
    return OK


def _slots(ranges: list[bytes]) -> set[int]:
    """The slots of ranges: first and last ones, in turn."""
    slots: set[int] = set()
    for i in range(0, len(ranges), 2):
        first = integer_between(ranges[i], 0, SLOTS - 1, BAD_SLOT)
        last = integer_between(ranges[i + 1], 0, SLOTS - 1, BAD_SLOT)
        if first > last:
            raise CommandError(f"ERR start slot number {first} is greater than end slot number {last}")
        for slot in range(first, last + 1):
            if slot in slots:
                raise CommandError(f"ERR Slot {slot} specified multiple times")
            slots.add(slot)
    return slots


@handles(b"CLUSTER|FLUSHSLOT")
def cluster_flushslot(dataset: Dataset, args: list[bytes]) -> object:
    slot: int = integer_between(args[2], 0, SLOTS - 1, BAD_SLOT)
    if len(args) > 4 or (len(args) == 4 and args[3].upper() not in {b"SYNC", b"ASYNC"}):
        raise syntax_error()
    _flush_slots(dataset, {slot})
    return OK


@handles(b"DBSIZE")
def dbsize(dataset: Dataset, args: list[bytes]) -> object:
    return len(dataset.keys)


@handles(*[name for name, row in COMMANDS.items() if row.flags & IDLE])
def idle(dataset: Dataset, args: list[bytes]) -> object:
    """Nothing: a loading server carries these out, and its dataset is the same afterwards."""
    return OK


@handles(b"MULTI", b"EXEC")
def multi(dataset: Dataset, args: list[bytes]) -> object:
    """A replay queues what stands between them; a script may not call them."""
    raise CommandError("ERR This Redis command is not allowed from script")
