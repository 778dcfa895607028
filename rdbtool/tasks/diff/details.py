"""What differs inside two values of a type: fields, members, items, entries, groups, lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rdbtool.basics.numbers import format_double
from rdbtool.rdb.layout.visitor import LIST, STRING
from rdbtool.rdb.meaning import (
    ACTIVE,
    CONSUMER,
    COUNTER,
    ENTRY,
    FIELD,
    FIELD_EXPIRY,
    GROUP,
    LAST_ID,
    MEMBER,
    OWNER,
    PATH,
    PENDING,
    PRODUCER,
    RELEASED,
    SCORE,
    SEEN,
    Facts,
    Table,
    differing_facts,
    parted,
    score_of,
)

from .edits import edits, shared_head

LONGEST_TEXT: Final = 1 << 20
"""Bytes of a string up to which its lines are compared."""


@dataclass(frozen=True, slots=True)
class Change:
    """``part`` says what: ``field``, ``field expiry``, ``member``, ``item``, ``line``, ``bytes``, ``entry``, ``group``,
    ``consumer``, ``pending``, ``producer``, ``module``, ``counter``.

    ``name``: the field, member, entry id, producer, or group (and ``/`` and consumer, id or counter); b"" for the
    others. ``left``, ``right``: the value on each side, None where there is none. ``index``: of an item, a line or
    the first differing byte, from 0, on the right side if it is there.
    """

    part: str
    name: bytes = b""
    left: bytes | None = None
    right: bytes | None = None
    index: int = -1

    @property
    def op(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        return "added" if self.left is None else "removed" if self.right is None else "changed"


def changes(left: Facts, right: Facts) -> Iterator[Change]:
    """What makes two values of one type differ: nothing where `Facts.same` holds, and only there."""
    if left.kind == STRING:
        yield from _string_changes(left.items[0], right.items[0])
    elif left.kind == LIST:
        yield from _sequence_changes("item", left.items, right.items)
    for part in {**left.own, **right.own}:
        before = left.own.get(part, {})
        after = right.own.get(part, {})
        if part == FIELD_EXPIRY:
            for name, old, new in left.differing_expiries(before, after):
                if name in left.own.get(FIELD, {}) and name in right.own.get(FIELD, {}):
                    yield Change(part, name, old, new)
        else:
            yield from _changes_of(part, before, after)
    for name, group in left.groups.items():
        other = right.groups.get(name)
        if other is None:
            yield Change(GROUP, name, group[GROUP][LAST_ID], None)
        else:
            yield from _group_changes(name, group, other)
    for name, group in right.groups.items():
        if name not in left.groups:
            yield Change(GROUP, name, None, group[GROUP][LAST_ID])


def _changes_of(part: str, left: Table, right: Table, prefix: bytes = b"") -> Iterator[Change]:
    for name, before, after in differing_facts(left, right):
        yield Change(MEMBER if part == SCORE else part, prefix + name, _shown(part, before), _shown(part, after))


def _shown(part: str, value: bytes | None) -> bytes | None:
    if value is None:
        return None
    if part == SCORE:
        return format_double(score_of(value))
    return b" ".join(parted(value)) if part in {ENTRY, PATH, PRODUCER} else value


def _group_changes(name: bytes, left: dict[str, Table], right: dict[str, Table]) -> Iterator[Change]:
    if left[GROUP] != right[GROUP]:
        yield Change(GROUP, name, left[GROUP][LAST_ID], right[GROUP][LAST_ID])
    for part in (COUNTER, CONSUMER):
        yield from _changes_of(part, left.get(part, {}), right.get(part, {}), name + b"/")
    for part in (SEEN, ACTIVE):
        for consumer, before, after in differing_facts(left.get(part, {}), right.get(part, {})):
            if before is not None and after is not None:  # else the consumer itself is a change
                yield Change(COUNTER, b"%b/%b/%b" % (name, consumer, part.encode()), before, after)
    yield from _changes_of(PENDING, _pending(left), _pending(right), name + b"/")


def _pending(group: dict[str, Table]) -> Table:
    """The pending entries of a group, each with its consumer, for reading."""
    shown: Table = {}
    for id_, value in group.get(PENDING, {}).items():
        delivered, deliveries = value.split()
        owner = group.get(OWNER, {}).get(id_)
        if owner is None:
            owner = b"released (%b)" % group[RELEASED][id_]
        shown[id_] = b"%b, delivered at %b, %b times" % (owner, delivered, deliveries)
    return shown


def _sequence_changes(part: str, left: list[bytes], right: list[bytes]) -> Iterator[Change]:
    for edit in edits(left, right):
        for i in range(edit.left_start, edit.left_end):
            yield Change(part, b"", left[i], None, i)
        for i in range(edit.right_start, edit.right_end):
            yield Change(part, b"", None, right[i], i)


def _string_changes(left: bytes, right: bytes) -> Iterator[Change]:
    if left == right:
        return
    if b"\n" in left and b"\n" in right and _is_text(left) and _is_text(right):
        yield from _sequence_changes("line", left.split(b"\n"), right.split(b"\n"))
    else:
        yield Change("bytes", b"", left, right, shared_head(left, right))


def _is_text(data: bytes) -> bool:
    if len(data) > LONGEST_TEXT or b"\0" in data:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
