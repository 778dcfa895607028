"""Sorted sets."""

from __future__ import annotations

from librt.strings import BytesWriter, write_f64_le
from mypy_extensions import i64

from rdbtool.basics.numbers import format_double
from rdbtool.errors import FormatError
from rdbtool.model import SortedSet
from rdbtool.rdb.layout.elements import Elements, missing
from rdbtool.rdb.layout.encoders import put_length, put_string
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.ziplist_builder import ZiplistBuilder

from .target_encodings import TargetEncodings


def decode(elements: Elements) -> SortedSet:
    """The sorted set, members in the order of the file."""
    scores: dict[bytes, float] = {}
    count: i64 = 0
    node = elements.next_node()
    while node is not None:
        while node.next():
            member = node.item()
            if not node.next():
                raise missing("score")
            scores[member] = node.score()
            count += 1
        node = elements.next_node()
    if len(scores) != count:
        raise FormatError("a sorted set with a member more than once", doing="decoding a sorted set")
    return SortedSet(scores)


def encode(value: SortedSet, form: TargetEncodings, out: BytesWriter) -> str:
    """Write the payload, members by score; answers the name of its type."""
    limits = form.limits
    scores = value.scores
    ordered = [(score, member) for member, score in scores.items()]
    ordered.sort()
    small = len(scores) <= limits.zset_entries
    if small:
        for member in scores:
            if len(member) > limits.zset_value:
                small = False
                break
    if small and form.listpacks and _has_negative_zero(scores):
        # A server that packs scores as integers drops the sign (t_zset.c, zzlInsertAt), one that finds "-0" in a
        # listpack keeps it. Left to the server, it does what it would have done.
        small = False
    if not small:
        put_length(out, len(ordered))
        # greatest first, as the server does: so each goes to the head of its skiplist
        ordered.reverse()
        for score, member in ordered:
            put_string(out, member, form.compress)
            write_f64_le(out, score)
        return "zset2"
    if form.listpacks:
        listpack = ListpackBuilder()
        for score, member in ordered:
            listpack.append(member)
            listpack.append(format_double(score, digits17=form.digits17))
        put_string(out, listpack.finish(), form.compress)
        return "zset-listpack"
    ziplist = ZiplistBuilder()
    for score, member in ordered:
        ziplist.append(member)
        ziplist.append(format_double(score, digits17=form.digits17))
    put_string(out, ziplist.finish(), form.compress)
    return "zset-ziplist"


def _has_negative_zero(scores: dict[bytes, float]) -> bool:
    return any(score == 0.0 and str(score) == "-0.0" for score in scores.values())
