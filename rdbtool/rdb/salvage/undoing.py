"""Undo small damage that the checksum at the end of an RDB gives away.

The checksum is the remainder of a division of polynomials, so what it should be and what it is differ by what the
damage alone makes of it. From that difference, a place, and the bytes in front of it follow the few bytes that were
changed, put in, or lost there; all but one place give bytes that make no sense. Let ``F(p)`` be the checksum of all
bytes before ``p``, and ``r(p)`` what becomes the difference when zeros follow it to the end:

- bytes at ``p`` were changed: ``r(p)`` is what they differ by, and is short;
- bytes ``p`` to ``q`` were put in: ``F(p) == F(q) ^ r(q)``;
- bytes are missing at ``p``: they, and ``F(p)``, are ``F(p) ^ r(p)`` taken back by their number, and they are short.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.crc64 import POLYNOMIAL, crc64
from rdbtool.findings import plural
from rdbtool.io.random_access import Pages
from rdbtool.io.window import CHUNK
from rdbtool.rdb import opcodes

from .salvaged import Salvaged, Undone

CHECKSUM: Final[i64] = 8
IN_FRONT: Final[i64] = 1 << 10
"""Bytes in front of what is lost, and behind, in which the damage may be."""
BEHIND: Final[i64] = 64
SEARCHED: Final[i64] = 1 << 17
"""Bytes between which changes are looked for of more than a bit."""
LONGEST: Final = 5
"""Bytes that are changed or missing at most; those that were put in may be any number."""
SURE: Final = 52
"""Bits of places and of bytes together, up to which only one in 2**12 solutions would be one by chance, and that would
have to be in form, too.
"""
MOST_STEPS: Final = 1 << 14
ONE: Final = 1 << 63
"""The polynomial 1: its bits stand in reverse order."""
MASK: Final = (1 << 64) - 1


@final
class Undoing:
    """Looks for damage in an RDB of which ``result`` was found, and whose checksum is not right."""

    def __init__(self, pages: Pages, result: Salvaged) -> None:
        self.pages = pages
        self.start: i64 = 0 if result.headless else result.start
        self.end: i64 = (result.tail if result.tail >= 0 else pages.size) - CHECKSUM
        """Where the checksum begins."""
        self.low: i64 = self.end
        self.high: i64 = self.start
        for lost in result.lost:
            self.low = min(self.low, max(self.start, lost.start - IN_FRONT))
            self.high = max(self.high, min(self.end, lost.end + BEHIND))

    def find(self) -> list[Undone]:
        """What may undo the damage, most likely first. Raises `InputError`."""
        size = self.end - self.start
        if size < CHECKSUM:
            return []
        stored = int.from_bytes(self.pages.take(self.end, CHECKSUM), "little")
        if stored == 0:
            return []  # there is none
        is_near = 0 < self.high - self.low <= SEARCHED and self.pages.byte(self.end - 1) == opcodes.EOF
        before, whole = self._checksums(self.low if is_near else self.end)
        difference = whole ^ stored
        if difference == 0:
            return []
        found = self._flipped(difference, stored)
        if is_near:
            found += self._near(before, difference)
        return found

    def _checksums(self, low: i64) -> tuple[int, int]:
        """Those of the bytes before ``low``, and of all."""
        crc = before = 0
        at = self.start
        while at < self.end:
            if at == low:
                before = crc
            stop = low if at < low else self.end
            data = self.pages.file.read(min(CHUNK, stop - at), at, True)
            crc = crc64(data, crc)
            at += len(data)
        return before, crc

    def _flipped(self, difference: int, stored: int) -> list[Undone]:
        """One bit that was flipped, anywhere: baby steps, and giant ones."""
        if difference & (difference - 1) == 0:
            right = (stored ^ difference).to_bytes(8, "little")
            return [Undone(self.end, self.end + CHECKSUM, right, "a bit of the checksum was flipped, and no other")]
        size = int(self.end - self.start)
        steps = min(max(256, int((size // 8) ** 0.5)), MOST_STEPS)
        ways: dict[int, int] = {}
        for bit in range(8):
            value = 1 << bit
            for step in range(1, steps + 1):
                value = shifted(value)
                ways[value] = step << 3 | bit
        giant = power(INVERSE, steps)
        far = 0
        while far < size:
            way = ways.get(difference)
            if way is not None:
                at = self.end - (far + (way >> 3))
                if at >= self.start:
                    byte = self.pages.byte(at) ^ (1 << (way & 7))
                    return [Undone(at, at + 1, bytes((int(byte),)), "a bit was flipped")]
            difference = product(difference, giant)
            far += steps
        return []

    def _near(self, crc: int, difference: int) -> list[Undone]:
        """Bytes that were changed, put in, or lost where records are."""
        low = int(self.low)
        data = self.pages.take(low, self.high - self.low)
        count = len(data)
        longest = min(LONGEST, (SURE - count.bit_length()) // 8)
        changed: list[Undone] = []
        inserted: list[Undone] = []
        deleted: list[Undone] = []
        rest = product(difference, power(INVERSE, int(self.end) - low))
        begins: dict[int, int] = {}
        for pos in range(count + 1):
            at = low + pos
            if rest < 1 << 8 * longest:
                size = (rest.bit_length() + 7) // 8
                put = (int.from_bytes(data[pos : pos + size], "little") ^ rest).to_bytes(size, "little")
                if pos + size <= count:
                    changed.append(Undone(at, at + size, put, f"{plural(size, 'byte')} were changed"))
            both = crc ^ rest
            begin = begins.get(both)
            if begin is not None:
                inserted.append(Undone(low + begin, at, b"", f"{plural(pos - begin, 'byte')} had been put in"))
            begins[crc] = pos
            for size in range(1, longest + 1):
                both = taken_back(both)
                missing = both ^ crc
                if missing < 1 << 8 * size:
                    put = missing.to_bytes(size, "little")
                    deleted.append(Undone(at, at, put, f"{plural(size, 'byte')} were missing"))
                    break
            if pos < count:
                crc = TABLE[(crc ^ data[pos]) & 0xFF] ^ (crc >> 8)
                rest = shifted(rest)
        return changed[:1] + inserted[:1] + deleted[:1]


def times_x(value: int) -> int:
    """A polynomial, times x."""
    return value >> 1 ^ (REVERSED if value & 1 else 0)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = times_x(value)
        table.append(value)
    return table


REVERSED: Final = int(f"{POLYNOMIAL & MASK:064b}"[::-1], 2)
TABLE: Final = _table()
LAST: Final = {value >> 56: byte for byte, value in enumerate(TABLE)}
"""What byte was shifted out, by the first byte of what came of it."""


def shifted(crc: int) -> int:
    """The checksum, when a zero byte follows."""
    return TABLE[crc & 0xFF] ^ (crc >> 8)


def taken_back(crc: int) -> int:
    """The checksum before the last byte, a zero."""
    byte = LAST[crc >> 56]
    return ((crc ^ TABLE[byte]) << 8 | byte) & MASK


INVERSE: Final = taken_back(ONE)
"""What takes a checksum back by a zero byte: 1 / x**8."""


def product(a: int, b: int) -> int:
    """Of two polynomials."""
    result = 0
    while b:
        if b & ONE:
            result ^= a
        a = times_x(a)
        b = b << 1 & MASK
    return result


def power(base: int, exponent: int) -> int:
    """Of a polynomial."""
    result = ONE
    while exponent:
        if exponent & 1:
            result = product(result, base)
        base = product(base, base)
        exponent >>= 1
    return result
