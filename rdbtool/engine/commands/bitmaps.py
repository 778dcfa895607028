"""Commands on the bits of strings."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.basics.numbers import is_integer
from rdbtool.engine.bits import (
    FAIL,
    SAT,
    WRAP,
    fit_signed,
    fit_unsigned,
    get_byte,
    get_signed,
    get_unsigned,
    grow,
    set_byte,
    set_integer,
)
from rdbtool.engine.cells.cell import RAW, StringCell
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import integer
from rdbtool.engine.replies import CommandError, syntax_error
from rdbtool.engine.table import handles
from rdbtool.servers.features import MORE_BIT_OPERATIONS

LONGEST_STRING: Final = 512 << 20
"""proto-max-bulk-len: no server with its usual settings makes longer strings."""
BAD_OFFSET: Final = "ERR bit offset is not an integer or out of range"
BAD_BIT: Final = "ERR bit is not an integer or out of range"
BAD_TYPE: Final = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
GET: Final = 0
SET: Final = 1
INCRBY: Final = 2
SUBCOMMANDS: Final = {b"GET": GET, b"SET": SET, b"INCRBY": INCRBY}
OVERFLOWS: Final = {b"WRAP": WRAP, b"SAT": SAT, b"FAIL": FAIL}
MORE_OPERATIONS: Final = {b"DIFF", b"DIFF1", b"ANDOR", b"ONE"}


def _offset(text: bytes, bits: i64) -> i64:
    """A bit offset; ``bits``: the width that ``#`` counts in, 0 where it may not stand."""
    unit: i64 = 1
    if bits and text[:1] == b"#":
        text = text[1:]
        unit = bits
    offset = integer(text, BAD_OFFSET)
    if offset < 0 or offset >> 3 >= LONGEST_STRING // unit + 1 or (offset * unit) >> 3 >= LONGEST_STRING:
        raise CommandError(BAD_OFFSET)
    return offset * unit


def _writable(dataset: Dataset, key: bytes, last_bit: i64) -> StringCell:
    """The string at ``key``, created and grown so that it has ``last_bit``."""
    cell = dataset.string(key)
    size = (last_bit >> 3) + 1
    if cell is None or size > len(cell):
        dataset.make_room(size)
    if cell is None:
        cell = StringCell(b"", RAW)
        dataset.put(key, cell)
    grow(cell, size)
    return cell


@handles(b"SETBIT")
def setbit(dataset: Dataset, args: list[bytes]) -> object:
    offset = _offset(args[2], 0)
    on = integer(args[3], BAD_BIT)
    if on < 0 or on > 1:
        raise CommandError(BAD_BIT)
    cell = _writable(dataset, args[1], offset)
    at = offset >> 3
    bit = 7 - (offset & 7)
    byte = get_byte(cell, at)
    old = byte >> bit & 1
    if old != on:
        set_byte(cell, at, byte ^ (i64(1) << bit))
    dataset.dirty += 1
    return old


@handles(b"GETBIT")
def getbit(dataset: Dataset, args: list[bytes]) -> object:
    offset = _offset(args[2], 0)
    cell = dataset.string(args[1])
    return 0 if cell is None else get_byte(cell, offset >> 3) >> (7 - (offset & 7)) & 1


@handles(b"BITOP")
def bitop(dataset: Dataset, args: list[bytes]) -> object:
    operation = args[1].upper()
    if operation not in {b"AND", b"OR", b"XOR", b"NOT"}:
        if operation not in MORE_OPERATIONS or not dataset.release.has(MORE_BIT_OPERATIONS):
            raise syntax_error()
        if operation != b"ONE" and len(args) < 5:
            raise CommandError(f"ERR BITOP {operation.decode()} must be called with at least two source keys.")
    if operation == b"NOT" and len(args) != 4:
        raise CommandError("ERR BITOP NOT must be called with a single source key.")
    numbers: list[int] = []
    size = 0
    for key in args[3:]:
        cell = dataset.string(key)
        dataset.make_room(0 if cell is None else len(cell))
        data = b"" if cell is None else cell.get()
        size = max(size, len(data))
        numbers.append(int.from_bytes(data, "little"))
    if size:
        result = _combined(operation, numbers, size)
        dataset.put(args[2], StringCell(result.to_bytes(size, "little"), RAW))
        dataset.dirty += 1
    elif dataset.remove(args[2]):
        dataset.dirty += 1
    return size


def _combined(operation: bytes, numbers: list[int], size: int) -> int:
    """The operation on strings of ``size`` bytes as little-endian numbers, shorter ones padded with zeros."""
    ones = (1 << 8 * size) - 1
    first = numbers[0]
    if operation == b"NOT":
        return first ^ ones
    if operation == b"AND":
        for number in numbers[1:]:
            first &= number
        return first
    if operation == b"XOR":
        for number in numbers[1:]:
            first ^= number
        return first
    if operation == b"ONE":
        once = twice = 0
        for number in numbers:
            twice |= once & number
            once |= number
        return once & ~twice
    if operation == b"OR":
        for number in numbers[1:]:
            first |= number
        return first
    others = 0
    for number in numbers[1:]:
        others |= number
    if operation == b"DIFF":
        return first & ~others
    if operation == b"DIFF1":
        return others & ~first
    return first & others  # ANDOR


@handles(b"BITFIELD")
def bitfield(dataset: Dataset, args: list[bytes]) -> object:
    operations: list[tuple[i64, bool, i64, i64, int, i64]] = []
    overflow: i64 = WRAP
    last: i64 = -1
    argc: i64 = len(args)
    i: i64 = 2
    while i < argc:
        name = args[i].upper()
        if name == b"OVERFLOW" and i + 1 < argc:
            how = args[i + 1].upper()
            if how not in OVERFLOWS:
                raise CommandError("ERR Invalid OVERFLOW type specified")
            overflow = OVERFLOWS[how]
            i += 2
            continue
        code: i64 = SUBCOMMANDS.get(name, -1)
        if code < 0 or i + (2 if code == GET else 3) >= argc:
            raise syntax_error()
        signed, bits = _type(args[i + 1])
        offset = _offset(args[i + 2], bits)
        number = 0
        if code != GET:
            last = max(last, offset + bits - 1)
            number = integer(args[i + 3])
        operations.append((code, signed, bits, offset, number, overflow))
        i += 3 if code == GET else 4
    if last < 0:
        cell = dataset.string(args[1])
    else:
        cell = _writable(dataset, args[1], last)
        dataset.dirty += 1
    replies: list[object] = []
    for code, signed, bits, offset, number, overflow in operations:
        old = 0
        if cell is not None:
            old = get_signed(cell, offset, bits) if signed else get_unsigned(cell, offset, bits)
        if code == GET:
            replies.append(old)
            continue
        assert cell is not None
        start, increment = (old, number) if code == INCRBY else (number, 0)
        if signed:
            new = fit_signed(start, increment, bits, overflow)
        else:
            new = fit_unsigned(start & 0xFFFFFFFFFFFFFFFF, increment, bits, overflow)
        if new is None:
            replies.append(None)
            continue
        set_integer(cell, offset, bits, new)
        replies.append(new if code == INCRBY else old)
    return replies


def _type(text: bytes) -> tuple[bool, i64]:
    """An integer type such as ``i16`` or ``u8``: whether it is signed, and its bits."""
    signed = text[:1] == b"i"
    digits = text[1:].partition(b"\0")[0]
    if text[:1] not in {b"i", b"u"} or not is_integer(digits):
        raise CommandError(BAD_TYPE)
    bits = integer(digits)
    if bits < 1 or bits > (64 if signed else 63):
        raise CommandError(BAD_TYPE)
    return signed, bits
