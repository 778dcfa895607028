"""The elements of a value, node by node, from a window: what decoders and transcoders are built on.

Nothing here holds more than one node, or one element where the value is not packed.
"""

from __future__ import annotations

from typing import final

from mypy_extensions import i64

from rdbtool.errors import FormatError

from .cursor import Cursor


class Elements:
    """The elements of one value.

    ``stride`` of them belong together: 1 in lists and sets; 2 in hashes (field, value) and sorted sets
    (member, score); 3 in hashes whose fields can expire (field, value, and the time in ms as an
    INTEGER, -1 for never).
    """

    def __init__(self, stride: i64) -> None:
        self.stride: i64 = stride

    def next_node(self) -> Cursor | None:
        """The next node's elements, or None. A node must be walked to its end before the next."""
        raise NotImplementedError


@final
class OneNode(Elements):
    """A value that is a single node."""

    def __init__(self, node: Cursor, stride: i64) -> None:
        super().__init__(stride)
        self.node: Cursor | None = node

    def next_node(self) -> Cursor | None:
        node = self.node
        self.node = None
        return node


def missing(what: str) -> FormatError:
    """The error for a node that ends inside a group of elements."""
    return FormatError(f"a node ends before a {what}", doing="decoding a value")
