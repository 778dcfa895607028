"""Arrays (Redis 8.8): elements at indexes from 0 to 2^64 - 2, of which most may be missing.

A count, whether there is a position of the last insert, and it; then per element its index, a tag, and the element as
the tag says. Servers write elements in the order of their indexes, read them in any, and keep the last one of an index.

Facts: observed of Redis 8.10.2.
"""

from __future__ import annotations

import struct
from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from rdbtool.basics.fpconv import shortest
from rdbtool.basics.numbers import is_integer, parse_integer
from rdbtool.errors import FormatError
from rdbtool.io.window import Window, passed, window_over
from rdbtool.model import Array

from .encoders import put_length, put_ms, put_string, put_u64
from .inspection import Inspection, checked_string, pass_string
from .primitives import read_count, read_length, read_string, read_u64, skip_string
from .visit import Visit
from .visitor import visit_array as tell_array

TEXT: Final[i64] = 0
"""A string."""
INTEGER: Final[i64] = 1
"""8 bytes: the element is its decimal text."""
FLOAT: Final[i64] = 2
"""8 bytes: the element is its text, with a point or an exponent."""
SHORT: Final[i64] = 3
"""A string of at most 7 bytes."""

LONG: Final[i64] = 8
"""Bytes from which on an element is no short one."""
INTEGERS: Final = 1 << 61
"""Integers from minus this to below it are stored as such."""
NO_INDEX: Final = (1 << 64) - 1
BITS_63: Final = (1 << 63) - 1
_DOING: Final = "decoding an array"


def skip(w: Window) -> None:
    """Pass a payload."""
    elements = ArrayElements(w)
    while elements.next():
        if not elements.is_number:
            skip_string(w)


@final
class ArrayElements:
    """The elements of a payload, one after the other: ``left`` are still to come. After `next`, ``index`` is that of
    the element, without its 64th bit, and its string is the caller's to read, unless it ``is_number``, which is passed.
    """

    def __init__(self, w: Window) -> None:
        self.window = w
        self.left: i64 = read_count(w, 3)
        self.index: i64 = 0
        self.is_number = False
        if _has_cursor(w):
            read_u64(w)

    def next(self) -> bool:
        """Go to the next element; False where there is none."""
        if self.left == 0:
            return False
        self.left -= 1
        w = self.window
        self.index = read_u64(w) & BITS_63
        tag = _tag(w)
        self.is_number = tag in (INTEGER, FLOAT)
        if self.is_number:
            w.skip(8)
        return True


def _has_cursor(w: Window) -> bool:
    at = w.offset()
    has = read_length(w)
    if has > 1:
        raise FormatError(f"neither with nor without an insert position, but {has}", offset=at, doing=_DOING)
    return has == 1


def _tag(w: Window) -> i64:
    at = w.offset()
    tag = read_length(w)
    if tag > SHORT:
        raise FormatError(f"an element with the unknown tag {tag}", offset=at, doing=_DOING)
    return tag


def check(w: Window, ins: Inspection) -> None:
    """Elements with their indexes."""
    at = w.offset()
    count = read_count(w, 3)
    if count == 0:
        ins.report("array", "an array without elements", at)
    if _has_cursor(w):
        at = w.offset()
        if read_u64(w) == NO_INDEX:
            ins.report("array", "an insert position that is no index", at)
    while count > 0:
        at = w.offset()
        if read_u64(w) == NO_INDEX:
            ins.report("array", "an element without an index", at)
        tag = _tag(w)
        at = w.offset()
        if tag in (INTEGER, FLOAT):
            w.skip(8)
        elif tag == SHORT:
            text = checked_string(w, ins)
            if text is not None and len(text) >= LONG:
                ins.report("array", "a short element of more than 7 bytes", at)
        else:
            pass_string(w, ins)
        count -= 1


def decode(w: Window) -> Array:
    """The array, elements in the order of their indexes. Raises what reading raises, and `FormatError`."""
    at = w.offset()
    count = read_count(w, 3)
    if count == 0:
        raise FormatError("an array without elements", offset=at, doing=_DOING)
    array = Array()
    if _has_cursor(w):
        array.cursor = _index(w)
    elements = array.elements
    last = -1
    ordered = True
    while count > 0:
        index = _index(w)
        ordered = ordered and index > last
        last = index
        tag = _tag(w)
        if tag == INTEGER:
            elements[index] = b"%d" % int.from_bytes(w.take(8), "little", signed=True)
        elif tag == FLOAT:
            elements[index] = float_text(w.take(8))
        else:
            at = w.offset()
            text = read_string(w)
            if tag == SHORT and len(text) >= LONG:
                raise FormatError("a short element of more than 7 bytes", offset=at, doing=_DOING)
            elements[index] = text
        count -= 1
    if not ordered:
        array.elements = dict(sorted(elements.items()))
    return array


def _index(w: Window) -> int:
    at = w.offset()
    index = read_u64(w)
    if index == NO_INDEX:
        raise FormatError("an index of 2^64 - 1, which there is not", offset=at, doing=_DOING)
    return index


def visit(visit: Visit) -> None:
    """The elements in the order of their indexes: where two have one index, only the last is told, so all are read
    first.
    """
    w = visit.window
    at = w.offset()
    raw = passed(w, skip)
    try:
        array = decode(window_over(raw, path=w.path, base=at))
    except FormatError as e:
        visit.damaged(e, e.offset if e.offset >= 0 else at)
        return
    tell_array(array, visit.visitor)


def float_text(raw: bytes) -> bytes:
    """The element that 8 bytes with the tag FLOAT are. Servers drop the lowest two bits."""
    bits = int.from_bytes(raw, "little") & ~3
    x: float = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
    if x != x:  # noqa: PLR0124 - true of NaN alone
        return b"nan"
    if -9.2e18 < x < 9.2e18 and x == int(x):
        text = b"%d" % int(x)
        if bits >> 63 and not int(x):
            text = b"-0"
    else:
        text = shortest(x)
    plain = b"." not in text and b"e" not in text and b"inf" not in text
    return text + b".0" if plain else text


def encode(array: Array, out: BytesWriter, compress: bool) -> None:
    """Write the payload as a server does."""
    put_length(out, len(array.elements))
    if array.cursor >= 0:
        out.append(1)
        put_u64(out, array.cursor)
    else:
        out.append(0)
    for index, text in array.elements.items():
        put_u64(out, index)
        size: i64 = len(text)
        if size <= 20 and is_integer(text):
            number = parse_integer(text)
            if -INTEGERS <= number < INTEGERS:
                out.append(u8(INTEGER))
                put_ms(out, number)
                continue
        raw = _float_of(text)
        if raw:
            out.append(u8(FLOAT))
            out.write(raw)
        elif size < LONG:
            out.append(u8(SHORT))
            put_string(out, text, False)
        else:
            out.append(u8(TEXT))
            put_string(out, text, compress)


def _float_of(text: bytes) -> bytes:
    """The 8 bytes of an element that is stored as a double: digits around one point, which come back as they are, of a
    double whose lowest two bits are 0. b"" for any other.
    """
    digits = text[1:] if text[:1] == b"-" else text
    if len(text) > 24 or digits.count(b".") != 1 or not digits.replace(b".", b"").isdigit():
        return b""
    raw = struct.pack("<d", float(text))
    return raw if raw[0] & 3 == 0 and float_text(raw) == text else b""
