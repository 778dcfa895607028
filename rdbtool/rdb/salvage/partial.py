"""What can be read of a damaged collection, as a record of its own."""

from __future__ import annotations

import math
from typing import Final, final

from librt.strings import BytesWriter, write_f64_le
from mypy_extensions import i64, u8

from rdbtool.basics.numbers import format_double
from rdbtool.errors import FormatError, InputError, RdbToolError, TruncatedError
from rdbtool.findings import Findings, Severity
from rdbtool.io.random_access import Pages
from rdbtool.io.window import Window, window_over
from rdbtool.model import MAX_FIELD_EXPIRY, NO_EXPIRY
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.layout.cursor import Cursor
from rdbtool.rdb.layout.elements import Elements
from rdbtool.rdb.layout.encoders import put_length, put_string
from rdbtool.rdb.layout.expiring_hash import ExpiringListpackCursor
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.primitives import read_count, read_length, read_ms, read_string, read_u64, skip_string
from rdbtool.rdb.layout.quicklist import Quicklist
from rdbtool.rdb.layout.stream_node import master_id, node_entries
from rdbtool.rdb.layout.strings import StringsCursor
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.types import TypeRow, row_of

LIST: Final[i64] = 1
SET: Final[i64] = 2
ZSET: Final[i64] = 3
HASH: Final[i64] = 4
ZSET2: Final[i64] = 5
"""Types of collections that stand as they are, a count and then the elements: every server reads them."""
EXPIRING: Final = frozenset({"hash-metadata", "hash-metadata-pre-ga", "hash2"})
"""Hashes with a time at each field."""
EXPIRING_PACKED: Final = frozenset({"hash-listpack-ex", "hash-listpack-ex-pre-ga"})
CODED: Final[i64] = 0xC0
"""First byte of a string that does not stand as it is."""
SCORES: Final[TypeRow] = row_of(REDIS, "zset2")
UNSURE: Final = 2
"""Elements before a break that are not kept: the length of one of the last may be what is wrong."""


@final
class Partial:
    """Reads the elements of ``frame``, a collection in an open file, up to ``limit``.

    The fields of a hash that expire are kept with their times, in a row or in one listpack. Of a stream whose
    end is known, the nodes are kept that can be read, and its groups.
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
        if frame.type.name in EXPIRING:
            return self._expiring(at, broken)
        if frame.type.name in EXPIRING_PACKED:
            return self._expiring_packed(at)
        if frame.type.stream_version > 0:
            return (b"", 0) if broken else self._stream(at)
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

    def _expiring(self, at: i64, broken: bool) -> tuple[bytes, int]:
        """The same for a hash whose fields can expire."""
        frame = self.frame
        w = self.pages.window(frame.value_offset, self.limit)
        fields: list[bytes] = []
        least = b""
        try:
            if frame.type.name == "hash-metadata":
                if not 0 <= read_ms(w) <= MAX_FIELD_EXPIRY + 1:
                    return b"", 0
                least = self.pages.take(frame.value_offset, 8)
            left = read_count(w, 3)
            while left > 0:
                left -= 1
                start = w.offset()
                if frame.type.name != "hash2" and read_u64(w) > MAX_FIELD_EXPIRY:
                    break
                good = self._passes_string(w)
                good = self._passes_string(w) and good
                if frame.type.name == "hash2":
                    good = -1 <= read_ms(w) <= MAX_FIELD_EXPIRY and good
                if good:
                    fields.append(self.pages.take(start, w.offset() - start))
        except InputError:
            raise
        except RdbToolError:
            pass  # nothing behind it can be told
        if broken:
            del fields[-UNSURE:]
        if not fields:
            return b"", 0
        out = BytesWriter()
        put_length(out, len(fields))
        head = self.pages.take(at, frame.value_offset - at)
        return head + least + out.getvalue() + b"".join(fields), len(fields)

    def _expiring_packed(self, at: i64) -> tuple[bytes, int]:
        """The same for one whose fields stand in one listpack, with their times: they come in the order of these, those
        that do not expire first.
        """
        frame = self.frame
        w = self.pages.window(frame.value_offset, self.limit)
        out = BytesWriter()
        built = ListpackBuilder()
        try:
            if frame.type.name == "hash-listpack-ex":
                read_ms(w)
                out.write(self.pages.take(frame.value_offset, 8))
            fields = ExpiringListpackCursor(self._packed(w))
            seen: set[bytes] = set()
            last: i64 = NO_EXPIRY
            while fields.next():
                name = fields.item()
                if not fields.next():
                    break
                value = fields.item()
                if not fields.next() or fields.number < last or name in seen:
                    break
                seen.add(name)
                last = fields.number
                built.append(name)
                built.append(value)
                built.append_integer(0 if last == NO_EXPIRY else last)
        except InputError:
            raise
        except RdbToolError:
            pass  # nothing behind it can be told
        count = int(built.count // 3)
        if count == 0:
            return b"", 0
        put_string(out, built.finish(), False)
        return self.pages.take(at, frame.value_offset - at) + out.getvalue(), count

    def _packed(self, w: Window) -> bytes:
        """The listpack in the string at the window's position, or its beginning where it is cut."""
        at = w.offset()
        try:
            return read_string(w)
        except TruncatedError:
            again = self.pages.window(at, self.limit)
            if self.pages.byte(at) >= CODED:
                raise
            read_length(again)
            start = self.pages.take(again.offset(), self.limit - again.offset())
            return (len(start) + 1).to_bytes(4, "little") + start[4:] + b"\xff"

    def _stream(self, at: i64) -> tuple[bytes, int]:
        """The same for a stream."""
        frame = self.frame
        w = self.pages.window(frame.value_offset, self.limit)
        nodes: list[bytes] = []
        entries = 0
        try:
            left = read_count(w, 2)
            while left > 0:
                left -= 1
                start = w.offset()
                key = read_string(w)
                node_at = w.offset()
                skip_string(w)
                try:
                    data = read_string(self.pages.window(node_at, w.offset()))
                    entries += len(node_entries(master_id(key), data))
                except InputError:
                    raise
                except FormatError:
                    continue
                nodes.append(self.pages.take(start, w.offset() - start))
            read_length(w)
            rest = self.pages.take(w.offset(), self.limit - w.offset())
        except InputError:
            raise
        except RdbToolError:
            return b"", 0
        out = BytesWriter()
        put_length(out, len(nodes))
        out.write(b"".join(nodes))
        put_length(out, entries)
        out.write(rest)
        payload = out.getvalue()
        sound = window_over(payload)
        findings = Findings()
        try:
            frame.type.verify(sound, Inspection(findings))
        except RdbToolError:
            return b"", 0
        if entries == 0 or findings.worst is Severity.ERROR:
            return b"", 0
        return self.pages.take(at, frame.value_offset - at) + payload, entries

    def _passes_string(self, w: Window) -> bool:
        """Pass a string; whether it can be read. Raises `FormatError` where its end is not known."""
        at = w.offset()
        skip_string(w)
        try:
            read_string(self.pages.window(at, w.offset()))
        except InputError:
            raise
        except FormatError:
            return False
        return True

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
