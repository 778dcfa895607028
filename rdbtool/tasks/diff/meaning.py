"""When two values mean the same, however they are encoded."""

from __future__ import annotations

from collections.abc import Mapping

from rdbtool.model import Group, Hash, Module, SortedSet, Stream, Value
from rdbtool.rdb.compare import Rules
from rdbtool.rdb.values.idempotence import Idempotence

UNCOUNTED = frozenset({"stream-listpacks"})
"""Encodings of streams (before Redis 7.0) that tell neither how many entries were added and read nor which
were deleted.
"""


def same_value(left: Value, right: Value, rules: Rules, *, counted: bool = True) -> bool:
    """Whether two values are equal: order counts in lists and streams only.

    0 and -0 are one score: packed sorted sets of newer servers keep no sign, so it comes and goes with the encoding.
    ``rules`` apply to the expiries of hash fields, and to the times consumers were seen. Without ``counted``
    the counters of streams do not count.
    """
    if isinstance(left, Hash):
        return (
            isinstance(right, Hash)
            and left.fields == right.fields
            and same_expiries(left.expiries or {}, right.expiries or {}, rules)
        )
    if isinstance(left, SortedSet):
        return isinstance(right, SortedSet) and left.scores == right.scores
    if isinstance(left, Stream):
        return isinstance(right, Stream) and same_stream(left, right, rules, counted=counted)
    if isinstance(left, Module):
        return isinstance(right, Module) and (left.name, left.version, left.payload) == (
            right.name,
            right.version,
            right.payload,
        )
    return left == right


def same_expiries(left: Mapping[bytes, int], right: Mapping[bytes, int], rules: Rules) -> bool:
    """Whether the expiries of two hashes' fields are equal."""
    if left == right or rules.ttl_tolerance < 0:
        return True
    return left.keys() == right.keys() and all(rules.same_expiry(at, right[field]) for field, at in left.items())


def same_stream(left: Stream, right: Stream, rules: Rules, *, counted: bool) -> bool:
    """Whether two streams have the same entries, ids, counters and groups."""
    if left.last_id != right.last_id or left.entries != right.entries:
        return False
    if counted and (left.max_deleted_id, left.entries_added) != (right.max_deleted_id, right.entries_added):
        return False
    if not same_producers(left, right):
        return False
    return left.groups.keys() == right.groups.keys() and all(
        same_group(group, right.groups[name], rules, counted=counted) for name, group in left.groups.items()
    )


def same_producers(left: Stream, right: Stream) -> bool:
    """Whether two streams remember the same of idempotent producers, or one of them cannot."""
    if not left.idmp or not right.idmp or left.idmp == right.idmp:
        return True
    return Idempotence(left.idmp).same(Idempotence(right.idmp))


def same_group(left: Group, right: Group, rules: Rules, *, counted: bool) -> bool:
    """Whether two consumer groups have the same position, consumers and pending entries."""
    if left.last_id != right.last_id or (counted and left.entries_read != right.entries_read):
        return False
    if left.consumers.keys() != right.consumers.keys() or left.pending.keys() != right.pending.keys():
        return False
    if rules.eviction:
        for name, consumer in left.consumers.items():
            other = right.consumers[name]
            if consumer.seen_ms != other.seen_ms or consumer.active_ms != other.active_ms:
                return False
    for id_, pending in left.pending.items():
        other_pending = right.pending[id_]
        if (pending.consumer, pending.delivered_ms, pending.deliveries) != (
            other_pending.consumer,
            other_pending.delivered_ms,
            other_pending.deliveries,
        ):
            return False
    return True
