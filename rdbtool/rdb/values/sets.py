"""Sets."""

from __future__ import annotations

from librt.strings import BytesWriter
from mypy_extensions import i64

from rdbtool.basics.numbers import is_integer, parse_integer
from rdbtool.errors import FormatError
from rdbtool.rdb.layout.elements import Elements
from rdbtool.rdb.layout.encoders import put_length, put_string
from rdbtool.rdb.layout.intset import pack_intset
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder

from .target_encodings import TargetEncodings


def decode(elements: Elements) -> dict[bytes, None]:
    """The members, in the order of the file."""
    out: dict[bytes, None] = {}
    count: i64 = 0
    node = elements.next_node()
    while node is not None:
        while node.next():
            out[node.item()] = None
            count += 1
        node = elements.next_node()
    if len(out) != count:
        raise FormatError("a set with a member more than once", doing="decoding a set")
    return out


def encode(value: dict[bytes, None], form: TargetEncodings, out: BytesWriter) -> str:
    """Write the payload; answers the name of its type."""
    limits = form.limits
    count: i64 = len(value)
    if count <= limits.set_intset_entries:
        numbers = _numbers(value)
        if numbers is not None:
            put_string(out, pack_intset(numbers), form.compress)
            return "set-intset"
    if form.set_listpacks and count <= limits.set_entries:
        builder = ListpackBuilder()
        for member in value:
            if len(member) > limits.set_value:
                break
            builder.append(member)
        else:
            put_string(out, builder.finish(), form.compress)
            return "set-listpack"
    put_length(out, count)
    for member in value:
        put_string(out, member, form.compress)
    return "set"


def _numbers(value: dict[bytes, None]) -> list[i64] | None:
    """The members as integers, if all of them are."""
    numbers: list[i64] = []
    for member in value:
        if not is_integer(member):
            return None
        numbers.append(parse_integer(member))
    return numbers
