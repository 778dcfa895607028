"""Commands on the expiry of hash fields: Redis 7.4 and 8.0, Valkey 9.0.

While a log is loaded no field expires, and a time that has passed is kept like any other. (Servers do treat
a field whose time has passed as absent for HSETNX, HINCRBY and HPERSIST while they load. It was there when
the command ran, so it is here.)
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.engine.cells.cell import HASHTABLE, LISTPACK, LISTPACKEX, HashCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.expiry import EX, EXAT, PX, PXAT, invalid_expire
from rdbtool.engine.numbers import I64_MAX, integer
from rdbtool.engine.replies import CommandError, syntax_error
from rdbtool.engine.table import handles
from rdbtool.model import MAX_FIELD_EXPIRY_SET, NO_EXPIRY

from .hashes import forget_expiry, hash_to_write, remove_field, set_fields

COUNT_OF_FIELDS: Final = "ERR numfields should be greater than 0 and match the provided number of fields"
FIELD_GONE: Final = -2
NOT_MET: Final = 0
DONE: Final = 1


def set_expiry(dataset: Dataset, cell: HashCell, field: bytes, at_ms: i64) -> None:
    """Give a field that exists an expiry. The encoding follows."""
    if cell.expiries is None:
        cell.expiries = {}
    cell.expiries[field] = at_ms
    dataset.field_expiries = True
    if cell.encoding == LISTPACK:
        cell.encoding = HASHTABLE if dataset.release.valkey else LISTPACKEX


def _check_count(args: list[bytes], at: i64, step: i64) -> None:
    """``args[at]`` is the number of fields that follow to the end, each with ``step`` arguments."""
    if at >= len(args):
        raise CommandError(COUNT_OF_FIELDS)
    count = integer(args[at])
    if count < 1 or count > len(args) or count * step != len(args) - at - 1:
        raise CommandError(COUNT_OF_FIELDS)


def _time_ms(dataset: Dataset, text: bytes, seconds: bool, relative: bool, name: bytes) -> i64:
    limit: i64 = I64_MAX if dataset.release.valkey else MAX_FIELD_EXPIRY_SET
    when = integer(text)
    if when < 0 or (seconds and when > limit // 1000):
        raise invalid_expire(dataset, name)
    if seconds:
        when *= 1000
    if when > (limit - dataset.now_ms if relative else limit):
        raise invalid_expire(dataset, name)
    if relative:
        dataset.relative += 1
        when += dataset.now_ms
    return when


def _expire(dataset: Dataset, args: list[bytes], seconds: bool, relative: bool, name: bytes) -> object:
    cell = dataset.hash(args[1])
    nx = xx = gt = lt = False
    at: i64 = 3
    n: i64 = len(args)
    while at < n and args[at].upper() != b"FIELDS":
        option = args[at].upper()
        if option not in {b"NX", b"XX", b"GT", b"LT"}:
            raise CommandError(COUNT_OF_FIELDS)
        nx = nx or option == b"NX"
        xx = xx or option == b"XX"
        gt = gt or option == b"GT"
        lt = lt or option == b"LT"
        at += 1
    if nx and (xx or gt or lt):
        raise CommandError("ERR NX and XX, GT or LT options at the same time are not compatible")
    if gt and lt:
        raise CommandError("ERR GT and LT options at the same time are not compatible")
    _check_count(args, at + 1, 1)
    when = _time_ms(dataset, args[2], seconds, relative, name)
    results: list[object] = []
    if cell is not None and cell.encoding == LISTPACK and not dataset.release.valkey:
        cell.encoding = LISTPACKEX
    for field in args[at + 2 :]:
        if cell is None or field not in cell.fields:
            results.append(FIELD_GONE)
            continue
        now: i64 = NO_EXPIRY if cell.expiries is None else cell.expiries.get(field, NO_EXPIRY)
        if (
            (nx and now != NO_EXPIRY)
            or (xx and now == NO_EXPIRY)
            or (gt and (now == NO_EXPIRY or when <= now))
            or (lt and now != NO_EXPIRY and when >= now)
        ):
            results.append(NOT_MET)
            continue
        set_expiry(dataset, cell, field, when)
        dataset.dirty += 1
        results.append(DONE)
    return results


@handles(b"HPEXPIREAT")
def hpexpireat(dataset: Dataset, args: list[bytes]) -> object:
    return _expire(dataset, args, False, False, b"hpexpireat")


@handles(b"HEXPIREAT")
def hexpireat(dataset: Dataset, args: list[bytes]) -> object:
    return _expire(dataset, args, True, False, b"hexpireat")


@handles(b"HPEXPIRE")
def hpexpire(dataset: Dataset, args: list[bytes]) -> object:
    return _expire(dataset, args, False, True, b"hpexpire")


@handles(b"HEXPIRE")
def hexpire(dataset: Dataset, args: list[bytes]) -> object:
    return _expire(dataset, args, True, True, b"hexpire")


@handles(b"HPERSIST")
def hpersist(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    if args[2].upper() != b"FIELDS":
        raise syntax_error()
    _check_count(args, 3, 1)
    results: list[object] = []
    for field in args[4:]:
        if cell is None or field not in cell.fields:
            results.append(FIELD_GONE)
        elif forget_expiry(cell, field):
            dataset.dirty += 1
            results.append(DONE)
        else:
            results.append(-1)
    return results


@handles(b"HPEXPIRETIME")
def hpexpiretime(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    if args[2].upper() != b"FIELDS":
        raise syntax_error()
    _check_count(args, 3, 1)
    results: list[object] = []
    for field in args[4:]:
        if cell is None or field not in cell.fields:
            results.append(FIELD_GONE)
        else:
            results.append(NO_EXPIRY if cell.expiries is None else cell.expiries.get(field, NO_EXPIRY))
    return results


@handles(b"HGETDEL")
def hgetdel(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    if args[2].upper() != b"FIELDS":
        raise syntax_error()
    _check_count(args, 3, 1)
    values: list[object] = []
    for field in args[4:]:
        values.append(None if cell is None else cell.fields.get(field))
        if cell is not None and remove_field(dataset, cell, field):
            dataset.dirty += 1
    if cell is not None:
        dataset.settle(args[1], cell)
    return values


class _Options:
    """What stands before FIELDS in HGETEX and HSETEX; ``at`` is the place of the number of fields."""

    def __init__(self, dataset: Dataset, args: list[bytes], name: bytes, words: frozenset[bytes], step: i64) -> None:
        self.flags: set[bytes] = set()
        self.when: i64 = NO_EXPIRY
        unit = b""
        text = b""
        at: i64 = 2
        n: i64 = len(args)
        while at < n and args[at].upper() != b"FIELDS":
            option = args[at].upper()
            if option in {EX, PX, EXAT, PXAT} and not unit and at + 1 < n:
                unit = option
                at += 1
                text = args[at]
            elif option in words:
                self.flags.add(option)
            else:
                raise CommandError(COUNT_OF_FIELDS)
            at += 1
        times = bool(unit) + (b"PERSIST" in self.flags) + (b"KEEPTTL" in self.flags)
        if times > 1 or {b"FNX", b"FXX"} <= self.flags:
            raise syntax_error()
        self.at = at + 1
        _check_count(args, self.at, step)
        if unit:
            self.when = _time_ms(dataset, text, unit in {EX, EXAT}, unit in {EX, PX}, name)


@handles(b"HGETEX")
def hgetex(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    options = _Options(dataset, args, b"hgetex", frozenset({b"PERSIST"}), 1)
    values: list[object] = []
    for field in args[options.at + 1 :]:
        if cell is None or field not in cell.fields:
            values.append(None)
            continue
        values.append(cell.fields[field])
        if options.when != NO_EXPIRY:
            set_expiry(dataset, cell, field, options.when)
            dataset.dirty += 1
        elif b"PERSIST" in options.flags and forget_expiry(cell, field):
            dataset.dirty += 1
    return values


@handles(b"HSETEX")
def hsetex(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.hash(args[1])
    options = _Options(dataset, args, b"hsetex", frozenset({b"FNX", b"FXX", b"NX", b"XX", b"KEEPTTL"}), 2)
    first = options.at + 1
    fields = args[first::2]
    present = [cell is not None and field in cell.fields for field in fields]
    if (b"FNX" in options.flags and any(present)) or (b"FXX" in options.flags and not all(present)):
        return 0
    if (b"NX" in options.flags and cell is not None) or (b"XX" in options.flags and cell is None):
        return 0
    cell = hash_to_write(dataset, args[1])
    set_fields(dataset, cell, args, first, b"KEEPTTL" in options.flags)
    if options.when != NO_EXPIRY:
        for field in fields:
            set_expiry(dataset, cell, field, options.when)
    dataset.dirty += len(fields)
    return 1
