"""Check function libraries as far as that goes without running them (functions.c of Redis)."""

from __future__ import annotations

from rdbtool.errors import FormatError, printable
from rdbtool.rdb.events import Function
from rdbtool.rdb.libraries import library_header

from .layout.inspection import Inspection


def check_library(event: Function, names: set[bytes], ins: Inspection) -> str:
    """Check the first line of a library, ``#!engine name=...``; its name, added to ``names``, or ""."""
    ins.begin(-1, None)
    line, newline, _ = event.code.partition(b"\n")
    if not line.startswith(b"#!") or not newline:
        ins.report("function-library", "a function library without its first line '#!engine name=...'", event.offset)
        return ""
    try:
        engine, raw_name = library_header(event.code)
    except FormatError:
        ins.report("function-library", f"a function library with a wrong first line: '{printable(line)}'", event.offset)
        return ""
    name = raw_name.decode()
    if raw_name in names:
        ins.report("function-library", f"function library '{name}' is there twice", event.offset)
    names.add(raw_name)
    if engine.lower() != b"lua":
        ins.report("function-engine", f"function library '{name}' needs the engine '{printable(engine)}'", event.offset)
    return name
