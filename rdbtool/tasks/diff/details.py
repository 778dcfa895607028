"""What differs inside two values of a type: fields, members, items, entries, groups, lines of text."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rdbtool.basics.numbers import format_double
from rdbtool.model import NO_EXPIRY, Group, Hash, Id, Module, Pending, SortedSet, Stream, Value
from rdbtool.rdb.compare import Rules

from .edits import edits, shared_head
from .meaning import same_producers

LONGEST_TEXT: Final = 1 << 20
"""Bytes of a string up to which its lines are compared."""


@dataclass(frozen=True, slots=True)
class Change:
    """``part`` says what: ``field``, ``field expiry``, ``member``, ``item``, ``line``, ``bytes``, ``entry``, ``group``,
    ``consumer``, ``pending``, ``module``, ``counter``.

    ``name``: the field, member, entry id, or group (and ``/`` and consumer, id or counter); b"" for the others.
    ``left``, ``right``: the value on each side, None where there is none. ``index``: of an item, a line or the
    first differing byte, from 0, on the right side if it is there.
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


def changes(left: Value, right: Value, rules: Rules, *, counted: bool = True) -> Iterator[Change]:
    """What makes ``left`` differ from ``right``, as `meaning.same_value` sees it; nothing for different types."""
    if isinstance(left, bytes) and isinstance(right, bytes):
        yield from _string_changes(left, right)
    elif isinstance(left, Hash) and isinstance(right, Hash):
        yield from _mapping_changes("field", left.fields, right.fields)
        yield from _expiry_changes(left, right, rules)
    elif isinstance(left, SortedSet) and isinstance(right, SortedSet):
        for member, score in left.scores.items():
            other = right.scores.get(member)
            if other != score:
                yield Change("member", member, format_double(score), None if other is None else format_double(other))
        for member, score in right.scores.items():
            if member not in left.scores:
                yield Change("member", member, None, format_double(score))
    elif isinstance(left, Stream) and isinstance(right, Stream):
        yield from _stream_changes(left, right, rules, counted=counted)
    elif isinstance(left, Module) and isinstance(right, Module):
        yield Change("module", left.name.encode(), left.payload, right.payload)
    elif isinstance(left, dict) and isinstance(right, dict):
        for member in left:
            if member not in right:
                yield Change("member", member, b"", None)
        for member in right:
            if member not in left:
                yield Change("member", member, None, b"")
    elif isinstance(left, deque) and isinstance(right, deque):
        yield from _sequence_changes("item", list(left), list(right))


def _mapping_changes(
    part: str, left: Mapping[bytes, bytes], right: Mapping[bytes, bytes], prefix: bytes = b""
) -> Iterator[Change]:
    for name, value in left.items():
        other = right.get(name)
        if other != value:
            yield Change(part, prefix + name, value, other)
    for name, value in right.items():
        if name not in left:
            yield Change(part, prefix + name, None, value)


def _expiry_changes(left: Hash, right: Hash, rules: Rules) -> Iterator[Change]:
    before = left.expiries or {}
    after = right.expiries or {}
    for field in {**before, **after}:
        if field in left.fields and field in right.fields:
            a = before.get(field, NO_EXPIRY)
            b = after.get(field, NO_EXPIRY)
            if not rules.same_expiry(a, b):
                yield Change("field expiry", field, _time(a), _time(b))


def _time(ms: int) -> bytes | None:
    return None if ms == NO_EXPIRY else b"%d" % ms


def _sequence_changes(part: str, left: list[bytes], right: list[bytes]) -> Iterator[Change]:
    for edit in edits(left, right):
        for i in range(edit.left_start, edit.left_end):
            yield Change(part, b"", left[i], None, i)
        for i in range(edit.right_start, edit.right_end):
            yield Change(part, b"", None, right[i], i)


def _string_changes(left: bytes, right: bytes) -> Iterator[Change]:
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


def id_text(id_: Id) -> bytes:
    """A stream id as text."""
    return b"%d-%d" % id_


def _stream_changes(left: Stream, right: Stream, rules: Rules, *, counted: bool) -> Iterator[Change]:
    for id_, fields in left.entries.items():
        other = right.entries.get(id_)
        if other != fields:
            yield Change("entry", id_text(id_), _fields(fields), None if other is None else _fields(other))
    for id_, fields in right.entries.items():
        if id_ not in left.entries:
            yield Change("entry", id_text(id_), None, _fields(fields))
    yield from _counter(b"last id", id_text(left.last_id), id_text(right.last_id))
    if counted:
        yield from _counter(b"greatest deleted id", id_text(left.max_deleted_id), id_text(right.max_deleted_id))
        yield from _counter(b"entries added", b"%d" % left.entries_added, b"%d" % right.entries_added)
    if not same_producers(left, right):
        yield from _counter(b"idempotence", left.idmp, right.idmp)
    for name, group in left.groups.items():
        other_group = right.groups.get(name)
        if other_group is None:
            yield Change("group", name, id_text(group.last_id), None)
        else:
            yield from _group_changes(name, group, other_group, rules, counted=counted)
    for name, group in right.groups.items():
        if name not in left.groups:
            yield Change("group", name, None, id_text(group.last_id))


def _counter(name: bytes, left: bytes, right: bytes) -> Iterator[Change]:
    if left != right:
        yield Change("counter", name, left, right)


def _fields(fields: list[bytes]) -> bytes:
    return b" ".join(fields)


def _group_changes(name: bytes, left: Group, right: Group, rules: Rules, *, counted: bool) -> Iterator[Change]:
    if left.last_id != right.last_id:
        yield Change("group", name, id_text(left.last_id), id_text(right.last_id))
    if counted:
        yield from _counter(name + b"/entries read", b"%d" % left.entries_read, b"%d" % right.entries_read)
    for consumer in {**left.consumers, **right.consumers}:
        before = left.consumers.get(consumer)
        after = right.consumers.get(consumer)
        if before is None or after is None:
            yield Change(
                "consumer",
                name + b"/" + consumer,
                None if before is None else b"",
                None if after is None else b"",
            )
        elif rules.eviction:
            yield from _counter(name + b"/" + consumer + b"/seen", b"%d" % before.seen_ms, b"%d" % after.seen_ms)
            yield from _counter(name + b"/" + consumer + b"/active", b"%d" % before.active_ms, b"%d" % after.active_ms)
    yield from _mapping_changes("pending", _pending(left.pending), _pending(right.pending), name + b"/")


def _pending(pending: Mapping[Id, Pending]) -> dict[bytes, bytes]:
    return {
        id_text(id_): b"%b, delivered at %d, %d times" % (p.consumer, p.delivered_ms, p.deliveries)
        for id_, p in pending.items()
    }
