"""What stands in front of a type, and where a string ends, of bytes that may be no record."""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from rdbtool.errors import TruncatedError
from rdbtool.io.window import Window
from rdbtool.rdb import opcodes
from rdbtool.rdb.types import TypeRow

SIZES: Final[dict[int, int]] = {opcodes.EXPIRE_MS: 9, opcodes.EXPIRE_S: 5, opcodes.FREQ: 2, opcodes.IDLE: 2}
"""Bytes of what may stand in front of a type, with its opcode."""
MOST: Final[i64] = 2
PACKED: Final[i64] = 0xC3
"""The first byte of a string that is compressed."""
CODED: Final[i64] = 0xC0
"""The first byte of a string that does not stand as it is is this, or more."""
LZF_MOST: Final[i64] = 88
"""Bytes that one of LZF stands for at most: three for 264."""
MOST_DIGITS: Final[i64] = 11
"""Bytes of a number that servers store as one, and not as text."""
LEAST_PACKED: Final[i64] = 21
"""Bytes of a text that they compress."""
COUNTED: Final = frozenset(
    {
        *("list", "set", "zset", "hash", "zset2", "list-quicklist", "list-quicklist2"),
        *("hash-metadata-pre-ga", "hash2"),
    }
)
"""Types whose payload begins with how many elements, or nodes, there are."""
LONGEST_ODD: Final[i64] = 64
"""Bytes of a name of odd bytes above which no run begins with it."""
_HEAD: Final = re.compile(rb"[\x00-\x20\xfa](?=[\x01-\x3f][ -~])")
"""What a record may begin with that has a name of printable text."""
_TEXT: Final = re.compile(rb"[ -~]+")
_WORD: Final = re.compile(rb"[ -~]{3}")
_NUMBER: Final = re.compile(rb"0|-?[1-9][0-9]*")


def type_behind_opcodes(w: Window) -> i64:
    """Pass what may stand in front of a type, and the type; it, another opcode, or -1 where the file ends."""
    try:
        while True:
            byte = w.u8()
            size = SIZES.get(int(byte))
            if size is None:
                return byte
            w.skip(size - 1)
    except TruncatedError:
        w.pos = w.end
        return -1


def are_too_many(w: Window) -> bool:
    """Whether more opcodes stand in a row in front of a type than a key can have: an expiry, and when it was used."""
    pos = w.pos
    left: i64 = MOST
    while pos < w.end and w.data[pos] in SIZES:
        pos += SIZES[w.data[pos]]
        left -= 1
        if left < 0:
            return True
    return False


def end_of_string(data: bytes, pos: i64) -> i64:
    """Where the string that begins at ``pos`` ends, also behind the end of ``data``; -1 where none begins."""
    left: i64 = len(data) - pos
    if left < 1:
        return -1
    first: i64 = data[pos]
    if first < 0x40:
        return pos + 1 + first
    if first < 0x80:
        return -1 if left < 2 else pos + 2 + ((first & 0x3F) << 8 | i64(data[pos + 1]))
    if first == 0x80:
        return -1 if left < 5 else pos + 5 + int.from_bytes(data[pos + 1 : pos + 5])
    if 0xC0 <= first <= 0xC2:
        return pos + 2 + (0, 1, 3)[first - 0xC0]
    if first != PACKED or left < 4:
        return -1
    packed: i64 = data[pos + 1]
    at = pos + 2
    if 0x40 <= packed < 0x80:
        packed = (packed & 0x3F) << 8 | i64(data[pos + 2])
        at += 1
    elif packed >= 0x80:
        return -1
    size: i64 = data[at]
    return -1 if size > 0x80 else at + (1 if size < 0x40 else 2 if size < 0x80 else 5) + packed


def is_usual(coded: i64, string: bytes) -> bool:
    """Whether servers write a string so that its first byte is ``coded``: with the shortest length, and a number of
    up to 32 bits as one (rdb.c: rdbSaveLen, rdbTryIntegerEncoding).
    """
    size: i64 = len(string)
    if coded == PACKED:
        return size >= LEAST_PACKED
    if coded < CODED:
        if size < (0 if coded < 0x40 else 0x40 if coded < 0x80 else 0x4000):
            return False
        return size > MOST_DIGITS or not _NUMBER.fullmatch(string) or not -(1 << 31) <= int(string) < 1 << 31
    number = int(string)
    least = 0xC0 if -(1 << 7) <= number < 1 << 7 else 0xC1 if -(1 << 15) <= number < 1 << 15 else 0xC2
    return coded == least


def is_usual_payload(row: TypeRow, first: i64) -> bool:
    """Whether servers write a payload that begins with the byte ``first``: no count is 0, or coded like numbers."""
    return row.name not in COUNTED or 0 < first < CODED


def swallows(name: bytes) -> bool:
    """Whether a name of odd bytes seems to have records in it: rather their values end with good evidence."""
    size: i64 = len(name)
    if size > LONGEST_ODD:
        return True
    text = sum(len(part) for part in _TEXT.findall(name))
    if 4 * text < 3 * size and _WORD.search(name):
        return True
    for found in _HEAD.finditer(name):
        begin = found.end() + 1
        within = name[begin : begin + name[begin - 1]]
        if (len(within) == name[begin - 1] or len(within) >= 3) and _TEXT.fullmatch(within):
            return True
    return False
