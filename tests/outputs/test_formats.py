"""Every format, from bytes and from values."""

from __future__ import annotations

import csv
import io
import json
import random
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from rdbtool.aof.resp import Command, CommandReader
from rdbtool.basics.text import ESCAPE, from_text
from rdbtool.errors import FormatError, RdbToolError, UsageError
from rdbtool.inputs.jsonl import JsonlSource
from rdbtool.inputs.keys import EntryEvent, Facts
from rdbtool.io.output import Output
from rdbtool.io.window import Window, window_over
from rdbtool.model import Entry, Hash, SortedSet, Stream, type_name
from rdbtool.outputs.exporter import Exporter
from rdbtool.rdb.encode import encode
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.targets import target
from rdbtool.servers.limits import Limits
from tests.outputs.collected import (
    Collected,
    Pieces,
    entries_of,
    entry_of,
    exporter,
    from_bytes,
    from_values,
    from_window,
)
from tests.rdb import craft
from tests.rdb.corpus import name_of, written_files
from tests.rdb.expected import plain
from tests.rdb.values_strategies import KINDS, any_value

SEED = 7
FORMATS = ("jsonl", "json", "csv", "resp")
UNREADABLE = "4.0-rc1"
"""Its module values do not tell their length."""
FILES = [
    path
    for path in written_files()
    if not (UNREADABLE in str(path) and "module" in path.name)
    and (path.stat().st_size < 1 << 20 or "raw" not in path.name)
    and "key-metadata" not in path.name  # a value has no place for it
    and ("huge" not in path.name or "7.4.1" in str(path))
]


def make(name: str) -> Callable[[Output], Exporter]:
    return lambda output: exporter(name, output)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_bytes_and_values_give_the_same_text(path: Path) -> None:
    for name in FORMATS:
        by_bytes = from_bytes(path, make(name))
        by_values = from_values(path, make(name))
        if name == "resp":
            assert fields_together(by_bytes) == fields_together(by_values)
        else:
            assert by_bytes == by_values, name


def fields_together(data: bytes) -> list[list[bytes]]:
    """Commands with all of a hash in one: from bytes, as on a server, it does not always show that no field expires
    any more, and then each has a command of its own.
    """
    found: list[list[bytes]] = []
    for args in commands_of(data):
        if found and args[0] == b"HMSET" and found[-1][:2] == args[:2]:
            found[-1] += args[2:]
        else:
            found.append(args)
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_json_lines_read_back_to_the_same_values(path: Path) -> None:
    written = from_bytes(path, lambda output: exporter("jsonl", output, header=True))
    source = JsonlSource(window_over(written))
    read = []
    while (event := source.next()) is not None:
        if isinstance(event, EntryEvent):
            read.append(event.entry)
    for entry, original in zip(read, entries_of(path), strict=True):
        assert facts_of(entry) == facts_of(original)


def facts_of(entry: Entry) -> tuple[object, ...]:
    return (entry.db, entry.key, entry.expire_at_ms, entry.idle_s, entry.freq, plain(entry.value))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("release", ["redis-5.0", "redis-6.2", "redis-7.0", "redis-7.4", "valkey-9.1"])
def test_random_values_give_the_same_text_both_ways(kind: str, release: str) -> None:
    rng = random.Random(f"{SEED}{kind}{release}")
    to = target(release)
    for _ in range(3):
        value = any_value(rng, kind)
        limits = Limits() if rng.random() < 0.5 else Limits(hash_entries=0, zset_entries=0, set_entries=0, list_node=64)
        row, payload = encode(value, to, limits=limits)
        for name in FORMATS:
            sink = Collected()
            out = exporter(name, Output(sink))
            frame = frame_of(0, b"k", row, payload)
            original = frame.value()
            assert out.frame(frame_of(0, b"k", row, payload)) is None
            out.output.flush()
            other = Collected()
            exporter(name, out_to := Output(other)).entry(Entry(0, b"k", original))
            out_to.flush()
            assert sink.getvalue() == other.getvalue(), (SEED, name, row.name)
            if name == "jsonl":
                event = JsonlSource(window_over(sink.getvalue())).next()
                assert isinstance(event, EntryEvent)
                assert plain(event.entry.value) == plain(original), (SEED, row.name)


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_input_in_pieces_gives_the_same_text(piece: int) -> None:
    path = next(path for path in FILES if path.name == "alltypes.rdb" or "small" in path.name)
    data = path.read_bytes()[: 1 << 17]
    whole = path.read_bytes() == data
    for name in FORMATS if piece > 1 else ("jsonl",):
        pieces = Window(Pieces(data, piece), size=-1)
        if whole:
            assert from_window(pieces, make(name)) == from_bytes(path, make(name))


def test_csv_rows_say_where_each_element_is() -> None:
    data = craft.rdb(
        craft.record(0, b'a,"b', craft.string(b"x\ny")),
        craft.record(1, b"l", craft.counted(b"1", b"2")),
        craft.record(16, b"h", craft.string(craft.listpack(b"f", b"v", b"g", 7))),
        craft.record(17, b"z", craft.string(craft.listpack(b"m", b"1.5", b"n", 2))),
    )
    text = from_window(window_over(data), make("csv")).decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["db", "key", "type", "expire_at_ms", "position", "field", "value", "field_expire_at_ms"]
    assert rows[1:] == [
        ["0", 'a,"b', "string", "", "", "", "x\ny", ""],
        ["0", "l", "list", "", "0", "", "1", ""],
        ["0", "l", "list", "", "1", "", "2", ""],
        ["0", "h", "hash", "", "", "f", "v", ""],
        ["0", "h", "hash", "", "", "g", "7", ""],
        ["0", "z", "zset", "", "", "m", "1.5", ""],
        ["0", "z", "zset", "", "", "n", "2", ""],
    ]


@pytest.mark.parametrize("path", [p for p in FILES if p.name in {"alltypes.rdb", "new-types.rdb"}], ids=name_of)
def test_csv_is_read_by_others(path: Path) -> None:
    text = from_bytes(path, make("csv")).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert all(None not in row and None not in row.values() for row in rows)
    keys = {(int(row["db"]), from_text(row["key"], 0)) for row in rows}
    empty = {(e.db, e.key) for e in entries_of(path) if isinstance(e.value, Stream) and not e.value.entries}
    assert keys == {(e.db, e.key) for e in entries_of(path)} - empty


def commands_of(data: bytes) -> list[list[bytes]]:
    reader = CommandReader(window_over(data))
    found = []
    while (event := reader.next()) is not None:
        assert isinstance(event, Command)
        found.append(event.args)
    return found


def test_commands_come_in_batches_of_64() -> None:
    items = [b"%d" % n for n in range(130)]
    data = craft.rdb(
        craft.record(1, b"l", craft.counted(*items)), craft.record(4, b"h", b"\x01" + craft.strings(b"f", b"v"))
    )
    commands = commands_of(from_window(window_over(data), make("resp")))
    assert commands[0] == [b"SELECT", b"0"]
    assert [(c[0], len(c)) for c in commands[1:4]] == [(b"RPUSH", 66), (b"RPUSH", 66), (b"RPUSH", 4)]
    assert b"".join(b"".join(c[2:]) for c in commands[1:4]) == b"".join(items)
    assert commands[4] == [b"HMSET", b"h", b"f", b"v"]


def test_huge_elements_close_a_command_early() -> None:
    big = b"x" * 9_000_000
    data = craft.rdb(craft.record(1, b"l", craft.counted(big, big, big)))
    commands = commands_of(from_window(window_over(data), make("resp")))
    assert [len(c) for c in commands[1:]] == [3, 3, 3]
    assert [c[0] for c in commands[1:]] == [b"RPUSH"] * 3
    assert all(c[2] == big for c in commands[1:])


def test_a_long_element_ends_its_command_and_its_cell_is_whole() -> None:
    long = b'a,"b' * 1_200_000
    data = craft.rdb(
        craft.record(2, b"s", craft.counted(b"m", long, b"n")),
        craft.record(4, b"h", b"\x03" + craft.strings(b"f", b"v", b"g", long, long, b"w")),
        craft.record(5, b"z", b"\x02" + b"".join(craft.string(m) + struct.pack("<d", 1) for m in (b"m", long))),
    )
    commands = commands_of(from_window(window_over(data), make("resp")))
    assert commands[1:] == [
        [b"SADD", b"s", b"m", long],
        [b"SADD", b"s", b"n"],
        [b"HMSET", b"h", b"f", b"v", b"g", long],
        [b"HMSET", b"h", long, b"w"],
        [b"ZADD", b"z", b"1", b"m", b"1", long],
    ]
    csv.field_size_limit(len(long))
    rows = list(csv.reader(io.StringIO(from_window(window_over(data), make("csv")).decode(), newline="")))
    assert [(row[5], row[6]) for row in rows[1:]] == [
        *(("", text) for text in ("m", long.decode(), "n")),
        *(("f", "v"), ("g", long.decode()), (long.decode(), "w")),
        *(("m", "1"), (long.decode(), "1")),
    ]


def test_modes_of_bytes_reach_every_text() -> None:
    data = craft.rdb(craft.record(4, b"k\xff", b"\x01" + craft.strings(b"f\n", b"\xc0\x05")))
    text = from_window(window_over(data), lambda output: exporter("jsonl", output, ESCAPE))
    assert json.loads(text) == {
        "schema": 1,
        "db": 0,
        "key": "k\\xff",
        "type": "hash",
        "value": {"f\\x0a": "\\xc0\\x05"},
    }


DAMAGED = craft.rdb(
    craft.record(0, b"before", craft.string(b"1")),
    craft.record(18, b"list", b"\x03\x02" + craft.string(craft.listpack(b"a")) + b"\x02" + craft.string(b"rubbish")
    + b"\x02" + craft.string(craft.listpack(b"b"))),
    craft.record(2, b"set", b"\x02" + craft.lzf(b"\x20\xff", 40) + craft.string(b"m")),
    craft.record(0, b"after", craft.string(b"2")),
)  # fmt: skip


@pytest.mark.parametrize("name", [*FORMATS, "table", "plain"])
def test_a_damaged_value_is_left_out_whole_and_the_stream_goes_on(name: str) -> None:
    sink = Collected()
    out = exporter(name, Output(sink))
    out.begin(Facts())
    damages = []
    for event in RdbReader(window_over(DAMAGED)):
        if isinstance(event, Frame):
            damage = out.frame(event)
            if damage is not None:
                damages.append((damage.key, type(damage)))
    out.end()
    assert damages == [(b"list", FormatError), (b"set", FormatError)]
    text = sink.getvalue()
    assert b"before" in text
    assert b"after" in text
    assert b"list" not in text.replace(b"jsonlist", b"")
    assert b"rubbish" not in text


def test_any_damage_gives_text_or_one_known_error() -> None:
    rng = random.Random(SEED)
    files = [path.read_bytes() for path in FILES if path.stat().st_size < 3000]
    for _ in range(1500):
        data = bytearray(rng.choice(files))
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(9, len(data))] = rng.randrange(256)
        name = rng.choice((*FORMATS, "table", "plain"))
        sink = Collected()
        out: Exporter = exporter(name, Output(sink))
        out.begin(Facts())
        try:
            for event in RdbReader(window_over(bytes(data)), checksum=False):
                if isinstance(event, Frame):
                    out.frame(event)
        except RdbToolError:
            continue
        finally:
            out.end()
        if name == "jsonl":
            for line in sink.getvalue().splitlines():
                json.loads(line)


def test_keys_alone_are_lines_or_end_in_nul() -> None:
    data = craft.rdb(*[craft.record(0, key, craft.string(b"")) for key in (b"a", b"b c", b"\n", b"\xff", b"base64:")])
    lines = from_window(window_over(data), make("keys"))
    assert [from_text(line, 0) for line in lines.decode().splitlines()] == [b"a", b"b c", b"\n", b"\xff", b"base64:"]
    raw = from_window(window_over(data), lambda output: exporter("keys", output, nul=True))
    assert raw == b"a\0b c\0\n\0\xff\0base64:\0"


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "alltypes.rdb"], ids=name_of)
def test_without_values_lines_say_kind_size_and_number(path: Path) -> None:
    lines = from_bytes(path, lambda output: exporter("jsonl", output, values=False)).splitlines()
    records = [r for r in map(json.loads, lines) if "key" in r]
    for record, entry in zip(records, entries_of(path), strict=True):
        value = entry.value
        assert record["type"] == type_name(value)
        if isinstance(value, Stream):
            assert record["elements"] == len(value.entries)
        elif isinstance(value, Hash):
            assert record["elements"] == len(value.fields)
        elif isinstance(value, SortedSet):
            assert record["elements"] == len(value.scores)
        elif isinstance(value, bytes | deque | dict):
            assert record["elements"] == len(value)
        assert record["size"] > 0
        assert "value" not in record


def test_the_table_fits_its_width_and_drives_no_terminal() -> None:
    data = craft.rdb(
        craft.record(0, b"k\x1b[2J" * 20, craft.string(b"\x1b[31m" + b"x" * 500)),
        *[craft.record(1, b"l%d" % n, craft.counted(b"a", b"b")) for n in range(600)],
    )
    text = from_window(window_over(data), lambda output: exporter("table", output, width=100)).decode()
    lines = text.splitlines()
    assert len(lines) == 602
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in text
    assert lines[0].split() == ["db", "key", "type", "encoding", "size", "elements", "expires", "value"]
    assert lines[2].split() == ["0", "l0", "list", "list", "5", "2", "a", "b"]


def test_json_without_values_is_refused_and_unknown_formats_list_the_known() -> None:
    with pytest.raises(UsageError, match="without values"):
        exporter("json", Output(Collected()), values=False)
    names = "rdb, aof, aof-set, resp, jsonl, json, csv, parquet, server, table, plain, keys"
    with pytest.raises(UsageError, match=names):
        exporter("xml", Output(Collected()))


def test_a_json_document_is_one_array_even_of_nothing() -> None:
    text = from_window(window_over(craft.rdb()), make("json"))
    assert json.loads(text) == []


def test_frames_and_entries_of_one_file_mix() -> None:
    path = next(p for p in FILES if "small" in p.name)
    sink = Collected()
    out = exporter("jsonl", Output(sink))
    with path.open("rb") as stream:
        for i, event in enumerate(RdbReader(window_over(stream.read()))):
            if isinstance(event, Frame):
                if i % 2:
                    out.frame(event)
                else:
                    out.entry(entry_of(event))
    out.end()
    keys = [r for r in from_bytes(path, lambda o: exporter("jsonl", o)).splitlines() if b'"db"' in r]
    assert sink.getvalue().splitlines() == keys
