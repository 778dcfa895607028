"""Hashes, and the expiry of their fields."""

from __future__ import annotations

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.model import MAX_FIELD_EXPIRY, Hash
from rdbtool.rdb.layout.elements import Elements, missing
from rdbtool.rdb.layout.encoders import put_length, put_ms, put_string
from rdbtool.rdb.layout.facts import FIELD_EXPIRIES
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.run import LONGEST, RunOfFields
from rdbtool.rdb.layout.ziplist_builder import ZiplistBuilder
from rdbtool.servers.limits import Limits

from .target_encodings import METADATA, NO_FIELD_EXPIRY, TargetEncodings


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
    if form.field_expiry == NO_FIELD_EXPIRY or (form.field_expiry == METADATA and ms > MAX_FIELD_EXPIRY):
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
