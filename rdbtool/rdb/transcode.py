"""Payloads of one type into another, node by node: values too large to be decoded whole.

A node that the file holds as it is, is written as it is: LZF did not shrink it, or the server was told not to compress.
"""

from __future__ import annotations

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.io.output import Output
from rdbtool.io.window import Window, passed, window_over
from rdbtool.rdb.layout.elements import OneNode
from rdbtool.rdb.layout.listpack import ListpackCursor
from rdbtool.rdb.layout.quicklist import Quicklist
from rdbtool.rdb.layout.stream import StreamFraming
from rdbtool.rdb.layout.strings import StringsCursor
from rdbtool.rdb.layout.ziplist_builder import ZiplistBuilder
from rdbtool.rdb.values.streams import decode_tail, encode_tail
from rdbtool.rdb.values.target_encodings import HASH2, METADATA, TargetEncodings

from .layout.encoders import put_length, put_ms, put_string
from .layout.primitives import is_compressed, pass_compressed, read_string
from .layout.stream_node import master_id
from .repack import Repacker
from .types import TypeRow
from .values import hashes


def transcoded_list(nodes: Quicklist, repacker: Repacker, form: TargetEncodings, output: Output) -> None:
    """A quicklist of listpacks as one of ziplists."""
    put_length(output.buffer, nodes.left)
    node = nodes.next_node()
    while node is not None:
        if isinstance(node, ListpackCursor):
            ziplist = repacker.elements(node.data)
        else:
            builder = ZiplistBuilder()
            while node.next():
                builder.append(node.item())
            ziplist = builder.finish()
        put_string(output.buffer, ziplist, form.compress and nodes.compressed)
        output.room()
        node = nodes.next_node()


def transcoded_stream(w: Window, version: i64, form: TargetEncodings, output: Output) -> None:
    """A stream of an older ``version`` of the format than the payload's: the nodes stay as they are."""
    framing = StreamFraming(w, version)
    put_length(output.buffer, framing.nodes)
    while framing.next_node():
        key = read_string(w)
        master_id(key)
        put_string(output.buffer, key, form.compress)
        if form.compress and is_compressed(w):
            output.buffer.write(passed(w, pass_compressed))
        else:
            put_string(output.buffer, read_string(w), False)
        output.room()
    stream = decode_tail(framing)
    encode_tail(stream, framing.length, framing.first_id, form, output.buffer)


def transcoded_hash(cursor: StringsCursor, form: TargetEncodings, output: Output) -> None:
    """A hash of field, value and expiry, element by element, as the type that `hash_type` names."""
    how = form.field_expiry
    if how == METADATA:
        # Expiries count from the least, which is only known at the end: let them count from the epoch.
        put_ms(output.buffer, 1)
    put_length(output.buffer, cursor.left)
    while cursor.next():
        field = cursor.item()
        cursor.next()
        item = cursor.item()
        cursor.next()
        ms = hashes.kept_expiry(cursor.number, form)
        out = output.buffer
        if how == METADATA:
            put_length(out, max(ms, 0))
        put_string(out, field, form.compress)
        put_string(out, item, form.compress)
        if how == HASH2:
            put_ms(out, ms)
        output.room()


def hash_type(form: TargetEncodings) -> str:
    """The name of the type that `transcoded_hash` writes."""
    return "hash2" if form.field_expiry == HASH2 else "hash-metadata" if form.field_expiry == METADATA else "hash"


def large_hash(w: Window, row: TypeRow, form: TargetEncodings) -> tuple[StringsCursor | None, OneNode]:
    """Open a hash with expiries: a cursor if it is too large to be packed, and its elements."""
    assert row.elements is not None
    elements = row.elements(w)
    assert isinstance(elements, OneNode)
    node = elements.node
    if isinstance(node, StringsCursor) and node.left > form.limits.hash_entries:
        return node, elements
    return None, elements


def can_repack(row: TypeRow, form: TargetEncodings) -> bool:
    """Whether values of a type are listpacks that the target has as ziplists."""
    return not form.listpacks and row.name in {"hash-listpack", "zset-listpack"}


def repacked(repacker: Repacker, raw: bytes, row: TypeRow, form: TargetEncodings, out: BytesWriter) -> str:
    """Write a payload for which `can_repack` holds as a ziplist; answers the name of its type, or "" where nothing was
    written, for it has to be decoded.
    """
    limits = form.limits
    w = window_over(raw)
    compressed = is_compressed(w)
    node = read_string(w)
    if row.redis_type == "hash":
        ziplist = repacker.fields(node, limits.hash_entries, limits.hash_value)
    else:
        ziplist = repacker.members(node, limits.zset_entries, limits.zset_value)
    if ziplist is None:
        return ""
    put_string(out, ziplist, form.compress and compressed)
    return f"{row.redis_type}-ziplist"
