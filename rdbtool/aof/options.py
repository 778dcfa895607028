"""Which options that not every release has stand in the commands of a log, and how many commands have them."""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i64_le
from librt.vecs import append, vec
from mypy_extensions import i64

from rdbtool.servers.options import LONGEST, THRESHOLD, CommandOptions

CR: Final = 13
EQUALS: Final = 61
TILDE: Final = 126
CAPITAL_A: Final = 65
SEVEN_BYTES: Final = 0xFF_FFFF_FFFF_FFFF
CAPITALS: Final = 0xDF_DFDF_DFDF_DFDF
"""Masks what makes seven letters small."""


@final
class OptionUse:
    """Commands with the same options: ``found`` has a bit for each of ``options.words`` that is newer than the command,
    ``start`` is where the first stands.
    """

    def __init__(self, options: CommandOptions, found: int, start: int) -> None:
        self.options = options
        self.found = found
        self.start = start
        self.count = 0

    def __reduce__(self) -> tuple[object, ...]:
        return OptionUse, (self.options, 0, 0), self.__getstate__()


@final
class OptionCounter:
    """Counts commands of one kind by the options that they have."""

    def __init__(self, options: CommandOptions) -> None:
        self.options = options
        self.uses: dict[int, OptionUse] = {}
        self._first: i64 = options.first
        self._words: vec[i64] = vec[i64]()
        """Of each option a number made of its length and first letters, and how many words belong to it."""
        self._newer: i64 = 0
        for i, word in enumerate(options.words):
            self._newer |= 0 if word.feature is None else 1 << i
            n: i64 = len(word.name)
            head: i64 = int.from_bytes(word.name[:7], "little")
            self._words = append(self._words, head & CAPITALS | n << 56)
            self._words = append(self._words, word.takes)

    def count(self, found: i64, start: i64, times: i64 = 1) -> None:
        """Note commands, the first at ``start``, with the options ``found``."""
        if found == 0:
            return
        use = self.uses.get(found)
        if use is None:
            use = self.uses[found] = OptionUse(self.options, int(found), int(start))
        use.start = min(use.start, int(start))
        use.count += int(times)

    def look(self, argc: i64, data: bytes, at: i64) -> i64:
        """The options, as `CommandOptions.among` has them, of a command of ``argc`` words in canonical form: ``at`` is
        the CR behind its name. Eight bytes behind the end of any word can be read.
        """
        words = self._words
        size: i64 = len(words)
        left: i64 = (self._first if self._first >= 0 else argc + self._first) - 1
        if left < 0:
            return 0
        found: i64 = 0
        threshold = False
        i: i64 = 1
        while i < argc:
            word: i64 = read_i64_le(data, at)  # CR LF $ and digits
            n: i64 = (word >> 24 & 0xFF) - 48
            at += 6
            if word >> 32 & 0xFF != CR:
                n = n * 10 + (word >> 32 & 0xFF) - 48
                at += 1
                digit: i64 = data[at - 2]
                while digit != CR:
                    n = n * 10 + digit - 48
                    at += 1
                    digit = data[at - 2]
            word = read_i64_le(data, at)
            first = word & 0xFF
            if left > 0:
                # A set would have to be asked with an object.
                sign = first == EQUALS or first == TILDE  # noqa: PLR1714
                if not (threshold and n == 1 and sign):  # the threshold is behind it
                    left -= 1
                threshold = False
            else:
                if n == 0 or n > LONGEST or first < CAPITAL_A:
                    break
                if n < 7:
                    word &= SEVEN_BYTES >> (56 - n * 8)
                word = word & CAPITALS | n << 56
                j: i64 = 0
                while j < size and words[j] != word:
                    j += 2
                if j >= size:
                    break
                left = words[j + 1]
                if left == THRESHOLD:
                    left = 1
                    threshold = True
                found |= 1 << (j >> 1)
            at += n
            i += 1
        return found & self._newer
