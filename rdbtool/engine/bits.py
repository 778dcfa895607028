"""Bits of a string, the most significant one of each byte first, and integers of 1 to 64 bits among them."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, u8

from .cells.cell import RAW, StringCell

SMALL: Final = 256
"""Bytes up to which a string is copied when it changes: a buffer takes more than that."""

MASKS: Final = [(1 << n) - 1 for n in range(65)]
"""Masks by number of bits. Wider than an i64, they and what they are applied to stay plain integers."""

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
    at = offset >> 3
    last = (offset + bits - 1) >> 3
    value = 0
    while at <= last:
        value = value << 8 | int(get_byte(cell, at))
        at += 1
    below = int(7 - ((offset + bits - 1) & 7))
    return value >> below & MASKS[bits]


def get_signed(cell: StringCell, offset: i64, bits: i64) -> int:
    """The same in two's complement."""
    return _wrapped(get_unsigned(cell, offset, bits), int(bits))


def set_integer(cell: StringCell, offset: i64, bits: i64, value: int) -> None:
    """Replace ``bits`` existing bits with those of ``value``, of either sign."""
    at = (offset + bits - 1) >> 3
    below = int(7 - ((offset + bits - 1) & 7))
    mask = MASKS[bits] << below
    new = (value & MASKS[bits]) << below
    while mask:
        low: i64 = mask & 0xFF
        part: i64 = new & 0xFF
        set_byte(cell, at, (get_byte(cell, at) & ~low) | (part & low))
        mask >>= 8
        new >>= 8
        at -= 1


def fit_unsigned(value: int, increment: int, bits: int, how: i64) -> int | None:
    """``value + increment`` in ``bits`` bits, overflow handled as told; None where that is to fail."""
    most = MASKS[bits]
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
    most = MASKS[bits - 1]
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
    value &= MASKS[bits]
    return value - MASKS[bits] - 1 if value > MASKS[bits - 1] else value
