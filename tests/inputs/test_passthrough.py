"""A base and a short log behind it: keys that no command names are passed on from the file."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from random import Random, randrange
from typing import Any, final

import pytest

from rdbtool.aof.point_in_time import WHOLE, PointInTime
from rdbtool.engine.table import find
from rdbtool.errors import FormatError
from rdbtool.findings import Severity
from rdbtool.inputs.filters import select
from rdbtool.inputs.replaying import Replayed, replay
from rdbtool.inputs.selection import Selection
from rdbtool.model import Entry
from rdbtool.outputs.options import OutputOptions as Output
from rdbtool.rdb.events import Event, Function, ResizeDb
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.head import Aside, RdbHead
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.targets import target
from rdbtool.servers.commands import SWEEPING
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from rdbtool.tasks.rewrite import RewriteForm, rewrite, rewrite_in_place
from tests.aof.craft import command, make_set
from tests.engine.differential import Command
from tests.engine.random_commands import bitmaps, geo, hyperloglog, zsets
from tests.engine.random_commands.general import field_expiry, hashes, keys, lists, sets, strings
from tests.engine.random_commands.streams import streams
from tests.inputs.hybrid import BASE, LOG, base, keys_in
from tests.outputs.collected import Collected
from tests.rdb import craft
from tests.rdb.writing import events, written
from tests.servers.harness import SERVERS

SHORT_LOG = b"".join(LOG[:-1])  # SWAPDB means all keys
NAMED = {b"k%d" % n for n in range(1, 9)} | {b"list", b"hash", b"set", b"zset", b"with expiry"}
NEW = {b"copy of k1", b"copy of k2", b"timeless", b"new name", b"other list"}


@pytest.fixture(scope="module")
def snapshot() -> bytes:
    return base()


@final
class Passed(Aside):
    """What is passed on."""

    def __init__(self) -> None:
        self.keys: list[tuple[int, bytes]] = []

    def begin(self, head: RdbHead) -> None:
        self.head = head

    def take(self, event: Event) -> None:
        if isinstance(event, Frame):
            self.keys.append((event.db, event.key))


def sifted(path: Path, **options: Any) -> tuple[Replayed, list[tuple[int, bytes]]]:
    aside = Passed()
    result = replay(str(path), aside=aside, **options)
    assert result.passed == len(aside.keys)
    return result, aside.keys


def test_only_what_the_log_names_is_in_memory(tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=SHORT_LOG)
    result, passed = sifted(path)
    in_base = {(db, key) for db, key, _, _ in keys_in(path / "appendonly.aof.1.base.aof")}
    assert set(passed) == {(db, key) for db, key in in_base if key not in NAMED}
    assert {key for _, key, _ in result.dataset.items()} == (NAMED | NEW) - {b"k3", b"k5", b"k7"}
    assert result.base_keys == len(in_base)


LOADED = PointInTime(commands=1000)
"""Of a log that is replayed up to some point, nothing is passed on before."""


@pytest.mark.slow
def test_outputs_are_the_same_as_without(tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=SHORT_LOG)
    made = []
    for point in (WHOLE, LOADED):
        report = rewrite(str(path), str(tmp_path / "out.aof"), point=point)
        found = sorted(keys_in(tmp_path / "out.aof"))
        lines = []
        for kind in ("jsonl", "json", "resp"):
            written_keys = convert([str(path)], str(tmp_path / "out"), Output(kind), point=point).written
            assert written_keys == report.keys == len(found)
            data = (tmp_path / "out").read_bytes()
            lines.append(sorted(data.split(b"*" if kind == "resp" else b"\n")) if kind != "json" else sorted_keys(data))
        made.append((found, lines, report.before_commands, report.before_bytes))
    assert made[0] == made[1]
    expected = digest(str(path)).digest
    rewrite_in_place(str(path), purge_history=True)
    assert digest(str(path)).digest == expected


def sorted_keys(document: bytes) -> list[str]:
    return sorted(map(json.dumps, json.loads(document)))


def test_libraries_are_passed_on_and_written_once(tmp_path: Path) -> None:
    code = b"#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    sink = Collected()
    writer = open_rdb_writer(sink, "redis-7.0", aof=True, checksum=False)
    writer.function(code)
    writer.resize(0, 1, 0)
    for n in range(100):
        writer.entry(Entry(n % 3, b"k%d" % n, b"v"))
    writer.close()
    path = make_set(tmp_path / "set", base=sink.getvalue(), one=command("SET", "k0", "changed"))
    assert len(sifted(path)[1]) == 99
    rewrite(str(path), str(tmp_path / "out.aof"))
    convert([str(path)], str(tmp_path / "out.rdb"), Output("rdb"))
    for name in ("out.aof", "out.rdb"):
        found = events((tmp_path / name).read_bytes())
        assert [event.code for event in found if isinstance(event, Function)] == [code]
        assert len([event for event in found if isinstance(event, ResizeDb)]) <= 3
        assert len([event for event in found if isinstance(event, Frame)]) == 100
    (path / BASE).write_bytes(sink.getvalue().replace(b"name=lib", b"name=l b"))
    assert rewrite_error(path, tmp_path).doing == "loading a function library"


def test_a_log_that_fails_after_its_base_leaves_no_output(tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot[:-1] + bytes([snapshot[-1] ^ 1]), one=SHORT_LOG)
    assert "checksum" in rewrite_error(path, tmp_path).message
    report = convert([str(path)], str(tmp_path / "out.rdb"), Output("rdb"))
    assert report.findings.worst is Severity.ERROR
    with pytest.raises(FormatError, match="checksum"):
        rewrite_in_place(str(path))
    assert os.listdir(tmp_path) == ["set"]
    assert len(os.listdir(path)) == 3


def rewrite_error(path: Path, tmp_path: Path) -> FormatError:
    with pytest.raises(FormatError) as e:
        rewrite(str(path), str(tmp_path / "new.aof"))
    assert not (tmp_path / "new.aof").exists()
    return e.value


@pytest.mark.skipif(not SERVERS, reason="no servers are wanted here: their commands are made for one")
def test_commands_name_all_keys_that_they_reach(tmp_path: Path) -> None:
    seed = randrange(1 << 30)
    print(f"seed {seed}")
    random = Random(seed)
    kind = next(kind for kind in SERVERS if kind.is_valkey)
    makers = [strings, keys, lists, sets, hashes, field_expiry, streams(random), zsets.make, bitmaps.make]
    makers += [geo.make, hyperloglog.make]

    def some(count: int) -> list[Command]:
        commands = [random.choice(makers)(random, kind) for _ in range(count)]
        return [c for c in commands if (row := find(c)) is not None and not row.flags & SWEEPING]

    def log(commands: list[Command]) -> bytes:
        return b"".join(command(*c) for c in commands)

    beginning = tmp_path / "beginning.aof"
    for turn in range(2):
        beginning.write_bytes(log(some(200)) + command("SET", "large", random.randbytes(1_000_000)))
        rewrite(str(beginning), str(tmp_path / f"{turn}"), form=RewriteForm(to=target(kind.name)))
        made = (tmp_path / f"{turn}" / "appendonly.aof.1.base.rdb").read_bytes()
        for again in range(30):
            commands = some(3)
            path = make_set(tmp_path / f"{turn}-{again}", base=made, one=log(commands))
            assert sifted(path)[1]
            outputs = []
            for point in (WHOLE, LOADED):
                out = tmp_path / "out.aof"
                rewrite(str(path), str(out), point=point, now_ms=2_000_000_000_000)
                outputs.append(sorted(keys_in(out)))
            assert outputs[0] == outputs[1], commands


@pytest.mark.parametrize(
    "words",
    [
        "FLUSHALL",
        "FLUSHDB",
        "SFLUSH 0 1",
        "SWAPDB 0 1",
        "CLUSTER FLUSHSLOT 7",
        "SORT list BY w_* STORE sorted",
        "EVAL redis.call('DEL','k1') 0",
        "EVALSHA abc 0",
        "FCALL f 0",
        "FUNCTION FLUSH",
        "JSON.SET k1 . 1",
    ],
)
def test_where_a_command_may_mean_any_key_all_are_loaded(words: str, tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=command(*words.split()))
    assert not sifted(path, unknown="carry")[1]


def test_neither_a_long_log_nor_a_cut_one_nor_a_selection_is_sifted(tmp_path: Path, snapshot: bytes) -> None:
    long = make_set(tmp_path / "long", base=snapshot, one=command("SET", "k", bytes(len(snapshot) // 8)))
    assert not sifted(long)[1]
    cut = make_set(tmp_path / "cut", base=snapshot, one=LOG[0] + LOG[1][:-1])
    assert not sifted(cut)[1]
    path = make_set(tmp_path / "set", base=snapshot, one=LOG[0])
    rewrite(str(path), str(tmp_path / "out.aof"), selection=select(keys=["k1*"]))
    assert {key for _, key, _, _ in keys_in(tmp_path / "out.aof")} == {
        key for _, key, _, _ in keys_in(path / "appendonly.aof.1.base.aof") if key.startswith(b"k1")
    }


def test_a_point_in_time_is_kept(tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=b"".join([command("DEL", "k1"), command("DEL", "k2")]))
    rewrite(str(path), str(tmp_path / "out.aof"), point=PointInTime(commands=1))
    found = {key for _, key, _, _ in keys_in(tmp_path / "out.aof")}
    assert b"k1" not in found
    assert b"k2" in found


@pytest.mark.parametrize("many", [False, True])
def test_a_base_with_a_key_twice_is_refused(tmp_path: Path, many: bool) -> None:
    records = [craft.record(0, b"key:%d" % n, craft.string(b"1")) for n in range(40_000 if many else 500)]
    path = make_set(tmp_path / "set", base=craft.rdb(*records, records[17]), one=command("DEL", "key:3"))
    with pytest.raises(FormatError, match="twice") as e:
        rewrite(str(path), str(tmp_path / "out.aof"))
    assert e.value.key == b"key:17"
    assert not (tmp_path / "out.aof").exists()
    named = make_set(tmp_path / "named", base=craft.rdb(*records, records[17]), one=command("DEL", "key:17"))
    with pytest.raises(FormatError, match="twice") as e:
        rewrite(str(named), str(tmp_path / "out.aof"))
    assert e.value.key == b"key:17"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_keys_of_the_base(tmp_path: Path) -> None:
    peaks = []
    for count in (15_000, 30_000):
        entries = [Entry(0, b"a key of some length:%d" % n, b"1") for n in range(count)]
        data = written("redis-7.2", *entries, aof=True)[0]
        path = make_set(tmp_path / f"set of {count}", base=data, one=command("APPEND", "a key of some length:3", "x"))
        del data, entries
        tracemalloc.start()
        try:
            report = rewrite(str(path), str(tmp_path / "out.aof"), selection=Selection())
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert report.keys == count
    assert peaks[1] - peaks[0] < 1 << 20, peaks
