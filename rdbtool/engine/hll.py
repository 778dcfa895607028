"""HyperLogLogs in strings, byte for byte as hyperloglog.c keeps them.

A header of 16 bytes: ``HYLL``, the encoding, three zeros, and the cached cardinality as 8 bytes
little-endian, whose highest bit says that it is out of date. Then 16384 registers: dense, of 6 bits each; or
sparse, as runs: ``00xxxxxx`` is a run of up to 64 zeros, ``01xxxxxx yyyyyyyy`` of up to 16384, ``1vvvvvxx``
of up to 4 registers with the same value from 1 to 32.
"""

from __future__ import annotations

import math
from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from rdbtool.basics.murmur import hash64

from .cells.cell import RAW, StringCell
from .replies import CommandError

HEADER: Final = 16
DENSE: Final = 0
SPARSE: Final = 1
REGISTERS: Final = 16384
SENTINEL: Final = 1 << 50
"""The bit above the hash, so that the count of zeros ends: a constant, because C shifts an int by no more than 31."""
DENSE_SIZE: Final = HEADER + REGISTERS * 6 // 8
SPARSE_MAX_BYTES: Final = 3000
"""hll-sparse-max-bytes."""
LARGEST_SPARSE_VALUE: Final = 32
LONGEST_VALUE_RUN: Final = 4
LONGEST_ZERO_RUN: Final = 64
RUNS_TO_MERGE: Final = 5
HASH_BITS: Final = 50
"""Bits of the hash that are not the number of the register."""
ALPHA: Final = 0.721347520444481703680
"""0.5 / ln 2."""
STALE: Final = 0x80

NOT_ONE: Final = "WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPT: Final = "INVALIDOBJ Corrupted HLL object detected"

EMPTY: Final = b"HYLL\x01" + bytes(11) + b"\x7f\xff"
_TOP_BITS: Final = int.from_bytes(b"\x80" * REGISTERS, "little")


def check(cell: StringCell) -> None:
    """Raise the server's error unless the string may be a HyperLogLog."""
    size: i64 = len(cell)
    if size < HEADER:
        raise CommandError(NOT_ONE)
    head = cell.data[:HEADER] if cell.buffer is None else _slice(cell.buffer, 0, HEADER)
    if head[:4] != b"HYLL" or head[4] > SPARSE or (head[4] == DENSE and size != DENSE_SIZE):
        raise CommandError(NOT_ONE)


def is_dense(cell: StringCell) -> bool:
    """The encoding of a HyperLogLog."""
    buffer = cell.buffer
    return (cell.data[4] if buffer is None else buffer[4]) == DENSE


def add(cell: StringCell, element: bytes) -> bool:
    """Add an element; whether that changed a register."""
    high, low = hash64(element)
    index = low & (REGISTERS - 1)
    rest = high << 18 | low >> 14 | SENTINEL
    count: i64 = 1
    while not rest & 1:
        rest >>= 1
        count += 1
    return raise_register(cell, index, count)


def raise_register(cell: StringCell, index: i64, count: i64) -> bool:
    """Set a register to ``count`` if it is lower; whether it was. A sparse HyperLogLog may become dense."""
    if is_dense(cell):
        return _raise_dense(cell.writable(), index, count)
    return _raise_sparse(cell, index, count)


def invalidate(cell: StringCell) -> None:
    """Mark the cached cardinality as out of date."""
    buffer = cell.buffer
    if buffer is not None:
        buffer[15] = buffer[15] | STALE
    elif not cell.data[15] & STALE:
        cell.put(cell.data[:15] + bytes((cell.data[15] | STALE,)) + cell.data[16:], RAW)


# Dense.


def _raise_dense(buffer: BytesWriter, index: i64, count: i64) -> bool:
    at = HEADER + (index * 6 >> 3)
    shift = index * 6 & 7
    first = i64(buffer[at])
    if shift <= 2:
        if count <= (first >> shift & 63):
            return False
        buffer[at] = u8((first & ~(i64(63) << shift)) | count << shift)
        return True
    second = i64(buffer[at + 1])
    if count <= ((first >> shift | second << (8 - shift)) & 63):
        return False
    buffer[at] = u8(((first & ~(i64(63) << shift)) | count << shift) & 0xFF)
    buffer[at + 1] = u8((second & ~(i64(63) >> (8 - shift))) | count >> (8 - shift))
    return True


def to_dense(cell: StringCell) -> None:
    """Make a sparse HyperLogLog dense; the cached cardinality stays. Raises `CommandError` if it is corrupt."""
    if is_dense(cell):
        return
    sparse = cell.get()
    registers = registers_of(sparse)
    cell.put(b"", RAW)
    buffer = cell.writable()
    buffer.write(sparse[:4] + b"\0" + sparse[5:HEADER] + bytes(DENSE_SIZE - HEADER))
    i: i64 = 0
    while i < REGISTERS:
        if registers[i]:
            _raise_dense(buffer, i, registers[i])
        i += 1


def registers_of(data: bytes) -> bytes:
    """The value of every register. Raises `CommandError` if the runs do not cover all of them exactly."""
    if data[4] == DENSE:
        return _unpacked(data)
    out = BytesWriter()
    covered: i64 = 0
    p: i64 = HEADER
    end: i64 = len(data)
    while p < end:
        op: i64 = data[p]
        value: i64 = 0
        if op & 0x80:
            value = (op >> 2 & 31) + 1
            run = (op & 3) + 1
        elif op & 0x40:
            if p + 1 >= end:
                raise CommandError(CORRUPT)
            p += 1
            run = ((op & 63) << 8 | data[p]) + 1
        else:
            run = op + 1
        p += 1
        covered += run
        if covered > REGISTERS:
            raise CommandError(CORRUPT)
        out.write(bytes((value,)) * run)
    if covered != REGISTERS:
        raise CommandError(CORRUPT)
    return out.getvalue()


def _unpacked(data: bytes) -> bytes:
    """The registers of a dense one, four in three bytes, as a few calculations with long integers."""
    first = int.from_bytes(data[HEADER::3], "little")
    second = int.from_bytes(data[HEADER + 1 :: 3], "little")
    third = int.from_bytes(data[HEADER + 2 :: 3], "little")
    ones = int.from_bytes(b"\1" * (REGISTERS // 4), "little")
    out = bytearray(REGISTERS)
    fours = (
        first & ones * 63,
        first >> 6 & ones * 3 | (second & ones * 15) << 2,
        second >> 4 & ones * 15 | (third & ones * 3) << 4,
        third >> 2 & ones * 63,
    )
    for at, registers in enumerate(fours):
        out[at::4] = registers.to_bytes(REGISTERS // 4, "little")
    return bytes(out)


# Sparse.


def highest_of(left: bytes, right: bytes) -> bytes:
    """The greater of two registers each, which are all below 128, as one calculation with long integers."""
    a = int.from_bytes(left, "little")
    b = int.from_bytes(right, "little")
    borrows = ((a | _TOP_BITS) - b) & _TOP_BITS  # the top bit of a byte stays where a is not less
    mask = borrows - (borrows >> 7)
    return (b ^ ((a ^ b) & mask)).to_bytes(len(left), "little")


def _raise_sparse(cell: StringCell, index: i64, count: i64) -> bool:
    if count > LARGEST_SPARSE_VALUE:
        return _promote(cell, index, count)
    data = cell.get()
    end: i64 = len(data)
    p: i64 = HEADER
    before: i64 = HEADER
    first: i64 = 0
    run: i64 = 0
    op: i64 = 0
    while p < end:
        op = data[p]
        if op & 0x80:
            run = (op & 3) + 1
        elif op & 0x40:
            if p + 1 >= end:
                raise CommandError(CORRUPT)
            run = ((op & 63) << 8 | data[p + 1]) + 1
        else:
            run = op + 1
        if index < first + run:
            break
        before = p
        p += 2 if op & 0xC0 == 0x40 else 1
        first += run
    if p >= end:
        raise CommandError(CORRUPT)
    length: i64 = 2 if op & 0xC0 == 0x40 else 1
    value: i64 = (op >> 2 & 31) + 1 if op & 0x80 else 0
    if value >= count:
        return False
    ahead = index - first
    behind = first + run - 1 - index
    if value:
        new = _values(value, ahead) + _values(count, 1) + _values(value, behind)
    else:
        new = _zeros(ahead) + _values(count, 1) + _zeros(behind)
    grown: i64 = len(new) - length
    if grown > 0 and end + grown > SPARSE_MAX_BYTES:
        return _promote(cell, index, count)
    data = _merged(data[:p] + new + data[p + length :], before)
    cell.put(data[:15] + bytes((data[15] | STALE,)) + data[16:], RAW)
    return True


def _values(value: i64, run: i64) -> bytes:
    return bytes((0x80 | (value - 1) << 2 | (run - 1),)) if run else b""


def _zeros(run: i64) -> bytes:
    if run > LONGEST_ZERO_RUN:
        return bytes((0x40 | (run - 1) >> 8, (run - 1) & 0xFF))
    return bytes((run - 1,)) if run else b""


def _merged(data: bytes, p: i64) -> bytes:
    """Join runs of the same value among the next few from ``p`` on, where one can stand for both."""
    end: i64 = len(data)
    left: i64 = RUNS_TO_MERGE
    while p < end and left > 0:
        left -= 1
        op: i64 = data[p]
        if not op & 0x80:
            p += 2 if op & 0x40 else 1
            continue
        if p + 1 < end:
            following: i64 = data[p + 1]
            run = (op & 3) + (following & 3) + 2
            if op & 0xFC == following & 0xFC and run <= LONGEST_VALUE_RUN:
                data = data[:p] + bytes(((op & 0xFC) | (run - 1),)) + data[p + 2 :]
                end -= 1
                continue
        p += 1
    return data


def _promote(cell: StringCell, index: i64, count: i64) -> bool:
    to_dense(cell)
    return _raise_dense(cell.writable(), index, count)


# Counting.


def cardinality(registers: bytes) -> int:
    """How many elements were probably added (Ertl, arXiv:1702.01284)."""
    histogram = [0] * 64
    for value in registers:
        histogram[value] += 1
    m = float(REGISTERS)
    z = m * _tau((m - histogram[HASH_BITS + 1]) / m)
    for j in range(HASH_BITS, 0, -1):
        z += histogram[j]
        z *= 0.5
    z += m * _sigma(histogram[0] / m)
    estimate = ALPHA * m * m / z
    whole = math.floor(estimate)
    return whole + 1 if estimate - whole >= 0.5 else whole


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y = 1.0
    z = x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if before == z:
            return z


def _tau(x: float) -> float:
    if x in {0.0, 1.0}:
        return 0.0
    y = 1.0
    z = 1.0 - x
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) * (1.0 - x) * y
        if before == z:
            return z / 3.0


def cached(cell: StringCell) -> int | None:
    """The cached cardinality, if it is up to date."""
    buffer = cell.buffer
    field = cell.data[8:HEADER] if buffer is None else _slice(buffer, 8, HEADER)
    return None if field[7] & STALE else int.from_bytes(field, "little")


def refresh(cell: StringCell) -> int:
    """Work out the cardinality and cache it. Raises `CommandError` if the HyperLogLog is corrupt."""
    data = cell.get()
    count = cardinality(registers_of(data))
    cell.put(data[:8] + count.to_bytes(8, "little") + data[HEADER:], RAW)
    return count


def _slice(buffer: BytesWriter, start: i64, end: i64) -> bytes:
    out = BytesWriter()
    while start < end:
        out.append(buffer[start])
        start += 1
    return out.getvalue()
