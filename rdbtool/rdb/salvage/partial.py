"""What can be read of a damaged collection, as a record of its own."""

from __future__ import annotations

import math
from typing import Final, final

from librt.strings import BytesWriter, write_f64_le
from mypy_extensions import i64, u8

from rdbtool.basics.numbers import format_double
from rdbtool.errors import FormatError, InputError, RdbToolError, TruncatedError
from rdbtool.io.random_access import Pages
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.cursor import Cursor
from rdbtool.rdb.layout.elements import Elements
from rdbtool.rdb.layout.encoders import put_length, put_string
from rdbtool.rdb.layout.quicklist import Quicklist
from rdbtool.rdb.layout.strings import StringsCursor
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.types import TypeRow, row_of

LIST: Final[i64] = 1
SET: Final[i64] = 2
ZSET: Final[i64] = 3
HASH: Final[i64] = 4
ZSET2: Final[i64] = 5
"""Types of collections that stand as they are, a count and then the elements: every server reads them."""
SCORES: Final[TypeRow] = row_of(REDIS, "zset2")
UNSURE: Final = 2
"""Elements before a break that are not kept: the length of one of the last may be what is wrong."""


@final
class Partial:
    """Reads the elements of ``frame``, a collection in an open file, up to ``limit``.

    Elements whose fields expire are not read, for their times would be lost, nor are streams.
    """

    def __init__(self, pages: Pages, frame: Frame, limit: i64) -> None:
        self.pages = pages
        self.frame = frame
        self.limit: i64 = limit
        self.groups: list[tuple[bytes, bytes, float]] = []
        """Elements; fields and values; members and scores."""
        self.is_scored = frame.type.redis_type == "zset"

    def record(self, at: i64, key_at: i64, version: i64, *, broken: bool) -> tuple[bytes, int]:
        """A record with what can be read, for the one at ``at`` whose key's string is at ``key_at``, and how many
        elements it has; b"" for none. ``broken``: reading does not come to the end of the value.
        """
        frame = self.frame
        elements = frame.type.elements
        if elements is None or frame.type.redis_type == "string" or frame.type.byte >= 22:
            return b"", 0
        try:
            self._read(elements(self.pages.window(frame.value_offset, self.limit)))
        except InputError:
            raise
        except RdbToolError:
            pass  # it ends here, or nothing behind it can be told
        if broken:
            del self.groups[-UNSURE:]
        out = BytesWriter()
        count = self._write(out, version)
        if count == 0:
            return b"", 0
        head = self.pages.take(at, key_at - 1 - at)
        byte = out.getvalue()[:1]
        key = self.pages.take(key_at, frame.value_offset - key_at)
        return head + byte + key + out.getvalue()[1:], count

    def _read(self, elements: Elements) -> None:
        while True:
            try:
                node = elements.next_node()
            except TruncatedError:
                return
            except FormatError:
                if isinstance(elements, Quicklist) and elements.left > 0:
                    continue
                return
            if node is None:
                return
            self._read_node(node, elements.stride)

    def _read_node(self, node: Cursor, stride: i64) -> None:
        """The groups of one node. Strings that stand one after another are in step behind a bad one; what is packed is
        not.
        """
        is_counted = isinstance(node, StringsCursor)
        while True:
            items: list[bytes] = []
            score = 0.0
            bad = False
            for i in range(stride):
                try:
                    if not node.next():
                        return
                    if i == 1 and self.is_scored:
                        score = node.score()
                    else:
                        items.append(node.item())
                except TruncatedError:
                    raise
                except FormatError:
                    if not is_counted:
                        return
                    bad = True
            if not bad and not math.isnan(score):
                self.groups.append((items[0], items[1] if len(items) > 1 else b"", score))

    def _write(self, out: BytesWriter, version: i64) -> int:
        """The type and the payload; how many elements."""
        kind = self.frame.type.redis_type
        if kind == "list":
            out.append(u8(LIST))
            put_length(out, len(self.groups))
            for item, _, _ in self.groups:
                put_string(out, item, False)
            return len(self.groups)
        members = {item: (value, score) for item, value, score in reversed(self.groups)}
        byte = HASH if kind == "hash" else SET if kind == "set" else ZSET2 if SCORES.is_loaded(version) else ZSET
        out.append(u8(byte))
        put_length(out, len(members))
        for item, (value, score) in members.items():
            put_string(out, item, False)
            if byte == HASH:
                put_string(out, value, False)
            elif byte == ZSET2:
                write_f64_le(out, score)
            elif byte == ZSET:
                _put_text_score(out, score)
        return len(members)


def _put_text_score(out: BytesWriter, score: float) -> None:
    if math.isinf(score):
        out.append(u8(254 if score > 0 else 255))
        return
    text = format_double(score)
    out.append(u8(len(text)))
    out.write(text)
