"""Hashes that share the names of their fields (Redis 8.10): a template of names, and each hash's values in its order.

In a snapshot templates stand in records of their own, and a hash names one by its id (types 30 and 32). In what DUMP
answers the names stand in front of the values (types 29 and 31). The reader gives the first in the form of the second,
so that a payload says all of its value wherever it goes.

Facts: observed of Redis 8.10.2, which orders names by their length, and then by their bytes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.errors import FormatError
from rdbtool.io.window import Window

from .cursor import INTEGER, STRING, Cursor
from .elements import Elements, OneNode
from .encoders import put_length, put_string
from .inspection import Inspection, open_packed, pass_string
from .listpack import ListpackCursor, check_listpack
from .listpack_builder import ListpackBuilder
from .primitives import read_count, read_length, read_string, skip_string
from .strings import StringsCursor
from .visit import Visit

PACKED: Final[i64] = 0
"""The names are a listpack."""
PLAIN: Final[i64] = 1
"""The names are a count, and strings."""

PACKED_REFERENCE: Final[i64] = 30
PLAIN_REFERENCE: Final[i64] = 32
"""The types of hashes that name their template by its id: a listpack of id and values, and the id and then values."""
OF_REFERENCE: Final = {PACKED_REFERENCE: 29, PLAIN_REFERENCE: 31}
"""The types of the same hashes with the names in front."""
REFERENCE_TO: Final = {named: reference for reference, named in OF_REFERENCE.items()}

NO_NAMES: Final = b"\x01\x00"
"""In place of names that are not known, or not as many as there are values; no server takes it."""
_DOING: Final = "decoding a hash with a template"


@final
class Template:
    """The names of some hashes' fields: ``count`` of them, and ``packed`` as they stand in front of values."""

    def __init__(self, names: list[bytes]) -> None:
        self.count: i64 = len(names)
        self.packed = names_in_front(names)

    def skip_values(self, w: Window) -> None:
        """Pass a string for each name. Raises what reading raises."""
        left = self.count
        while left > 0:
            skip_string(w)
            left -= 1


def names_in_front(names: list[bytes]) -> bytes:
    """Names as they stand in front of values."""
    out = BytesWriter()
    put_length(out, PLAIN)
    put_length(out, len(names))
    for name in names:
        put_string(out, name, False)
    return out.getvalue()


def with_id(packed: bytes, template_id: int) -> bytes:
    """A listpack of an id and values, with another id."""
    cursor = ListpackCursor(packed)
    cursor.next()
    builder = ListpackBuilder()
    builder.append(b"%d" % template_id)
    while cursor.next():
        builder.append(cursor.item())
    return builder.finish()


def flaw_of(names: list[bytes]) -> str:
    """Why no server takes a template of these names; "" where one does."""
    if not names:
        return "no template that has a name for each value"
    for before, name in pairwise(names):
        if (len(before), before) >= (len(name), name):
            return "a name twice in a template" if before == name else "the names of a template are not in their order"
    return ""


def read_names(w: Window) -> list[bytes]:
    """Pass a count and so many names. Raises what reading raises."""
    count = read_count(w, 1)
    names = []
    while count > 0:
        names.append(read_string(w))
        count -= 1
    return names


def read_fields(w: Window) -> list[bytes]:
    """Pass the names in front of values. Raises what reading raises, and `FormatError`."""
    at = w.offset()
    form = read_length(w)
    if form == PLAIN:
        return read_names(w)
    if form != PACKED:
        raise FormatError(f"names of fields in a form {form} that is not known", offset=at, doing=_DOING)
    at = w.offset()
    try:
        return ListpackCursor(read_string(w)).items()
    except FormatError as e:
        if e.offset < 0:
            e.offset = at
        raise


def id_and_count(packed: bytes) -> tuple[i64, i64]:
    """The id that stands in front of the values of a listpack, and how many these are by its header; -1 for each that
    it does not say.
    """
    try:
        cursor = ListpackCursor(packed)
        if cursor.next() and cursor.kind == INTEGER:
            return cursor.number, cursor.announced - 1 if cursor.announced > 0 else -1
    except FormatError:
        pass  # whoever looks at the values finds it
    return -1, -1


def skip_packed(w: Window) -> None:
    """Names, and a listpack of an id and values."""
    read_fields(w)
    skip_string(w)


def skip_plain(w: Window) -> None:
    """Names, and so many values."""
    left: i64 = len(read_fields(w))
    while left > 0:
        skip_string(w)
        left -= 1


def _checked_fields(w: Window, ins: Inspection) -> list[bytes]:
    at = w.offset()
    names = read_fields(w)
    flaw = flaw_of(names)
    if flaw:
        ins.report("hash-template", flaw, at)
    return names


def check_packed(w: Window, ins: Inspection) -> None:
    """Names, and a listpack of an id and values."""
    fields: i64 = len(_checked_fields(w, ins))
    if not open_packed(w, ins):
        return
    count = check_listpack(ins)
    if count < 0:
        return
    if count != fields + 1:
        ins.report_packed("hash-template", f"{count - 1} values for a template of {fields} names", ins.start + 4)
    elif id_and_count(ins.data[ins.start : ins.start + ins.size])[0] < 0:
        ins.report_packed("hash-template", "no id in front of a hash's values", ins.start)


def check_plain(w: Window, ins: Inspection) -> None:
    """Names, and so many values."""
    left: i64 = len(_checked_fields(w, ins))
    while left > 0:
        pass_string(w, ins)
        left -= 1


def _visited_fields(visit: Visit) -> list[bytes]:
    at = visit.window.offset()
    names = read_fields(visit.window)
    flaw = flaw_of(names)
    if flaw:
        visit.damaged(FormatError(flaw, doing=_DOING), at)
    return names


def visit_packed(visit: Visit) -> None:
    """Names, and a listpack of an id and values."""
    names = _visited_fields(visit)
    data = visit.node()
    if data is not None:
        try:
            visit.elements(_of_listpack(names, data), 2)
        except FormatError as e:
            visit.damaged_node(e)


def visit_plain(visit: Visit) -> None:
    """Names, and so many values."""
    for name in _visited_fields(visit):
        visit.visitor.text(name, 0, len(name))
        visit.string()


def _sound_fields(w: Window) -> list[bytes]:
    at = w.offset()
    names = read_fields(w)
    flaw = flaw_of(names)
    if flaw:
        raise FormatError(flaw, offset=at, doing=_DOING)
    return names


def packed_elements(w: Window) -> Elements:
    """Names, and a listpack of an id and values."""
    names = _sound_fields(w)
    return OneNode(_of_listpack(names, read_string(w)), 2)


def plain_elements(w: Window) -> Elements:
    """Names, and so many values."""
    names = _sound_fields(w)
    return OneNode(TemplateCursor(names, StringsCursor(w, len(names))), 2)


def _of_listpack(names: list[bytes], data: bytes) -> TemplateCursor:
    values = ListpackCursor(data)
    if not values.next() or values.kind != INTEGER or values.number < 0:
        raise FormatError("no id in front of a hash's values", doing=_DOING)
    return TemplateCursor(names, values)


@final
class TemplateCursor(Cursor):
    """Names and values in turn."""

    def __init__(self, names: list[bytes], values: Cursor) -> None:
        super().__init__(b"")
        self.names = names
        self.values = values
        self.at: i64 = 0
        self.on_name = False

    def next(self) -> bool:
        values = self.values
        if self.on_name:
            self.on_name = False
            if not values.next():
                raise FormatError("fewer values than a template has names", doing=_DOING)
            self.data = values.data
            self.kind = values.kind
            self.start = values.start
            self.size = values.size
            self.number = values.number
            return True
        if self.at == len(self.names):
            if values.next():
                raise FormatError("more values than a template has names", doing=_DOING)
            return False
        self.data = self.names[self.at]
        self.at += 1
        self.kind = STRING
        self.start = 0
        self.size = len(self.data)
        self.on_name = True
        return True
