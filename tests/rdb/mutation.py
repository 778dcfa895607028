"""Sound payloads of every type, and what damage makes of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from rdbtool.basics.lzf import compress
from rdbtool.errors import RdbToolError
from rdbtool.io.window import window_over
from rdbtool.rdb.events import HashTemplate
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.types import TABLE, TypeRow
from tests.rdb.corpus import FIXTURES
from tests.rdb.craft import (
    encode_length,
    intset,
    listpack,
    lzf,
    stream,
    stream_id,
    stream_node,
    string,
    strings,
    ziplist,
)

SPECIAL_BYTES = (0, 1, 0x3F, 0x40, 0x7F, 0x80, 0x81, 0xC0, 0xC3, 0xFE, 0xFF)


def records_by_type() -> dict[str, bytes]:
    """For every type in the fixtures the largest small record, in a file of its own, without checksum."""
    found: dict[str, bytes] = {}
    for path in sorted(FIXTURES.glob("*/*.rdb")):
        if path.parent.name == "broken":
            continue
        data = path.read_bytes()
        reader = RdbReader(window_over(data))
        templates = b""
        at = -1
        try:
            for event in reader:
                if at >= 0:
                    templates += data[at : event.offset]
                at = event.offset if isinstance(event, HashTemplate) else -1
                if isinstance(event, Frame):
                    name = f"{data[:6].decode()}-{event.type.name}"
                    event.raw()
                    end = event.value_offset + event.size
                    needed = templates if event.type.name.startswith("hash-template") else b""
                    whole = (
                        data[:9] + needed + data[event.offset : end] + b"\xff" + bytes(8 if reader.version >= 5 else 0)
                    )
                    if len(whole) < 700 and len(whole) > len(found.get(name, b"")):
                        found[name] = whole
        except RdbToolError:
            continue
    return found


def damaged(rng: random.Random, data: bytes, start: int = 9) -> bytes:
    """``data`` with a few bytes changed, put in or taken out, mostly from ``start`` on."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not out:
            break
        at = rng.randrange(start, len(out)) if len(out) > start and rng.random() < 0.95 else rng.randrange(len(out))
        kind = rng.random()
        if kind < 0.35:
            out[at] ^= 1 << rng.randrange(8)
        elif kind < 0.6:
            out[at] = rng.choice(SPECIAL_BYTES)
        elif kind < 0.7:
            out[at : at + 8] = rng.randbytes(8)
        elif kind < 0.8:
            out[at:at] = rng.randbytes(rng.randint(1, 9))
        elif kind < 0.9:
            del out[at : at + rng.randint(1, 5)]
        else:
            del out[at:]
        if len(out) < start + 3:
            break
    return bytes(out)


def flipped(data: bytes) -> Iterator[bytes]:
    """``data`` with each bit turned, and with each byte made each of the special ones."""
    for at, byte in enumerate(data):
        for other in {byte ^ 1 << bit for bit in range(8)} | set(SPECIAL_BYTES):
            if other != byte:
                yield data[:at] + bytes((other,)) + data[at + 1 :]


EDGES = (
    0,
    63,
    64,
    (1 << 14) - 1,
    1 << 31,
    1 << 32,
    (1 << 46) - 1,
    (1 << 48) - 1,
    1 << 48,
    (1 << 63) - 1,
    (1 << 64) - 1,
)


def edged(data: bytes) -> Iterator[bytes]:
    """``data`` with each number that may begin at some byte replaced: by edges in length form, and in 8 bytes."""
    for at, byte in enumerate(data):
        size = 2 if 0x40 <= byte < 0x80 else 5 if byte == 0x80 else 9 if byte == 0x81 else 1
        for edge in EDGES:
            yield data[:at] + encode_length(edge) + data[at + size :]
            if at + 8 <= len(data):
                yield data[:at] + edge.to_bytes(8, "little") + data[at + 8 :]


def _ms(n: int) -> bytes:
    return n.to_bytes(8, "little", signed=n < 0)


def _text_score(text: bytes) -> bytes:
    return bytes((len(text),)) + text


LZF_TEXT = lzf(b"\x00a\xe0\x15\x00", 31)  # 31 times "a"


def _compressed(data: bytes) -> bytes:
    packed = compress(data)
    assert packed is not None
    return lzf(packed, len(data))


_KEY = stream_id(1000, 5)
_ENTRIES = listpack(2, 1, 1, b"f", 0, 2, 0, 0, b"v", 4, 3, 1, 0, b"gone", 4, 0, 2, -3, 1, b"g", 7, 6)
_GROUP_HEAD = string(b"group") + encode_length(1001) + encode_length(2)


def _group(version: int, pending: list[tuple[int, int]], owned: list[tuple[int, int]]) -> bytes:
    out = _GROUP_HEAD + (encode_length(2) if version >= 2 else b"")
    out += encode_length(len(pending)) + b"".join(stream_id(*i) + _ms(1_700_000_000_000) + b"\x03" for i in pending)
    out += b"\x02"
    for name, ids in ((b"ann", owned), (b"bob", [])):
        out += string(name) + _ms(1_700_000_000_001) + (_ms(-1) if version >= 3 else b"")
        out += encode_length(len(ids)) + b"".join(stream_id(*i) for i in ids)
    return out


PRODUCERS = (
    b"\x40\x64\x40\x64\x02" + string(b"p") + b"\x01" + string(b"m") + b"\x43\xe8\x05" + string(b"q") + b"\x00\x02\x01"
)


def _stream(version: int) -> bytes:
    head = b"\x02" + string(_KEY) + string(_ENTRIES) + string(stream_id(2000, 0)) + string(stream_node((0, 1, [b"w"])))
    head += b"\x03" + encode_length(2000) + b"\x01"
    if version >= 2:
        head += encode_length(1000) + b"\x05" + encode_length(1001) + b"\x05" + b"\x09"
    head += b"\x01" + _group(version, [(1000, 5), (1002, 2)], [(1000, 5), (1002, 2)])
    if version >= 5:
        head += b"\x00"
    return head + (PRODUCERS if version >= 4 else b"")


_PAIRS: list[bytes | int] = [b"field", b"value", 7, -300, b"x" * 70, b""]
_SCORES: list[bytes | int] = [b"a", 1, b"b", b"2.5", b"c", b"-inf", 12, b"1e3"]
_EXPIRING: list[bytes | int] = [b"f", b"v", 1_800_000_000_000, 2, 3, 1_900_000_000_000, b"never", b"v", 0]
_NUMBERS = (b"\xc0\x85", b"\xc1\x00\x80", b"\xc2\x00\x00\x00\x80", LZF_TEXT, string(b"x" * 70))

SAMPLES: dict[str, list[bytes]] = {
    "string": [string(b"hello"), *_NUMBERS],
    "list": [b"\x06" + string(b"a") + b"".join(_NUMBERS), b"\x00"],
    "set": [b"\x06" + string(b"a") + b"".join(_NUMBERS)],
    "zset": [
        b"\x05"
        + b"".join(string(b"%d" % i) + _text_score(t) for i, t in enumerate((b"1.5", b"-2e3", b" 0x1f", b"3 apples")))
        + string(b"inf")
        + b"\xfe"
    ],
    "hash": [b"\x03" + strings(b"f", b"v") + _NUMBERS[0] + LZF_TEXT + strings(b"g", b"")],
    "zset2": [b"\x02" + string(b"a") + bytes(6) + b"\xf0\x3f" + LZF_TEXT + bytes(6) + b"\xf0\xff"],
    "module2": [
        b"\x81\x00\x00\x00\x00\x00\x00\x04\x01\x02\x05\x01\x05\x03\xab\xcd\xef\x01\x04" + bytes(8) + b"\x05\x01z\x00"
    ],
    "module-pre-ga": [b"\x01\x02"],
    "hash-zipmap": [string(b"\x02\x03foo\x03\x00bar\x05hello\x05\x02worldxx\xff")],
    "list-ziplist": [string(ziplist(b"a", 5, b"y" * 70, -70000, b""))],
    "set-intset": [string(intset(2, -5, 3, 1000)), string(intset(8, -(1 << 40), 1 << 40))],
    "zset-ziplist": [string(ziplist(*_SCORES))],
    "hash-ziplist": [string(ziplist(*_PAIRS))],
    "list-quicklist": [b"\x02" + string(ziplist(b"a", 5)) + string(ziplist(b"b"))],
    "hash-listpack": [string(listpack(*_PAIRS)), _compressed(listpack(*_PAIRS))],
    "zset-listpack": [string(listpack(*_SCORES))],
    "list-quicklist2": [
        b"\x03\x02" + string(listpack(b"a", 5, 100000)) + b"\x01" + string(b"large") + b"\x02" + string(listpack(b"b"))
    ],
    "set-listpack": [string(listpack(b"a", 5, -5, 300, b"y" * 70, 1 << 40))],
    "hash-metadata-pre-ga": [b"\x02" + encode_length(1 << 40) + strings(b"f", b"v") + b"\x00" + strings(b"g", b"w")],
    "hash-metadata": [
        _ms(1 << 40)
        + b"\x03\x01"
        + strings(b"f", b"v")
        + b"\x00"
        + strings(b"g", b"w")
        + b"\x40\x64"
        + _NUMBERS[0]
        + LZF_TEXT
    ],
    "hash-listpack-ex-pre-ga": [string(listpack(*_EXPIRING))],
    "hash-listpack-ex": [_ms(1_800_000_000_000) + string(listpack(*_EXPIRING))],
    "hash2": [
        b"\x03" + strings(b"f", b"v") + _ms(1 << 40) + strings(b"g", b"w") + _ms(-1) + _NUMBERS[0] + LZF_TEXT + _ms(5)
    ],
    "hash-template-listpack": [
        b"\x01\x02" + strings(b"f", b"10") + string(listpack(3, b"v", -5)),
        b"\x00" + string(listpack(b"", 7, b"name")) + _compressed(listpack(0, b"a" * 40, 1 << 33, b"")),
    ],
    "hash-template-array": [
        b"\x01\x03" + strings(b"", b"f") + _NUMBERS[1] + string(b"v") + _NUMBERS[0] + LZF_TEXT,
        b"\x00" + string(listpack(7, b"b")) + strings(b"v", b"w"),
    ],
    "array": [
        b"\x04\x01\x05\x00\x01"
        + _ms(-5)
        + b"\x05\x02"
        + bytes(6)
        + b"\x0c\x40"
        + b"\x40\x64\x03"
        + string(b"short")
        + b"\x81"
        + b"\xff" * 7
        + b"\xfe\x00"
        + LZF_TEXT,
        b"\x02\x00\x07\x03\xc0\x0c\x01\x00" + string(b"out of order"),
    ],
    "path-hash": [
        b"\x02"
        + string(b"a/b")
        + b"\x02"
        + strings(b"f", b"v")
        + strings(b"", b"")
        + string(b"")
        + b"\x01"
        + _NUMBERS[0]
        + LZF_TEXT,
        b"\x00",
    ],
    "stream-listpacks": [_stream(1), stream([], 0)],
    **{f"stream-listpacks{version}": [_stream(version)] for version in range(2, 6)},
}
"""Payloads by the name of their type, small and with all that the type can hold."""

ROWS: dict[str, TypeRow] = {row.name: row for rows in TABLE for row in rows if row is not None}
"""Rows of both dialects by name."""
