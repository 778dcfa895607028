"""Commands on whole databases."""

from __future__ import annotations

from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import i32_of, integer_between
from rdbtool.engine.replies import OK, CommandError, Status, syntax_error, wrong_arity
from rdbtool.engine.table import CONTROL, READ, command

SLOTS = 16384


@command(b"SELECT", 2, flags=READ)
def select(dataset: Dataset, args: list[bytes]) -> object:
    db = i32_of(args[1])
    dataset.check_db(db)
    dataset.select(db)
    return OK


@command(b"SWAPDB", 3)
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


@command(b"FLUSHALL", -1)
def flushall(dataset: Dataset, args: list[bytes]) -> object:
    _check_flush(args)
    for keys in dataset.dbs.values():
        keys.clear()
    dataset.dirty += 1
    return OK


@command(b"FLUSHDB", -1)
def flushdb(dataset: Dataset, args: list[bytes]) -> object:
    _check_flush(args)
    dataset.keys.clear()
    dataset.dirty += 1
    return OK


@command(b"SFLUSH", -3)
def sflush(dataset: Dataset, args: list[bytes]) -> object:
    """Flushes everything: a server writes it only when the slots are all that its node has."""
    slots = args[1:]
    if slots[-1].upper() in {b"SYNC", b"ASYNC"}:
        slots.pop()
    if len(slots) % 2 or not slots:
        raise wrong_arity(b"SFLUSH")
    for i in range(0, len(slots), 2):
        first = integer_between(slots[i], 0, SLOTS - 1, "ERR Invalid or out of range slot")
        last = integer_between(slots[i + 1], 0, SLOTS - 1, "ERR Invalid or out of range slot")
        if first > last:
            raise CommandError(f"ERR start slot number {first} is greater than end slot number {last}")
    return flushall(dataset, [b"FLUSHALL"])


@command(b"DBSIZE", 1, flags=READ)
def dbsize(dataset: Dataset, args: list[bytes]) -> object:
    return len(dataset.keys)


@command(b"PING", -1, flags=READ)
def ping(dataset: Dataset, args: list[bytes]) -> object:
    """In a log, where old servers put it: replicas write what their master sent."""
    return args[1] if len(args) > 1 else Status(b"PONG")


@command(b"PUBLISH", 3, flags=READ)
def publish(dataset: Dataset, args: list[bytes]) -> object:
    return 0


@command(b"MULTI", 1, flags=CONTROL)
def multi(dataset: Dataset, args: list[bytes]) -> object:
    """The replay queues what follows it; a script may not call it."""
    raise CommandError("ERR This Redis command is not allowed from script")


command(b"EXEC", 1, flags=CONTROL)(multi)
