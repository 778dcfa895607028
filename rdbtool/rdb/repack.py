"""Listpacks into ziplists, straight from their bytes: what a target before Redis 7.0 gets of packed values.

What comes out means what decoding and encoding would give; scores keep the text that they have. Whatever that would not
be true of (duplicates, members out of order, limits of the target that are passed) is left to those.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.basics.decimals import double_at
from rdbtool.errors import FormatError

from .layout.cursor import STRING
from .layout.listpack import ListpackCursor
from .layout.listpack_entry import element_at
from .layout.seen import Seen, hash_integer, hash_text
from .layout.ziplist_builder import ZiplistBuilder

_MOST: Final[i64] = 4096
"""Pairs of a value that is repacked; larger ones are rare, and decoded."""
_LEAST: Final = -float("inf")


@final
class Repacker:
    """Makes ziplists, one at a time."""

    def __init__(self) -> None:
        self._builder = ZiplistBuilder()
        self._seen = Seen()

    def elements(self, listpack: bytes) -> bytes:
        """The elements of a list. Raises `FormatError`."""
        builder = self._builder
        builder.restart()
        c = ListpackCursor(listpack)
        while c.next():
            _append(builder, c)
        return builder.finish()

    def fields(self, listpack: bytes, most: i64, longest: i64) -> bytes | None:
        """Fields and values: ``most`` of them, of up to ``longest`` bytes each; None for others."""
        return self._pairs(listpack, most, longest, False)

    def members(self, listpack: bytes, most: i64, longest: i64) -> bytes | None:
        """Members of up to ``longest`` bytes and their scores, by score: ``most`` of them; None for others."""
        return self._pairs(listpack, most, longest, True)

    def _pairs(self, listpack: bytes, most: i64, longest: i64, scored: bool) -> bytes | None:
        builder = self._builder
        builder.restart()
        seen = self._seen
        seed = seen.seed
        most = min(most, _MOST)
        seen.begin(most)
        before: i64 = 0
        least = _LEAST
        try:
            c = ListpackCursor(listpack)
            while True:
                at = c.pos
                if not c.next():
                    return builder.finish()
                if builder.count >= 2 * most:
                    return None
                if c.kind == STRING:
                    value = hash_text(c.data, c.start, c.size, seed)
                    if c.size > longest:
                        return None
                else:
                    value = hash_integer(c.number, seed)
                if seen.put(value, at) >= 0:  # twice, or so it seems
                    return None
                _append(builder, c)
                if not c.next():
                    return None
                if scored:
                    score = double_at(c.data, c.start, c.start + c.size) if c.kind == STRING else float(c.number)
                    if score <= least and before > 0:
                        if score < least or element_at(listpack, before) > element_at(listpack, at):
                            return None
                    least = score
                    before = at
                elif c.kind == STRING and c.size > longest:
                    return None
                _append(builder, c)
        except FormatError:  # told by who decodes it
            return None


def _append(builder: ZiplistBuilder, c: ListpackCursor) -> None:
    if c.kind == STRING:
        builder.append_part(c.data, c.start, c.start + c.size)
    else:
        builder.append_integer(c.number)
