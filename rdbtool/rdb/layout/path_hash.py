"""Path hashes (Valkey 9.2): a count of paths; per path its name, and a count of fields with their values.

Facts: Valkey's source before 9.2. Paths stand in the order of their bytes, and are read in any; a path hash without a
path is a key all the same.
"""

from __future__ import annotations

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.model import PathHash

from .encoders import put_length, put_string
from .inspection import Inspection, check_name, pass_string
from .primitives import read_count, read_string, skip_string
from .visit import Visit

_DOING: Final = "decoding a path hash"
NO_FIELDS: Final = "a path without fields"


def skip(w: Window) -> None:
    """Pass a payload."""
    paths = read_count(w, 2)
    while paths > 0:
        skip_string(w)
        fields = read_count(w, 2)
        while fields > 0:
            skip_string(w)
            skip_string(w)
            fields -= 1
        paths -= 1


def check(w: Window, ins: Inspection) -> None:
    """Paths, each with its fields."""
    paths = read_count(w, 2)
    names: set[bytes] = set()
    while paths > 0:
        check_name(w, ins, names, "path-hash", "a path twice in a path hash")
        at = w.offset()
        fields = read_count(w, 2)
        if fields == 0:
            ins.report("path-hash", NO_FIELDS, at)
        seen: set[bytes] = set()
        while fields > 0:
            check_name(w, ins, seen, "path-hash", "a field twice in a path")
            pass_string(w, ins)
            fields -= 1
        paths -= 1


def decode(w: Window) -> PathHash:
    """The path hash, paths in the order of the file. Raises what reading raises, and `FormatError`."""
    value = PathHash()
    left = read_count(w, 2)
    while left > 0:
        at = w.offset()
        path = read_string(w)
        if path in value.paths:
            raise FormatError("a path twice in a path hash", offset=at, doing=_DOING)
        at = w.offset()
        count = read_count(w, 2)
        if count == 0:
            raise FormatError(NO_FIELDS, offset=at, doing=_DOING)
        fields: dict[bytes, bytes] = {}
        more: i64 = count
        while more > 0:
            field = read_string(w)
            fields[field] = read_string(w)
            more -= 1
        if len(fields) != count:
            raise FormatError("a field twice in a path", offset=at, doing=_DOING)
        value.paths[path] = fields
        left -= 1
    return value


def visit(visit: Visit) -> None:
    """Paths, each with its fields and values in turn."""
    w = visit.window
    paths = read_count(w, 2)
    while paths > 0:
        name = visit.node()
        at = w.offset()
        fields = read_count(w, 2)
        if fields == 0:
            visit.damaged(FormatError(NO_FIELDS, doing=_DOING), at)
        visit.visitor.path(b"" if name is None else name)
        while fields > 0:
            visit.string()
            visit.string()
            fields -= 1
        paths -= 1


def encode(value: PathHash, out: BytesWriter, compress: bool) -> None:
    """Write the payload, paths in the order of their bytes, as servers do."""
    put_length(out, len(value.paths))
    for path in sorted(value.paths):
        fields = value.paths[path]
        put_string(out, path, compress)
        put_length(out, len(fields))
        for field, item in fields.items():
            put_string(out, field, compress)
            put_string(out, item, compress)
