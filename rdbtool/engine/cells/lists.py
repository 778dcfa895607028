"""Lists, and how the server would hold them.

From 7.2 on a list is a listpack up to 8 KiB and a quicklist beyond, and turns back when it has shrunk to one
node of 4 KiB. Whether it has, depends on where the nodes of the quicklist begin and end, and so on every
command before. `Shape` keeps what that takes: bytes and element count of each node. Rules from quicklist.c and
t_list.c with list-max-listpack-size -2.
"""

from __future__ import annotations

from collections import deque
from typing import Final, final

from mypy_extensions import i64, mypyc_attr, u8

from rdbtool.basics.numbers import is_integer, parse_integer
from rdbtool.model import NO_EXPIRY, Value
from rdbtool.servers.features import QUICKLISTS, SMALL_LISTPACKS
from rdbtool.servers.releases import Release

from .cell import Cell
from .deque import Deque

NODE_LIMIT: Final = 8192
"""Bytes of a quicklist node, and of an element that gets a node of its own when it is longer."""
SHRUNK: Final = NODE_LIMIT // 2
"""Bytes of the single node up to which a quicklist that shrinks becomes a listpack."""
OVERHEAD: Final = 8
"""What an element is taken to add to its bytes before it is inserted."""
EMPTY: Final = 7
"""Bytes of a listpack without elements."""

PACKED: Final = 0
"""A listpack; ``size`` is its length in bytes."""
QUICK: Final = 1
"""A quicklist; ``shape`` has its nodes."""
ALWAYS_QUICK: Final = 2
"""A quicklist in Redis 3.2 to 7.0, which never changes."""
ZIPLIST: Final = 3
"""A ziplist before Redis 3.2, until it grows."""
LINKED: Final = 4
"""A linked list before Redis 3.2."""


def entry_size(element: bytes) -> i64:
    """Bytes of ``element`` in a listpack (listpack.c, lpEncodeGetType and lpEncodeBacklen)."""
    n: i64 = len(element)
    if n <= 20 and is_integer(element):
        value = parse_integer(element)
        if 0 <= value <= 127:
            return 2
        if -4096 <= value <= 4095:
            return 3
        if -(1 << 15) <= value < 1 << 15:
            return 4
        if -(1 << 23) <= value < 1 << 23:
            return 5
        if -(1 << 31) <= value < 1 << 31:
            return 6
        return 10
    size: i64 = n + 1 if n < 64 else n + 2 if n < 4096 else n + 5
    if size <= 127:
        return size + 1
    if size < 16383:
        return size + 2
    if size < 2097151:
        return size + 3
    if size < 268435455:
        return size + 4
    return size + 5


@final
@mypyc_attr(acyclic=True)
class Node:
    """A node: ``count`` elements in ``size`` bytes; ``plain``: one element too long for a listpack."""

    __slots__ = ("count", "plain", "size")

    def __init__(self, count: i64, size: i64, plain: bool) -> None:
        self.count: i64 = count
        self.size: i64 = size
        self.plain = plain

    def takes(self, n: i64) -> bool:
        """Whether an element of ``n`` bytes may be added."""
        return not self.plain and n <= NODE_LIMIT and self.size + n + OVERHEAD <= NODE_LIMIT


def node_of(element: bytes) -> Node:
    """A node with one element."""
    n: i64 = len(element)
    return Node(1, n, True) if n > NODE_LIMIT else Node(1, EMPTY + entry_size(element), False)


def may_merge(a: Node, b: Node) -> bool:
    """Whether two neighbours fit into one node."""
    return not a.plain and not b.plain and a.size + b.size - EMPTY <= NODE_LIMIT


@final
@mypyc_attr(acyclic=True)
class Shape:
    """The nodes of a quicklist, head first."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def copy(self) -> Shape:
        """The same nodes, of its own."""
        return Shape([Node(node.count, node.size, node.plain) for node in self.nodes])

    def push(self, element: bytes, head: bool) -> None:
        """An element was added at an end."""
        nodes = self.nodes
        if nodes:
            node = nodes[0] if head else nodes[-1]
            if node.takes(len(element)):
                node.count += 1
                node.size += entry_size(element)
                return
        if head:
            nodes.insert(0, node_of(element))
        else:
            nodes.append(node_of(element))

    def remove(self, at: i64, element: bytes) -> None:
        """The element was removed from node number ``at``."""
        node = self.nodes[at]
        if node.count == 1:
            del self.nodes[at]
        else:
            node.count -= 1
            node.size -= entry_size(element)

    def find(self, index: i64) -> tuple[i64, i64]:
        """The number of the node that holds element ``index``, and the element's place in it."""
        at: i64 = 0
        while index >= self.nodes[at].count:
            index -= self.nodes[at].count
            at += 1
        return at, index

    def split(self, at: i64, sizes: i64, count: i64) -> None:
        """Cut node ``at`` behind its first ``count`` elements, which take ``sizes`` bytes without the header."""
        node = self.nodes[at]
        self.nodes.insert(at + 1, Node(node.count - count, node.size - sizes, False))
        node.count = count
        node.size = sizes + EMPTY

    def merge_around(self, center: i64) -> None:
        """Merge what fits, as after a split (_quicklistMergeNodes): pairs left and right of ``center``, then it."""
        if center >= 2 and self._merge(center - 2):
            center -= 1
        if center + 2 < len(self.nodes):
            self._merge(center + 1)
        if center >= 1 and self._merge(center - 1):
            center -= 1
        if center + 1 < len(self.nodes):
            self._merge(center)

    def _merge(self, left: i64) -> bool:
        a = self.nodes[left]
        b = self.nodes[left + 1]
        if not may_merge(a, b):
            return False
        a.count += b.count
        a.size += b.size - EMPTY
        del self.nodes[left + 1]
        return True


@final
@mypyc_attr(acyclic=True)
class ListCell(Cell):
    """A list. Change it by its methods, which keep the shape."""

    __slots__ = ("items", "kind", "shape", "size")

    def __init__(self, kind: u8) -> None:
        self.expire_at_ms: i64 = NO_EXPIRY
        self.items = Deque([])
        self.kind: u8 = kind
        self.size: i64 = EMPTY
        self.shape: Shape | None = None

    def value(self) -> Value:
        return deque(self.items.all())

    def copy(self) -> Cell:
        cell = ListCell(self.kind)
        cell.expire_at_ms = self.expire_at_ms
        cell.items = Deque(self.items.all().copy())
        cell.size = self.size
        if self.shape is not None:
            cell.shape = self.shape.copy()
        return cell

    def is_empty(self) -> bool:
        return len(self.items) == 0

    def encoding(self) -> str:
        """What OBJECT ENCODING answers."""
        if self.kind == PACKED:
            return "listpack"
        if self.kind == ZIPLIST:
            return "ziplist"
        return "linkedlist" if self.kind == LINKED else "quicklist"

    def load_shape(self, shape: Shape) -> None:
        """Take the nodes of a quicklist as they stand in a snapshot."""
        self.kind = QUICK
        self.shape = shape
        self.shrink(NODE_LIMIT)

    def grow(self, size: i64) -> None:
        """To be called before elements of ``size`` bytes in all are added, or one is replaced."""
        if self.kind == PACKED and self.size + size > NODE_LIMIT:
            self.kind = QUICK
            count: i64 = len(self.items)
            self.shape = Shape([Node(count, self.size, False)] if count else [])

    def shrink(self, limit: i64 = SHRUNK) -> None:
        """To be called after elements were removed or replaced."""
        shape = self.shape
        if shape is None or len(shape.nodes) != 1:
            return
        node = shape.nodes[0]
        if not node.plain and node.size <= limit:
            self.kind = PACKED
            self.size = node.size
            self.shape = None

    def push(self, element: bytes, head: bool) -> None:
        """Add an element at an end."""
        self.items.push(element, head)
        if self.kind == PACKED:
            self.size += entry_size(element)
        elif self.shape is not None:
            self.shape.push(element, head)
        elif self.kind == ZIPLIST and (len(element) > 64 or len(self.items) > 512):
            self.kind = LINKED

    def pop(self, head: bool) -> bytes:
        """Remove and return the element at an end."""
        element = self.items.pop(head)
        if self.kind == PACKED:
            self.size -= entry_size(element)
        elif self.shape is not None:
            self.shape.remove(0 if head else len(self.shape.nodes) - 1, element)
        return element

    def delete_all(self, found: list[int], element: bytes) -> None:
        """Remove the elements at the ascending indexes ``found``, all equal to ``element``."""
        shape = self.shape
        if self.kind == PACKED:
            self.size -= entry_size(element) * len(found)
        elif shape is not None:
            for i in range(len(found) - 1, -1, -1):
                at, _ = shape.find(found[i])
                shape.remove(at, element)
        items = self.items.all()
        if len(found) == 1:
            del items[found[0]]
            return
        kept: list[bytes] = []
        step = 0
        for i, item in enumerate(items):
            if step < len(found) and found[step] == i:
                step += 1
            else:
                kept.append(item)
        self.items = Deque(kept)

    def insert(self, index: i64, element: bytes, after: bool) -> None:
        """Insert before or after the element at ``index``."""
        shape = self.shape
        if self.kind == PACKED:
            self.size += entry_size(element)
        elif shape is not None:
            self._insert_shape(shape, index, element, after)
        self.items.all().insert(index + 1 if after else index, element)
        if self.kind == ZIPLIST and (len(element) > 64 or len(self.items) > 512):
            self.kind = LINKED

    def _insert_shape(self, shape: Shape, index: i64, element: bytes, after: bool) -> None:
        nodes = shape.nodes
        at, place = shape.find(index)
        node = nodes[at]
        n: i64 = len(element)
        beside = at + 1 if after else at - 1
        at_end = place == node.count - 1 if after else place == 0
        if node.takes(n):
            node.count += 1
            node.size += entry_size(element)
        elif n > NODE_LIMIT:
            if not node.plain and not at_end:
                keep = place + 1 if after else place
                shape.split(at, self._sizes(index - place, keep), keep)
                nodes.insert(at + 1, node_of(element))
            else:
                nodes.insert(at + 1 if after else at, node_of(element))
        elif at_end and 0 <= beside < len(nodes) and nodes[beside].takes(n):
            nodes[beside].count += 1
            nodes[beside].size += entry_size(element)
        elif at_end:
            nodes.insert(at + 1 if after else at, node_of(element))
        else:
            keep = place + 1 if after else place
            shape.split(at, self._sizes(index - place, keep), keep)
            new = nodes[at + 1] if after else nodes[at]
            new.count += 1
            new.size += entry_size(element)
            shape.merge_around(at if after else at + 1)

    def _sizes(self, first: i64, count: i64) -> i64:
        total: i64 = 0
        for i in range(first, first + count):
            total += entry_size(self.items.get(i))
        return total

    def replace(self, index: i64, element: bytes) -> None:
        """Replace the element at ``index``."""
        shape = self.shape
        if self.kind == PACKED:
            self.size += entry_size(element) - entry_size(self.items.get(index))
        elif shape is not None:
            self._replace_shape(shape, index, element)
        self.items.set(index, element)
        if self.kind == ZIPLIST and len(element) > 64:
            self.kind = LINKED

    def _replace_shape(self, shape: Shape, index: i64, element: bytes) -> None:
        nodes = shape.nodes
        at, place = shape.find(index)
        node = nodes[at]
        n: i64 = len(element)
        if node.plain:
            if n > NODE_LIMIT:
                node.size = n
            elif at + 1 < len(nodes) and nodes[at + 1].takes(n):
                nodes[at + 1].count += 1
                nodes[at + 1].size += entry_size(element)
                del nodes[at]
            else:
                nodes[at] = node_of(element)
        elif n <= NODE_LIMIT:
            node.size += entry_size(element) - entry_size(self.items.get(index))
        else:
            if place != node.count - 1:
                shape.split(at, self._sizes(index - place, place + 1), place + 1)
            nodes.insert(at + 1, node_of(element))
            if node.count == 1:
                del nodes[at]
            else:
                node.count -= 1
                node.size -= entry_size(self.items.get(index))
                shape.merge_around(at + 1)

    def trim(self, count: i64, head: bool) -> None:
        """Remove ``count`` elements at an end."""
        for _ in range(count):
            self.pop(head)


def kind_of(release: Release) -> u8:
    """How servers of this release begin a list."""
    if release.has(SMALL_LISTPACKS):
        return PACKED
    return ALWAYS_QUICK if release.has(QUICKLISTS) else ZIPLIST


def loaded_list(items: list[bytes], kind: u8) -> ListCell:
    """The list as it is after it was built element by element: loaded from a snapshot, or stored by SORT."""
    cell = ListCell(kind)
    cell.items = Deque(items)
    if kind == PACKED:
        shape = Shape([])
        for element in items:
            shape.push(element, False)
        cell.kind = QUICK
        cell.shape = shape
        cell.shrink(NODE_LIMIT)
    elif kind == ZIPLIST:
        if len(items) > 512 or any(len(element) > 64 for element in items):
            cell.kind = LINKED
    return cell
