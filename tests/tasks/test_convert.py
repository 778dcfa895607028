"""What `convert` writes, read back."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rdbtool.basics.text import HEX
from rdbtool.errors import OutputError, RdbToolError, UnsupportedError, UsageError
from rdbtool.exit_codes import of_report
from rdbtool.inputs.filters import parse_limits, select
from rdbtool.inputs.keys import Facts
from rdbtool.io.source import open_input
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.outputs.rdb import target_of
from rdbtool.outputs.registry import format_of_path
from rdbtool.rdb.events import Function, FunctionPreGa, Header
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.rdb.targets import target
from rdbtool.servers.slots import hash_slot
from rdbtool.tasks.convert import ConvertReport, convert, shard_path, shard_ranges
from rdbtool.tasks.digest import digest
from tests.outputs.collected import entries_of
from tests.rdb import craft
from tests.rdb.corpus import FIXTURES, name_of, written_files
from tests.rdb.expected import plain

ALL = FIXTURES / "redis-7.4.1" / "small-nochecksum.rdb"
FILES = [
    path
    for path in written_files()
    if path.stat().st_size < 1 << 18
    and "huge" not in path.name
    and "4.0-rc1/module" not in str(path)
    and path.name != "key-metadata.rdb"  # JSON lines bring no metadata of modules back
]


def run(source: Path | list[Path], output: Path, **options: Any) -> ConvertReport:
    sources = source if isinstance(source, list) else [source]
    rdb = options.pop("rdb", RdbOptions())
    form = OutputOptions(
        options.pop("kind", None) or format_of_path(str(output)),
        rdb=rdb,
        base=options.pop("base", ""),
        mode=options.pop("mode", 0),
        lossless=options.pop("lossless", False),
    )
    return convert([str(s) for s in sources], str(output), form, **options)


def the_digest(path: Path) -> str:
    return digest(str(path), release=None).digest


def told(path: Path) -> dict[tuple[int, bytes], object]:
    """All that is in an RDB, in a form that compares without the order of keys, sets and hashes."""
    found: dict[tuple[int, bytes], object] = {}
    for entry in entries_of(path):
        value = plain(entry.value)
        if isinstance(entry.value, dict):
            value = set(entry.value)
        found[entry.db, entry.key] = (entry.expire_at_ms, entry.idle_s, entry.freq, _sorted(value))
    return found


def _sorted(value: object) -> object:
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return sorted(value)
    if isinstance(value, tuple) and value and isinstance(value[0], list):
        return (sorted(value[0]), *value[1:])
    return value


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_json_lines_bring_back_what_was_there(path: Path, tmp_path: Path) -> None:
    lines, back = tmp_path / "x.jsonl", tmp_path / "back.rdb"
    assert of_report(run(path, lines)) == 0
    report = run(lines, back)
    assert of_report(report) == 0
    assert told(back) == told(path)
    assert functions(back) == functions(path)
    assert report.target == run(path, tmp_path / "copy.rdb").target


def functions(path: Path) -> list[bytes]:
    with open_input(str(path)) as stream:
        events = list(RdbReader(stream.window()))
    old = [e.upgraded() for e in events if isinstance(e, FunctionPreGa)]
    return old + [e.code for e in events if isinstance(e, Function)]


@pytest.mark.parametrize("name", ["x.aof", "x.resp", "set/", "x.rdb", "x.jsonl"])
def test_every_form_holds_the_same_dataset(name: str, tmp_path: Path) -> None:
    output = tmp_path / name
    run(ALL, Path(f"{output}/") if name.endswith("/") else output, kind="aof-set" if name == "set/" else None)
    if name.endswith("jsonl"):
        run(output, tmp_path / "x.rdb")
        output = tmp_path / "x.rdb"
    assert the_digest(output) == the_digest(ALL)


def test_a_set_has_an_rdb_or_commands_for_base(tmp_path: Path) -> None:
    for base, ending in (("", "rdb"), ("rdb", "rdb"), ("resp", "aof")):
        directory = tmp_path / f"set{base}"
        run(ALL, directory, kind="aof-set", base=base)
        assert sorted(p.name for p in directory.iterdir()) == [
            f"appendonly.aof.1.base.{ending}",
            "appendonly.aof.1.incr.aof",
            "appendonly.aof.manifest",
        ]
        assert the_digest(directory) == the_digest(ALL)
        run(directory, tmp_path / f"back{base}.rdb")
        assert the_digest(tmp_path / f"back{base}.rdb") == the_digest(ALL)


def test_a_single_aof_may_begin_with_an_rdb(tmp_path: Path) -> None:
    output = tmp_path / "x.aof"
    run(ALL, output, base="rdb")
    assert output.read_bytes().startswith(b"REDIS0012")
    assert the_digest(output) == the_digest(ALL)


def test_any_target_gets_its_version(tmp_path: Path) -> None:
    for name, magic in (("redis-6.2", b"REDIS0009"), ("valkey-9.1", b"VALKEY080"), ("rdb-11", b"REDIS0011")):
        output = tmp_path / f"{name}.rdb"
        report = run(ALL, output, rdb=RdbOptions(target(name)))
        assert output.read_bytes().startswith(magic)
        assert report.target == name


def test_losses_are_counted_or_refused(tmp_path: Path) -> None:
    old = RdbOptions(target("redis-6.2"))
    report = run(ALL, tmp_path / "x.rdb", rdb=old)
    assert of_report(report) == 3
    assert report.losses["functions"] == len(functions(ALL))
    assert {f.code for f in report.findings.items} == {"loss"}
    with pytest.raises(UnsupportedError):
        run(ALL, tmp_path / "y.rdb", rdb=RdbOptions(target("redis-6.2"), lossless=True), lossless=True)
    with pytest.raises(UnsupportedError, match="cannot be kept"):
        run(ALL, tmp_path / "y.resp", rdb=old, lossless=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.rdb"]


@pytest.mark.parametrize("output", ["x.rdb", "x.aof", "x.resp"])
@pytest.mark.parametrize("name", ["redis-8.10.2/arrays.rdb", "valkey-9.2-by-hand/path-hash.rdb"])
def test_keys_that_the_target_has_no_type_for_do_not_count_as_written(name: str, output: str, tmp_path: Path) -> None:
    report = run(FIXTURES / name, tmp_path / output, rdb=RdbOptions(target("redis-7.0")))
    assert report.keys == sum(report.losses.values()) > 0
    assert report.written == 0


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ((0, 11, b"redis-ver", b"7.2.4"), "redis-7.2"),
        ((0, 11, b"valkey-ver", b"8.1.0"), "valkey-8.1"),
        ((1, 80, b"valkey-ver", b"9.0.1"), "valkey-9.0"),
        ((0, 12, b"redis-ver", b"255.255.255"), "rdb-12"),
        ((0, 6, b"redis-ver", b"2.8.24"), "rdb-8"),
        ((0, 15, b"redis-ver", b"8.10.0"), "redis-8.10"),
        ((0, 0, b"", b""), "redis-7.2"),
    ],
)
def test_the_target_is_the_server_that_wrote_the_input(facts: tuple[int, int, bytes, bytes], name: str) -> None:
    dialect, version, field, value = facts
    of = Facts(dialect, version)
    of.aux[field] = value
    assert target_of(of).name == name


def test_shards_cover_all_slots_once() -> None:
    for count in (1, 2, 3, 7, 254):
        ranges = shard_ranges(str(count))
        assert ranges[0][0] == 0
        assert ranges[-1][1] == 16383
        assert all(a[1] + 1 == b[0] for a, b in pairwise(ranges))
    assert shard_ranges("3") == [(0, 5460), (5461, 10922), (10923, 16383)]
    assert shard_ranges("slots=0-9,12") == [(0, 9), (12, 12)]
    assert shard_path("out.rdb", 0, 9) == "out-0-9.rdb"
    assert shard_path("a/{}/out.rdb", 0, 9) == "a/0-9/out.rdb"
    assert shard_path("dir/", 0, 9) == "dir-0-9/"
    for wrong in ("0", "255", "x", "slots=", "slots=9-1"):
        with pytest.raises(UsageError):
            shard_ranges(wrong)


def test_split_and_merged_again_it_is_the_same(tmp_path: Path) -> None:
    report = run(ALL, tmp_path / "s.rdb", split="3")
    parts = [Path(path) for path in report.outputs]
    assert [part.name for part in parts] == ["s-0-5460.rdb", "s-5461-10922.rdb", "s-10923-16383.rdb"]
    for part, (first, last) in zip(parts, shard_ranges("3"), strict=True):
        assert all(first <= hash_slot(key) <= last for _, key in told(part))
        assert functions(part) == functions(ALL)
    assert report.written == report.keys
    merged = tmp_path / "merged.rdb"
    assert of_report(run(parts, merged)) == 0
    assert the_digest(merged) == the_digest(ALL)
    assert functions(merged) == functions(ALL)


def test_keys_of_no_shard_are_a_loss(tmp_path: Path) -> None:
    report = run(ALL, tmp_path / "s.rdb", split="slots=0-5460")
    assert of_report(report) == 3
    assert report.losses["keys in slots of no output"] == report.keys - report.written
    assert len(told(tmp_path / "s-0-5460.rdb")) == report.written
    with pytest.raises(UsageError, match="overlap"):
        run(ALL, tmp_path / "t.rdb", split="slots=0-10,10-20")


def strings(path: Path, **values: str) -> Path:
    path.write_bytes(craft.rdb(*[craft.record(0, k.encode(), craft.string(v.encode())) for k, v in values.items()]))
    return path


def test_a_key_of_several_inputs_is_taken_as_asked(tmp_path: Path) -> None:
    a = strings(tmp_path / "a.rdb", x="1", y="1")
    b = strings(tmp_path / "b.rdb", y="2", z="2")
    out = tmp_path / "out.rdb"
    with pytest.raises(UsageError, match=r"a\.rdb has it too") as caught:
        run([a, b], out)
    assert caught.value.key == b"y"
    assert not out.exists()
    first = run([a, b], out, on_conflict="first")
    assert {k: v[3] for (_, k), v in told(out).items()} == {b"x": b"1", b"y": b"1", b"z": b"2"}  # type: ignore[index]
    last = run([a, b], out, on_conflict="last")
    assert {k: v[3] for (_, k), v in told(out).items()} == {b"x": b"1", b"y": b"2", b"z": b"2"}  # type: ignore[index]
    assert (first.written, first.dropped) == (last.written, last.dropped) == (3, 1)


def test_filters_choose_keys(tmp_path: Path) -> None:
    out = tmp_path / "x.rdb"
    run(ALL, out, selection=select(types=["hash"], not_keys=["*9*"]))
    kept = [e for e in entries_of(ALL) if type(e.value).__name__ == "Hash" and b"9" not in e.key]
    assert kept
    assert set(told(out)) == {(e.db, e.key) for e in kept}


def test_compressed_input_is_read(tmp_path: Path) -> None:
    packed = tmp_path / "x.rdb.gz"
    packed.write_bytes(gzip.compress(ALL.read_bytes()))
    run(packed, tmp_path / "y.rdb")
    assert told(tmp_path / "y.rdb") == told(ALL)


def test_text_of_commands_becomes_a_snapshot(tmp_path: Path) -> None:
    seed = tmp_path / "seed.redis"
    seed.write_text('SELECT 2\nSET "a b" "x\\ny"\nRPUSH l 1 2 3\nPEXPIREAT l 4102444800000\n')
    run(seed, tmp_path / "x.rdb", commands=True)
    assert told(tmp_path / "x.rdb") == {
        (2, b"a b"): (-1, -1, -1, b"x\ny"),
        (2, b"l"): (4102444800000, -1, -1, _deque(b"1", b"2", b"3")),
    }


def _deque(*items: bytes) -> object:
    from collections import deque

    return deque(items)


def test_unknown_commands_are_carried_into_logs_and_lost_elsewhere(tmp_path: Path) -> None:
    log = tmp_path / "x.aof"
    log.write_bytes(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$8\r\nJSON.SET\r\n$1\r\nj\r\n")
    run(log, tmp_path / "y.aof", unknown="carry")
    assert b"JSON.SET" in (tmp_path / "y.aof").read_bytes()
    run(log, tmp_path / "set", kind="aof-set", unknown="carry")
    assert b"JSON.SET" in (tmp_path / "set" / "appendonly.aof.1.incr.aof").read_bytes()
    report = run(log, tmp_path / "y.rdb", unknown="carry")
    assert of_report(report) == 3
    assert report.losses == {"commands that no server has": 1}


def test_damage_leaves_no_output(tmp_path: Path) -> None:
    data = ALL.read_bytes()
    cut = tmp_path / "cut.rdb"
    cut.write_bytes(data[: len(data) // 2])
    for name in ("x.rdb", "x.jsonl", "x.aof", "set"):
        report = run(cut, tmp_path / name, kind="aof-set" if name == "set" else None)
        assert of_report(report) == 1
        assert report.outputs == []
        assert report.findings.items[0].offset > 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cut.rdb"]


def test_what_can_be_read_of_a_damaged_file_is_kept_on_request(tmp_path: Path) -> None:
    data = ALL.read_bytes()
    cut = tmp_path / "cut.rdb"
    cut.write_bytes(data[: len(data) // 2])
    report = run(cut, tmp_path / "x.rdb", keep_going=True)
    assert of_report(report) == 3
    kept, whole = told(tmp_path / "x.rdb"), told(ALL)
    assert 0 < len(kept) < len(whole)
    assert all(whole[key] == value for key, value in kept.items())


def test_a_key_with_damaged_bytes_is_left_out_on_request(tmp_path: Path) -> None:
    bad = tmp_path / "bad.rdb"
    good = craft.record(16, b"good", craft.string(craft.listpack(b"f", b"v")))
    twice = craft.record(16, b"twice", craft.string(craft.listpack(b"f", b"v", b"f", b"w")))
    rubbish = craft.record(16, b"rubbish", craft.string(b"not a listpack"))
    bad.write_bytes(craft.rdb(rubbish, good, twice))
    report = run(bad, tmp_path / "x.rdb", keep_going=True)
    assert of_report(report) == 3
    assert report.skipped == 2
    assert {f.key for f in report.findings.items} == {b"rubbish", b"twice"}
    assert set(told(tmp_path / "x.rdb")) == {(0, b"good")}


def test_bad_json_lines_name_the_place_and_leave_no_output(tmp_path: Path) -> None:
    lines = tmp_path / "x.jsonl"
    lines.write_text('{"db":0,"key":"a","type":"string","value":"1"}\n{"db":0,"key":"b","type":"string","value":1}\n')
    report = run(lines, tmp_path / "x.rdb")
    assert of_report(report) == 1
    assert report.findings.items[0].message.startswith("line 2, column ")
    assert not (tmp_path / "x.rdb").exists()


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "x.rdb"
    source.write_bytes(ALL.read_bytes())
    os.link(source, tmp_path / "same.rdb")
    for output in (source, tmp_path / "same.rdb"):
        with pytest.raises(OutputError, match="input of this run"):
            run(source, output)
    directory = tmp_path / "set"
    run(source, directory, kind="aof-set")
    with pytest.raises(OutputError, match="input of this run"):
        run(directory, directory / "appendonly.aof.1.base.rdb")
    with pytest.raises(OutputError, match="not empty"):
        run(source, directory, kind="aof-set")
    assert source.read_bytes() == ALL.read_bytes()


def test_an_old_output_stays_where_writing_fails(tmp_path: Path) -> None:
    out = tmp_path / "x.rdb"
    out.write_bytes(b"old")
    cut = tmp_path / "cut.rdb"
    cut.write_bytes(ALL.read_bytes()[:-20])
    run(cut, out)
    assert out.read_bytes() == b"old"
    with pytest.raises(OutputError):
        run(ALL, tmp_path / "nowhere" / "x.rdb")


@pytest.mark.parametrize("name", ["missing.rdb", "directory"])
def test_what_cannot_be_read_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(RdbToolError):
        run(tmp_path / name, tmp_path / "x.rdb")
    assert not (tmp_path / "x.rdb").exists()


def test_the_kind_is_told_by_the_name() -> None:
    assert format_of_path("a.RDB") == "rdb"
    assert format_of_path("a.ndjson") == "jsonl"
    assert format_of_path("dir/") == "aof-set"
    for name in ("-", "a.txt", "rdb"):
        with pytest.raises(UsageError, match="--to"):
            format_of_path(name)


def test_bytes_are_written_as_asked_and_the_header_says_so(tmp_path: Path) -> None:
    lines = tmp_path / "x.jsonl"
    run(ALL, lines, mode=HEX)
    assert b'"bytes":"hex"' in lines.read_bytes().split(b"\n")[0]
    run(lines, tmp_path / "x.rdb")
    assert told(tmp_path / "x.rdb") == told(ALL)


def test_limits_of_packed_values_are_taken(tmp_path: Path) -> None:
    lines = tmp_path / "x.jsonl"
    lines.write_text('{"db":0,"key":"h","type":"hash","value":{"a":"1","b":"2"}}\n')
    for limits, name in ((None, "hash-listpack"), (parse_limits(["hash-entries=1"]), "hash")):
        run(lines, tmp_path / "x.rdb", rdb=RdbOptions(target("redis-7.2"), limits=limits))
        with open_input(str(tmp_path / "x.rdb")) as stream:
            assert [e.type.name for e in RdbReader(stream.window()) if isinstance(e, Frame)] == [name]
    with pytest.raises(UsageError, match="hash-entries"):
        parse_limits(["hash-entries"])


def test_the_checksum_can_be_left_out(tmp_path: Path) -> None:
    run(ALL, tmp_path / "x.rdb", rdb=RdbOptions(checksum=False))
    assert (tmp_path / "x.rdb").read_bytes()[-8:] == b"\0" * 8
    with open_input(str(tmp_path / "x.rdb")) as stream:
        assert isinstance(next(iter(RdbReader(stream.window()))), Header)


@pytest.mark.parametrize("to", ["rdb", "aof", "resp"])
def test_a_long_string_takes_twice_its_size_at_most(tmp_path: Path, to: str) -> None:
    source = tmp_path / "x.rdb"
    source.write_bytes(craft.rdb(craft.record(0, b"k", craft.string(b"x" * (16 << 20)))))
    tracemalloc.start()
    try:
        convert([str(source)], str(tmp_path / "out"), OutputOptions(to, base="resp" if to == "aof" else ""))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 << 20
