"""What a target keeps of a value."""

from __future__ import annotations

from rdbtool.model import Hash, SortedSet, Stream, Value
from rdbtool.rdb.targets import Target
from tests.rdb.expected import plain


def as_kept(value: Value, to: Target) -> object:
    """What ``to`` can keep of a value, in a form that compares without the order of hashes and sets."""
    if isinstance(value, Hash):
        keeps = to.rdb_version >= 12
        zero = 0 if to.dialect else 1  # to Redis, 0 is never: it gets the first millisecond
        expiries = {f: max(zero, t) for f, t in (value.expiries or {}).items()} if keeps else {}
        return value.fields, expiries
    if isinstance(value, SortedSet):
        return sorted((m, repr(s)) for m, s in value.scores.items())
    if isinstance(value, dict):
        return set(value)
    if isinstance(value, Stream):
        counters = (value.max_deleted_id, value.entries_added)
        if to.rdb_version < 10:
            counters = ((0, 0), len(value.entries))
        groups = [
            (
                name,
                group.last_id,
                group.entries_read if to.rdb_version >= 10 else -1,
                sorted((c, x.seen_ms, x.active_ms if to.rdb_version >= 11 else -1) for c, x in group.consumers.items()),
                sorted((p.entry, p.consumer, p.delivered_ms, p.deliveries) for p in group.pending),
            )
            for name, group in value.groups.items()
        ]
        return value.entries, value.last_id, counters, sorted(groups)
    return plain(value)
