"""Values made by hand: what is found, where, and that real servers see it the same way."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

from rdbtool.findings import Finding, Findings, Severity
from rdbtool.io.window import window_over
from rdbtool.model import Stream
from rdbtool.rdb.check import RdbFacts, verify_rdb
from rdbtool.rdb.frame import frame_of
from rdbtool.rdb.layout.codes import ANY, CODES
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.types import row_of
from tests.rdb.craft import (
    RELEASED,
    counted,
    encode_length,
    entry,
    intset,
    listpack,
    lzf,
    rdb,
    record,
    stream,
    stream_id,
    stream_node,
    string,
    strings,
    ziplist,
)
from tests.servers.harness import DidNotStartError, ServerKind, running, server

NODE = (stream_id(1, 1), stream_node((0, 0, [b"v"])))


def verify(data: bytes) -> tuple[RdbFacts, list[Finding]]:
    findings = Findings()
    facts = verify_rdb(window_over(data), findings)
    return facts, findings.items


def zset2(*pairs: tuple[bytes, float]) -> bytes:
    return encode_length(len(pairs)) + b"".join(string(m) + struct.pack("<d", s) for m, s in pairs)


def group(name: bytes, pending: bytes = b"\x00", consumers: bytes = b"\x00") -> bytes:
    return string(name) + b"\x00\x00" + pending + consumers


def pending(*ids: tuple[int, int]) -> bytes:
    return encode_length(len(ids)) + b"".join(stream_id(*i) + bytes(8) + b"\x01" for i in ids)


def consumer(name: bytes, *ids: tuple[int, int]) -> bytes:
    return string(name) + bytes(8) + encode_length(len(ids)) + b"".join(stream_id(*i) for i in ids)


def flipped(data: bytes, at: int, to: int) -> bytes:
    return data[:at] + bytes((to,)) + data[at + 1 :]


LIST = listpack(b"one", 2, b"three")
ZIP = ziplist(b"one", 2, b"three")

# name: (type, payload, codes of errors)
VALUES: dict[str, tuple[int, bytes, list[str]]] = {
    "string": (0, string(b"value"), []),
    "string-lzf": (0, lzf(b"\x00a\xe0\x40\x00", 74), []),
    "string-lzf-short": (0, lzf(b"\x00a\xe0\x40\x00", 75), ["lzf"]),
    "string-lzf-back-too-far": (0, lzf(b"\x00a\x20\x01", 4), ["lzf"]),
    "string-lzf-empty": (0, lzf(b"", 0), []),
    "list": (1, counted(b"a", b"a"), []),
    "set": (2, counted(b"a", b"b", b"12"), []),
    "set-twice": (2, counted(b"a", b"b", b"a"), ["duplicate-member"]),
    "set-twice-as-integer-and-text": (2, b"\x02" + b"\xc0\x0c" + string(b"12"), ["duplicate-member"]),
    "set-lzf-broken": (2, b"\x01" + lzf(b"\x00", 3), ["lzf"]),
    "zset": (3, b"\x02" + string(b"a") + b"\x031.5" + string(b"b") + b"\xfe", []),
    "zset-nan": (3, b"\x01" + string(b"a") + b"\xfd", ["nan-score"]),
    "zset-prefix": (3, b"\x01" + string(b"a") + b"\x041.5x", []),
    "zset-word": (3, b"\x01" + string(b"a") + b"\x04word", ["score"]),
    "zset-twice": (3, b"\x02" + string(b"a") + b"\x011" + string(b"a") + b"\x012", ["duplicate-member"]),
    "zset2": (5, zset2((b"a", 1.5), (b"b", math.inf)), []),
    "zset2-nan": (5, zset2((b"a", math.nan)), ["nan-score"]),
    "zset2-twice": (5, zset2((b"a", 1), (b"a", 1)), ["duplicate-member"]),
    "hash": (4, b"\x02" + strings(b"a", b"1", b"b", b"1"), []),
    "hash-twice-small": (4, b"\x02" + strings(b"a", b"1", b"a", b"2"), ["duplicate-field-small"]),
    "hash-twice-long": (4, b"\x02" + strings(b"a", b"1", b"a", b"x" * 65), ["duplicate-field"]),
    "hash-twice-many": (
        4,
        encode_length(600) + b"".join(strings(b"f%d" % (i % 599), b"v") for i in range(600)),
        ["duplicate-field"],
    ),
    "quicklist": (14, b"\x01" + string(ZIP), []),
    "quicklist-part-empty": (14, b"\x02" + string(ziplist()) + string(ZIP), []),
    "quicklist-no-bytes": (14, b"\x01\x00", ["quicklist-node"]),
    "quicklist2": (18, b"\x02\x02" + string(LIST) + b"\x01" + string(b"plain"), []),
    "quicklist2-plain-empty": (18, b"\x01\x01\x00", ["quicklist-node"]),
    "quicklist2-packed-empty": (18, b"\x01\x02\x00", ["quicklist-node"]),
    "quicklist2-kind": (18, b"\x01\x03" + string(LIST), ["quicklist-node"]),
    "listpack-size": (18, b"\x01\x02" + string(flipped(LIST, 0, 99)), ["listpack-header"]),
    "listpack-end": (18, b"\x01\x02" + string(LIST[:-1] + b"\xfe"), ["listpack-header"]),
    "listpack-count": (18, b"\x01\x02" + string(listpack(b"a", count=2)), ["listpack"]),
    "listpack-uncounted": (18, b"\x01\x02" + string(listpack(b"a", count=65535)), []),
    "listpack-encoding": (18, b"\x01\x02" + string(flipped(LIST, 6, 0xF5)), ["listpack"]),
    "listpack-early-end": (18, b"\x01\x02" + string(flipped(LIST, 11, 0xFF)), ["listpack"]),
    "listpack-back": (18, b"\x01\x02" + string(flipped(LIST, 10, 3)), ["listpack"]),
    "listpack-beyond": (18, b"\x01\x02" + string(flipped(LIST, 6, 0xBF)), ["listpack"]),
    "listpack-long": (18, b"\x01\x02" + string(listpack(b"x" * 70, b"y" * 5000, b"z" * 17000)), []),
    "listpack-integers": (
        18,
        b"\x01\x02" + string(listpack(127, 128, -1, -4096, 4095, 40000, -(1 << 23), 1 << 30, -(1 << 62))),
        [],
    ),
    "hash-listpack": (16, string(listpack(b"a", 1, b"b", 2)), []),
    "hash-listpack-odd": (16, string(listpack(b"a", 1, b"b")), ["listpack"]),
    "hash-listpack-twice": (16, string(listpack(b"a", 1, b"a", 2)), ["listpack-duplicate"]),
    "hash-listpack-twice-as-text": (16, string(listpack(300, 1, b"300", 2)), ["listpack-duplicate"]),
    "hash-listpack-values-twice": (16, string(listpack(b"a", 1, b"b", 1)), []),
    "zset-listpack": (17, string(listpack(b"a", 1, b"b", b"2.5", b"c", b"-inf", b"d", b"1e9")), []),
    "zset-listpack-nan": (17, string(listpack(b"a", b"nan")), ["packed-nan-score"]),
    "zset-listpack-word": (17, string(listpack(b"a", b"word")), []),
    "zset-listpack-twice": (17, string(listpack(b"a", 1, b"a", 2)), ["listpack-duplicate"]),
    "zset-ziplist": (12, string(ziplist(b"a", 1, b"b", b"2.5")), []),
    "zset-ziplist-nan": (12, string(ziplist(b"a", b"nan")), ["packed-nan-score"]),
    "hash-ziplist": (13, string(ziplist(b"a", 1, 300, 2)), []),
    "hash-ziplist-odd": (13, string(ziplist(b"a", 1, b"b")), ["ziplist"]),
    "hash-ziplist-twice": (13, string(ziplist(b"a", 1, b"a", 2)), ["ziplist-duplicate"]),
    "hash-ziplist-twice-as-text": (13, string(ziplist(300, 1, b"300", 2)), ["ziplist-duplicate"]),
    "list-ziplist": (10, string(ziplist(b"x" * 300, b"y" * 70, b"z" * 20000, 12)), []),
    "ziplist-size": (10, string(flipped(ZIP, 0, 99)), ["ziplist-header"]),
    "ziplist-tail": (10, string(flipped(ZIP, 4, 10)), ["ziplist"]),
    "ziplist-tail-beyond": (10, string(flipped(ZIP, 5, 10)), ["ziplist-header"]),
    "ziplist-count": (10, string(ziplist(b"a", count=3)), ["ziplist"]),
    "ziplist-uncounted": (10, string(ziplist(b"a", count=65535)), []),
    "ziplist-previous": (10, string(flipped(ZIP, 15, 4)), ["ziplist"]),
    "ziplist-encoding": (10, string(flipped(ZIP, 11, 0xC1)), ["ziplist"]),
    "ziplist-beyond": (10, string(flipped(ZIP, 11, 0x3F)), ["ziplist"]),
    "intset16": (11, string(intset(2, -5, 3, 300)), []),
    "intset64": (11, string(intset(8, -5, 3, 1 << 40)), []),
    "intset-width": (11, string(flipped(intset(2, 1), 0, 3)), ["intset"]),
    "intset-count": (11, string(flipped(intset(2, 1), 4, 2)), ["intset"]),
    "intset-empty": (11, string(intset(2)), ["intset"]),
    "intset-order": (11, string(intset(4, 2, 1)), ["intset-order"]),
    "intset-twice": (11, string(intset(8, 2, 2)), ["intset-order"]),
    "zipmap": (9, string(b"\x01\x01a\x01\x00b\xff"), []),
    "zipmap-free": (9, string(b"\x01\x01a\x01\x02bxx\xff"), []),
    "zipmap-empty": (9, string(b"\x00\xff"), ["zipmap"]),
    "zipmap-count": (9, string(b"\x02\x01a\x01\x00b\xff"), ["zipmap"]),
    "zipmap-twice": (9, string(b"\x02\x01a\x01\x00b\x01a\x01\x00b\xff"), ["zipmap"]),
    "zipmap-end": (9, string(b"\x01\x01a\x01\x00b\xfe"), ["zipmap"]),
    "zipmap-beyond": (9, string(b"\x01\x01a\x09\x00b\xff"), ["zipmap"]),
    "stream": (15, stream([NODE], 1), []),
    "stream-empty": (15, stream([], 0), []),
    "stream-length": (15, stream([], 1), ["stream-length"]),
    "stream-count": (15, stream([NODE], 2), ["stream-count"]),
    "stream-key": (15, stream([(b"short", NODE[1])], 1), ["stream-node"]),
    "stream-node-twice": (15, stream([NODE, NODE], 2), ["stream-node"]),
    "stream-node-empty": (15, stream([(NODE[0], listpack())], 0), ["stream-node"]),
    "stream-node-first": (15, stream([(NODE[0], flipped(NODE[1], 7, 0x40))], 1), ["stream-first"]),
    "stream-node-cut": (15, stream([(NODE[0], listpack(1, 0, 1, b"f", 0, 2, 0, 0))], 1), ["stream-entry"]),
    "stream-node-more": (15, stream([(NODE[0], listpack(0, 0, 1, b"f", 0, 2))], 0), ["stream-entry"]),
    "stream-entry-count": (15, stream([(NODE[0], listpack(1, 0, 1, b"f", 0, 2, 0, 0, b"v", 9))], 1), ["stream-entry"]),
    "stream-entry-text": (
        15,
        stream([(NODE[0], listpack(1, 0, 1, b"f", 0, 2, b"x", 0, b"v", 4))], 1),
        ["stream-entry"],
    ),
    "stream-entry-own-fields": (15, stream([(NODE[0], listpack(1, 0, 1, b"f", 0, 0, 0, 0, 1, b"g", b"v", 6))], 1), []),
    "stream-sequence-numbers-of-64-bits": (
        15,
        stream([(stream_id(1, 0), stream_node((0, (1 << 63) - 1, [b"v"]), (0, -(1 << 63), [b"w"])))], 2),
        [],
    ),
    "stream-disordered-and-miscounted": (
        15,
        stream([(NODE[0], listpack(2, 0, 1, b"f", 0, 2, 5, 0, b"v", 4, 2, 0, 0, b"v", 4, count=3))], 2),
        ["stream-node-count"],
    ),
    "stream-master": (15, stream([(NODE[0], listpack(0, 0, 1, b"f", 7))], 0), ["stream-entry"]),
    "group-twice": (15, stream([NODE], 1, b"\x02" + group(b"g") + group(b"g")), ["duplicate-group"]),
    "consumer-twice": (
        15,
        stream([NODE], 1, b"\x01" + group(b"g", b"\x00", b"\x02" + consumer(b"c") + consumer(b"c"))),
        ["duplicate-consumer"],
    ),
    "pending": (15, stream([NODE], 1, b"\x01" + group(b"g", pending((1, 1)), b"\x01" + consumer(b"c", (1, 1)))), []),
    "pending-twice": (
        15,
        stream([NODE], 1, b"\x01" + group(b"g", pending((1, 1), (1, 1)), b"\x01" + consumer(b"c", (1, 1)))),
        ["duplicate-pending"],
    ),
    "pending-twice-with-consumer": (
        15,
        stream([NODE], 1, b"\x01" + group(b"g", pending((1, 1)), b"\x01" + consumer(b"c", (1, 1), (1, 1)))),
        ["duplicate-pending"],
    ),
    "pending-unknown": (
        15,
        stream([NODE], 1, b"\x01" + group(b"g", b"\x00", b"\x01" + consumer(b"c", (1, 1)))),
        ["unknown-pending"],
    ),
    "pending-orphan": (15, stream([NODE], 1, b"\x01" + group(b"g", pending((1, 1)))), ["orphan-pending"]),
}

EMPTY = {
    "list": (1, b"\x00"),
    "set": (2, b"\x00"),
    "zset": (3, b"\x00"),
    "hash": (4, b"\x00"),
    "zset2": (5, b"\x00"),
    "list-ziplist": (10, string(ziplist())),
    "zset-ziplist": (12, string(ziplist())),
    "hash-ziplist": (13, string(ziplist())),
    "quicklist": (14, b"\x00"),
    "quicklist-of-empty": (14, b"\x01" + string(ziplist())),
    "hash-listpack": (16, string(listpack())),
    "zset-listpack": (17, string(listpack())),
    "quicklist2": (18, b"\x01\x02" + string(listpack())),
    "set-listpack": (20, string(listpack())),
}


DISORDERED = {
    "entries": stream([(NODE[0], stream_node((5, 0, [b"v"]), (0, 0, [b"w"])))], 2),
    "entry-twice": stream([(NODE[0], stream_node((5, 0, [b"v"]), (5, 0, [b"w"])))], 2),
    "nodes": stream([(stream_id(5, 1), NODE[1]), NODE], 2),
}


def magic_for(kind: ServerKind) -> bytes:
    return {"redis-6.2": b"REDIS0009", "redis-7.0": b"REDIS0010"}.get(kind.name, b"REDIS0011")


def loads(kind: ServerKind, directory: Path, data: bytes, *options: str) -> bool:
    (directory / "dump.rdb").write_bytes(data)
    try:
        with running(kind, directory, *options):
            return True
    except DidNotStartError:
        return False


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_found_to_be_what_it_is(name: str) -> None:
    type_byte, payload, codes = VALUES[name]
    after = record(0, b"after", string(b"the value goes on"))
    facts, findings = verify(rdb(record(type_byte, b"key", payload), after, magic=b"REDIS0011"))
    assert [f.code for f in findings if f.severity is Severity.ERROR] == codes
    assert facts.complete, findings
    assert facts.keys == 2
    for finding in findings:
        assert finding.key == b"key"
        assert 14 <= finding.offset < len(payload) + 20


@pytest.mark.server
def test_valkey_refuses_exactly_the_values_with_errors(tmp_path: Path) -> None:
    """Valkey 9.1 always sanitizes, so it says what a check for a current server has to say."""
    kind = server("valkey-9.1")
    wrong = []
    for name, (type_byte, payload, codes) in VALUES.items():
        if loads(kind, tmp_path, rdb(record(type_byte, b"key", payload), magic=b"REDIS0011")) == bool(codes):
            wrong.append(name)
    assert wrong == []


@pytest.mark.server
def test_a_server_that_does_not_sanitize_minds_what_the_table_says_that_any_minds(tmp_path: Path) -> None:
    """Redis 6.2 knows types up to 15, looks into ziplists only if it sanitizes, and does not mind two things."""
    kind = server("redis-6.2")
    wrong = []
    for name, (type_byte, payload, codes) in VALUES.items():
        if type_byte > 15 or not codes or codes[0] in {"ziplist", "stream-first"}:  # which may crash it, or not
            continue
        seven = {"ziplist-duplicate", "stream-length", "duplicate-consumer"}
        minds = any(CODES[code].minds == ANY and code not in seven for code in codes)
        if loads(kind, tmp_path, rdb(record(type_byte, b"key", payload), magic=b"REDIS0009")) == minds:
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_collection_is_a_warning(name: str) -> None:
    type_byte, payload = EMPTY[name]
    data = rdb(record(type_byte, b"key", payload), magic=b"REDIS0011")
    facts, findings = verify(data)
    assert [(f.code, f.severity) for f in findings] == [("empty-collection", Severity.WARNING)]
    assert facts.empty == 1


@pytest.mark.parametrize("name", DISORDERED)
def test_stream_entries_that_do_not_follow_each_other_are_a_warning(name: str) -> None:
    _, findings = verify(rdb(record(15, b"key", DISORDERED[name]), magic=b"REDIS0011"))
    assert [(f.code, f.severity) for f in findings] == [("stream-order", Severity.WARNING)]


@pytest.mark.server
def test_servers_load_stream_entries_that_do_not_follow_each_other(tmp_path: Path) -> None:
    records = [record(15, name.encode(), payload) for name, payload in DISORDERED.items()]
    assert loads(server("valkey-9.1"), tmp_path, rdb(*records, magic=b"REDIS0011"))


@pytest.mark.server
def test_servers_skip_empty_collections(tmp_path: Path) -> None:
    records = [record(t, name.encode(), payload) for name, (t, payload) in EMPTY.items()]
    (tmp_path / "dump.rdb").write_bytes(rdb(*records, magic=b"REDIS0011"))
    with running(server("valkey-9.1"), tmp_path) as running_server:
        assert running_server.execute("DBSIZE") == 0


def test_field_expiries_are_checked() -> None:
    late = 1 << 48
    sound = listpack(b"a", 1, 1000, b"b", 2, 2000, b"c", 3, 0)
    for lp, code in (
        (sound, None),
        (listpack(b"a", 1, 0, b"b", 2, 2000), "listpack-expiry"),
        (listpack(b"a", 1, 3000, b"b", 2, 2000), "listpack-expiry"),
        (listpack(b"a", 1, b"soon"), "listpack-expiry"),
        (listpack(b"a", 1, late), "listpack-expiry"),
        (listpack(b"a", 1, 1000, b"a", 2, 2000), "listpack-duplicate"),
    ):
        for type_byte, head in ((25, bytes(8)), (23, b"")):
            facts, findings = verify(rdb(record(type_byte, b"k", head + string(lp)), magic=b"REDIS0012"))
            assert [f.code for f in findings] == ([code] if code else [])
            if code is None:
                assert facts.subexpires == 2
    least = struct.pack("<q", 1000)
    fields = b"\x02" + b"\x01" + strings(b"a", b"1") + b"\x00" + strings(b"b", b"2")
    facts, findings = verify(rdb(record(24, b"k", least + fields), magic=b"REDIS0012"))
    assert (findings, facts.subexpires) == ([], 1)
    huge = encode_length(late)
    _, findings = verify(rdb(record(24, b"k", least + b"\x01" + huge + strings(b"a", b"1")), magic=b"REDIS0012"))
    assert [f.code for f in findings] == ["field-expiry"]
    _, findings = verify(rdb(record(22, b"k", b"\x01" + huge + strings(b"a", b"1")), magic=b"REDIS0012"))
    assert [f.code for f in findings] == ["field-expiry"]


@pytest.mark.server
def test_field_expiries_of_valkey_are_checked_as_valkey_does(tmp_path: Path) -> None:
    kind = server("valkey-9.1")
    for expire_at_ms in (-1, 0, 1, -2, -(1 << 40), 4_000_000_000_000):
        data = rdb(
            record(22, b"k", b"\x02" + strings(b"a", b"1") + struct.pack("<q", expire_at_ms))
            + strings(b"b", b"2")
            + struct.pack("<q", -1),
            magic=b"VALKEY080",
        )
        _, findings = verify(data)
        assert ([f.code for f in findings] == []) == loads(kind, tmp_path, data), expire_at_ms


def test_a_problem_inside_lzf_is_told_at_the_string_with_its_place_in_the_data() -> None:
    broken = listpack(b"a" * 50, b"b", count=9)
    packed = b"".join(bytes((len(broken[i : i + 32]) - 1,)) + broken[i : i + 32] for i in range(0, len(broken), 32))
    _, findings = verify(rdb(record(20, b"k", lzf(packed, len(broken))), magic=b"REDIS0011"))
    assert [(f.code, f.offset) for f in findings] == [("listpack", 14)]
    assert "byte 4 of what the LZF data holds" in findings[0].message


def test_module_values_are_named_once_and_walked() -> None:
    module_id = 0
    for char in "vectorset":
        module_id = module_id << 6 | "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(char)
    payload = encode_length(module_id << 10 | 1) + b"\x05" + string(b"x") + b"\x02\x07\x04" + bytes(8) + b"\x00"
    facts, findings = verify(rdb(record(7, b"a", payload), record(7, b"b", payload)))
    assert facts.modules == {"vectorset": 2}
    assert [(f.code, f.severity) for f in findings] == [("module-value", Severity.NOTE)]


def test_every_value_of_a_file_is_checked_after_a_damaged_one() -> None:
    bad = record(20, b"bad", string(listpack(b"a", b"a")))
    _, findings = verify(rdb(bad, record(0, b"x", string(b"y")), bad.replace(b"bad", b"BAD"), magic=b"REDIS0011"))
    assert [(f.code, f.key) for f in findings] == [("listpack-duplicate", b"bad"), ("listpack-duplicate", b"BAD")]


@pytest.mark.server
def test_craft_makes_the_entries_that_a_server_makes(tmp_path: Path) -> None:
    items: list[bytes | int] = [b"a", 1, -1, 127, 128, 4095, -4096, 40000, -40000, 1 << 22, -(1 << 40), b"x" * 64, b""]
    with running(server("valkey-9.1"), tmp_path, "--rdbcompression", "no") as running_server:
        running_server.execute("RPUSH", "k", *items)
        dump = running_server.execute("DUMP", "k")
    assert isinstance(dump, bytes)
    assert listpack(*items) in dump
    assert entry(b"a") == b"\x81a\x02"


def ids(*numbers: int) -> bytes:
    return bytes((len(numbers),)) + b"".join(n.to_bytes(8, "big") + bytes(8) for n in numbers)


@pytest.mark.parametrize(
    ("released", "codes"),
    [
        ((2, 1), set()),
        ((2, 1, 1), set()),
        ((2, 9), {"unknown-pending", "orphan-pending"}),
        ((2, 3), {"duplicate-pending", "orphan-pending"}),
        ((2, 1, 3), {"duplicate-pending"}),
        ((2,), {"orphan-pending"}),
        ((), {"orphan-pending"}),
    ],
)
def test_released_entries_are_checked_as_redis_8_10_does(released: tuple[int, ...], codes: set[str]) -> None:
    """The verdicts are those of RESTORE on Redis 8.10.2: it takes the first two."""
    assert RELEASED.count(ids(2, 1)) == 1
    payload = RELEASED.replace(ids(2, 1), ids(*released))
    findings = Findings()
    verify_rdb(window_over(rdb(record(27, b"k", payload), magic=b"REDIS0015")), findings)
    assert set(findings.counts) == codes


def test_released_entries_are_told_in_their_order() -> None:
    for released in ((), (2, 1)):
        frame = frame_of(0, b"k", row_of(REDIS, "stream-listpacks5"), RELEASED.replace(ids(2, 1), ids(*released)))
        w = window_over(frame.raw())
        frame.type.skip(w)
        assert w.at_end()
    value = frame.value()
    assert isinstance(value, Stream)
    (group,) = value.groups.values()
    assert group.released == [(2, 0), (1, 0)]
    assert [pending.entry for pending in group.pending if pending.is_released] == [(1, 0), (2, 0)]


def producers(duration_s: int = 100, kept: int = 100, *names: bytes) -> bytes:
    """The state of producers with a message each."""
    parts = [encode_length(n) for n in (duration_s, kept, len(names))]
    parts += [string(name) + b"\x01" + string(b"message") + b"\x01\x01" for name in names]
    return b"".join(parts) + b"\x00\x00"


@pytest.mark.parametrize(
    ("state", "codes"),
    [
        (producers(), []),
        (producers(86400, 10000, b"p", b"q", b""), []),
        (producers(0), ["producer-settings"]),
        (producers(86401), ["producer-settings"]),
        (producers(100, 0), ["producer-settings"]),
        (producers(100, 10001), ["producer-settings"]),
        (producers(100, 100, b"p", b"p"), ["duplicate-producer"]),
    ],
)
def test_idempotent_producers_are_checked_as_redis_8_6_does(state: bytes, codes: list[str]) -> None:
    """The verdicts are those of RESTORE on Redis 8.6.2."""
    end = ids(2, 1) + b"\x40\x64\x40\x64\0\0\0"
    payload = RELEASED.replace(end, ids(2, 1) + state)
    _, findings = verify(rdb(record(27, b"k", payload), magic=b"REDIS0015"))
    assert [f.code for f in findings] == codes
