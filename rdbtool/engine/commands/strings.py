"""String commands."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.basics.numbers import decimal
from rdbtool.engine import long_double as extended
from rdbtool.engine.cells.cell import GROWING, NOT_INT, RAW, Cell, StringCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.expiry import EX, EXAT, PX, PXAT, absolute_ms
from rdbtool.engine.numbers import I64_MAX, I64_MIN, integer
from rdbtool.engine.replies import OK, OVERFLOW, STRING_TOO_LONG, CommandError, syntax_error, wrong_arity
from rdbtool.engine.table import handles
from rdbtool.model import NO_EXPIRY
from rdbtool.servers.features import CHECKS_DECREMENT, GETEX_READS_TIME_FIRST

LONGEST_STRING: Final = 512 << 20
"""proto-max-bulk-len: how far SETRANGE and the bit commands may stretch a string."""


def store(dataset: Dataset, key: bytes, data: bytes, expire_at_ms: i64 = NO_EXPIRY) -> None:
    """Set ``key`` to a string, with this expiry."""
    dataset.dirty += 1
    if expire_at_ms == NO_EXPIRY:
        dataset.keys[key] = data
    else:
        cell = StringCell(data)
        cell.expire_at_ms = expire_at_ms
        dataset.keys[key] = cell


@handles(b"SET")
def set_(dataset: Dataset, args: list[bytes]) -> object:
    n: i64 = len(args)
    if n == 3:
        store(dataset, args[1], args[2])
        return OK
    if n == 5 and args[3] == PXAT:  # how servers log every expiry
        expire_at_ms = absolute_ms(dataset, args[4], PXAT, b"set")
        store(dataset, args[1], args[2], expire_at_ms)
        return OK
    return _set_with_options(dataset, args)


def _set_with_options(dataset: Dataset, args: list[bytes]) -> object:
    key = args[1]
    condition = b""
    operand = b""
    get = False
    keep = False
    unit = b""
    when = b""
    i: i64 = 3
    n: i64 = len(args)
    while i < n:
        option = args[i].upper()
        if option in {b"NX", b"XX"} and condition in {b"", option}:
            condition = option
        elif option == b"GET":
            get = True
        elif option == b"KEEPTTL" and not unit:
            keep = True
        elif option in {EX, PX, EXAT, PXAT} and unit in {b"", option} and not keep and i + 1 < n:
            unit = option
            i += 1
            when = args[i]
        elif option in {b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"} and not condition and i + 1 < n:
            condition = option
            i += 1
            operand = args[i]
        else:
            raise syntax_error()
        i += 1
    expire_at_ms: i64 = NO_EXPIRY
    if unit:
        expire_at_ms = absolute_ms(dataset, when, unit, b"set")
    old: Cell | None = None
    previous: bytes | None = None
    if get or condition[:2] == b"IF":
        string = dataset.string(key)
        old = string
        if string is not None:
            previous = string.get()
    else:
        old = dataset.cell(key)
    if not _condition_holds(condition, operand, old, previous):
        return previous if get else None
    if keep and old is not None:
        expire_at_ms = old.expire_at_ms
    store(dataset, key, args[2], expire_at_ms)
    return previous if get else OK


def _condition_holds(condition: bytes, operand: bytes, old: Cell | None, previous: bytes | None) -> bool:
    if condition == b"NX":
        return old is None
    if condition == b"XX":
        return old is not None
    if condition[:2] == b"IF":
        return compares(condition, previous, operand)
    return True


def compares(condition: bytes, value: bytes | None, operand: bytes) -> bool:
    """Whether a string meets IFEQ, IFNE, or IFDEQ and IFDNE, which compare its digest (Redis 8.4)."""
    if condition == b"IFEQ":
        return value is not None and value == operand
    if condition == b"IFNE":
        return value is None or value != operand
    if value is None:
        return condition == b"IFDNE"
    if len(operand) != 16:
        raise CommandError("ERR must be exactly 16 hexadecimal characters")
    from xxhash import xxh3_64_hexdigest  # loaded where it is needed, which is rare

    digest: str = xxh3_64_hexdigest(value)
    return (operand.lower() == digest.encode()) == (condition == b"IFDEQ")


@handles(b"SETNX")
def setnx(dataset: Dataset, args: list[bytes]) -> object:
    if args[1] in dataset.keys:
        return 0
    store(dataset, args[1], args[2])
    return 1


def _set_expiring(dataset: Dataset, args: list[bytes], unit: bytes, name: bytes) -> object:
    expire_at_ms = absolute_ms(dataset, args[2], unit, name)
    store(dataset, args[1], args[3], expire_at_ms)
    return OK


@handles(b"SETEX")
def setex(dataset: Dataset, args: list[bytes]) -> object:
    return _set_expiring(dataset, args, EX, b"setex")


@handles(b"PSETEX")
def psetex(dataset: Dataset, args: list[bytes]) -> object:
    return _set_expiring(dataset, args, PX, b"psetex")


@handles(b"GET")
def get(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.string(args[1])
    return None if cell is None else cell.get()


@handles(b"GETSET")
def getset(dataset: Dataset, args: list[bytes]) -> object:
    old = get(dataset, args)
    store(dataset, args[1], args[2])
    return old


@handles(b"GETDEL")
def getdel(dataset: Dataset, args: list[bytes]) -> object:
    old = get(dataset, args)
    if dataset.remove(args[1]):
        dataset.dirty += 1
    return old


@handles(b"GETEX")
def getex(dataset: Dataset, args: list[bytes]) -> object:
    persist = False
    unit = b""
    when = b""
    i: i64 = 2
    n: i64 = len(args)
    while i < n:
        option = args[i].upper()
        if option == b"PERSIST" and not unit:
            persist = True
        elif option in {EX, PX, EXAT, PXAT} and unit in {b"", option} and not persist and i + 1 < n:
            unit = option
            i += 1
            when = args[i]
        else:
            raise syntax_error()
        i += 1
    expire_at_ms: i64 = NO_EXPIRY
    if unit and dataset.release.has(GETEX_READS_TIME_FIRST):
        expire_at_ms = absolute_ms(dataset, when, unit, b"getex")
    cell = dataset.string(args[1])
    if cell is None:
        return None
    if unit:
        cell.expire_at_ms = absolute_ms(dataset, when, unit, b"getex") if expire_at_ms == NO_EXPIRY else expire_at_ms
        dataset.dirty += 1
    elif persist and cell.expire_at_ms != NO_EXPIRY:
        cell.expire_at_ms = NO_EXPIRY
        dataset.dirty += 1
    return cell.get()


@handles(b"MSET")
def mset(dataset: Dataset, args: list[bytes]) -> object:
    n: i64 = len(args)
    if n % 2 == 0:
        raise wrong_arity(b"MSET")
    for i in range(1, n, 2):
        store(dataset, args[i], args[i + 1])
    return OK


@handles(b"MSETNX")
def msetnx(dataset: Dataset, args: list[bytes]) -> object:
    n: i64 = len(args)
    if n % 2 == 0:
        raise wrong_arity(b"MSETNX")
    for i in range(1, n, 2):
        if args[i] in dataset.keys:
            return 0
    for i in range(1, n, 2):
        store(dataset, args[i], args[i + 1])
    return 1


@handles(b"APPEND")
def append(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.string(args[1])
    dataset.dirty += 1
    if cell is None:
        dataset.keys[args[1]] = StringCell(args[2])
        return len(args[2])
    dataset.make_room(len(cell) + len(args[2]))
    cell.append(args[2])
    return len(cell)


@handles(b"SETRANGE")
def setrange(dataset: Dataset, args: list[bytes]) -> object:
    offset = integer(args[2])
    if offset < 0:
        raise CommandError("ERR offset is out of range")
    data = args[3]
    cell = dataset.string(args[1])
    if not data:
        return 0 if cell is None else len(cell)
    end = check_stretch(offset, len(data))
    if cell is None or end > len(cell):
        dataset.make_room(end)
    if cell is None:
        cell = StringCell(b"", RAW)
        dataset.keys[args[1]] = cell
    dataset.dirty += 1
    old = len(cell)
    if offset == old:
        cell.append(data)
    elif cell.buffer is None and max(old, end) < GROWING:
        text = cell.data + bytes(max(0, offset - old))
        cell.put(text[:offset] + data + text[end:], RAW)
    else:
        buffer = cell.writable()
        if offset > old:
            buffer.write(bytes(offset - old))
            old = offset
        inside: i64 = min(old - offset, len(data))
        for i in range(inside):
            buffer[offset + i] = data[i]
        if inside < len(data):
            buffer.write(data[inside:])
    return len(cell)


def check_stretch(offset: i64, size: i64) -> i64:
    """The end of a string that gets ``size`` bytes at ``offset``; raises `CommandError` if that is too far."""
    if offset > LONGEST_STRING or offset + size > LONGEST_STRING:
        raise CommandError(STRING_TOO_LONG)
    return offset + size


def _add(dataset: Dataset, key: bytes, change: i64) -> object:
    held = dataset.keys.get(key)
    cell = None if held is None or isinstance(held, bytes) else dataset.string(key)
    value: i64 = 0
    if isinstance(held, bytes):
        value = integer(held)
    elif cell is not None:
        value = integer(cell.get())
    if (change < 0 and value < I64_MIN - change) or (change > 0 and value > I64_MAX - change):
        raise CommandError(OVERFLOW)
    value += change
    if cell is None:
        dataset.keys[key] = decimal(value)
    else:
        cell.put(decimal(value))
    dataset.dirty += 1
    return value


@handles(b"INCR")
def incr(dataset: Dataset, args: list[bytes]) -> object:
    return _add(dataset, args[1], 1)


@handles(b"DECR")
def decr(dataset: Dataset, args: list[bytes]) -> object:
    return _add(dataset, args[1], -1)


@handles(b"INCRBY")
def incrby(dataset: Dataset, args: list[bytes]) -> object:
    return _add(dataset, args[1], integer(args[2]))


@handles(b"DECRBY")
def decrby(dataset: Dataset, args: list[bytes]) -> object:
    change = integer(args[2])
    if change == I64_MIN:
        if dataset.release.has(CHECKS_DECREMENT):
            raise CommandError("ERR decrement would overflow")
        return _add(dataset, args[1], change)  # its negation is itself, in C
    return _add(dataset, args[1], -change)


@handles(b"INCRBYFLOAT")
def incrbyfloat(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.string(args[1])
    old = extended.parse(b"0" if cell is None else cell.get())
    text = extended.text_of(extended.add(old, extended.parse(args[2])))
    if cell is None:
        dataset.keys[args[1]] = StringCell(text, NOT_INT)
    else:
        cell.put(text, NOT_INT)
    dataset.dirty += 1
    return text


@handles(b"STRLEN")
def strlen(dataset: Dataset, args: list[bytes]) -> object:
    cell = dataset.string(args[1])
    return 0 if cell is None else len(cell)


@handles(b"MGET")
def mget(dataset: Dataset, args: list[bytes]) -> object:
    found: list[object] = []
    for key in args[1:]:
        cell = dataset.any(key)
        found.append(cell.get() if isinstance(cell, StringCell) else None)
    return found


@handles(b"GETRANGE")
def getrange(dataset: Dataset, args: list[bytes]) -> object:
    start = integer(args[2])
    end = integer(args[3])
    cell = dataset.string(args[1])
    if cell is None:
        return b""
    data = cell.get()
    n: i64 = len(data)
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(0, start + n) if start < 0 else start
    end = max(0, end + n) if end < 0 else min(end, n - 1)
    return data[start : end + 1] if start <= end else b""
