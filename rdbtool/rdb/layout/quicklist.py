"""Quicklists: lists in nodes, each of them packed (quicklist.c).

Nodes are ziplists (Redis 3.2 to 6.2), or from 7.0 on a container kind and a string: one large element, or a listpack.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window

from .cursor import Cursor
from .elements import Elements
from .inspection import Inspection, open_packed, pass_string
from .listpack import ListpackCursor, check_listpack, visit_listpack
from .primitives import is_compressed, read_count, read_length, read_string, skip_string
from .visit import Visit
from .ziplist import ZiplistCursor, check_ziplist, visit_ziplist

PLAIN: Final[i64] = 1
PACKED: Final[i64] = 2
"""What a node holds: one large element, or a listpack."""


def skip_quicklist2(w: Window) -> None:
    """A count, then nodes: a container kind and a string."""
    count = read_count(w, 2)
    while count > 0:
        read_length(w)
        skip_string(w)
        count -= 1


def check_quicklist(w: Window, ins: Inspection) -> None:
    """A count, then ziplists. Servers drop empty ones."""
    count = read_count(w, 1)
    ins.empty = True
    while count > 0:
        if not open_packed(w, ins):
            ins.empty = False
        elif ins.size == 0:
            ins.report_packed("quicklist-node", "a quicklist node without bytes", ins.start)
            ins.empty = False
        elif check_ziplist(ins) != 0:
            ins.empty = False
        count -= 1


def check_quicklist2(w: Window, ins: Inspection) -> None:
    """A count, then nodes: a container kind and a string."""
    count = read_count(w, 2)
    ins.empty = True
    while count > 0:
        at = w.offset()
        holds = read_length(w)
        if holds == PLAIN:
            if w.need(1) and w.data[w.pos] == 0:
                ins.report("quicklist-node", "a quicklist node without bytes", at)
            pass_string(w, ins)
            ins.empty = False
        elif holds != PACKED:
            ins.report("quicklist-node", f"a quicklist node that holds an unknown kind of data: {holds}", at)
            pass_string(w, ins)
            ins.empty = False
        elif not open_packed(w, ins):
            ins.empty = False
        elif ins.size == 0:
            ins.report_packed("quicklist-node", "a quicklist node without bytes", ins.start)
            ins.empty = False
        elif check_listpack(ins) != 0:
            ins.empty = False
        count -= 1


def visit_quicklist(visit: Visit) -> None:
    """A count, then ziplists."""
    count = read_count(visit.window, 1)
    while count > 0:
        visit_ziplist(visit)
        count -= 1


def visit_quicklist2(visit: Visit) -> None:
    """A count, then nodes: a container kind and a string."""
    w = visit.window
    count = read_count(w, 2)
    while count > 0:
        at = w.offset()
        container = read_length(w)
        if container == PACKED:
            visit_listpack(visit)
        else:
            if container != PLAIN:
                visit.damaged(FormatError("a quicklist node that is neither plain nor packed"), at)
            visit.string()
        count -= 1


def quicklist_elements(w: Window) -> Elements:
    """A count, then ziplists."""
    return Quicklist(w, read_count(w, 1), containers=False)


def quicklist2_elements(w: Window) -> Elements:
    """A count, then nodes: a container kind and a string."""
    return Quicklist(w, read_count(w, 2), containers=True)


@final
class Quicklist(Elements):
    """Nodes, ``left`` of them: ziplists, or with ``containers`` each a kind and a string."""

    def __init__(self, w: Window, left: i64, containers: bool) -> None:
        super().__init__(1)
        self.window = w
        self.left: i64 = left
        self.containers = containers
        self.compressed = False
        """Whether the file holds the last node compressed."""

    def next_node(self) -> Cursor | None:
        if self.left == 0:
            return None
        self.left -= 1
        w = self.window
        if not self.containers:
            return ZiplistCursor(read_string(w))
        at = w.offset()
        container = read_length(w)
        self.compressed = is_compressed(w)
        if container == PACKED:
            return ListpackCursor(read_string(w))
        if container == PLAIN:
            return PlainNode(read_string(w))
        raise FormatError(f"unknown container {container}", path=w.path, offset=at, doing="reading a quicklist's node")


@final
class PlainNode(Cursor):
    """A node that is one element."""

    def next(self) -> bool:
        if self.pos:
            return False
        self.pos = 1
        self.size = len(self.data)
        return True
