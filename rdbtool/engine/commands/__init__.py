"""The commands, one module per group. Importing this package fills the table."""

from __future__ import annotations

from . import (
    bitmaps,
    conditional,
    fields,
    geo,
    groups,
    hashes,
    hyperloglog,
    keys,
    lists,
    reading,
    scripting,
    server,
    sets,
    sorting,
    streams,
    strings,
    zsets,
)

__all__ = [
    "bitmaps",
    "conditional",
    "fields",
    "geo",
    "groups",
    "hashes",
    "hyperloglog",
    "keys",
    "lists",
    "reading",
    "scripting",
    "server",
    "sets",
    "sorting",
    "streams",
    "strings",
    "zsets",
]
