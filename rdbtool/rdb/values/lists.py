"""Lists."""

from __future__ import annotations

from collections import deque
from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.rdb.layout.cursor import Cursor
from rdbtool.rdb.layout.elements import Elements, OneNode, StringsCursor
from rdbtool.rdb.layout.encoders import put_length, put_string
from rdbtool.rdb.layout.listpack import ListpackBuilder, ListpackCursor
from rdbtool.rdb.layout.primitives import read_count, read_length, read_string
from rdbtool.rdb.layout.ziplist import ZiplistBuilder, ZiplistCursor

from .target_encodings import TargetEncodings

PLAIN: Final[i64] = 1
PACKED: Final[i64] = 2
"""Containers of a quicklist's node: one element, or a listpack."""


def plain(w: Window) -> Elements:
    """A count and strings."""
    return OneNode(StringsCursor(w, read_count(w, 1)), 1)


def ziplist(w: Window) -> Elements:
    """A string that is a ziplist."""
    return OneNode(ZiplistCursor(read_string(w)), 1)


@final
class PlainNode(Cursor):
    """A node that is one element."""

    def next(self) -> bool:
        if self.pos:
            return False
        self.pos = 1
        self.size = len(self.data)
        return True


@final
class Quicklist(Elements):
    """Nodes: ziplists, or from Redis 7.0 on ``containers``, each a kind and a string."""

    def __init__(self, w: Window, left: i64, containers: bool) -> None:
        super().__init__(1)
        self.window = w
        self.left: i64 = left
        self.containers = containers

    def next_node(self) -> Cursor | None:
        if self.left == 0:
            return None
        self.left -= 1
        w = self.window
        if not self.containers:
            return ZiplistCursor(read_string(w))
        at = w.offset()
        container = read_length(w)
        if container == PACKED:
            return ListpackCursor(read_string(w))
        if container == PLAIN:
            return PlainNode(read_string(w))
        raise FormatError(f"unknown container {container}", path=w.path, offset=at, doing="reading a quicklist's node")


def quicklist(w: Window) -> Elements:
    """A count and ziplists."""
    return Quicklist(w, read_count(w, 1), containers=False)


def quicklist2(w: Window) -> Elements:
    """A count, and for each node its container and a string."""
    return Quicklist(w, read_count(w, 2), containers=True)


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
