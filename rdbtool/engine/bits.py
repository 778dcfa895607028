"""Bits of a string, the most significant one of each byte first, and integers of 1 to 64 bits among them."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, u8

from .cells import RAW, StringCell

SMALL: Final = 256
"""Bytes up to which a string is copied when it changes: a buffer takes more than that."""

WRAP: Final = 0
SAT: Final = 1
FAIL: Final = 2


def get_byte(cell: StringCell, at: i64) -> i64:
    """The byte at ``at``; 0 beyond the end."""
    buffer = cell.buffer
    if buffer is not None:
        return i64(buffer[at]) if at < len(buffer) else 0
    data = cell.data
    return data[at] if at < len(data) else 0


def grow(cell: StringCell, size: i64) -> None:
    """Pad with zero bytes to ``size``; the string is raw from now on."""
    missing = size - len(cell)
    if missing > 0:
        cell.append(bytes(missing))
    cell.state = RAW


def set_byte(cell: StringCell, at: i64, byte: i64) -> None:
    """Replace an existing byte."""
    buffer = cell.buffer
    if buffer is None:
        data = cell.data
        if len(data) <= SMALL:
            cell.put(data[:at] + bytes((byte,)) + data[at + 1 :], RAW)
            return
        buffer = cell.writable()
    buffer[at] = u8(byte)


def get_unsigned(cell: StringCell, offset: i64, bits: i64) -> int:
    """The integer of ``bits`` bits at bit ``offset``; bits beyond the end are 0."""
    first = offset >> 3
    last = (offset + bits - 1) >> 3
    value = 0
    at = first
    while at <= last:
        value = value << 8 | get_byte(cell, at)
        at += 1
    return value >> (7 - ((offset + bits - 1) & 7)) & ((1 << bits) - 1)


def get_signed(cell: StringCell, offset: i64, bits: i64) -> int:
    """The same in two's complement."""
    value = get_unsigned(cell, offset, bits)
    return value - (1 << bits) if value >> (bits - 1) else value


def set_integer(cell: StringCell, offset: i64, bits: i64, value: int) -> None:
    """Replace ``bits`` existing bits with those of ``value``, of either sign."""
    last = (offset + bits - 1) >> 3
    below = 7 - ((offset + bits - 1) & 7)
    mask = ((1 << bits) - 1) << below
    new = (value & ((1 << bits) - 1)) << below
    at = last
    while mask:
        low = mask & 0xFF
        byte = (get_byte(cell, at) & ~low) | (new & low)
        set_byte(cell, at, byte)
        mask >>= 8
        new >>= 8
        at -= 1


def fit_unsigned(value: int, increment: int, bits: int, how: i64) -> int | None:
    """``value + increment`` in ``bits`` bits, overflow handled as told; None where that is to fail."""
    most = (1 << bits) - 1
    total = value + increment
    if value > most or total > most:
        return None if how == FAIL else most if how == SAT else total & most
    if total < 0:
        return None if how == FAIL else 0 if how == SAT else total & most
    return total


def fit_signed(value: int, increment: int, bits: int, how: i64) -> int | None:
    """The same in two's complement.

    Where less than 64 bits are to take a number far below their range, the server's own arithmetic
    overflows and it saturates upwards (bitops.c, checkSignedBitfieldOverflow).
    """
    most = (1 << (bits - 1)) - 1
    least = -most - 1
    total = value + increment
    room = _wrapped(most - value, 64)
    if value > most or (bits != 64 and increment > room) or (value >= 0 and 0 < increment > room):
        return None if how == FAIL else most if how == SAT else _wrapped(total, bits)
    room = _wrapped(least - value, 64)
    if value < least or (bits != 64 and increment < room) or (value < 0 and 0 > increment < room):
        return None if how == FAIL else least if how == SAT else _wrapped(total, bits)
    return total


def _wrapped(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
