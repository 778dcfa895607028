"""The reader: bytes to events, however they arrive."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError, TruncatedError, UnsupportedError, UsageError
from rdbtool.io.source import open_input
from rdbtool.io.window import Window, window_over
from rdbtool.rdb.events import (
    Aux,
    End,
    Foreign,
    Function,
    FunctionPreGa,
    Header,
    ModuleAux,
    ResizeDb,
    SelectDb,
    SlotImport,
    SlotInfo,
)
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.layout.templates import REFERENCE_TO
from rdbtool.rdb.opcodes import REDIS, VALKEY
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.types import row_of
from tests.rdb.corpus import name_of, written_files
from tests.rdb.craft import counted, encode_length, rdb, record, string, strings
from tests.rdb.sources import Dripping, told


def events_of(data: bytes) -> list[tuple[object, ...]]:
    return told(RdbReader(window_over(data)))


SMALL = [p for p in written_files() if p.stat().st_size < 20_000 and p.read_bytes()[:3] != b"VCS"]


@pytest.mark.parametrize("path", SMALL, ids=name_of)
def test_events_do_not_depend_on_how_the_bytes_arrive(path: Path) -> None:
    data = path.read_bytes()
    whole = events_of(data)
    assert len(whole) >= 2
    assert told(RdbReader(Window(Dripping(data, 1)))) == whole
    assert told(RdbReader(Window(Dripping(data, 7), size=len(data)))) == whole


@pytest.mark.parametrize("path", [p for p in SMALL if p.name != "module-hellotype.rdb"], ids=name_of)
def test_a_frame_whose_value_was_decoded_from_a_pipe_keeps_its_payload(path: Path) -> None:
    data = path.read_bytes()
    payloads = [event.raw() for event in RdbReader(window_over(data)) if isinstance(event, Frame)]
    kept = []
    for event in RdbReader(Window(Dripping(data, 7))):
        if isinstance(event, Frame):
            event.value()
            kept.append(event.raw())
    assert kept == payloads


@pytest.mark.parametrize("path", SMALL, ids=name_of)
def test_the_reader_stops_behind_the_checksum(path: Path) -> None:
    data = path.read_bytes()
    window = window_over(data + b"*1\r\n$4\r\nPING\r\n")
    events = told(RdbReader(window))
    assert events == events_of(data)
    if events[-1][0] == "End":
        assert window.offset() == len(data)
        assert window.take(4) == b"*1\r\n"


def test_skipping_reading_and_walking_a_value_come_to_the_same() -> None:
    data = rdb(record(2, b"k", counted(b"a", b"b")), record(0, b"after", string(b"x")))
    skipped = told(RdbReader(window_over(data)), raw=False)
    walked = []
    reader = RdbReader(window_over(data))
    for event in reader:
        if isinstance(event, Frame):
            walked.append(event.key)
            window = event.window()
            event.type.skip(window)
    assert walked == [b"k", b"after"]
    assert [e[0] for e in skipped] == ["Header", "SelectDb", "set", "string", "End"]
    assert reader.crc == crc64(data[:-8])


def test_a_frame_knows_where_it_stands() -> None:
    data = rdb(b"\xfc" + struct.pack("<q", 5000) + b"\xf9\x07" + record(0, b"key", string(b"value")))
    reader = RdbReader(window_over(data))
    frame = next(e for e in reader if isinstance(e, Frame))
    assert data[frame.offset] == 0xFC
    assert data[reader.key_offset : reader.key_offset + 4] == b"\x03key"
    assert frame.raw() == data[frame.value_offset : frame.value_offset + 6] == b"\x05value"
    assert (frame.expire_at_ms, frame.freq, frame.idle_s, frame.db) == (5000, 7, -1, 0)
    assert frame.window().take(6) == b"\x05value"


def test_key_facts_do_not_leak_to_the_next_key() -> None:
    first = b"\xfd" + struct.pack("<i", 5) + b"\xf8\x09" + record(0, b"a", string(b"1"))
    frames = [e for e in RdbReader(window_over(rdb(first, record(0, b"b", string(b"2"))))) if isinstance(e, Frame)]
    assert [(f.expire_at_ms, f.idle_s) for f in frames] == [(5000, 9), (-1, -1)]


def test_expiries_can_be_negative() -> None:
    data = rdb(b"\xfd" + struct.pack("<i", -5) + record(0, b"a", string(b"1")))
    assert [e.expire_at_ms for e in RdbReader(window_over(data)) if isinstance(e, Frame)] == [-5000]


@pytest.mark.parametrize(
    ("magic", "dialect", "version"),
    [(b"REDIS0001", REDIS, 1), (b"REDIS0015", REDIS, 15), (b"VALKEY080", VALKEY, 80), (b"VALKEY081", VALKEY, 81)],
)
def test_headers_of_all_versions_are_read(magic: bytes, dialect: int, version: int) -> None:
    header = RdbReader(window_over(magic + b"\xff" + bytes(8))).next()
    assert isinstance(header, Header)
    assert (header.dialect, header.version) == (dialect, version)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", TruncatedError, "input ends: 9 bytes needed, 0 left"),
        (b"REDIS00", TruncatedError, "input ends: 9 bytes needed, 7 left"),
        (b"REDIS0099", UnsupportedError, "RDB version 99 of Redis is newer than this program knows (15)"),
        (b"REDIS0000", FormatError, "wrong version: '0000'"),
        (b"REDISabcd", FormatError, "wrong version: 'abcd'"),
        (b"VALKEY011", FormatError, "wrong version: 11 cannot be of Valkey"),
        (b"VALKEY099", UnsupportedError, "RDB version 99 of Valkey is newer than this program knows (81)"),
        (b"RODIS0009", FormatError, "wrong magic: not an RDB"),
        (b"*1\r\n$4\r\nPING\r\n", FormatError, "wrong magic: not an RDB, but it begins like an AOF"),
    ],
)
def test_wrong_headers_are_refused(data: bytes, kind: type[RdbToolError], message: str) -> None:
    with pytest.raises(kind) as caught:
        RdbReader(window_over(data, path="x.rdb")).next()
    assert caught.value.message == message
    assert (caught.value.path, caught.value.offset) == ("x.rdb", 0)


@pytest.mark.parametrize(
    ("magic", "byte", "what"),
    [
        (b"VALKEY081", 24, "unknown type 24 in valkey RDB version 81"),
    ],
)
def test_what_is_unknown_is_named(magic: bytes, byte: int, what: str) -> None:
    (*_, error) = events_of(rdb(record(byte, b"key", string(b"v")), magic=magic))
    assert error[:3] == ("UnsupportedError", what, 11)
    assert error[4] == (b"key" if "type" in what.split()[1] else None)


@pytest.mark.parametrize(
    ("magic", "byte", "what"),
    [
        (b"REDIS0009", 8, "unknown type 8 in redis RDB version 9"),
        (b"REDIS0015", 33, "unknown type 33 in redis RDB version 15"),
        (b"REDIS0009", 107, "unknown type 107 in redis RDB version 9"),
        (b"REDIS0009", 64, "unknown type 64 in redis RDB version 9"),
        (b"REDIS0009", 243, "unknown opcode 243 in redis RDB version 9"),
        (b"VALKEY080", 24, "unknown type 24 in valkey RDB version 80"),
    ],
)
def test_a_byte_that_the_version_does_not_have_is_damage(magic: bytes, byte: int, what: str) -> None:
    (*_, error) = events_of(rdb(record(byte, b"key", string(b"v")), magic=magic))
    assert error[0] == "FormatError"
    assert str(error[1]).startswith(f"{what}, which has none such: the bytes are damaged")
    assert error[2] == 11


@pytest.mark.parametrize(
    "between",
    [
        b"\xfa" + strings(b"mvcc-tstamp", b"1783456789012345"),
        b"\xfa" + strings(b"a", b"b") + b"\xfa" + strings(b"c", b"d"),
        b"\xfb\x01\x01",
        b"\xf5" + string(b"#!lua name=x\n"),
        b"\xfe\x00",
    ],
)
def test_what_stands_between_the_facts_of_a_key_and_the_key_does_not_part_them(between: bytes) -> None:
    """As servers take it, and as KeyDB writes it."""
    facts = b"\xfc" + struct.pack("<q", 4102444800000) + b"\xf8\x05"
    data = rdb(facts + between, record(0, b"k", string(b"v")), record(0, b"next", string(b"v")))
    frames = [e for e in RdbReader(window_over(data)) if isinstance(e, Frame)]
    assert [(f.key, f.expire_at_ms, f.idle_s) for f in frames] == [(b"k", 4102444800000, 5), (b"next", -1, -1)]


def member_expiry(member: bytes, when: int) -> bytes:
    return b"\xfa" + strings(b"keydb-subexpire-key", member) + b"\xfa" + strings(b"keydb-subexpire-when", b"%d" % when)


def test_what_only_keydb_has_is_passed_and_counted() -> None:
    cron = bytes((64,)) + strings(b"job", b"return 1") + bytes(16) + counted(b"k1", b"k2") + counted(b"a")
    members = member_expiry(b"a", 1) + member_expiry(b"b", 2)
    data = rdb(record(2, b"tags", counted(b"a", b"b")) + members, cron, record(0, b"after", string(b"v")), cron)
    reader = RdbReader(window_over(data))
    events = list(reader)
    assert [e.key for e in events if isinstance(e, Frame)] == [b"tags", b"after"]
    assert [e.key for e in events if isinstance(e, Foreign)] == [b"job", b"job"]
    assert reader.lost == {"expiries of members (KeyDB)": 2, "cron jobs (KeyDB)": 2}


def test_opcodes_of_redis_enterprise_are_passed() -> None:
    slot = b"\x79\x40\x64"
    data = rdb(slot + record(0, b"k", string(b"v")), slot + b"\x65\x80\x00\x00\x00\x07" + record(0, b"l", string(b"w")))
    reader = RdbReader(window_over(data))
    assert [e.key for e in reader if isinstance(e, Frame)] == [b"k", b"l"]
    assert reader.is_enterprise
    long = rdb(slot + record(0, b"k", string(bytes(200_000))))
    assert [e.key for e in RdbReader(Window(Dripping(long, 999))) if isinstance(e, Frame)] == [b"k"]


@pytest.mark.parametrize("tail", [b"key:1", b"flags", b"year 1"])
def test_a_letter_is_not_an_opcode_of_redis_enterprise(tail: bytes) -> None:
    data = rdb(record(0, b"k", string(b"v")), tail, record(0, b"l", string(b"w")))
    (*_, error) = events_of(data)
    assert error[0] == "FormatError"


@pytest.mark.parametrize("zeros", [6, 7, 513, 300_000])
def test_zeros_in_place_of_keys_are_told_at_once(zeros: int) -> None:
    whole = rdb(record(0, b"a", string(b"1")), bytes(zeros))[: -9 if zeros > 6 else None]
    (*_, error) = events_of(whole)
    where = "to the end of the input" if zeros > 6 else "where a key should be"
    lost = "what was there is lost, and perhaps the end of what stands in front"
    assert error[:3] == ("FormatError", f"{zeros} zero bytes {where}: {lost}", 16)


def test_the_key_without_a_name_may_be_empty_in_each_database() -> None:
    nameless = record(0, b"", string(b""))
    data = rdb(nameless, b"\xfe\x01", nameless, record(0, b"k", string(b"v")))
    assert [(e.db, e.key) for e in RdbReader(window_over(data)) if isinstance(e, Frame)] == [
        (0, b""),
        (1, b""),
        (1, b"k"),
    ]


def test_the_same_type_byte_means_what_its_dialect_says() -> None:
    payload = b"\x01" + strings(b"f", b"v") + struct.pack("<q", -1)
    names = [e[0] for e in events_of(rdb(record(22, b"k", payload), magic=b"VALKEY080"))]
    assert "hash2" in names
    names = [e[0] for e in events_of(rdb(record(22, b"k", b"\x01\x00" + strings(b"f", b"v")), magic=b"REDIS0012"))]
    assert "hash-metadata-pre-ga" in names


def test_records_that_are_not_keys() -> None:
    module_id = encode_length(0x123456789 << 10)
    data = rdb(
        b"\xfa" + strings(b"redis-ver", b"7.0.15"),
        b"\xfb\x05\x02",
        b"\xf4\x01\x02\x03",
        b"\xf5" + string(b"#!lua name=x\n"),
        b"\xf6" + strings(b"lib", b"LUA") + b"\x01" + strings(b"about", b"return 1"),
        b"\xf6" + strings(b"lib2", b"LUA") + b"\x00" + string(b"return 2"),
        b"\xf7" + module_id + b"\x02\x01" + b"\x05" + string(b"x") + b"\x00",
        magic=b"REDIS0012",
    )
    events = list(RdbReader(window_over(data)))
    kinds = [type(e).__name__ for e in events]
    assert kinds == [
        "Header",
        "SelectDb",
        "Aux",
        "ResizeDb",
        "SlotInfo",
        "Function",
        "FunctionPreGa",
        "FunctionPreGa",
        "ModuleAux",
        "End",
    ]
    _, select, aux, resize, slot, function, old, older, module, end = events
    assert isinstance(select, SelectDb)
    assert select.db == 0
    assert isinstance(aux, Aux)
    assert (aux.name, aux.value) == (b"redis-ver", b"7.0.15")
    assert isinstance(resize, ResizeDb)
    assert (resize.keys, resize.expires) == (5, 2)
    assert isinstance(slot, SlotInfo)
    assert (slot.slot, slot.keys, slot.expires) == (1, 2, 3)
    assert isinstance(function, Function)
    assert function.code == b"#!lua name=x\n"
    assert isinstance(old, FunctionPreGa)
    assert (old.description, old.upgraded()) == (b"about", b"#!lua name=lib\nreturn 1")
    assert isinstance(older, FunctionPreGa)
    assert older.description is None
    assert isinstance(module, ModuleAux)
    assert module.when == 1
    assert module.raw == module_id + b"\x02\x01\x05\x01x\x00"
    assert isinstance(end, End)
    assert end.checksum == "ok"


def test_a_slot_migration_of_valkey_is_read() -> None:
    data = rdb(b"\xf3" + string(b"j" * 40) + b"\x02\x00\x05\x0a\x14", magic=b"VALKEY080")
    event = list(RdbReader(window_over(data)))[2]
    assert isinstance(event, SlotImport)
    assert (event.job, event.ranges) == (b"j" * 40, [(0, 5), (10, 20)])


def test_metadata_of_a_key_is_carried() -> None:
    meta = b"\x01" + b"spec" + b"\x02\x07\x00"
    data = rdb(b"\xf3" + meta + record(0, b"k", string(b"v")), magic=b"REDIS0013")
    frame = next(e for e in RdbReader(window_over(data)) if isinstance(e, Frame))
    assert frame.meta == meta


@pytest.mark.parametrize(("stored", "verdict"), [(True, "ok"), (0, "off"), (12345, "bad")])
def test_the_checksum_is_judged(stored: bool | int, verdict: str) -> None:
    (*_, end) = RdbReader(window_over(rdb(record(0, b"k", string(b"v")), checksum=stored)))
    assert isinstance(end, End)
    assert end.checksum == verdict


def test_versions_before_5_have_no_checksum() -> None:
    (*_, end) = RdbReader(window_over(b"REDIS0004\xff"))
    assert isinstance(end, End)
    assert end.checksum == "none"


def test_every_cut_is_a_truncation_at_its_place() -> None:
    data = rdb(
        b"\xfa" + strings(b"a", b"b"),
        b"\xfc" + bytes(8) + record(2, b"set", counted(b"a", b"b" * 100, b"c")),
        record(18, b"list", b"\x01\x01" + string(b"plain")),
        record(15, b"stream", b"\x00\x00\x00\x00\x00"),
    )
    cuts: list[Callable[[bytes], Window]] = [window_over, lambda part: Window(Dripping(part, 1))]
    for n in range(len(data)):
        for window_of in cuts:
            (*_, error) = told(RdbReader(window_of(data[:n])))
            assert error[0] in {"TruncatedError", "FormatError"}, (n, error)
            assert isinstance(error[2], int)
            assert 0 <= error[2] <= n


def test_errors_name_the_key_and_what_was_being_read() -> None:
    (*_, error) = events_of(rdb(record(2, b"my key", b"\x02\x01a\xc5")))
    assert error == ("FormatError", "unknown string encoding 5", 22, "reading a value: reading a string", b"my key")


def test_counts_beyond_the_input_are_refused_at_once() -> None:
    (*_, error) = events_of(rdb(record(2, b"k", b"\x81" + struct.pack(">Q", 1 << 40))))
    assert error[0] == "FormatError"
    assert "1099511627776 items announced" in str(error[1])


def test_a_frame_can_be_made_from_bytes() -> None:
    frame = frame_of(3, b"k", row_of(REDIS, "string"), b"\x01v")
    assert (frame.db, frame.key, frame.raw(), frame.window().take(2)) == (3, b"k", b"\x01v", b"\x01v")


@pytest.mark.parametrize("path", SMALL, ids=name_of)
def test_kept_frames_are_good_at_any_time_in_any_order(path: Path) -> None:
    data = path.read_bytes()
    if events_of(data)[-1][0] != "End":
        return  # a module's value that does not tell its length
    whole = [(f.key, f.raw()) for f in RdbReader(window_over(data)) if isinstance(f, Frame)]
    for source in ("file", "bytes"):
        with open_input(str(path)) as opened:
            reader = RdbReader(opened.window() if source == "file" else window_over(data))
            kept = keep_all(reader)
            assert reader.crc == crc64(data[:-8]) or reader.version < 5
        order = list(range(len(kept))) * 2
        random.Random(1).shuffle(order)
        for i in [*order, *range(len(kept))]:
            key, raw = whole[i]
            frame = kept[i].copy() if i % 2 else kept[i]
            templated = frame.type.byte in REFERENCE_TO  # the names in front stand elsewhere in the file
            assert frame.key == key
            assert templated or frame.size == len(raw)
            assert frame.raw() == raw
            assert templated or frame.peek().offset() == frame.value_offset
            window = frame.window()
            frame.type.skip(window)
            assert window.offset() == frame.value_offset + frame.size


def keep_all(reader: RdbReader) -> list[Frame]:
    frames = []
    for event in reader:
        if isinstance(event, Frame):
            event.keep()
            frames.append(event)
    return frames


def test_damage_to_the_frame_of_a_payload_is_told_when_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    data = rdb(record(0, b"a", string(b"x")), record(1, b"l", counted(b"a", b"b", b"c")))
    for damaged in (data[: data.index(b"l") + 6], data.replace(b"l\x03", b"l\x81"), data.replace(b"\x01b", b"\xfeb")):
        path.write_bytes(damaged)
        told_of: list[tuple[str, int, bytes | None, str]] = []
        for window in (None, window_over(damaged, path=str(path))):
            with open_input(str(path)) as opened:
                reader = RdbReader(window or opened.window())
                with pytest.raises(RdbToolError) as e:
                    keep_all(reader)
            told_of.append((e.value.message, e.value.offset, e.value.key, e.value.doing))
            assert e.value.path == str(path)
        assert told_of[0] == told_of[1]
        assert told_of[0][2] == b"l"


def test_a_frame_that_was_not_kept_is_gone_with_the_next_event() -> None:
    reader = RdbReader(window_over(rdb(record(0, b"a", string(b"x")), record(0, b"b", string(b"y")))))
    for frame in [event for event in reader if isinstance(event, Frame)]:
        with pytest.raises(UsageError, match="moved on"):
            frame.raw()
        with pytest.raises(UsageError, match="moved on"):
            frame.window()
