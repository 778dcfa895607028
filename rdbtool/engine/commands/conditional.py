"""String commands that compare before they change: Redis 8.4, Valkey 8.1 and 9.0."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.engine.dataset import Dataset
from rdbtool.engine.expiry import EX, EXAT, PX, PXAT, absolute_ms
from rdbtool.engine.numbers import integer_between
from rdbtool.engine.replies import syntax_error
from rdbtool.engine.table import handles
from rdbtool.model import NO_EXPIRY

from .strings import compares, store

BAD_COUNT: Final = "ERR invalid numkeys value or out of range"


@handles(b"DELIFEQ")
def delifeq(dataset: Dataset, args: list[bytes]) -> object:
    return _delete_if(dataset, args[1], b"IFEQ", args[2])


@handles(b"DELEX")
def delex(dataset: Dataset, args: list[bytes]) -> object:
    if len(args) == 2:
        gone = dataset.remove(args[1])
        dataset.dirty += gone
        return int(gone)
    condition = args[2].upper()
    if len(args) != 4 or condition not in {b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"}:
        raise syntax_error()
    return _delete_if(dataset, args[1], condition, args[3])


def _delete_if(dataset: Dataset, key: bytes, condition: bytes, operand: bytes) -> int:
    cell = dataset.string(key)
    if cell is None or not compares(condition, cell.get(), operand):
        return 0
    dataset.remove(key)
    dataset.dirty += 1
    return 1


@handles(b"MSETEX")
def msetex(dataset: Dataset, args: list[bytes]) -> object:
    count = integer_between(args[1], 1, (1 << 31) - 1, BAD_COUNT)
    n: i64 = len(args)
    if count * 2 > n - 2:
        raise syntax_error()
    condition = unit = when = b""
    keep = False
    i: i64 = 2 + count * 2
    while i < n:
        option = args[i].upper()
        if option in {b"NX", b"XX"} and condition in {b"", option}:
            condition = option
        elif option == b"KEEPTTL" and not unit:
            keep = True
        elif option in {EX, PX, EXAT, PXAT} and not unit and not keep and i + 1 < n:
            unit = option
            i += 1
            when = args[i]
        else:
            raise syntax_error()
        i += 1
    expire_at_ms: i64 = absolute_ms(dataset, when, unit, b"msetex") if unit else NO_EXPIRY
    keys = args[2 : 2 + count * 2 : 2]
    if condition == b"NX" and any(key in dataset.keys for key in keys):
        return 0
    if condition == b"XX" and not all(key in dataset.keys for key in keys):
        return 0
    for i in range(2, 2 + count * 2, 2):
        old = dataset.cell(args[i])
        at = old.expire_at_ms if keep and old is not None else expire_at_ms
        store(dataset, args[i], args[i + 1], at)
    return 1
