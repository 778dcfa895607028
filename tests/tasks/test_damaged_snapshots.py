"""What --keep-going writes of a damaged snapshot: all that can be read of it, and never what a server refuses."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from rdbtool.errors import FormatError
from rdbtool.exit_codes import ExitCode, of_report
from rdbtool.findings import Severity
from rdbtool.inputs import salvaging
from rdbtool.inputs.filters import parse_limits, select
from rdbtool.io.source import open_input
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.convert import ConvertReport, convert
from rdbtool.tasks.digest import digest
from tests.rdb.corpus import FIXTURES
from tests.rdb.craft import counted, encode_length, intset, rdb, record, stream, stream_id, stream_node, string, strings
from tests.rdb.mutation import damaged
from tests.servers.harness import SERVERS, ServerKind, running

SEED = 20261127
MUTANTS = 150
SMALL = FIXTURES / "redis-7.0.15" / "small-plain.rdb"


def run(source: Path, output: Path, **options: Any) -> ConvertReport:
    form = OutputOptions("rdb", rdb=RdbOptions(None, limits=parse_limits(())))
    return convert([str(source)], str(output), form, **options)


def keys_of(path: Path) -> list[tuple[int, bytes]]:
    with open_input(str(path)) as source:
        return [(e.db, e.key) for e in RdbReader(source.window()) if isinstance(e, Frame)]


def saved(tmp_path: Path, data: bytes, **options: Any) -> tuple[ConvertReport, list[bytes]]:
    """What --keep-going makes of ``data``, which must be sound, and the keys in it."""
    source = tmp_path / "in.rdb"
    source.write_bytes(data)
    output = tmp_path / "out.rdb"
    output.unlink(missing_ok=True)
    report = run(source, output, keep_going=True, **options)
    if not report.outputs:
        return report, []
    check = check_rdb(str(output))
    assert check.sound, (data.hex(), check.findings.items)
    return report, [key for _, key in keys_of(output)]


def a(key: bytes) -> bytes:
    return record(0, key, string(b"v"))


@pytest.mark.parametrize(
    ("data", "keys", "code"),
    [
        (rdb(a(b"a"), a(b"b"), record(68, b"c", string(b"v"))), [b"a", b"b"], "malformed"),
        (rdb(a(b"a"), a(b"b"), b"key:1\x05value"), [b"a"], "malformed"),
        (rdb(a(b"a"), a(b"b"))[:-12], [b"a"], "truncated"),
        (rdb(a(b"a"), a(b"b"), bytes(600)), [b"a", b"b"], "malformed"),
        (rdb(a(b"a"), a(b"b"))[:-9] + bytes(700), [b"a", b"b"], "malformed"),
        (rdb(a(b"a"), a(b"b"), checksum=12345), [b"a", b"b"], "checksum"),
        (rdb(a(b"a"), a(b"b"), a(b"a")), [b"a", b"b"], "duplicate-key"),
        (rdb(a(b"a"), record(2, b"s", counted(b"x", b"x")), a(b"b")), [b"a", b"b"], "duplicate-member"),
    ],
    ids=["type", "letter", "cut", "zeros", "zeros to the end", "checksum", "twice", "value"],
)
def test_what_can_be_read_is_written_and_the_loss_is_told(
    tmp_path: Path, data: bytes, keys: list[bytes], code: str
) -> None:
    report, written = saved(tmp_path, data)
    assert written == keys
    assert code in report.findings.counts
    assert of_report(report) == ExitCode.LOSS
    assert report.findings.counts[code] == 1


def test_without_it_nothing_is_written_of_a_damaged_file(tmp_path: Path) -> None:
    source = tmp_path / "in.rdb"
    for data in (rdb(a(b"a"), a(b"b"), a(b"a")), rdb(a(b"a"), bytes(600)), b""):
        source.write_bytes(data)
        report = run(source, tmp_path / "out.rdb")
        assert of_report(report) == ExitCode.PROBLEMS
        assert not (tmp_path / "out.rdb").exists()


def test_which_of_two_copies_counts_can_be_said(tmp_path: Path) -> None:
    source = tmp_path / "in.rdb"
    source.write_bytes(rdb(record(0, b"a", string(b"1")), a(b"b"), record(0, b"a", string(b"2")), a(b"c")))
    lines = tmp_path / "in.jsonl"
    kept = [{"db": 0, "key": "a", "type": "string", "value": value} for value in ("1", "2")]
    lines.write_text("".join(json.dumps(line) + "\n" for line in kept))
    for path in (source, lines):
        for which, value in (("first", b"1"), ("last", b"2")):
            output = tmp_path / f"{which}.rdb"
            report = run(path, output, on_conflict=which)
            assert of_report(report) == ExitCode.FINE
            assert report.dropped == 1
            assert "duplicate-key" in report.findings.counts
            with open_input(str(output)) as opened:
                values = [e.raw() for e in RdbReader(opened.window()) if isinstance(e, Frame) and e.key == b"a"]
            assert values == [string(value) if path is source else b"\xc0" + struct.pack("b", int(value))]


def test_keeping_on_reads_what_is_sound_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(salvaging, "open_salvaged")
    report = run(SMALL, tmp_path / "out.rdb", keep_going=True)
    assert of_report(report) == ExitCode.FINE
    assert len(keys_of(tmp_path / "out.rdb")) == report.written > 100


def test_the_last_copy_counts_of_those_that_are_chosen(tmp_path: Path) -> None:
    source = tmp_path / "in.rdb"
    source.write_bytes(rdb(a(b"a"), record(2, b"a", counted(b"x")), a(b"b")))
    report = run(source, tmp_path / "out.rdb", on_conflict="last", selection=select(types=["string"]))
    assert [key for _, key in keys_of(tmp_path / "out.rdb")] == [b"a", b"b"]
    assert report.dropped == 0


def test_very_many_keys_are_told_apart_too(tmp_path: Path) -> None:
    source = tmp_path / "in.rdb"
    many = b"".join(a(b"key:%d" % i) for i in range(50_000))
    source.write_bytes(rdb(many, a(b"key:7")))
    report = run(source, tmp_path / "out.rdb")
    assert [(f.code, f.key) for f in report.findings.items] == [("duplicate-key", b"key:7")]
    with pytest.raises(Exception, match="the key comes twice"):
        digest(str(source))
    assert of_report(run(source, tmp_path / "out.rdb", on_conflict="last")) == ExitCode.FINE
    assert len(keys_of(tmp_path / "out.rdb")) == 50_000


def test_a_stream_with_a_wrong_count_is_read_and_written_with_the_right_one(tmp_path: Path) -> None:
    node = stream_node((0, 1, [b"v"]), (0, 2, [b"w"]))
    data = rdb(record(15, b"s", stream([(stream_id(1, 0), node)], 7)), magic=b"REDIS0009")
    report, keys = saved(tmp_path, data)
    assert keys == [b"s"]
    assert report.skipped == 0
    (tmp_path / "in.rdb").write_bytes(data)
    assert digest(str(tmp_path / "in.rdb")).keys == 1


def empties() -> bytes:
    """A key for each encoding of nothing that servers skip."""
    ziplist = struct.pack("<IIH", 11, 10, 0) + b"\xff"
    listpack = struct.pack("<IH", 7, 0) + b"\xff"
    return b"".join(
        [
            record(1, b"e1", b"\0"),
            record(2, b"e2", b"\0"),
            record(4, b"e4", b"\0"),
            record(5, b"e5", b"\0"),
            record(10, b"e10", string(ziplist)),
            record(12, b"e12", string(ziplist)),
            record(13, b"e13", string(ziplist)),
            record(14, b"e14", b"\0"),
            record(14, b"f14", b"\x02" + string(ziplist) * 2),
            record(16, b"e16", string(listpack)),
            record(17, b"e17", string(listpack)),
            record(18, b"e18", b"\x01\x02" + string(listpack)),
        ]
    )


def test_empty_collections_are_left_out_as_servers_do(tmp_path: Path) -> None:
    data = rdb(empties(), a(b"k"))
    source = tmp_path / "in.rdb"
    source.write_bytes(data)
    report = run(source, tmp_path / "out.rdb")
    assert of_report(report) == ExitCode.FINE
    assert [f.code for f in report.findings.items] == ["empty-collection"]
    assert [key for _, key in keys_of(tmp_path / "out.rdb")] == [b"k"]
    assert digest(str(source)).digest == digest(str(tmp_path / "out.rdb")).digest
    assert digest(str(source)).keys == 1


@pytest.mark.server
@pytest.mark.parametrize("kind", [k for k in SERVERS if k.version >= (7, 0)], ids=lambda kind: kind.name)
def test_servers_skip_the_same_empty_collections(kind: ServerKind, tmp_path: Path) -> None:
    (tmp_path / "dump.rdb").write_bytes(rdb(empties(), a(b"k")))
    with running(kind, tmp_path) as server:
        assert server.execute("KEYS", "*") == [b"k"]


@pytest.mark.server
def test_the_expiry_behind_an_auxiliary_field_is_the_keys_for_servers_too(tmp_path: Path) -> None:
    aux = b"\xfa" + strings(b"mvcc-tstamp", b"1783456789012345")
    (tmp_path / "dump.rdb").write_bytes(
        rdb(b"\xfc" + struct.pack("<q", 4102444800000) + aux, a(b"k"), a(b"l"), magic=b"REDIS0009")
    )
    for kind in SERVERS:
        with running(kind, tmp_path) as server:
            assert server.execute("PTTL", "k") != -1
            assert server.execute("PTTL", "l") == -1


@pytest.mark.server
def test_nothing_that_is_saved_of_a_mutant_is_refused(tmp_path: Path) -> None:
    """By our own check, and what is written of every tenth by a server that looks at everything."""
    print("seed", SEED)
    rng = random.Random(SEED)
    whole = SMALL.read_bytes()
    kind = SERVERS[0]
    assert kind.is_valkey
    for i in range(MUTANTS):
        data = damaged(rng, whole)
        if rng.random() < 0.3:
            at = rng.randrange(9, len(data))
            size = rng.choice((4, 16, 512, len(data)))
            data = data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]
        report, keys = saved(tmp_path, data)
        sound = check_rdb(str(tmp_path / "in.rdb")).sound
        if not report.outputs:
            continue
        undone = any(finding.code == "undone" for finding in report.findings.items)
        assert sound or undone or of_report(report) == ExitCode.LOSS, data.hex()
        if i % 10 == 0:
            (tmp_path / "dump.rdb").write_bytes((tmp_path / "out.rdb").read_bytes())
            with running(kind, tmp_path) as server:
                size_told = server.execute("INFO", "keyspace")
                assert isinstance(size_told, bytes)
                assert bool(keys) == (b"keys=" in size_told)


@pytest.mark.parametrize("name", ["jsonl", "resp", "aof"])
def test_other_outputs_hold_the_same_keys(tmp_path: Path, name: str) -> None:
    """What is read again is not refused, and nothing in it fails."""
    seed = SEED + len(name)
    print("seed", seed)
    rng = random.Random(seed)
    whole = SMALL.read_bytes()
    values = rdb(
        a(b"a"),
        record(2, b"s", counted(b"x", b"x")),
        record(5, b"z", encode_length(1) + string(b"m") + struct.pack("<d", float("nan"))),
        record(11, b"i", string(intset(2, 5, 4))),
        a(b"b"),
    )
    for data in [values, *(damaged(rng, whole) for _ in range(MUTANTS // 5))]:
        report, keys = saved(tmp_path, data)
        output = tmp_path / f"out.{name}"
        other = convert([str(tmp_path / "in.rdb")], str(output), OutputOptions(name), keep_going=True)
        assert bool(other.outputs) == bool(report.outputs), data.hex()
        assert of_report(other) == (ExitCode.LOSS if other.losses else of_report(report))
        if not other.outputs:
            continue
        again = convert([str(output)], str(tmp_path / "again.rdb"), OutputOptions("rdb"))
        assert again.outputs, (data.hex(), again.findings.items)
        assert not again.findings.of(Severity.WARNING), (data.hex(), again.findings.items)
        assert sorted(key for _, key in keys_of(tmp_path / "again.rdb")) == sorted(keys), data.hex()


def test_a_file_of_zeros_is_read_in_linear_time(tmp_path: Path) -> None:
    source = tmp_path / "in.rdb"
    source.write_bytes(rdb(a(b"a"))[:-9] + bytes(20_000_000))
    report = check_rdb(str(source))
    assert [f.code for f in report.findings.items] == ["malformed"]
    assert "20000000 zero bytes to the end of the input" in report.findings.items[0].message


def test_what_only_keydb_has_is_a_loss(tmp_path: Path) -> None:
    source = tmp_path / "in.rdb"
    member = (
        b"\xfa" + strings(b"keydb-subexpire-key", b"x") + b"\xfa" + strings(b"keydb-subexpire-when", b"4102444800000")
    )
    cron = bytes((64,)) + strings(b"job", b"return 1") + bytes(16) + counted() + counted()
    source.write_bytes(rdb(record(2, b"s", counted(b"x")) + member, cron, a(b"after")))
    report = run(source, tmp_path / "out.rdb")
    assert report.losses == {"expiries of members (KeyDB)": 1, "cron jobs (KeyDB)": 1}
    assert of_report(report) == ExitCode.LOSS
    assert [key for _, key in keys_of(tmp_path / "out.rdb")] == [b"s", b"after"]
    assert of_report(digest(str(source))) == ExitCode.LOSS
    assert {"keydb-cron", "keydb-member-expiry"} <= set(check_rdb(str(source)).findings.counts)


@pytest.mark.server
def test_a_digest_is_without_the_fields_that_valkey_drops_as_it_loads(tmp_path: Path) -> None:
    kind = SERVERS[0]
    assert kind.is_valkey

    def hash2(*fields: tuple[bytes, int]) -> bytes:
        body = b"".join(strings(name, b"v") + struct.pack("<q", ms) for name, ms in fields)
        return bytes((len(fields),)) + body

    data = rdb(
        record(22, b"h", hash2((b"old", 1000), (b"new", 4102444800000), (b"f", -1))),
        record(22, b"gone", hash2((b"old", 1000))),
        a(b"k"),
        magic=b"VALKEY080",
    )
    path = tmp_path / "dump.rdb"
    path.write_bytes(data)
    ours = digest(str(path))
    assert (ours.keys, ours.left_out) == (2, 1)
    with running(kind, tmp_path) as server:
        theirs = server.execute("DEBUG", "DIGEST")
        assert isinstance(theirs, bytes)
        assert theirs.decode() == ours.digest


def test_a_database_that_no_server_has_is_an_error_of_the_digest(tmp_path: Path) -> None:
    (tmp_path / "x.rdb").write_bytes(rdb(b"\xfe\x81" + struct.pack(">Q", 1 << 32), a(b"k")))
    with pytest.raises(FormatError, match="database 4294967296: no server has so many"):
        digest(str(tmp_path / "x.rdb"))


def test_an_empty_file_is_no_snapshot_and_may_be_a_log(tmp_path: Path) -> None:
    (tmp_path / "x.aof").write_bytes(b"")
    assert digest(str(tmp_path / "x.aof")).keys == 0
    for name in ("x.rdb", "x.rdb.gz"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(FormatError, match="servers refuse an RDB without its header"):
            digest(str(tmp_path / name))
