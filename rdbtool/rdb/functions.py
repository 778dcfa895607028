"""Check function libraries as far as that goes without running them (functions.c of Redis)."""

from __future__ import annotations

import re
import shlex

from rdbtool.errors import printable
from rdbtool.rdb.events import Function

from .layout.inspection import Inspection


def check_library(event: Function, names: set[bytes], ins: Inspection) -> str:
    """Check the first line of a library, ``#!engine name=...``; its name, added to ``names``, or ""."""
    ins.begin(-1, None)
    line, newline, _ = event.code.partition(b"\n")
    if not line.startswith(b"#!") or not newline:
        ins.report("function-library", "a function library without its first line '#!engine name=...'", event.offset)
        return ""
    try:
        parts = shlex.split(line[2:].decode("latin-1"))
    except ValueError:
        parts = []
    named = [part[5:] for part in parts[1:] if part[:5].lower() == "name="]
    if len(named) != 1 or len(parts) != 2 or not re.fullmatch(r"[A-Za-z0-9_]+", named[0]):
        ins.report("function-library", f"a function library with a wrong first line: '{printable(line)}'", event.offset)
        return ""
    name = named[0]
    if name.encode() in names:
        ins.report("function-library", f"function library '{name}' is there twice", event.offset)
    names.add(name.encode())
    if parts[0].lower() != "lua":
        engine = printable(parts[0].encode("latin-1"))
        ins.report("function-engine", f"function library '{name}' needs the engine '{engine}'", event.offset)
    return name
