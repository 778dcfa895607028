"""What formats with a row for each element have in common."""

from __future__ import annotations

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.basics.writing import write_id
from rdbtool.model import Id, stream_id
from rdbtool.rdb.layout.facts import EMPTY_PATH_HASHES, EMPTY_STREAMS, STREAM_COUNTERS, Losses
from rdbtool.rdb.layout.visitor import PATH_HASH, STRING, Visitor


class RowVisitor(Visitor):
    """Keeps the place of the next row in its stream, and tells what is lost because only elements have rows: streams
    and path hashes without any, and counters of streams that their entries do not tell.
    """

    def __init__(self, losses: Losses, mode: i64) -> None:
        self.losses = losses
        self.mode: i64 = mode
        self._kind: i64 = STRING
        self._place = b""
        """Of a stream's entry its id; others put there what they need."""
        self._entries: i64 = 0
        self._scratch = BytesWriter()

    def left_out(self, fact: str) -> None:
        self.losses.left_out(fact)

    def begin(self, kind: i64, expiring: bool) -> None:
        self._kind = kind
        self._entries = 0

    def entry(self, ms: int, seq: int) -> None:
        text = self._scratch
        text.truncate(0)
        write_id(text, ms, seq)
        self._place = text.getvalue()
        self._entries += 1

    def counters(self, last: Id, max_deleted: Id, added: int) -> None:
        newest = self._place if self._entries else b"0-0"
        if self._entries == 0:
            self.left_out(EMPTY_STREAMS)
        if stream_id(last[0], last[1]) != newest or max_deleted != (0, 0) or added != self._entries:
            self.left_out(STREAM_COUNTERS)

    def end(self) -> None:
        if self._kind == PATH_HASH and self._entries == 0:
            self.left_out(EMPTY_PATH_HASHES)
