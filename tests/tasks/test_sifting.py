"""A base and a short log behind it: keys that no command names are passed on from the file."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path
from random import Random

import pytest

from rdbtool.engine.table import SWEEPING, find
from rdbtool.errors import FormatError
from rdbtool.export.selection import Selection
from rdbtool.model import Entry
from rdbtool.rdb.events import ResizeDb
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.targets import target
from rdbtool.source import open_input
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from rdbtool.tasks.moment import PointInTime
from rdbtool.tasks.outlets import Form as Output
from rdbtool.tasks.replaying import Replayed, replay
from rdbtool.tasks.rewrite import Form, rewrite, rewrite_in_place
from tests.engine import test_differential_bitmaps as bitmaps
from tests.engine import test_differential_geo as geo
from tests.engine import test_differential_hyperloglog as hyperloglog
from tests.engine import test_differential_zsets as zsets
from tests.engine.differential import Command
from tests.engine.test_against_servers import field_expiry, hashes, keys, lists, sets, strings
from tests.engine.test_differential_streams import streams
from tests.rdb import craft
from tests.rdb.test_writer import written
from tests.servers.harness import SERVERS

from .test_diff import between
from .test_hybrid import LOG, base, keys_in
from .test_replaying import command, make_set

SHORT_LOG = b"".join(LOG[:-1])  # SWAPDB means all keys
NAMED = {b"k%d" % n for n in range(1, 9)} | {b"list", b"hash", b"set", b"zset", b"with expiry"}
NEW = {b"copy of k1", b"copy of k2", b"timeless", b"new name", b"other list"}


@pytest.fixture(scope="module")
def snapshot() -> bytes:
    return base()


def sifted(path: Path) -> Replayed:
    return replay(str(path), sift=True)


def unsifted(path: Path) -> Path:
    """The same set, with a base that cannot be read again."""
    copy = path.with_name(f"{path.name} packed")
    copy.mkdir()
    for file in path.iterdir():
        data = file.read_bytes()
        (copy / file.name).write_bytes(gzip.compress(data, 1) if ".base." in file.name else data)
    assert sifted(copy).untouched is None
    return copy


def test_only_what_the_log_names_is_in_memory(tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=SHORT_LOG)
    result = sifted(path)
    assert result.untouched is not None
    in_base = keys_in(path / "appendonly.aof.1.base.aof")
    assert sum(result.untouched.keys.values()) == len(in_base) - len(NAMED)
    assert {key for _, key, _ in result.dataset.items()} == (NAMED | NEW) - {b"k3", b"k5", b"k7"}


def test_outputs_are_the_same_as_without(tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=SHORT_LOG)
    plain = unsifted(path)
    made = []
    for source in (path, plain):
        written_keys = rewrite(str(source), str(tmp_path / "out.aof")).keys
        commands = rewrite(str(source), str(tmp_path / "out-resp.aof"), form=Form(resp=True)).after_commands
        convert([str(source)], str(tmp_path / "out.jsonl"), Output("jsonl"))
        lines = sorted((tmp_path / "out.jsonl").read_text().splitlines())
        made.append((written_keys, commands, lines, sorted(keys_in(tmp_path / "out.aof"))))
    assert made[0] == made[1]
    expected = digest(str(plain)).digest
    rewrite(str(path), str(tmp_path / "out-resp.aof"), form=Form(resp=True))
    assert digest(str(tmp_path / "out-resp.aof")).digest == expected
    assert between(path, plain)[0] == {}
    rewrite_in_place(str(path), purge_history=True)
    assert digest(str(path)).digest == expected


def test_each_database_is_announced_with_all_its_keys(tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=SHORT_LOG)
    rewrite(str(path), str(tmp_path / "out.aof"))
    found = keys_in(tmp_path / "out.aof")
    sizes = {}
    with open_input(str(tmp_path / "out.aof")) as stream:
        reader = RdbReader(stream.window())
        for event in reader:
            if isinstance(event, ResizeDb):
                sizes[reader.db] = (event.keys, event.expires)
    assert sizes == {
        db: (len([0 for f in found if f[0] == db]), len([0 for f in found if f[0] == db and f[2] != -1]))
        for db in (0, 1, 3, 5)
    }


def test_commands_name_all_keys_that_they_reach(tmp_path: Path) -> None:
    seed = Random().randrange(1 << 30)
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

    all_keys = Selection()
    all_keys.keys = [b"*"]
    beginning = tmp_path / "beginning.aof"
    for turn in range(4):
        beginning.write_bytes(log(some(200)) + command("SET", "large", random.randbytes(1_000_000)))
        rewrite(str(beginning), str(tmp_path / f"{turn}"), form=Form(to=target(kind.name)))
        made = (tmp_path / f"{turn}" / "appendonly.aof.1.base.rdb").read_bytes()
        for again in range(30):
            commands = some(3)
            path = make_set(tmp_path / f"{turn}-{again}", base=made, one=log(commands))
            assert sifted(path).untouched is not None
            outputs = []
            for selection in (None, all_keys):  # a selection needs the whole dataset
                out = tmp_path / "out.aof"
                rewrite(str(path), str(out), selection=selection, now_ms=2_000_000_000_000)
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
        "JSON.SET k1 . 1",
    ],
)
def test_where_a_command_may_mean_any_key_all_are_loaded(words: str, tmp_path: Path, snapshot: bytes) -> None:
    path = make_set(tmp_path / "set", base=snapshot, one=command(*words.split()))
    assert replay(str(path), sift=True, unknown="carry").untouched is None


def test_neither_a_long_log_nor_a_cut_one_nor_a_selection_is_sifted(tmp_path: Path, snapshot: bytes) -> None:
    long = make_set(tmp_path / "long", base=snapshot, one=command("SET", "k", bytes(len(snapshot) // 8)))
    assert sifted(long).untouched is None
    cut = make_set(tmp_path / "cut", base=snapshot, one=LOG[0] + LOG[1][:-1])
    assert sifted(cut).untouched is None
    path = make_set(tmp_path / "set", base=snapshot, one=LOG[0])
    selection = Selection()
    selection.keys = [b"k1*"]
    rewrite(str(path), str(tmp_path / "out.aof"), selection=selection)
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


def test_memory_does_not_grow_with_the_keys_of_the_base(tmp_path: Path) -> None:
    peaks = []
    for count in (40_000, 80_000):
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
    assert peaks[1] - peaks[0] < 3 << 20, peaks
