"""One element of a listpack: how long it is, and what it stands for.

These functions take a listpack whose structure is known to be right, and the place of an element in it.
"""

from __future__ import annotations

from typing import Final

from librt.strings import read_i16_le, read_i32_le, read_i64_le
from mypy_extensions import i64

from rdbtool.basics.numbers import decimal

SIZES: Final = bytes(
    [*[1] * 128, *range(1, 65), *[2] * 32, *[0] * 17, 3, 4, 5, 9, *[0] * 11],
)
"""What `entry_size` answers by the first byte of an entry; 0 where it has to be asked."""


def entry_size(data: bytes, pos: i64, last: i64) -> i64:
    """Bytes of the entry at ``pos`` without the size at its end; 0 if it is unknown or its header passes ``last``."""
    first: i64 = data[pos]
    if first < 128:
        return 1
    if first < 192:
        return first - 127
    if first < 224:
        return 2
    if first < 240:
        if pos + 2 > last:
            return 0
        high: i64 = (first & 15) << 8
        low: i64 = data[pos + 1]
        return 2 + high + low
    if first == 0xF0:
        if pos + 5 > last:
            return 0
        return 5 + (i64(read_i32_le(data, pos + 1)) & 0xFFFFFFFF)
    if first == 0xF1:
        return 3
    if first == 0xF2:
        return 4
    if first == 0xF3:
        return 5
    if first == 0xF4:
        return 9
    return 0


def end_of(data: bytes, pos: i64) -> i64:
    """Where the element at ``pos`` of a sound listpack ends, its length at the end included."""
    first: i64 = data[pos]
    if first < 128:
        return pos + 2
    if first < 192:
        return pos + first - 126
    if first < 224:
        return pos + 3
    if first > 0xF0:
        return pos + 10 if first == 0xF4 else pos + first - 237
    size: i64 = 0
    if first == 0xF0:
        size = (i64(read_i32_le(data, pos + 1)) & 0xFFFFFFFF) + 5
    else:
        size = (first & 15) << 8 | data[pos + 1]
        size += 2
    return pos + size + back_size(size)


def back_size(size: i64) -> i64:
    """Bytes that the length of an element takes, where it stands to be read backwards."""
    if size < 128:
        return 1
    # limits as in lpEncodeBacklen: one less than the bits could hold
    if size < 16383:
        return 2
    if size < 2097151:
        return 3
    if size < 268435455:
        return 4
    return 5


def is_integer_encoding(first: i64) -> bool:
    """Whether an entry that begins with this byte is encoded as an integer."""
    return first < 128 or (first >= 192 and first < 224) or (first >= 0xF1 and first <= 0xF4)


def integer_at(data: bytes, pos: i64) -> i64:
    """The integer of the element at ``pos``, which must be encoded as one."""
    first: i64 = data[pos]
    if first < 128:
        return first
    if first < 224:
        low: i64 = data[pos + 1]
        value: i64 = (first & 31) << 8 | low
        return value if value < 4096 else value - 8192
    if first == 0xF1:
        return i64(read_i16_le(data, pos + 1))
    if first == 0xF2:
        low = i64(read_i16_le(data, pos + 1)) & 0xFFFF
        high: i64 = data[pos + 3]
        value = high << 16 | low
        return value if value < 1 << 23 else value - (1 << 24)
    if first == 0xF3:
        return i64(read_i32_le(data, pos + 1))
    return read_i64_le(data, pos + 1)


def text_head(first: i64) -> i64:
    """Bytes before the text of a string entry that begins with this byte."""
    return 1 if first < 192 else 2 if first < 240 else 5


def text_at(data: bytes, pos: i64) -> bytes:
    """The string of the entry at ``pos``, which must be encoded as one."""
    head = text_head(data[pos])
    # The entry was measured before, so its end is not looked at.
    return data[pos + head : pos + entry_size(data, pos, pos + 5)]


def element_at(data: bytes, pos: i64) -> bytes:
    """The element at ``pos`` as text."""
    first: i64 = data[pos]
    if first < 128:
        return decimal(first)
    if first < 192:
        return data[pos + 1 : pos + first - 127]
    return decimal(integer_at(data, pos)) if is_integer_encoding(first) else text_at(data, pos)
