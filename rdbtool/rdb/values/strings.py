"""Strings."""

from __future__ import annotations

from rdbtool.source import Window

from .elements import Elements, OneNode, StringsCursor


def plain(w: Window) -> Elements:
    """A string, as one element."""
    return OneNode(StringsCursor(w, 1), 1)


def decode(elements: Elements) -> bytes:
    """The string."""
    node = elements.next_node()
    assert node is not None
    node.next()
    return node.item()
