"""Which entries a stream has, in a few bytes per entry: enough to find out which ids are not among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from librt.strings import BytesWriter

from rdbtool.basics.numbers import U64_MASK
from rdbtool.io.window import window_over
from rdbtool.model import Id
from rdbtool.rdb.layout.encoders import put_u64
from rdbtool.rdb.layout.primitives import read_u64
from rdbtool.rdb.layout.stream_node import id_of


@final
class EntryIds:
    """The ids of the entries of one stream, oldest first."""

    def __init__(self) -> None:
        self._packed = BytesWriter()
        self._ms = 0

    def clear(self) -> None:
        """Forget all ids: another stream begins."""
        self._packed.truncate(0)
        self._ms = 0

    def add(self, ms: int, seq: int) -> None:
        """Add the next id."""
        step = ms - self._ms
        put_u64(self._packed, step if step >= 0 else step & U64_MASK)
        put_u64(self._packed, seq)
        self._ms = ms

    def missing(self, wanted: Iterable[bytes]) -> set[bytes]:
        """Those of the ids that are not there; all as `stream_node.key_of` gives them."""
        missing: set[bytes] = set()
        w = window_over(self._packed.getvalue())
        ms = 0
        here: Id = (-1, 0)
        for key in sorted(wanted):
            entry = id_of(key)
            while here < entry and w.pos < w.end:
                ms = (ms + read_u64(w)) & U64_MASK
                here = (ms, read_u64(w))
            if here != entry:
                missing.add(key)
        return missing
