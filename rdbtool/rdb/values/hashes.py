"""Hashes, and the expiry of their fields."""

from __future__ import annotations

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.model import Hash
from rdbtool.rdb.encoders import put_length, put_ms, put_string
from rdbtool.rdb.facts import FIELD_EXPIRIES
from rdbtool.rdb.packed.cursor import INTEGER, Cursor
from rdbtool.rdb.packed.listpack import ListpackBuilder, ListpackCursor
from rdbtool.rdb.packed.run import LONGEST, RunOfFields
from rdbtool.rdb.packed.ziplist import ZiplistBuilder, ZiplistCursor
from rdbtool.rdb.packed.zipmap import ZipmapCursor
from rdbtool.rdb.primitives import read_count, read_ms, read_string, read_u64

from .elements import Elements, OneNode, StringsCursor, missing
from .target_encodings import METADATA, NO_FIELD_EXPIRY, Limits, TargetEncodings

LATEST: Final = (1 << 46) - 2
"""The latest expiry in ms that a field can have in Redis (EB_EXPIRE_TIME_MAX of ebuckets.h)."""


def plain(w: Window) -> Elements:
    """A count, fields and values."""
    return OneNode(StringsCursor(w, 2 * read_count(w, 2)), 2)


def zipmap(w: Window) -> Elements:
    """A string that is a zipmap."""
    return OneNode(ZipmapCursor(read_string(w)), 2)


def ziplist(w: Window) -> Elements:
    """A string that is a ziplist."""
    return OneNode(ZiplistCursor(read_string(w)), 2)


def listpack(w: Window) -> Elements:
    """A string that is a listpack."""
    return OneNode(ListpackCursor(read_string(w)), 2)


@final
class ExpiringListpackCursor(Cursor):
    """Field, value, expiry: Redis writes 0 for never."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.inner = ListpackCursor(data)
        self.place: i64 = 0

    def next(self) -> bool:
        inner = self.inner
        if not inner.next():
            return False
        self.kind = inner.kind
        self.number = inner.number
        self.start = inner.start
        self.size = inner.size
        if self.place < 2:
            self.place += 1
            return True
        self.place = 0
        if self.kind != INTEGER or self.number < 0 or self.number > LATEST:
            raise FormatError("a field's expiry that is not a time", doing="decoding a hash")
        if self.number == 0:
            self.number = -1
        return True


def listpack_ex_pre_ga(w: Window) -> Elements:
    """A string that is a listpack, with expiries."""
    return OneNode(ExpiringListpackCursor(read_string(w)), 3)


def listpack_ex(w: Window) -> Elements:
    """The least expiry, then the same."""
    read_ms(w)
    return listpack_ex_pre_ga(w)


@final
class MetadataCursor(StringsCursor):
    """In the file: expiry, field, value. An expiry of 0 means never; others count from ``base``."""

    def __init__(self, w: Window, fields: i64, base: i64) -> None:
        super().__init__(w, fields)
        self.base: i64 = base
        self.place: i64 = 0
        self.expiry: i64 = -1

    def next(self) -> bool:
        if self.place == 2:
            self.place = 0
            self.kind = INTEGER
            self.number = self.expiry
            return True
        if self.place == 0:
            if self.left == 0:
                return False
            self.left -= 1
            stored = read_u64(self.window)
            if stored == 0:
                self.expiry = -1
            elif stored > LATEST - self.base:
                raise FormatError("a field's expiry that is not a time", doing="decoding a hash")
            else:
                self.expiry = self.base + stored
        self.place += 1
        self.read()
        return True


def metadata_pre_ga(w: Window) -> Elements:
    """A count, then per field its absolute expiry, field and value."""
    return OneNode(MetadataCursor(w, read_count(w, 3), 0), 3)


def metadata(w: Window) -> Elements:
    """The least expiry, a count, then per field 1 + its expiry beyond the least, field and value."""
    at = w.offset()
    least = read_ms(w)
    if least < 0 or least > LATEST:
        raise FormatError("a least expiry that is not a time", offset=at, doing="decoding a hash")
    return OneNode(MetadataCursor(w, read_count(w, 3), least - 1), 3)


@final
class Hash2Cursor(StringsCursor):
    """Field, value, expiry in ms (8 bytes, -1 for never): Valkey."""

    def __init__(self, w: Window, fields: i64) -> None:
        super().__init__(w, fields)
        self.place: i64 = 0

    def next(self) -> bool:
        if self.place == 2:
            self.place = 0
            self.kind = INTEGER
            number = read_ms(self.window)
            if number < -1:
                raise FormatError("a field's expiry that is not a time", doing="decoding a hash")
            self.number = number
            return True
        if self.place == 0:
            if self.left == 0:
                return False
            self.left -= 1
        self.place += 1
        self.read()
        return True


def hash2(w: Window) -> Elements:
    """A count, then per field the field, its value and its expiry."""
    return OneNode(Hash2Cursor(w, read_count(w, 10)), 3)


def decode(elements: Elements) -> Hash:
    """The hash, fields in the order of the file."""
    fields: dict[bytes, bytes] = {}
    expiries: dict[bytes, int] | None = None
    expiring = elements.stride == 3
    count: i64 = 0
    node = elements.next_node()
    while node is not None:
        while node.next():
            field = node.item()
            if not node.next():
                raise missing("value")
            fields[field] = node.item()
            count += 1
            if expiring:
                if not node.next():
                    raise missing("expiry")
                if node.number >= 0:
                    if expiries is None:
                        expiries = {}
                    expiries[field] = node.number
        node = elements.next_node()
    if len(fields) != count:
        raise FormatError("a hash with a field more than once", doing="decoding a hash")
    return Hash(fields, expiries)


def encode(value: Hash, form: TargetEncodings, out: BytesWriter) -> str:
    """Write the payload; answers the name of its type."""
    expiries = _kept(value.expiries, form)
    packed = value.packed
    if isinstance(packed, RunOfFields) and not expiries and form.listpacks and _takes(form.limits, packed):
        put_string(out, packed.listpack(), form.compress)
        return "hash-listpack"
    fields = value.fields
    if expiries:
        if form.field_expiry != METADATA:
            _encode_hash2(fields, expiries, form, out)
            return "hash2"
        if _is_small(fields, form):
            _encode_listpack_ex(fields, expiries, form, out)
            return "hash-listpack-ex"
        _encode_metadata(fields, expiries, form, out)
        return "hash-metadata"
    if not _is_small(fields, form):
        put_length(out, len(fields))
        for field, item in fields.items():
            put_string(out, field, form.compress)
            put_string(out, item, form.compress)
        return "hash"
    if form.listpacks:
        listpack = ListpackBuilder()
        for field, item in fields.items():
            listpack.append(field)
            listpack.append(item)
        put_string(out, listpack.finish(), form.compress)
        return "hash-listpack"
    ziplist = ZiplistBuilder()
    for field, item in fields.items():
        ziplist.append(field)
        ziplist.append(item)
    put_string(out, ziplist.finish(), form.compress)
    return "hash-ziplist"


def _takes(limits: Limits, packed: RunOfFields) -> bool:
    return packed.count <= limits.hash_entries and limits.hash_value >= LONGEST


def _is_small(fields: dict[bytes, bytes], form: TargetEncodings) -> bool:
    limits = form.limits
    if len(fields) > limits.hash_entries:
        return False
    longest: i64 = 0
    for field, item in fields.items():
        size: i64 = len(field)
        other: i64 = len(item)
        longest = max(longest, size)
        longest = max(longest, other)
    return longest <= limits.hash_value


def kept_expiry(ms: i64, form: TargetEncodings) -> i64:
    """What the target can keep of a field's expiry: -1, with the loss counted, for nothing."""
    if ms < 0:
        return -1
    if form.field_expiry == NO_FIELD_EXPIRY or (form.field_expiry == METADATA and ms > LATEST):
        form.losses.add(FIELD_EXPIRIES)
        return -1
    # 0 is never in Redis; both are long past
    return 1 if ms == 0 and form.field_expiry == METADATA else ms


def _kept(expiries: dict[bytes, int] | None, form: TargetEncodings) -> dict[bytes, i64]:
    kept: dict[bytes, i64] = {}
    if expiries is not None:
        for field, ms in expiries.items():
            stored = kept_expiry(ms, form)
            if stored >= 0:
                kept[field] = stored
    return kept


def _encode_hash2(
    fields: dict[bytes, bytes], expiries: dict[bytes, i64], form: TargetEncodings, out: BytesWriter
) -> None:
    put_length(out, len(fields))
    for field, item in fields.items():
        put_string(out, field, form.compress)
        put_string(out, item, form.compress)
        put_ms(out, expiries.get(field, -1))


def _encode_listpack_ex(
    fields: dict[bytes, bytes], expiries: dict[bytes, i64], form: TargetEncodings, out: BytesWriter
) -> None:
    """Fields in the order in which they expire, those that never do at the end: the server relies on it."""
    builder = ListpackBuilder()
    soonest = sorted((ms, place, field) for place, (field, ms) in enumerate(expiries.items()))
    for ms, _, field in soonest:
        builder.append(field)
        builder.append(fields[field])
        builder.append_integer(ms)
    for field, item in fields.items():
        if field not in expiries:
            builder.append(field)
            builder.append(item)
            builder.append_integer(0)
    put_ms(out, soonest[0][0])
    put_string(out, builder.finish(), form.compress)


def _encode_metadata(
    fields: dict[bytes, bytes], expiries: dict[bytes, i64], form: TargetEncodings, out: BytesWriter
) -> None:
    least: i64 = min(expiries.values())
    put_ms(out, least)
    put_length(out, len(fields))
    for field, item in fields.items():
        ms: i64 = expiries.get(field, -1)
        put_length(out, 0 if ms < 0 else ms - least + 1)
        put_string(out, field, form.compress)
        put_string(out, item, form.compress)
