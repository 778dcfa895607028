"""Check intsets and zipmaps (intset.c and zipmap.c of Redis: ...ValidateIntegrity)."""

from __future__ import annotations

from typing import Final

from librt.strings import read_i16_le, read_i32_le, read_i64_le
from mypy_extensions import i64

from rdbtool.rdb.layout.inspection import Inspection

HEADER: Final[i64] = 8
"""Of an intset: bytes per integer (4), number of integers (4)."""
END: Final[i64] = 255
BIG: Final[i64] = 254
"""In a zipmap: a length of 4 bytes follows; as the count: not counted."""


def check_intset(ins: Inspection) -> None:
    """Check the packed value as an intset. Empty ones are damaged: servers skip other empty collections, not these."""
    data = ins.data
    pos = ins.start
    if ins.size < HEADER:
        ins.report_packed("intset", f"{ins.size} bytes cannot be an intset", pos)
        return
    width: i64 = i64(read_i32_le(data, pos)) & 0xFFFFFFFF
    count: i64 = i64(read_i32_le(data, pos + 4)) & 0xFFFFFFFF
    if width not in (2, 4, 8):
        ins.report_packed("intset", f"an intset with integers of {width} bytes", pos)
        return
    if HEADER + count * width != ins.size:
        ins.report_packed("intset", f"an intset of {ins.size} bytes announces {count} integers of {width}", pos + 4)
        return
    if count == 0:
        ins.report_packed("intset", "an intset without integers", pos + 4)
        return
    end = pos + ins.size
    pos += HEADER
    previous = _integer(data, pos, width)
    pos += width
    while pos < end:
        if width == 2:
            value: i64 = i64(read_i16_le(data, pos))
        elif width == 4:
            value = i64(read_i32_le(data, pos))
        else:
            value = read_i64_le(data, pos)
        if value <= previous:
            what = "twice" if value == previous else "out of order"
            ins.report_packed("intset-order", f"integer {value} {what} in an intset", pos)
            return
        previous = value
        pos += width


def _integer(data: bytes, pos: i64, width: i64) -> i64:
    if width == 2:
        return i64(read_i16_le(data, pos))
    if width == 4:
        return i64(read_i32_le(data, pos))
    return read_i64_le(data, pos)


def check_zipmap(ins: Inspection) -> None:
    """Check the packed value as a zipmap: a count, then per pair two lengths, a free count, and the bytes."""
    data = ins.data
    start = ins.start
    last = start + ins.size - 1
    if ins.size < 2:
        ins.report_packed("zipmap", f"{ins.size} bytes cannot be a zipmap", start)
        return
    if data[last] != END:
        ins.report_packed("zipmap", "a zipmap without its end mark", last)
        return
    fields: set[bytes] = set()
    count: i64 = 0
    pos = start + 1
    while pos < last and data[pos] != END:
        entry = pos
        head: i64 = 1 if data[pos] < BIG else 5
        if pos + head > last:
            ins.report_packed("zipmap", "a field reaches beyond the zipmap", entry)
            return
        length = _length(data, pos)
        field = pos + head
        pos = field + length
        if pos > last:
            ins.report_packed("zipmap", "a field reaches beyond the zipmap", entry)
            return
        fields.add(data[field:pos])
        head = 1 if data[pos] < BIG else 5
        if pos + head > last:
            ins.report_packed("zipmap", "a value reaches beyond the zipmap", entry)
            return
        length = _length(data, pos)
        free: i64 = data[pos + head]
        pos += head + 1 + length + free
        if pos > last:
            ins.report_packed("zipmap", "a value reaches beyond the zipmap", entry)
            return
        count += 1
        if len(fields) != count:
            ins.report_packed("zipmap", "a field twice in a zipmap", entry)
            return
    if pos != last:
        ins.report_packed("zipmap", "a zipmap ends before its last byte", pos)
        return
    if count == 0:
        ins.report_packed("zipmap", "a zipmap without fields", start)
        return
    announced: i64 = data[start]
    if announced != BIG:
        if announced != count:
            ins.report_packed("zipmap", f"a zipmap announces {announced} fields and holds {count}", start)


def _length(data: bytes, pos: i64) -> i64:
    first: i64 = data[pos]
    if first < BIG:
        return first
    return i64(read_i32_le(data, pos + 1)) & 0xFFFFFFFF
