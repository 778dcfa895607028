"""The commands, one module per group. Importing this package fills the table."""

from __future__ import annotations

from . import (
    arrays,
    bitmaps,
    conditional,
    fields,
    geo,
    groups,
    hashes,
    hyperloglog,
    keys,
    lists,
    path_hashes,
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
    "arrays",
    "bitmaps",
    "conditional",
    "fields",
    "geo",
    "groups",
    "hashes",
    "hyperloglog",
    "keys",
    "lists",
    "path_hashes",
    "reading",
    "scripting",
    "server",
    "sets",
    "sorting",
    "streams",
    "strings",
    "zsets",
]
