"""RDB files made by hand, for what no server writes."""

from __future__ import annotations

import struct

from rdbtool.basics.crc64 import crc64


def encode_length(n: int) -> bytes:
    """A length in its shortest form. Accepts 0 to 2^64 - 1."""
    if n < 64:
        return bytes((n,))
    if n < 1 << 14:
        return bytes((64 | n >> 8, n & 255))
    if n < 1 << 32:
        return b"\x80" + struct.pack(">I", n)
    return b"\x81" + struct.pack(">Q", n)


def string(data: bytes) -> bytes:
    return encode_length(len(data)) + data


def lzf(packed: bytes, size: int) -> bytes:
    return b"\xc3" + encode_length(len(packed)) + encode_length(size) + packed


def strings(*items: bytes) -> bytes:
    return b"".join(string(item) for item in items)


def counted(*items: bytes) -> bytes:
    return encode_length(len(items)) + strings(*items)


def record(type_byte: int, key: bytes, payload: bytes) -> bytes:
    return bytes((type_byte,)) + string(key) + payload


def rdb(*records: bytes, magic: bytes = b"REDIS0010", checksum: bool | int = True) -> bytes:
    body = magic + b"\xfe\x00" + b"".join(records) + b"\xff"
    if checksum is True:
        return body + struct.pack("<Q", crc64(body))
    return body + struct.pack("<Q", int(checksum))


def entry(item: bytes | int) -> bytes:
    """A listpack entry: an int as an integer, bytes as a string."""
    if isinstance(item, int):
        if 0 <= item < 128:
            body = bytes((item,))
        elif -4096 <= item < 4096:
            body = bytes((0xC0 | (item & 0x1FFF) >> 8, item & 0xFF))
        elif -(1 << 15) <= item < 1 << 15:
            body = b"\xf1" + struct.pack("<h", item)
        elif -(1 << 23) <= item < 1 << 23:
            body = b"\xf2" + struct.pack("<i", item)[:3]
        elif -(1 << 31) <= item < 1 << 31:
            body = b"\xf3" + struct.pack("<i", item)
        else:
            body = b"\xf4" + struct.pack("<q", item)
    elif len(item) < 64:
        body = bytes((0x80 | len(item),)) + item
    elif len(item) < 4096:
        body = bytes((0xE0 | len(item) >> 8, len(item) & 255)) + item
    else:
        body = b"\xf0" + struct.pack("<I", len(item)) + item
    return body + backlen(len(body))


def backlen(size: int) -> bytes:
    if size < 128:
        return bytes((size,))
    if size < 16383:
        return bytes((size >> 7, size & 127 | 128))
    if size < 2097151:
        return bytes((size >> 14, size >> 7 & 127 | 128, size & 127 | 128))
    return bytes((size >> 21, size >> 14 & 127 | 128, size >> 7 & 127 | 128, size & 127 | 128))


def listpack(*items: bytes | int, count: int = -1) -> bytes:
    body = b"".join(entry(item) for item in items)
    return struct.pack("<IH", len(body) + 7, len(items) if count < 0 else count) + body + b"\xff"


def ziplist(*items: bytes | int, count: int = -1) -> bytes:
    body = b""
    tail = 10
    previous = 0
    for item in items:
        before = bytes((previous,)) if previous < 254 else b"\xfe" + struct.pack("<I", previous)
        if isinstance(item, int):
            content = b"\xe0" + struct.pack("<q", item) if not 0 <= item <= 12 else bytes((0xF1 + item,))
        elif len(item) < 64:
            content = bytes((len(item),)) + item
        elif len(item) < 1 << 14:
            content = bytes((0x40 | len(item) >> 8, len(item) & 255)) + item
        else:
            content = b"\x80" + struct.pack(">I", len(item)) + item
        tail = 10 + len(body)
        body += before + content
        previous = len(before + content)
    return struct.pack("<IIH", len(body) + 11, tail, len(items) if count < 0 else count) + body + b"\xff"


def intset(width: int, *numbers: int) -> bytes:
    code = {2: "h", 4: "i", 8: "q"}[width]
    return struct.pack(f"<II{len(numbers)}{code}", width, len(numbers), *numbers)


def stream_id(ms: int, seq: int) -> bytes:
    return struct.pack(">QQ", ms, seq)


def stream_node(*entries: tuple[int, int, list[bytes]], fields: tuple[bytes, ...] = (b"f",)) -> bytes:
    """A node's listpack: entries as (ms difference, seq difference, values), all with the master fields."""
    items: list[bytes | int] = [len(entries), 0, len(fields), *fields, 0]
    for ms, seq, values in entries:
        items += [2, ms, seq, *values, len(values) + 3]
    return listpack(*items)


def stream(
    nodes: list[tuple[bytes, bytes]],
    length: int,
    groups: bytes = b"\x00",
    last: tuple[int, int] = (9, 9),
) -> bytes:
    """A payload of type 15."""
    head = encode_length(len(nodes)) + b"".join(string(key) + string(node) for key, node in nodes)
    return head + encode_length(length) + encode_length(last[0]) + encode_length(last[1]) + groups


RELEASED = bytes.fromhex(
    "011000000000000000010000000000000000c32a331133000000140003010001010181660200010220"
    "0a05000181760204200a0001e0010a401740150101ff03030001000000030101670300030300000000"
    "00000001000000000000000000000000000000000100000000000000020000000000000000000000000000000001"
    "00000000000000030000000000000000680a9fffa101000001010163680a9fffa1010000680a9fffa1010000"
    "010000000000000003000000000000000002000000000000000200000000000000000000000000000001"
    "000000000000000040644064000000"
)
"""A stream of Redis 8.10.2 with a group whose consumer has released 2-0 and then 1-0 (XNACK), and has kept 3-0."""
