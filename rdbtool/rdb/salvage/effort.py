"""How much work may be done to judge where records begin: in the long run, so much for each byte of the file."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.rdb.layout.primitives import LZF, read_count, read_length, read_length_or_encoding, skip_string
from rdbtool.rdb.types import TypeRow

from .lengths import LZF_MOST, PACKED

FREE: Final[i64] = 16
"""Steps that may be taken at any place. A step is to look at a record, an element, or so many bytes of what is read
byte by byte: of elements that are compared with others, and of what is packed, or was.
"""
STEP: Final[i64] = 64
AHEAD: Final[i64] = 1 << 12
"""So many bytes of all else take as long as a step: of names, and of what is passed."""
AMPLE: Final[i64] = 1 << 10
GRANTED: Final[i64] = 1 << 14
"""Steps that may be taken beyond that, from the start."""
PER_BYTE: Final[i64] = 2
"""Steps that may be taken further for each byte of the file, and for each that is passed. Values of noise, text or
numbers take less than a fourth of both; those that are made for it would take as many as there are bytes behind them.
"""
LISTS: Final = frozenset({"list", "list-quicklist"})
PASSED: Final = frozenset({"string", "list"})
"""Types whose strings are passed; of others the first of every few is looked at."""


@final
class Effort:
    """The steps that were ``spent`` are bounded by the ``size`` of the file, and by the ``mark``, up to where in it
    places were judged.
    """

    def __init__(self, size: i64) -> None:
        self.size: i64 = size
        self.spent: i64 = 0
        self.mark: i64 = 0

    def come_to(self, offset: i64) -> None:
        """Note up to where places were judged, or records followed."""
        self.mark = max(self.mark, offset)

    def allowance(self) -> i64:
        """Steps that may be taken at the next place."""
        return FREE + max(0, GRANTED + PER_BYTE * (self.size + self.mark) - self.spent)

    def is_ample(self) -> bool:
        """Whether those are many."""
        return self.allowance() >= AMPLE

    def look_at(self, size: i64) -> None:
        """Count the steps for so many bytes."""
        self.spent += size // STEP

    def pass_over(self, size: i64) -> None:
        """Count the steps for so many bytes that are passed, or copied."""
        self.spent += size // AHEAD

    def walk(self, w: Window, row: TypeRow, most: i64) -> bool:
        """Pass a payload in which strings stand in a row, and count steps; False for more than ``most``.

        Raises what reading raises.
        """
        strings = row.element_strings
        if row.byte == 0:
            count: i64 = 1
            strings = 1
        else:
            strings = max(strings, 1)
            count = read_count(w, strings + row.element_bytes)
        last = self.spent + most
        first = 0 if row.name in PASSED else strings
        while count > 0:
            left = strings
            while left > 0:
                if w.pos < w.end and w.data[w.pos] == PACKED:
                    self._pass_packed(w)
                else:
                    at = w.offset()
                    skip_string(w)
                    if left == first:
                        self.look_at(w.offset() - at)
                left -= 1
            if row.element_bytes > 0:
                w.skip(row.element_bytes)
            self.spent += 1
            if self.spent > last:
                return False
            count -= 1
        return True

    def _pass_packed(self, w: Window) -> None:
        encoding = read_length_or_encoding(w)
        assert encoding == LZF
        size = read_length(w)
        unpacked = read_length(w)
        w.skip(size)
        self.look_at(min(unpacked, size * LZF_MOST))


def is_in_a_row(row: TypeRow) -> bool:
    """Whether a payload of this type can be walked (`Effort.walk`)."""
    return row.byte == 0 or row.element_strings > 0 or row.name in LISTS
