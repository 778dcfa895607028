"""Commands on whole databases."""

from __future__ import annotations

from typing import Final

from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import i32_of, integer_between
from rdbtool.engine.replies import OK, CommandError, syntax_error, wrong_arity
from rdbtool.engine.table import handles
from rdbtool.servers.commands import COMMANDS, IDLE
from rdbtool.servers.slots import SLOTS

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
    _end_imports(dataset)
    dataset.dirty += 1
    return OK


@handles(b"FLUSHDB")
def flushdb(dataset: Dataset, args: list[bytes]) -> object:
    _check_flush(args)
    dataset.keys.clear()
    _end_imports(dataset)
    dataset.dirty += 1
    return OK


@handles(b"SFLUSH")
def sflush(dataset: Dataset, args: list[bytes]) -> object:
    ranges = args[1:]
    if ranges[-1].upper() in {b"SYNC", b"ASYNC"}:
        ranges.pop()
    if len(ranges) % 2 or not ranges:
        raise wrong_arity(b"SFLUSH")
    dataset.remove_slots(_slots(ranges))
    return OK


@handles(b"TRIMSLOTS")
def trimslots(dataset: Dataset, args: list[bytes]) -> object:
    if args[1].upper() != b"RANGES":
        raise CommandError("ERR missing ranges argument")
    count = integer_between(args[2], 1, SLOTS, "ERR invalid number of ranges")
    ranges = args[3:]
    if 2 * count != len(ranges):
        raise CommandError("ERR invalid number of ranges")
    dataset.remove_slots(_slots(ranges))
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
    dataset.remove_slots({slot})
    return OK


@handles(b"CLUSTER|SYNCSLOTS")
def cluster_syncslots(dataset: Dataset, args: list[bytes]) -> object:
    """What the target of an atomic slot migration logs of it (cluster_migrateslots.c of Valkey)."""
    step = args[2].upper()
    if step == b"ESTABLISH":
        facts, ranges = _migration(args)
        slots = frozenset(_slots(ranges))
        if b"NAME" not in facts or not slots:
            raise syntax_error()
        if any(slots & others for others in dataset.imports.values()):
            raise CommandError("ERR Slot is already being imported on the target by a different migration")
        dataset.imports[facts[b"NAME"]] = slots
    elif step == b"FINISH":
        facts, _ = _migration(args)
        state = facts.get(b"STATE", b"").upper()
        if b"NAME" not in facts or state not in {b"SUCCESS", b"FAILED"}:
            raise syntax_error()
        slots = dataset.imports.pop(facts[b"NAME"], frozenset())
        if state == b"FAILED" and slots:
            dataset.remove_slots(slots)
    else:
        raise CommandError("ERR Unknown CLUSTER SYNCSLOTS subcommand")
    return OK


def _migration(args: list[bytes]) -> tuple[dict[bytes, bytes], list[bytes]]:
    """What is told of a migration by name, and its ranges of slots."""
    facts: dict[bytes, bytes] = {}
    ranges: list[bytes] = []
    i = 3
    while i < len(args):
        name = args[i].upper()
        i += 1
        if name == b"SLOTSRANGE":
            while i < len(args) and args[i].isdigit():
                ranges.append(args[i])
                i += 1
        elif name in {b"SOURCE", b"NAME", b"STATE", b"MESSAGE"} and i < len(args):
            facts[name] = args[i]
            i += 1
        else:
            raise syntax_error()
    if len(ranges) % 2:
        raise CommandError("ERR No end slot for final slot range")
    return facts, ranges


def _end_imports(dataset: Dataset) -> None:
    """A flush ends the migrations of slots that are under way: they have failed."""
    for slots in dataset.imports.values():
        dataset.remove_slots(slots)
    dataset.imports.clear()


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
