"""What hashes take on a server: tables of fields, fields that expire, values of a template, paths."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.rdb.layout.expiring_hash import Hash2Fields, MetadataFields
from rdbtool.rdb.layout.listpack import ListpackCursor
from rdbtool.rdb.layout.primitives import read_count, read_string
from rdbtool.rdb.layout.templates import read_fields
from rdbtool.servers.memory import BUCKETS

from .costs import Costs
from .encodings import (
    HASHTABLE,
    LISTPACK,
    PATH_HASH,
    TEMPLATE_ARRAY,
    TEMPLATE_LISTPACK,
    WALK_HASH,
    WALK_HASH2,
    WALK_METADATA,
    WALK_METADATA_PRE_GA,
    WALK_PATH_HASH,
    WALK_TEMPLATE_LISTPACK,
)
from .packed import string_length

EXPIRY: Final[i64] = 16
"""What an expiry of a field takes beside the field, where it is not in one allocation with it."""
SHARE: Final[i64] = 8
"""Its share of the index of expiries in Redis, which MEMORY USAGE leaves out."""
SHARE_VALKEY: Final[i64] = 16
"""The same in Valkey."""
POINTER: Final[i64] = 8
IN_LISTPACK: Final[i64] = 2
"""What a short element takes in a listpack beside its bytes."""


@final
class HashSize:
    """Measures hashes that are not packed, and those with templates. Of the last one: ``elements``, ``largest``,
    ``encoding`` and ``field_expiries`` as in `measure.Measure`.
    """

    def __init__(self, costs: Costs, *, largest_wanted: bool) -> None:
        self.costs = costs
        self.largest_wanted = largest_wanted
        self.elements: i64 = 0
        self.largest: i64 = 0
        self.encoding: i64 = 0
        self.field_expiries: i64 = 0

    def take(self, w: Window, how: i64) -> i64:
        """Pass a hash, which is walked as ``how`` says; what it takes, without its key. Raises what reading raises."""
        self.field_expiries = 0
        self.encoding = HASHTABLE
        if how == WALK_HASH:
            return self._plain(w)
        if how == WALK_HASH2:
            return self._hash2(w)
        if how in (WALK_METADATA, WALK_METADATA_PRE_GA):
            return self._metadata(w, how == WALK_METADATA)
        if how == WALK_PATH_HASH:
            return self._paths(w)
        return self._templated(w, how)

    def _plain(self, w: Window) -> i64:
        count = read_count(w, 2)
        self.elements = count
        costs = self.costs
        return costs.table(count, costs.layout.hashes) + self._fields(w, count)

    def _fields(self, w: Window, count: i64) -> i64:
        """Fields with their values, one behind the other, without what is the table's."""
        costs = self.costs
        total: i64 = 0
        largest: i64 = 0
        if costs.layout.embeds_values:
            while count > 0:
                field = string_length(w)
                value = string_length(w)
                largest = max(largest, field)
                largest = max(largest, value)
                total += costs.field(field, value, False)
                count -= 1
        else:
            count *= 2
            while count > 0:
                n = string_length(w)
                largest = max(largest, n)
                total += costs.string(n)
                count -= 1
        self.largest = largest
        return total

    def _hash2(self, w: Window) -> i64:
        fields = Hash2Fields(w)
        costs = self.costs
        self.elements = fields.left
        total = costs.table(fields.left, costs.layout.hashes)
        largest: i64 = 0
        while fields.next():
            field = string_length(w)
            value = string_length(w)
            fields.read_expiry()
            largest = max(largest, field)
            largest = max(largest, value)
            total += self._field(field, value, fields.expiry >= 0)
        self.largest = largest
        return total

    def _metadata(self, w: Window, relative: bool) -> i64:
        fields = MetadataFields(w, relative=relative)
        costs = self.costs
        self.elements = fields.left
        total = costs.table(fields.left, costs.layout.hashes)
        largest: i64 = 0
        while fields.next():
            expires = fields.expiry >= 0
            field = string_length(w)
            value = string_length(w)
            largest = max(largest, field)
            largest = max(largest, value)
            total += self._field(field, value, expires)
        self.largest = largest
        return total

    def _field(self, field: i64, value: i64, expires: bool) -> i64:
        """A field that may expire, with its share of the index of expiries."""
        costs = self.costs
        total = costs.field(field, value, expires)
        if expires:
            self.field_expiries += 1
            layout = costs.layout
            if not layout.embeds_values:
                total += EXPIRY
            if layout.hashes == BUCKETS:
                total += SHARE_VALKEY
            elif not costs.reported:
                total += SHARE
        return total

    def _templated(self, w: Window, how: i64) -> i64:
        """Values of a hash whose names of fields are its template's, which is counted with no key."""
        names = read_fields(w)
        left: i64 = len(names)
        costs = self.costs
        self.elements = left
        largest: i64 = 0
        together: i64 = 0
        for name in names:
            n: i64 = len(name)
            largest = max(largest, n)
            together += n + IN_LISTPACK
        has_templates = costs.layout.templates
        if how == WALK_TEMPLATE_LISTPACK:
            self.encoding = TEMPLATE_LISTPACK if has_templates else LISTPACK
            packed: i64 = 0
            if self.largest_wanted:
                raw = read_string(w)
                packed = len(raw)
                values = ListpackCursor(raw)
                values.integer()
                for item in values.items():
                    n = len(item)
                    largest = max(largest, n)
                self.largest = largest
            else:
                packed = string_length(w)
                self.largest = -1
            return costs.packed(packed if has_templates else packed + together)
        self.encoding = TEMPLATE_ARRAY if has_templates else HASHTABLE
        total = (
            costs.packed(costs.layout.template_array + POINTER * left)
            if has_templates
            else costs.table(left, costs.layout.hashes)
        )
        for name in names:
            value = string_length(w)
            largest = max(largest, value)
            total += costs.string(value) if has_templates else costs.field(len(name), value, False)
        self.largest = largest
        return total

    def _paths(self, w: Window) -> i64:
        costs = self.costs
        paths = read_count(w, 2)
        total = costs.table(paths, costs.layout.hashes)
        self.encoding = PATH_HASH
        self.elements = 0
        largest: i64 = 0
        while paths > 0:
            total += costs.string(string_length(w))
            fields = read_count(w, 2)
            self.elements += fields
            total += costs.table(fields, costs.layout.hashes) + self._fields(w, fields)
            largest = max(largest, self.largest)
            paths -= 1
        self.largest = largest
        return total
