"""Lists."""

from __future__ import annotations

from collections import deque

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.rdb.layout.elements import Elements
from rdbtool.rdb.layout.encoders import put_length, put_string
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.quicklist import PACKED, PLAIN
from rdbtool.rdb.layout.ziplist_builder import ZiplistBuilder

from .target_encodings import TargetEncodings


def decode(elements: Elements) -> deque[bytes]:
    """The list."""
    out: list[bytes] = []
    node = elements.next_node()
    while node is not None:
        while node.next():
            out.append(node.item())
        node = elements.next_node()
    return deque(out)


def encode(value: deque[bytes], form: TargetEncodings, out: BytesWriter) -> str:
    """Write the payload, a quicklist; answers the name of its type."""
    if form.listpacks:
        _encode_listpacks(value, form, out)
        return "list-quicklist2"
    _encode_ziplists(value, form, out)
    return "list-quicklist"


def _encode_listpacks(value: deque[bytes], form: TargetEncodings, out: BytesWriter) -> None:
    """Nodes as pushing the elements one after another makes them (quicklist.c, _quicklistNodeAllowInsert)."""
    limit = form.limits.list_node
    nodes = BytesWriter()
    count: i64 = 0
    node = ListpackBuilder()
    for item in value:
        size: i64 = len(item)
        if node.count and (size >= form.plain_nodes_from or node.size + size + 8 > limit):
            put_length(nodes, PACKED)
            put_string(nodes, node.finish(), form.compress)
            count += 1
            node = ListpackBuilder()
        if size >= form.plain_nodes_from:
            put_length(nodes, PLAIN)
            put_string(nodes, item, form.compress)
            count += 1
        else:
            node.append(item)
    if node.count:
        put_length(nodes, PACKED)
        put_string(nodes, node.finish(), form.compress)
        count += 1
    put_length(out, count)
    out.write(nodes.getvalue())


def _encode_ziplists(value: deque[bytes], form: TargetEncodings, out: BytesWriter) -> None:
    limit = form.limits.list_node
    nodes = BytesWriter()
    count: i64 = 0
    node = ZiplistBuilder()
    for item in value:
        size: i64 = len(item)
        # what an entry has beside its bytes, as the server estimates it
        overhead: i64 = (1 if size < 254 else 5) + (1 if size < 64 else 2 if size < 16384 else 5)
        if node.count and node.size + size + overhead > limit:
            put_string(nodes, node.finish(), form.compress)
            count += 1
            node = ZiplistBuilder()
        node.append(item)
    if node.count:
        put_string(nodes, node.finish(), form.compress)
        count += 1
    put_length(out, count)
    out.write(nodes.getvalue())
