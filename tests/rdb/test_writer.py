"""Snapshots written for a target, read back."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from rdbtool.basics.crc64 import crc64
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError, UsageError
from rdbtool.findings import Findings, Severity
from rdbtool.io.source import open_input
from rdbtool.io.window import Window, window_over
from rdbtool.model import Entry, Hash, Module, Stream
from rdbtool.rdb.check import verify_rdb
from rdbtool.rdb.events import Aux, Function, ResizeDb, SelectDb
from rdbtool.rdb.frame import Frame, frame_of
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.targets import target, target_names
from rdbtool.rdb.types import row_of
from rdbtool.rdb.writer import RdbWriter
from tests.outputs.collected import Collected
from tests.rdb import craft
from tests.rdb.expected import corpus_files, label, plain
from tests.rdb.kept import as_kept
from tests.rdb.sources import Dribble
from tests.rdb.values_strategies import KINDS, any_value
from tests.rdb.writing import big_values, events, written


def frames_in(data: bytes) -> list[Frame]:
    return [e for e in events(data) if isinstance(e, Frame)]


def converted(source: Window, name: str, *, decoded: bool = False, **options: Any) -> tuple[bytes, RdbWriter]:
    """The RDB in ``source`` for another target; ``decoded``: every value built and encoded anew."""
    sink = Collected()
    writer = open_rdb_writer(sink, name, **options)
    for event in RdbReader(source):
        if decoded and isinstance(event, Frame):
            writer.entry(Entry(event.db, event.key, event.value(), event.expire_at_ms, event.idle_s, event.freq))
        else:
            writer.event(event)
    writer.close()
    return sink.getvalue(), writer


@pytest.mark.parametrize("name", target_names())
def test_what_is_written_is_read_back(name: str) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    to = target(name)
    kinds = KINDS if to.rdb_version >= 9 else KINDS[:-1]
    entries = [
        Entry(rng.choice((0, 0, 7)), b"k%d" % n, any_value(rng, rng.choice(kinds)), rng.choice((-1, 1 << 41)))
        for n in range(30)
    ]
    data, writer = written(name, *entries)
    assert writer.keys == 30
    got = events(data)
    assert got[-1].checksum == "ok"  # type: ignore[attr-defined] # it is the End
    back = {f.key: f for f in got if isinstance(f, Frame)}
    for entry in entries:
        frame = back[entry.key]
        assert (frame.db, frame.expire_at_ms) == (entry.db, entry.expire_at_ms)
        assert as_kept(frame.value(), to) == as_kept(entry.value, to)


@pytest.mark.parametrize("name", target_names())
def test_what_is_written_is_sound(name: str) -> None:
    """Field expiries of Redis have no server in these tests: the check of every value stands in for it."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    kinds = KINDS if target(name).rdb_version >= 9 else KINDS[:-1]
    entries = [Entry(0, b"%d" % n, any_value(rng, rng.choice(kinds))) for n in range(30)]
    data, _ = written(name, *entries)
    findings = Findings()
    verify_rdb(window_over(data), findings)
    warnings = [f for f in findings.items if f.severity >= Severity.WARNING and f.code != "stream-counters"]
    assert warnings == []


def test_a_file_says_what_a_server_would_say_of_itself() -> None:
    sink = Collected()
    writer = open_rdb_writer(sink, "valkey-9.1", ctime=5, used_mem=77, aof=True)
    writer.function(b"#!lua name=f\n")
    writer.resize(3, 10, 2)
    writer.entry(Entry(3, b"k", b"v"))
    writer.close()
    assert sink.getvalue()[:9] == b"VALKEY080"
    facts = [(e.name, e.value) for e in events(sink.getvalue()) if isinstance(e, Aux)]
    assert facts == [
        (b"valkey-ver", b"9.1.0"),
        (b"redis-bits", b"64"),
        (b"ctime", b"5"),
        (b"used-mem", b"77"),
        (b"aof-base", b"1"),
    ]
    assert [e.code for e in events(sink.getvalue()) if isinstance(e, Function)] == [b"#!lua name=f\n"]
    assert [(e.keys, e.expires) for e in events(sink.getvalue()) if isinstance(e, ResizeDb)] == [(10, 2)]
    assert [e.db for e in events(sink.getvalue()) if isinstance(e, SelectDb)] == [3]
    assert written("redis-4.0")[0][:9] == b"REDIS0008"
    assert written("rdb-13")[0][:9] == b"REDIS0013"


def test_checksum_and_compression_can_be_left_out() -> None:
    long = Entry(0, b"k", b"ab" * 1000)
    packed, _ = written("redis-7.0", long)
    plainly, _ = written("redis-7.0", long, compress=False)
    assert len(packed) < len(plainly) // 6
    assert frames_in(plainly)[0].value() == frames_in(packed)[0].value() == long.value
    assert int.from_bytes(packed[-8:], "little") == crc64(packed[:-8])
    without, _ = written("redis-7.0", long, checksum=False)
    assert without[-8:] == b"\0" * 8
    with pytest.raises(UsageError, match="known are"):
        written("redis-2.8")


@pytest.mark.parametrize(
    ("name", "entry", "kind"),
    [
        ("redis-7.2", Entry(0, b"k", Hash({b"f": b""}, {b"f": 5})), "field expiries"),
        ("valkey-8.1", Entry(0, b"k", Hash({b"f": b""}, {b"f": 5})), "field expiries"),
        ("redis-4.0", Entry(0, b"k", Stream()), "streams"),
        ("redis-4.0", Entry(0, b"k", b"v", idle_s=5), "idle times and access frequencies"),
        ("redis-4.0", Entry(0, b"k", b"v", freq=0), "idle times and access frequencies"),
    ],
)
def test_what_a_target_cannot_keep_is_counted_or_refused(name: str, entry: Entry, kind: str) -> None:
    data, writer = written(name, entry)
    assert writer.losses.counts == {kind: 1}
    assert len(frames_in(data)) == (kind != "streams")
    with pytest.raises(UnsupportedError, match=f"cannot keep {kind}") as error:
        written(name, entry, lossless=True)
    assert error.value.key == b"k"


def test_losses_of_streams_functions_and_modules_are_told_apart() -> None:
    value = any_value(random.Random(3), "stream")
    assert isinstance(value, Stream)
    value.entries_added = 1 << 40
    assert written("redis-6.2", Entry(0, b"s", value))[1].losses.counts.keys() >= {"stream counters"}
    sink = Collected()
    writer = open_rdb_writer(sink, "redis-6.2", drop_modules=True)
    writer.function(b"#!lua name=f\n")
    writer.entry(Entry(0, b"m", Module("hellotype", 0, b"\x00")))
    writer.close()
    assert writer.losses.counts == {"functions": 1, "module values": 1}
    assert not frames_in(sink.getvalue())


def test_a_module_value_keeps_its_bytes() -> None:
    payload = b"\x02\x05\x05\x03abc\x00"
    data, _ = written("redis-7.0", Entry(0, b"m", Module("hellotype", 3, payload)))
    back = frames_in(data)[0].value()
    assert plain(back) == ("hellotype", 3, payload)


def test_idle_times_and_frequencies_are_kept() -> None:
    data, _ = written("redis-5.0", Entry(0, b"a", b"", idle_s=100000), Entry(0, b"b", b"", 7, freq=255))
    assert [(f.idle_s, f.freq, f.expire_at_ms) for f in frames_in(data)] == [(100000, -1, -1), (-1, 255, 7)]


FILES = [p for p in corpus_files() if p.parent.name != "redis-4.0-rc1" or "module" not in p.name]


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_copy_for_the_newest_of_its_kind_has_the_same_payloads(path: Path) -> None:
    with open_input(str(path)) as opened:
        data = b"".join(iter(lambda: opened.stream.read(1 << 16), b""))
    name = "valkey-9.2" if data.startswith(b"VALKEY") else "redis-8.10"
    out, writer = converted(window_over(data), name)
    assert not writer.losses.counts
    frames = frames_in(out)
    facts = [(f.db, f.key, f.type, f.raw(), f.expire_at_ms, f.idle_s, f.freq, f.meta) for f in frames_in(data)]
    if any(frame.type.since > target(name).rdb_version for frame in frames_in(data)):
        assert [(f.key, plain(f.value())) for f in frames] == [(f.key, plain(f.value())) for f in frames_in(data)]
    else:
        assert [(f.db, f.key, f.type, f.raw(), f.expire_at_ms, f.idle_s, f.freq, f.meta) for f in frames] == facts
    slow, _ = converted(Window(Dribble(data, random.Random(1))), name)
    assert [(f.key, f.raw()) for f in frames_in(slow)] == [(f.key, f.raw()) for f in frames]


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("path", [p for p in FILES if p.stem in {"alltypes", "small-plain"}], ids=label)
def test_a_conversion_to_any_target_keeps_what_the_target_can(path: Path, decoded: bool) -> None:
    data = path.read_bytes()
    source = {(f.db, f.key): f.value() for f in frames_in(data)}
    for name in ("redis-4.0", "redis-6.2", "redis-7.0", "redis-7.2", "redis-7.4", "valkey-8.1", "valkey-9.1"):
        to = target(name)
        out, _ = converted(window_over(data), name, decoded=decoded)
        back = frames_in(out)
        assert all(to.loads(f.type) for f in back)
        kept = {k: v for k, v in source.items() if to.rdb_version >= 9 or not isinstance(v, Stream)}
        assert [(f.db, f.key) for f in back] == [*kept]
        for frame in back:
            wanted = kept[frame.db, frame.key]
            got = frame.value()
            if isinstance(wanted, Stream) and isinstance(got, Stream):
                got.idmp = wanted.idmp
            assert as_kept(got, to) == as_kept(wanted, to), frame.key


@pytest.mark.parametrize(
    ("origin", "name"), [("redis-8.6", "redis-6.2"), ("redis-8.6", "valkey-9.1"), ("valkey-9.1", "redis-7.4")]
)
def test_large_values_are_transcoded_node_by_node(origin: str, name: str) -> None:
    to = target(name)
    for kind, value in big_values():
        data, _ = written(origin, Entry(0, b"before", b"x"), Entry(0, kind.encode(), value), Entry(0, b"after", b"y"))
        out, _ = converted(Window(Dribble(data, random.Random(2))), name)
        back = {f.key: f for f in frames_in(out)}
        assert [*back] == [b"before", kind.encode(), b"after"]
        assert as_kept(back[kind.encode()].value(), to) == as_kept(value, to)


@pytest.mark.parametrize("name", ["redis-8.6", "redis-6.2"])
def test_kept_frames_are_written_as_those_that_are_read(name: str, tmp_path: Path) -> None:
    """Their order is not that of the file, and values are larger than a window."""
    data, _ = written(
        "redis-8.6", *[Entry(n % 2, kind.encode(), value) for n, (kind, value) in enumerate(big_values())]
    )
    path = tmp_path / "dump.rdb"
    path.write_bytes(data)
    frames = frames_in(data)
    for order in (frames, frames[::-1], frames[1:] + frames[:1]):
        with open_input(str(path)) as opened:
            kept = {}
            for event in RdbReader(opened.window()):
                if isinstance(event, Frame):
                    event.keep()
                    kept[event.key] = event
        results = []
        for source in ({frame.key: frame for frame in order}, kept):
            sink = Collected()
            writer = open_rdb_writer(sink, name, ctime=1)
            for frame in order:
                writer.frame(source[frame.key])
            writer.close()
            results.append(sink.getvalue())
        assert results[0] == results[1]


class Long:
    """A source of an RDB with one list of ``nodes`` plain nodes of 64 KiB: too large for memory."""

    def __init__(self, nodes: int) -> None:
        node = b"\x01" + craft.string(bytes(range(256)) * 256)
        head = b"REDIS0010\xfe\x00\x12\x01k" + b"\x80" + nodes.to_bytes(4, "big")
        self.parts = iter([head, *[node] * nodes, b"\x00\x01z\x01v\xff" + b"\0" * 8])
        self.held = b""

    def read(self, n: int, /) -> bytes:
        while len(self.held) < n:
            part = next(self.parts, None)
            if part is None:
                break
            self.held += part
        data, self.held = self.held[:n], self.held[n:]
        return data


class Counted:
    """A sink that keeps only the length, the checksum, and the last 8 bytes apart."""

    def __init__(self) -> None:
        self.size = 0
        self.crc = 0
        self.last = b""

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self.crc = crc64(self.last, self.crc)
        self.last = data


@pytest.mark.parametrize("name", ["redis-7.0", "redis-6.2"])
def test_a_value_of_any_size_passes_in_little_memory(name: str) -> None:
    sink = Counted()
    tracemalloc.start()
    try:
        writer = open_rdb_writer(sink, name, compress=False)
        for event in RdbReader(Window(Long(1600))):
            writer.event(event)
        writer.close()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert writer.keys == 2
    assert sink.size > 1600 << 16
    assert sink.last == sink.crc.to_bytes(8, "little")
    assert peak < 60 << 20, f"{peak >> 20} MiB"


def test_a_damaged_value_leaves_no_trace() -> None:
    good, _ = written("redis-7.2", Entry(0, b"a", b"1"), Entry(3, b"b", b"2"))
    sink = Collected()
    writer = open_rdb_writer(sink, "redis-6.2")
    first, second = frames_in(good)
    writer.frame(first)
    bad = frame_of(3, b"bad", row_of(0, "hash-listpack-ex"), b"\0" * 8 + craft.string(b"\x07\0\0\0\x01\0\xff"))
    with pytest.raises(FormatError) as error:
        writer.frame(bad)
    assert error.value.key == b"bad"
    cut = frame_of(3, b"cut", row_of(0, "list"), b"\x05\x01a")
    with pytest.raises(RdbToolError):
        writer.frame(cut)
    assert not writer.broken
    writer.frame(second)
    writer.close()
    assert [(f.db, f.key) for f in frames_in(sink.getvalue())] == [(0, b"a"), (3, b"b")]
    assert writer.keys == 2


def test_a_refused_loss_leaves_no_trace() -> None:
    sink = Collected()
    writer = open_rdb_writer(sink, "redis-4.0", lossless=True)
    with pytest.raises(UnsupportedError):
        writer.entry(Entry(2, b"k", b"v", idle_s=3))
    writer.entry(Entry(2, b"j", b"v"))
    writer.close()
    assert [(f.db, f.key) for f in frames_in(sink.getvalue())] == [(2, b"j")]


def test_a_partly_written_value_is_told() -> None:
    """What is too large to be held back cannot be taken back."""
    data, _ = written("redis-7.0", Entry(0, b"k", deque([bytes(1 << 20)] * 24)), compress=False)
    sink = Collected()
    writer = open_rdb_writer(sink, "redis-7.0")
    reader = RdbReader(Window(io.BytesIO(data[: -(2 << 20)])))
    frame = next(e for e in reader if isinstance(e, Frame))
    with pytest.raises(RdbToolError):
        writer.frame(frame)
    assert writer.broken


def test_databases_may_alternate() -> None:
    data, _ = written("redis-7.0", *(Entry(n % 2, b"%d" % n, b"v") for n in range(6)))
    assert [(f.db, f.key) for f in frames_in(data)] == [(n % 2, b"%d" % n) for n in range(6)]
