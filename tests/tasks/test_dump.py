"""What `dump` tells of a file, sound or damaged."""

from __future__ import annotations

import json
import struct
import tracemalloc
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from rdbtool.errors import InputError
from rdbtool.exit_codes import of_report
from rdbtool.findings import Severity
from rdbtool.inputs.filters import select
from rdbtool.inputs.selection import Selection
from rdbtool.io.output import Output
from rdbtool.rdb.dump_payload import build_dump
from rdbtool.rdb.opcodes import REDIS
from rdbtool.rdb.types import row_of
from rdbtool.tasks.digest import digest
from rdbtool.tasks.dump import DumpReport, dump
from tests.outputs.collected import Collected, entries_of, exporter
from tests.rdb import craft
from tests.rdb.corpus import FIXTURES
from tests.rdb.craft import encode_length

ALL = FIXTURES / "redis-7.4.1" / "small-nochecksum.rdb"


def run(
    path: Path, name: str = "jsonl", selection: Selection | None = None, **options: Any
) -> tuple[DumpReport, bytes]:
    sink = Collected()
    report = dump(str(path), exporter(name, Output(sink)), selection, **options)
    return report, sink.getvalue()


def test_all_keys_come_in_the_order_of_the_file() -> None:
    report, out = run(ALL)
    records = [json.loads(line) for line in out.splitlines()]
    assert [r["db"] for r in records if "key" in r] == [e.db for e in entries_of(ALL)]
    assert report.keys == report.written == len(list(entries_of(ALL)))
    assert of_report(report) == 0


def test_functions_come_with_the_whole_only() -> None:
    assert b'{"function"' in run(ALL)[1]
    assert b'{"function"' not in run(ALL, selection=select(keys=["*"]))[1]


def test_the_limit_ends_the_reading() -> None:
    report, out = run(ALL, selection=select(limit=3))
    assert len(out.splitlines()) == report.written == 3


def test_named_keys_that_are_missing_are_a_finding() -> None:
    key = next(entries_of(ALL)).key
    report, _ = run(ALL, "plain", select(exact=["base64:" + b64encode(key).decode(), "nope"]))
    assert report.missing == [b"nope"]
    assert of_report(report) == 1


@pytest.mark.parametrize("name", ["jsonl", "csv", "resp", "keys", "table"])
def test_what_can_be_read_comes_before_the_finding(name: str, tmp_path: Path) -> None:
    data = ALL.read_bytes()
    cut = tmp_path / "x.rdb"
    cut.write_bytes(data[: len(data) * 2 // 3])
    report, out = run(cut, name)
    assert of_report(report) == (3 if name in {"csv", "resp"} else 1)  # these lose what stood before the damage
    (finding,) = report.findings.of(Severity.ERROR)
    assert finding.code in {"truncated", "malformed"}  # as the cut falls, a count may be what cannot be
    assert finding.offset > 0
    assert report.written > 5
    assert out
    if name == "jsonl":
        assert sum("key" in json.loads(line) for line in out.splitlines()) == report.written


def test_a_wrong_checksum_is_told_after_all_keys(tmp_path: Path) -> None:
    sound = craft.rdb(craft.record(0, b"k", craft.string(b"value")))
    bad = tmp_path / "x.rdb"
    bad.write_bytes(sound.replace(b"value", b"Value"))
    report, out = run(bad)
    assert b"Value" in out
    assert of_report(report) == 1
    assert run(bad, keep_going=True)[0].written == 1


DAMAGED = craft.rdb(
    craft.record(16, b"rubbish", craft.string(b"no listpack at all")),
    craft.record(0, b"after", craft.string(b"1")),
)


def test_damage_inside_a_key_ends_it_or_leaves_the_key_out(tmp_path: Path) -> None:
    bad = tmp_path / "x.rdb"
    bad.write_bytes(DAMAGED)
    report, out = run(bad)
    assert (of_report(report), out) == (1, b"")
    assert report.findings.items[0].key == b"rubbish"
    report, out = run(bad, keep_going=True)
    assert of_report(report) == 3
    assert report.skipped == 1
    assert [json.loads(line)["key"] for line in out.splitlines()] == ["after"]


def test_a_huge_record_that_breaks_off_ends_its_line(tmp_path: Path) -> None:
    element = craft.string(b"x" * 100_000)
    payload = encode_length(200) + element * 150
    data = craft.rdb(craft.record(0, b"a", craft.string(b"1")), craft.record(1, b"big", payload))
    bad = tmp_path / "x.rdb"
    bad.write_bytes(data[:-9])
    report, out = run(bad)
    assert of_report(report) == 1
    first, second, rest = out.split(b"\n")
    assert json.loads(first)["key"] == "a"
    assert second.startswith(b'{"db":0,"key":"big"')
    assert rest == b""


def test_a_log_is_read_by_way_of_the_engine(tmp_path: Path) -> None:
    log = tmp_path / "x.aof"
    log.write_bytes(
        b"*3\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$1\r\n1\r\n*2\r\n$4\r\nLPOP\r\n$1\r\nl\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"
    )
    assert [json.loads(line)["key"] for line in run(log)[1].splitlines()] == ["a"]


def test_a_log_that_ends_early_is_taken_up_to_there_with_loss(tmp_path: Path) -> None:
    log = tmp_path / "x.aof"
    log.write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n")
    report, out = run(log)
    assert of_report(report) == 3
    assert [json.loads(line)["key"] for line in out.splitlines()] == ["a"]


def test_a_base_alone_streams_like_any_rdb(tmp_path: Path) -> None:
    head = b"\xfa" + craft.strings(b"aof-base", b"1")
    body = craft.rdb(craft.record(0, b"k", craft.string(b"v")))
    base = tmp_path / "appendonly.aof.1.base.rdb"
    base.write_bytes(
        craft.rdb(craft.record(0, b"k", craft.string(b"v")), checksum=0).replace(b"\xfe\x00", head + b"\xfe\x00", 1)
    )
    assert body
    assert [json.loads(line)["value"] for line in run(base)[1].splitlines()] == ["v"]
    base.write_bytes(base.read_bytes() + b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n")
    assert run(base)[1] == b""


def test_progress_tells_bytes_read_of_all() -> None:
    seen: list[tuple[int, int]] = []
    run(ALL, progress=lambda done, total: seen.append((done, total)))
    size = ALL.stat().st_size
    assert seen[-1] == (size, size)


@pytest.mark.parametrize("name", ["missing", "directory"])
def test_what_cannot_be_opened_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(InputError):
        run(tmp_path / name)


class Counting:
    """A sink that keeps nothing."""

    written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)


@pytest.mark.parametrize("name", ["jsonl", "csv", "resp"])
def test_a_value_of_any_size_takes_little_memory(name: str, tmp_path: Path) -> None:
    elements = 1_000
    path = tmp_path / "x.rdb"
    with path.open("wb") as stream:
        stream.write(b"REDIS0010\xfe\x00\x01\x01l" + encode_length(elements))
        for n in range(elements):
            stream.write(craft.string(b"\xff%019999d" % n))  # no text, and so written at once
        stream.write(b"\xff" + b"\0" * 8)
    sink = Counting()
    tracemalloc.start()
    try:
        report = dump(str(path), exporter(name, Output(sink)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.written == 1
    assert sink.written > 20_000_000
    assert peak < 14 << 20


ELEMENT = craft.string(b"x" * 40_000)
NODE = b"\x02" + craft.string(craft.listpack(*[b"y" * 4_000] * 10))
BIG = {
    "list": (1, b"", 1, ELEMENT),
    "set": (2, b"", 1, ELEMENT),
    "hash": (4, b"", 2, ELEMENT),
    "zset": (5, b"", 1, ELEMENT + struct.pack("<d", 1.5)),
    "quicklist": (18, b"", 1, NODE),
    "hash-metadata": (24, struct.pack("<Q", 10**12), 1, b"\x01" + ELEMENT + ELEMENT),
}
"""Type byte, what stands first, parts per counted element, and a part. A member twice is for others to find."""


@pytest.mark.parametrize("kind", BIG)
def test_a_value_of_any_type_takes_little_memory(kind: str, tmp_path: Path) -> None:
    byte, head, per, part = BIG[kind]
    times = (50 << 20) // len(part) // per * per
    path = tmp_path / "x.rdb"
    with path.open("wb") as stream:
        stream.write(b"REDIS0012\xfe\x00" + bytes((byte,)) + craft.string(b"k") + head + encode_length(times // per))
        for _ in range(times):
            stream.write(part)
        stream.write(b"\xff" + b"\0" * 8)
    sink = Counting()
    tracemalloc.start()
    try:
        report = dump(str(path), exporter("resp", Output(sink)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.written == 1
    assert sink.written > 49 << 20
    assert peak < 26 << 20


def test_a_named_string_is_shown_without_a_copy(tmp_path: Path) -> None:
    """The window that holds it, and its parts from which that is joined, are twice its size."""
    size = 8 << 20
    value = (bytes(range(256)) + b"x" * 3840) * (size >> 12)
    path = tmp_path / "x.rdb"
    path.write_bytes(b"REDIS0010\xfe\x00\x00" + craft.string(b"k") + encode_length(size) + value + b"\xff" + bytes(8))
    sink = Counting()
    tracemalloc.start()
    try:
        report = dump(str(path), exporter("plain", Output(sink)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.written == 1
    assert sink.written > 1.1 * size  # each byte that is not shown as it is takes four
    assert peak < 2 * size + (6 << 20)


@pytest.mark.slow
def test_what_no_client_may_send_is_said(tmp_path: Path) -> None:
    """Redis 6.2 and 7.0 and Valkey 9.1 load it from an append-only file, and close the connection to a client."""
    for size, said in (512 << 20, False), ((512 << 20) + 1, True):
        path = tmp_path / "x.rdb"
        with path.open("wb") as stream:
            stream.write(b"REDIS0010\xfe\x00\x00" + craft.string(b"k") + encode_length(size))
            stream.seek(size, 1)
            stream.write(b"\xff" + bytes(8))
        sink = Counting()
        tracemalloc.start()
        try:
            report = dump(str(path), exporter("resp", Output(sink)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert sink.written > size
        assert [f.code for f in report.findings.items] == ["long-argument"] * said
        assert peak < 2 * size + (6 << 20)


def test_a_stream_that_miscounts_its_entries_is_told_with_a_finding(tmp_path: Path) -> None:
    node = craft.stream_node((0, 0, [b"v"]))
    for length, codes in (1, []), (7, ["stream-count"]):
        path = tmp_path / "x.rdb"
        payload = craft.stream([(craft.stream_id(1, 1), node)], length)
        path.write_bytes(craft.rdb(craft.record(15, b"s", payload)))
        report, out = run(path)
        assert b'"1-1"' in out
        assert [finding.code for finding in report.findings.items] == codes
        assert [finding.code for finding in digest(str(path)).findings.items] == codes


def test_the_answer_of_dump_is_read_as_the_key_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.dump"
    path.write_bytes(build_dump(row_of(REDIS, "set"), craft.counted(b"x", b"y"), 10))
    named = Selection()
    named.keys = [b"foo"]
    for selection in (named, select(exact=("foo",)), select(exact=("a\\x00b",))):
        report, out = run(path, selection=selection)
        assert selection.one_name is not None
        key = selection.one_name.decode()
        assert json.loads(out) == {"schema": 1, "db": 0, "key": key, "type": "set", "value": ["x", "y"]}
        assert of_report(report) == 0
    report, out = run(path)
    assert "--key NAME reads it" in report.findings.items[0].message
    named.keys = [b"foo*"]
    assert run(path, selection=named)[0].failed
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    named.keys = [b"foo"]
    assert run(path, selection=named)[0].failed
