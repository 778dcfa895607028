"""Check values: one function per shape of payload (rdb.c of Redis: rdbLoadObject).

Each walks its payload in the window exactly to its end. Damage that leaves the stream in step is reported
to the `Inspection`; where it does not, they raise what the primitives raise.
"""

from __future__ import annotations

import re
from typing import Final

from mypy_extensions import i64

from rdbtool.io.window import Window
from rdbtool.rdb.layout.inspection import Inspection, checked_string, open_packed, pass_string, see_element
from rdbtool.rdb.layout.module_names import module_name
from rdbtool.rdb.layout.primitives import read_binary_double, read_count, read_length, read_ms, read_u64
from rdbtool.rdb.skip import skip_module_pre_ga, skip_module_values

from .compact import check_intset, check_zipmap
from .listpack import EXPIRING_FIELDS, FIELDS, MEMBERS, SCORES, check_elements, check_listpack
from .ziplist import check_pairs, check_ziplist

PLAIN: Final[i64] = 1
PACKED: Final[i64] = 2
"""What a quicklist node holds: one large element, or a listpack."""

GREATEST: Final[int] = 0x0000FFFFFFFFFFFF
"""The greatest time in ms that a hash field may expire at; not i64, for it is compared with 64 bits without a sign."""

SMALL_HASH: Final[i64] = 128
SMALL_FIELD: Final[i64] = 64
"""Up to this, a server puts a hash into a listpack, where it does not look for duplicates unless it sanitizes."""


def check_string(w: Window, ins: Inspection) -> None:
    """A string."""
    pass_string(w, ins)


def check_list(w: Window, ins: Inspection) -> None:
    """A count, then elements."""
    count = read_count(w, 1)
    ins.empty = count == 0
    while count > 0:
        pass_string(w, ins)
        count -= 1


def check_set(w: Window, ins: Inspection) -> None:
    """A count, then members."""
    count = read_count(w, 1)
    ins.empty = count == 0
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            _twice(w, ins, "member", earlier, at)
        count -= 1
    _late_duplicates(ins, "member")


def check_zset(w: Window, ins: Inspection) -> None:
    """A count, then members with scores as text."""
    count = read_count(w, 2)
    ins.empty = count == 0
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            _twice(w, ins, "member", earlier, at)
        _check_text_score(w, ins)
        count -= 1
    _late_duplicates(ins, "member")


_SCORE: Final = re.compile(
    rb"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan|0x[0-9a-f]+)", re.IGNORECASE
)


def _check_text_score(w: Window, ins: Inspection) -> None:
    at = w.offset()
    length = w.u8()
    if length == 253:
        ins.report("nan-score", "a score is not a number (NaN)", at)
    elif length < 253:
        text = w.take(length)
        found = _SCORE.match(text)
        if found is None:
            ins.report("score", "a score that cannot be read as a number", at)
        elif found.group()[-3:].lower() == b"nan":
            ins.report("nan-score", "a score is not a number (NaN)", at)


def check_zset2(w: Window, ins: Inspection) -> None:
    """A count, then members with scores of 8 bytes."""
    count = read_count(w, 9)
    ins.empty = count == 0
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            _twice(w, ins, "member", earlier, at)
        score = read_binary_double(w)
        if score != score:  # noqa: PLR0124 - true of NaN alone
            ins.report("nan-score", "a score is not a number (NaN)", w.offset() - 8)
        count -= 1
    _late_duplicates(ins, "member")


def check_hash(w: Window, ins: Inspection) -> None:
    """A count, then fields with values."""
    count = read_count(w, 2)
    ins.empty = count == 0
    if count <= SMALL_HASH:
        _check_small_hash(w, ins, count)
        return
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            _twice(w, ins, "field", earlier, at)
        pass_string(w, ins)
        count -= 1
    _late_duplicates(ins, "field")


def _check_small_hash(w: Window, ins: Inspection, count: i64) -> None:
    fields: set[bytes] = set()
    twice: i64 = -1
    small = True
    while count > 0:
        at = w.offset()
        field = checked_string(w, ins)
        if field is not None:
            if field in fields and twice < 0:
                twice = at
            fields.add(field)
            small = small and len(field) <= SMALL_FIELD
        value = checked_string(w, ins)
        small = small and (value is None or len(value) <= SMALL_FIELD)
        count -= 1
    if twice >= 0:
        ins.report("duplicate-field-small" if small else "duplicate-field", "a field twice in a hash", twice)


def check_hash2(w: Window, ins: Inspection) -> None:
    """A count, then fields with values and absolute expiries (8 bytes, -1 for none). Valkey 9."""
    count = read_count(w, 10)
    ins.empty = count == 0
    ins.seen.begin(count)
    while count > 0:
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            _twice(w, ins, "field", earlier, at)
        pass_string(w, ins)
        expire_at_ms = read_ms(w)
        if expire_at_ms != -1:
            ins.subexpires += 1
            if expire_at_ms < 0:
                ins.report("field-expiry", f"a hash field expires at {expire_at_ms}, which no server takes", at)
        count -= 1
    _late_duplicates(ins, "field")


def check_hash_metadata(w: Window, ins: Inspection) -> None:
    """The least expiry (8 bytes), a count, then per field: expiry relative to it plus 1, field, value."""
    _check_expiring_fields(w, ins, read_ms(w))


def check_hash_metadata_pre_ga(w: Window, ins: Inspection) -> None:
    """A count, then per field: absolute expiry, field, value."""
    _check_expiring_fields(w, ins, 1)


def _check_expiring_fields(w: Window, ins: Inspection, least: int) -> None:
    count = read_count(w, 3)
    ins.empty = count == 0
    ins.seen.begin(count)
    while count > 0:
        at = w.offset()
        relative = read_u64(w)
        if relative:
            expire_at_ms = relative + least - 1 & 0xFFFFFFFFFFFFFFFF  # servers add 64 bits without a sign
            if expire_at_ms > GREATEST:
                ins.report("field-expiry", f"a hash field expires at {expire_at_ms}, which no server takes", at)
            ins.subexpires += 1
        at = w.base + w.pos
        earlier = see_element(w, ins)
        if earlier >= 0:
            _twice(w, ins, "field", earlier, at)
        pass_string(w, ins)
        count -= 1
    _late_duplicates(ins, "field")


def _twice(w: Window, ins: Inspection, what: str, earlier: i64, later: i64) -> None:
    """Report a member or field whose hash was seen before, if it is the same."""
    ins.report_if_equal(f"duplicate-{what}", f"a {what} twice: also at offset {earlier}", w, earlier, later)


def _late_duplicates(ins: Inspection, what: str) -> None:
    """Report duplicates among very many elements."""
    many = ins.seen.many
    if many is None:
        return
    many.finish()
    code = f"duplicate-{what}"
    for earlier, later, _ in many.confirmed(ins.path):
        ins.report(code, f"a {what} twice: also at offset {earlier}", later)
    if many.more:
        ins.report(code, f"{many.more} further {what}s twice", -1)


def check_quicklist(w: Window, ins: Inspection) -> None:
    """A count, then ziplists. Servers drop empty ones."""
    count = read_count(w, 1)
    ins.empty = True
    while count > 0:
        if not open_packed(w, ins):
            ins.empty = False
        elif ins.size == 0:
            ins.report_packed("quicklist-node", "a quicklist node without bytes", ins.start)
            ins.empty = False
        elif check_ziplist(ins) != 0:
            ins.empty = False
        count -= 1


def check_quicklist2(w: Window, ins: Inspection) -> None:
    """A count, then nodes: what the node holds, and a string."""
    count = read_count(w, 2)
    ins.empty = True
    while count > 0:
        at = w.offset()
        holds = read_length(w)
        if holds == PLAIN:
            if w.need(1) and w.data[w.pos] == 0:
                ins.report("quicklist-node", "a quicklist node without bytes", at)
            pass_string(w, ins)
            ins.empty = False
        elif holds != PACKED:
            ins.report("quicklist-node", f"a quicklist node that holds an unknown kind of data: {holds}", at)
            pass_string(w, ins)
            ins.empty = False
        elif not open_packed(w, ins):
            ins.empty = False
        elif ins.size == 0:
            ins.report_packed("quicklist-node", "a quicklist node without bytes", ins.start)
            ins.empty = False
        elif check_listpack(ins) != 0:
            ins.empty = False
        count -= 1


def check_list_ziplist(w: Window, ins: Inspection) -> None:
    """A list in one ziplist."""
    if open_packed(w, ins):
        ins.empty = check_ziplist(ins) == 0


def check_hash_ziplist(w: Window, ins: Inspection) -> None:
    """A hash in one ziplist."""
    _check_ziplist_pairs(w, ins, FIELDS)


def check_zset_ziplist(w: Window, ins: Inspection) -> None:
    """A sorted set in one ziplist."""
    _check_ziplist_pairs(w, ins, SCORES)


def _check_ziplist_pairs(w: Window, ins: Inspection, holds: i64) -> None:
    if open_packed(w, ins):
        count = check_ziplist(ins)
        ins.empty = count == 0
        if count > 0:
            check_pairs(ins, holds, count)


def check_set_listpack(w: Window, ins: Inspection) -> None:
    """A set in one listpack."""
    _check_one_listpack(w, ins, MEMBERS)


def check_hash_listpack(w: Window, ins: Inspection) -> None:
    """A hash in one listpack."""
    _check_one_listpack(w, ins, FIELDS)


def check_zset_listpack(w: Window, ins: Inspection) -> None:
    """A sorted set in one listpack."""
    _check_one_listpack(w, ins, SCORES)


def check_hash_listpack_ex(w: Window, ins: Inspection) -> None:
    """The least expiry (8 bytes), then a hash with the expiries of its fields in one listpack."""
    w.skip(8)
    _check_one_listpack(w, ins, EXPIRING_FIELDS)


def check_hash_listpack_ex_pre_ga(w: Window, ins: Inspection) -> None:
    """A hash with the expiries of its fields in one listpack."""
    _check_one_listpack(w, ins, EXPIRING_FIELDS)


def _check_one_listpack(w: Window, ins: Inspection, holds: i64) -> None:
    if open_packed(w, ins):
        count = check_listpack(ins)
        ins.empty = count == 0
        if count > 0:
            check_elements(ins, holds, count)


def check_set_intset(w: Window, ins: Inspection) -> None:
    """A set of integers."""
    if open_packed(w, ins):
        check_intset(ins)


def check_hash_zipmap(w: Window, ins: Inspection) -> None:
    """A hash in a zipmap."""
    if open_packed(w, ins):
        check_zipmap(ins)


def check_module(w: Window, ins: Inspection) -> None:
    """A module's id, then values with opcodes: only the module can say whether they are right."""
    ins.module = module_name(read_u64(w))
    skip_module_values(w)


def check_module_pre_ga(w: Window, _ins: Inspection) -> None:
    """Module data that does not tell its length. Raises `UnsupportedError`."""
    skip_module_pre_ga(w)
