"""Strings."""

from __future__ import annotations

from librt.strings import BytesWriter

from rdbtool.rdb.layout.elements import Elements
from rdbtool.rdb.layout.encoders import put_string

from .target_encodings import TargetEncodings


def decode(elements: Elements) -> bytes:
    """The string."""
    node = elements.next_node()
    assert node is not None
    node.next()
    return node.item()


def encode(value: bytes, form: TargetEncodings, out: BytesWriter) -> str:
    """Write the payload; answers the name of its type."""
    put_string(out, value, form.compress)
    return "string"
