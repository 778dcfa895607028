"""Tell the entries of a stream from the listpacks they are in (t_stream.c, streamAppendItem)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.rdb.layout.cursor import STRING
from rdbtool.rdb.layout.listpack import ListpackCursor

from .layout.visitor import Visitor

DELETED: Final[i64] = 1
SAME_FIELDS: Final[i64] = 2
"""Flags of stream entries."""

U64: Final = 0xFFFF_FFFF_FFFF_FFFF


def tell_entries(v: Visitor, master: bytes, data: bytes) -> int:
    """Tell the entries of a listpack, whose first id is ``master``, and count them. Raises `FormatError`."""
    if len(master) != 16:
        raise FormatError("a listpack's first id that has not 16 bytes", doing="decoding a stream")
    master_ms = int.from_bytes(master[:8], "big")
    master_seq = int.from_bytes(master[8:], "big")
    c = ListpackCursor(data)
    limit: i64 = len(data)
    c.integer()  # entries
    c.integer()  # deleted ones
    fields = c.integer()
    if fields < 0 or fields > limit:
        raise FormatError("an impossible number of fields", doing="decoding a stream")
    names: list[bytes] = []
    while fields > 0:
        _need(c)
        names.append(c.item())
        fields -= 1
    c.integer()
    told = 0
    while c.next():
        flags = c.number
        difference: int = c.integer()  # an int: ids have 64 bits without a sign
        ms = (master_ms + difference) & U64
        difference = c.integer()
        seq = (master_seq + difference) & U64
        kept = flags & DELETED == 0
        if kept:
            v.entry(ms, seq)
            told += 1
        if flags & SAME_FIELDS:
            for name in names:
                _need(c)
                if kept:
                    v.text(name, 0, len(name))
                    _tell(v, c)
        else:
            fields = c.integer()
            if fields < 0 or fields > limit:
                raise FormatError("an impossible number of fields", doing="decoding a stream")
            fields *= 2
            while fields > 0:
                _need(c)
                if kept:
                    _tell(v, c)
                fields -= 1
        c.integer()  # how many elements the entry has, to walk backwards
    return told


def _tell(v: Visitor, c: ListpackCursor) -> None:
    if c.kind == STRING:
        v.text(c.data, c.start, c.start + c.size)
    else:
        v.integer(c.number)


def _need(c: ListpackCursor) -> None:
    if not c.next():
        raise FormatError("a field or value is missing", doing="decoding a stream")
