"""Hashes whose fields can expire: two encodings of Redis 7.4, each in two forms, and one of Valkey 9.

Redis has large ones as fields in a row (`MetadataFields`) and small ones as a listpack of field, value and expiry. The
forms of the releases begin with the least expiry (8 bytes); those of the release candidates, "pre-GA", do not.
Valkey has fields in a row, with the expiry at the end (`Hash2Fields`).
"""

from __future__ import annotations

from typing import Final, final

from librt.strings import read_i64_le
from mypy_extensions import i64

from rdbtool.basics.numbers import U64_MASK
from rdbtool.errors import FormatError
from rdbtool.io.window import Window
from rdbtool.model import MAX_FIELD_EXPIRY, NO_EXPIRY

from .cursor import INTEGER, Cursor
from .elements import Elements, OneNode
from .inspection import Inspection, pass_string, see_element
from .listpack import EXPIRING_FIELDS, ListpackCursor, check_one_listpack
from .primitives import read_count, read_ms, read_string, read_u64, skip_string
from .strings import StringsCursor
from .visit import Visit

INVALID: Final[i64] = -2
"""In place of an expiry that no server takes."""
_MAX: Final[i64] = MAX_FIELD_EXPIRY


@final
class MetadataFields:
    """The fields of a large hash of Redis: a count, then per field its expiry, itself and its value.

    An expiry of 0 is none. Others are times in ms, or with ``relative`` 1 more than the difference to the least expiry,
    which then stands in front of the count.

    After `next` answered True the window stands at the field, and the caller passes it and its value. ``expiry`` is its
    time in ms, `NO_EXPIRY`, or INVALID for ``number``, at offset ``at``.
    """

    def __init__(self, w: Window, *, relative: bool) -> None:
        self.window = w
        self.least_at: i64 = w.offset() if relative else -1
        self.before_least: int = read_ms(w) - 1 if relative else 0
        self.left: i64 = read_count(w, 3)
        self.expiry: i64 = NO_EXPIRY
        self.number = 0
        self.at: i64 = 0

    def next(self) -> bool:
        """Move onto the next field; False where there is none."""
        if self.left == 0:
            return False
        self.left -= 1
        w = self.window
        self.at = w.offset()
        stored = read_u64(w)
        if stored == 0:
            self.expiry = NO_EXPIRY
            return True
        number = self.before_least + stored
        if number < 0 or number > MAX_FIELD_EXPIRY:
            number &= U64_MASK  # servers add 64 bits without a sign
            if number > MAX_FIELD_EXPIRY:
                self.number = number
                self.expiry = INVALID
                return True
        self.expiry = number
        return True


@final
class Hash2Fields:
    """The fields of a hash of Valkey: a count, then per field itself, its value, and its expiry in ms (8 bytes, -1 for
    none).

    After `next` answered True the window stands at the field; the caller passes it and its value, and then calls
    `read_expiry`, after which ``expiry`` is as in `MetadataFields`.
    """

    def __init__(self, w: Window) -> None:
        self.window = w
        self.left: i64 = read_count(w, 10)
        self.expiry: i64 = NO_EXPIRY
        self.number: i64 = 0

    def next(self) -> bool:
        """Move onto the next field; False where there is none."""
        if self.left == 0:
            return False
        self.left -= 1
        return True

    def read_expiry(self) -> None:
        """Pass the expiry of the field."""
        number = read_ms(self.window)
        self.number = number
        self.expiry = number if number >= -1 else INVALID


def skip_metadata(w: Window) -> None:
    """A large hash of Redis."""
    _skip_metadata(MetadataFields(w, relative=True))


def skip_metadata_pre_ga(w: Window) -> None:
    """A large hash of a release candidate of Redis 7.4."""
    _skip_metadata(MetadataFields(w, relative=False))


def _skip_metadata(fields: MetadataFields) -> None:
    w = fields.window
    while fields.next():
        skip_string(w)
        skip_string(w)


def skip_hash2(w: Window) -> None:
    """A hash of Valkey."""
    count = read_count(w, 10)
    while count > 0:
        skip_string(w)
        skip_string(w)
        w.skip(8)
        count -= 1


def skip_listpack_ex(w: Window) -> None:
    """A small hash of Redis."""
    w.skip(8)
    skip_string(w)


def check_metadata(w: Window, ins: Inspection) -> None:
    """A large hash of Redis."""
    _check_metadata(MetadataFields(w, relative=True), ins)


def check_metadata_pre_ga(w: Window, ins: Inspection) -> None:
    """A large hash of a release candidate of Redis 7.4."""
    _check_metadata(MetadataFields(w, relative=False), ins)


def _check_metadata(fields: MetadataFields, ins: Inspection) -> None:
    w = fields.window
    if fields.least_at >= 0:
        _check_least(ins, fields.before_least + 1, fields.least_at)
    ins.empty = fields.left == 0
    ins.seen.begin(fields.left)
    while fields.next():
        if fields.expiry != NO_EXPIRY:
            ins.subexpires += 1
            if fields.expiry == INVALID:
                _report_expiry(ins, fields.number, fields.at)
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            ins.report_twice(w, "field", earlier, at)
        pass_string(w, ins)
    ins.report_late_duplicates("field")


def _check_least(ins: Inspection, least: int, at: i64) -> None:
    """Check the least expiry: servers look only whether it is a time (rdb.c: "Hash read invalid minExpire value"), and
    of a hash in one listpack not even that: seen on Redis 8.2, 8.6 and 8.10.
    """
    if not 0 <= least <= MAX_FIELD_EXPIRY + 1:
        message = f"the least expiry of a hash is {least & U64_MASK}, which Redis from 7.4 on refuses"
        ins.report("field-least-expiry", message, at)


def _report_expiry(ins: Inspection, number: int, at: i64) -> None:
    ins.report("field-expiry", f"a hash field expires at {number}, which no server takes", at)


def check_hash2(w: Window, ins: Inspection) -> None:
    """A hash of Valkey."""
    fields = Hash2Fields(w)
    ins.empty = fields.left == 0
    ins.seen.begin(fields.left)
    while fields.next():
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            ins.report_twice(w, "field", earlier, at)
        pass_string(w, ins)
        fields.read_expiry()
        if fields.expiry != NO_EXPIRY:
            ins.subexpires += 1
            if fields.expiry == INVALID:
                _report_expiry(ins, fields.number, at)
    ins.report_late_duplicates("field")


def check_listpack_ex(w: Window, ins: Inspection) -> None:
    """A small hash of Redis."""
    read_ms(w)  # the least expiry, at which no server looks
    check_one_listpack(w, ins, EXPIRING_FIELDS)


def check_listpack_ex_pre_ga(w: Window, ins: Inspection) -> None:
    """A small hash of a release candidate of Redis 7.4."""
    check_one_listpack(w, ins, EXPIRING_FIELDS)


def least_is_set(w: Window) -> bool:
    """Whether some field of a hash of Redis expires, by the least expiry at the window's position."""
    return not w.need(8) or read_i64_le(w.data, w.pos) != 0


def any_may_expire(_w: Window) -> bool:
    """Whether some field expires shows only at its place: it may."""
    return True


def visit_metadata(visit: Visit) -> None:
    """A large hash of Redis."""
    _visit_metadata(MetadataFields(visit.window, relative=True), visit)


def visit_metadata_pre_ga(visit: Visit) -> None:
    """A large hash of a release candidate of Redis 7.4."""
    _visit_metadata(MetadataFields(visit.window, relative=False), visit)


def _visit_metadata(fields: MetadataFields, visit: Visit) -> None:
    v = visit.visitor
    while fields.next():
        if fields.expiry >= 0:
            v.expiry(fields.expiry)
        elif fields.expiry == INVALID:
            visit.damaged(_not_a_time(), fields.at)
        visit.string()
        visit.string()


def visit_hash2(visit: Visit) -> None:
    """A hash of Valkey. Its fields are held until their expiry is known."""
    w = visit.window
    v = visit.visitor
    fields = Hash2Fields(w)
    while fields.next():
        at = w.offset()
        field = visit.node()
        value = visit.node()
        fields.read_expiry()
        if fields.expiry == INVALID:
            visit.damaged(_not_a_time(), at)
        elif field is not None and value is not None:
            if fields.expiry >= 0:
                v.expiry(fields.expiry)
            v.text(field, 0, len(field))
            v.text(value, 0, len(value))


def visit_listpack_ex(visit: Visit) -> None:
    """A small hash of Redis."""
    visit.window.skip(8)
    visit_listpack_ex_pre_ga(visit)


def visit_listpack_ex_pre_ga(visit: Visit) -> None:
    """A small hash of a release candidate of Redis 7.4."""
    data = visit.node()
    if data is not None:
        try:
            _visit_triples(ExpiringListpackCursor(data), visit)
        except FormatError as e:
            visit.damaged_node(e)


def _visit_triples(c: ExpiringListpackCursor, visit: Visit) -> None:
    v = visit.visitor
    while c.next():
        field = c.item()
        if not c.next():
            raise FormatError("a field without a value", doing="decoding a hash")
        value = c.item()
        if not c.next():
            raise FormatError("a field without an expiry", doing="decoding a hash")
        if c.number >= 0:
            v.expiry(c.number)
        v.text(field, 0, len(field))
        v.text(value, 0, len(value))


def metadata_elements(w: Window) -> Elements:
    """A large hash of Redis."""
    return OneNode(MetadataCursor(MetadataFields(w, relative=True)), 3)


def metadata_elements_pre_ga(w: Window) -> Elements:
    """A large hash of a release candidate of Redis 7.4."""
    return OneNode(MetadataCursor(MetadataFields(w, relative=False)), 3)


def hash2_elements(w: Window) -> Elements:
    """A hash of Valkey."""
    return OneNode(Hash2Cursor(Hash2Fields(w)), 3)


def listpack_ex_elements(w: Window) -> Elements:
    """A small hash of Redis."""
    w.skip(8)
    return listpack_ex_elements_pre_ga(w)


def listpack_ex_elements_pre_ga(w: Window) -> Elements:
    """A small hash of a release candidate of Redis 7.4."""
    return OneNode(ExpiringListpackCursor(read_string(w)), 3)


def _not_a_time() -> FormatError:
    return FormatError("a field's expiry that is not a time", doing="decoding a hash")


@final
class MetadataCursor(StringsCursor):
    """Field, value and expiry in turn."""

    def __init__(self, fields: MetadataFields) -> None:
        super().__init__(fields.window, fields.left)
        self.fields = fields
        self.place: i64 = 0

    def next(self) -> bool:
        fields = self.fields
        if self.place == 2:
            self.place = 0
            self.kind = INTEGER
            self.number = fields.expiry
            return True
        if self.place == 0:
            if not fields.next():
                return False
            self.left = fields.left
            if fields.expiry == INVALID:
                raise _not_a_time()
        self.place += 1
        self.read()
        return True


@final
class Hash2Cursor(StringsCursor):
    """Field, value and expiry in turn."""

    def __init__(self, fields: Hash2Fields) -> None:
        super().__init__(fields.window, fields.left)
        self.fields = fields
        self.place: i64 = 0

    def next(self) -> bool:
        fields = self.fields
        if self.place == 2:
            self.place = 0
            self.kind = INTEGER
            fields.read_expiry()
            if fields.expiry == INVALID:
                raise _not_a_time()
            self.number = fields.expiry
            return True
        if self.place == 0:
            if not fields.next():
                return False
            self.left = fields.left
        self.place += 1
        self.read()
        return True


@final
class ExpiringListpackCursor(Cursor):
    """Field, value and expiry in turn, of a listpack in which 0 stands for no expiry."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.inner = ListpackCursor(data)
        self.place: i64 = 0

    def next(self) -> bool:
        inner = self.inner
        if not inner.next():
            return False
        if self.place < 2:
            self.place += 1
            self.kind = inner.kind
            self.number = inner.number
            self.start = inner.start
            self.size = inner.size
            return True
        self.place = 0
        self.kind = INTEGER
        number = inner.as_integer()
        if number < 0 or number > _MAX:
            raise _not_a_time()
        self.number = number or NO_EXPIRY
        return True
