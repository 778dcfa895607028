"""The task check_rdb: facts, findings, and which releases load a file."""

from __future__ import annotations

import gzip
import json
import struct
import tempfile
from pathlib import Path

import pytest

from rdbtool.errors import FormatError, InputError, OutputError
from rdbtool.exit_codes import of_report
from rdbtool.findings import Severity
from rdbtool.rdb.opcodes import VALKEY
from rdbtool.servers.releases import newest_of_each, release_named, releases_asked
from rdbtool.tasks.check_rdb import CheckRdbReport, check_rdb
from rdbtool.tasks.digest import digest
from tests.rdb.corpus import CORPUS, FIXTURES, name_of, written_files
from tests.rdb.craft import counted, encode_length, listpack, rdb, record, stream_id, stream_node, string, strings
from tests.servers.harness import SERVERS, DidNotStartError, ServerKind, running, server

SMALL = [path for path in written_files() if CORPUS not in path.parents]


def starts(kind: ServerKind, directory: Path, data: bytes, *options: str) -> bool:
    (directory / "dump.rdb").write_bytes(data)
    try:
        with running(kind, directory, *options):
            return True
    except DidNotStartError:
        return False


def predicted(report: CheckRdbReport) -> bool:
    """Whether the server, which has no modules, starts with the file."""
    answer = report.suitability
    assert answer is not None
    return answer.loads is True and not any("module" in remark for remark in answer.remarks)


def checked(tmp_path: Path, data: bytes, **options: object) -> CheckRdbReport:
    path = tmp_path / "dump.rdb"
    path.write_bytes(data)
    return check_rdb(str(path), **options)  # type: ignore[arg-type]  # each test knows its options


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_a_release_is_said_to_load_exactly_what_it_loads(kind: ServerKind, tmp_path: Path) -> None:
    wrong = []
    for path in SMALL:
        report = check_rdb(str(path), target=release_named(kind.name))
        if predicted(report) != starts(kind, tmp_path, path.read_bytes()):
            wrong.append(f"{name_of(path)}: {report.suitability}")
    assert wrong == []


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_a_release_is_said_to_refuse_exactly_the_damage_it_refuses(kind: ServerKind, tmp_path: Path) -> None:
    """With the configuration it comes with: most do not look into packed values."""
    wrong = []
    prefix = {"valkey-9.1": ("valkey", "2.8"), "redis-6.2": ("5.0", "2.8")}.get(kind.name, ("5.0", "2.8"))
    paths = [
        p for p in sorted((FIXTURES / "broken").glob("*.rdb")) if p.name.startswith(prefix) and "cut" not in p.name
    ]
    assert len(paths) > 15
    for path in paths:
        report = check_rdb(str(path), target=release_named(kind.name))
        if predicted(report) != starts(kind, tmp_path, path.read_bytes()):
            wrong.append(f"{path.name}: {report.suitability}")
    assert wrong == []


@pytest.mark.server
def test_valkey_takes_newer_files_of_redis_only_if_told_and_only_without_newer_types(tmp_path: Path) -> None:
    kind = server("valkey-9.1")
    plain = rdb(record(0, b"k", string(b"v")), magic=b"REDIS0012")
    assert not starts(kind, tmp_path, plain)
    assert starts(kind, tmp_path, plain, "--rdb-version-check", "relaxed")
    newer = rdb(record(25, b"k", bytes(8) + string(listpack(b"a", 1, 0))), magic=b"REDIS0012")
    assert not starts(kind, tmp_path, newer, "--rdb-version-check", "relaxed")
    for data in (plain, newer):
        answer = checked(tmp_path, data, target=release_named("valkey-9.1")).suitability
        assert answer is not None
        assert answer.loads is False
        assert "rdb-version-check relaxed" in answer.remarks[0]


@pytest.mark.server
def test_the_number_of_databases_decides(tmp_path: Path) -> None:
    data = rdb(b"\xfe\x10", record(0, b"k", string(b"v")), magic=b"REDIS0009")
    report = checked(tmp_path, data, target=release_named("redis-6.2"))
    assert [f.code for f in report.findings.items] == ["database-number"]
    assert not predicted(report)
    assert not starts(server("redis-6.2"), tmp_path, data)
    report = checked(tmp_path, data, target=release_named("redis-6.2"), databases=17)
    assert predicted(report)
    assert starts(server("redis-6.2"), tmp_path, data, "--databases", "17")


@pytest.mark.server
def test_duplicate_keys_are_refused_as_servers_do(tmp_path: Path) -> None:
    data = rdb(record(0, b"k", string(b"v")) * 2, magic=b"REDIS0009")
    for kind in SERVERS:
        assert not predicted(checked(tmp_path, data, target=release_named(kind.name)))
        assert not starts(kind, tmp_path, data)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_the_table_of_releases_says_what_servers_write(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as running_server:
        running_server.execute("SAVE")
    facts = check_rdb(str(tmp_path / "dump.rdb")).facts
    assert facts is not None
    assert (facts.dialect, facts.version) == (
        "valkey" if release_named(kind.name).dialect == VALKEY else "redis",
        release_named(kind.name).rdb_version,
    )
    assert facts.writer == f"{'valkey' if kind.is_valkey else 'redis'} {'.'.join(map(str, kind.version))}"


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    report = checked(tmp_path, b"", target=release_named("redis-7.0"))
    assert [f.code for f in report.findings.items] == ["empty-file"]
    assert report.suitability is not None
    assert report.suitability.reasons == ["it is not an RDB"]
    assert of_report(report) == 1


@pytest.mark.parametrize(
    ("tail", "hint"),
    [(b"*1\r\n$4\r\nPING\r\n", "check-aof"), (b"REDIS0009\xff" + bytes(8), "another RDB"), (b"x" * 300_000, "ignore")],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_bytes_behind_the_end_are_a_warning(tmp_path: Path, tail: bytes, hint: str, compressed: bool) -> None:
    data = rdb(record(0, b"k", string(b"v")))
    whole = data + tail
    report = checked(tmp_path, gzip.compress(whole) if compressed else whole)
    (finding,) = report.findings.items
    assert (finding.code, finding.severity, finding.offset) == ("trailing-bytes", Severity.WARNING, len(data))
    assert hint in finding.message
    assert f"{len(tail):,} bytes" in finding.message
    assert report.size == len(whole)
    assert of_report(report) == 0


def test_a_truncated_file_says_up_to_where_it_is_good(tmp_path: Path) -> None:
    whole = rdb(record(0, b"a", string(b"1")), record(2, b"b", counted(b"x", b"y" * 50)))
    report = checked(tmp_path, whole[: whole.index(b"yyy") + 3])
    facts = report.facts
    assert facts is not None
    assert not facts.complete
    assert facts.good_to == whole.index(b"\x02\x01b")
    assert facts.keys == 2
    (finding,) = report.findings.items
    assert (finding.code, finding.key, finding.db) == ("truncated", b"b", 0)
    assert finding.doing.startswith("reading a value")


def test_values_can_be_left_alone(tmp_path: Path) -> None:
    data = rdb(record(20, b"k", string(listpack(b"a", b"a"))), magic=b"REDIS0011")
    assert checked(tmp_path, data).findings.worst is Severity.ERROR
    assert checked(tmp_path, data, values=False).findings.items == []


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.rdb", tmp_path):
        with pytest.raises(InputError) as caught:
            check_rdb(str(path))
        assert caught.value.path == str(path)


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    data = rdb(record(0, b"k", string(b"v" * 500_000)))
    checked(tmp_path, data, progress=lambda done, size: seen.append((done, size)))
    assert len(seen) > 2
    assert seen[-1] == (len(data), len(data))


@pytest.mark.parametrize(
    "line", [b"", b"#!lua name=x", b"#!lua\n", b"#!lua name=a-b\n", b"#!lua name=a name=b\n", b"x\n"]
)
def test_function_libraries_need_their_first_line(tmp_path: Path, line: bytes) -> None:
    report = checked(tmp_path, rdb(b"\xf5" + string(line)))
    assert [f.code for f in report.findings.items] == ["function-library"]


def test_function_libraries_are_named_and_not_twice(tmp_path: Path) -> None:
    library = b"\xf5" + string(b"#!lua name=lib\nserver.register_function('f', function() end)")
    report = checked(tmp_path, rdb(library))
    assert report.facts is not None
    assert (report.facts.functions, report.findings.items) == (["lib"], [])
    report = checked(tmp_path, rdb(library, library))
    assert [f.code for f in report.findings.items] == ["function-library"]
    report = checked(tmp_path, rdb(b"\xf5" + string(b"#!js name=lib\n")))
    assert [(f.code, f.severity) for f in report.findings.items] == [("function-engine", Severity.NOTE)]


def test_a_report_is_data(tmp_path: Path) -> None:
    report = checked(tmp_path, rdb(record(20, b"k\n", string(listpack(b"a", b"a"))), magic=b"REDIS0011"))
    data = json.loads(json.dumps(report.as_json()))
    assert data["sound"] is False
    assert data["rdb"]["keys"] == 1
    assert data["rdb"]["encodings"] == {"set-listpack": 1}
    assert data["counts"] == {"listpack-duplicate": 1}
    assert data["findings"][0]["key"] == "k\\x0a"


def test_one_of_a_kind_is_told_as_one(tmp_path: Path) -> None:
    data = rdb(record(20, b"k", string(listpack(b"a", b"b"))), magic=b"REDIS0011")
    report = checked(tmp_path, data, target=release_named("redis-6.2"))
    assert report.suitability is not None
    assert "it holds 1 value of type set-listpack, which redis-6.2 does not know" in report.suitability.reasons


def test_no_room_for_temporary_data_says_nothing_about_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dump.rdb"
    keys = b"".join(record(0, b"k%d" % i, b"\x01v") for i in range(300_000))
    path.write_bytes(rdb(keys))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match=r"cannot write a temporary file.*TMPDIR"):
        check_rdb(str(path), values=False)


def test_several_releases_are_judged_one_by_one(tmp_path: Path) -> None:
    data = rdb(record(16, b"k", string(listpack(b"a", b"b"))), magic=b"REDIS0010")
    report = checked(tmp_path, data, releases=releases_asked(["redis-6.2", "7.0", "valkey-9.1"]))
    assert [(a.release, a.loads) for a in report.releases] == [
        ("redis-6.2", False),
        ("redis-7.0", True),
        ("valkey-9.1", True),
    ]
    assert report.refused
    assert [a["release"] for a in report.as_json()["for"]] == ["redis-6.2", "redis-7.0", "valkey-9.1"]
    assert not checked(tmp_path, data, releases=releases_asked(["redis-7.0.15", "redis-8"])).refused


def test_without_a_name_it_is_the_release_that_wrote_the_file_or_the_newest_of_each(tmp_path: Path) -> None:
    aux = b"\xfa" + strings(b"redis-ver", b"7.0.15")
    report = checked(tmp_path, b"REDIS0010" + aux + b"\xff" + bytes(8))
    assert [a.release for a in report.releases] == ["redis-7.0"]
    assert report.suitability is None
    report = checked(tmp_path, rdb(record(0, b"k", string(b"v"))))
    assert [a.release for a in report.releases] == [release.name for release in newest_of_each()]
    assert "for" not in report.as_json()


@pytest.mark.parametrize("beside", [False, True])
def test_a_server_without_the_module_refuses(tmp_path: Path, beside: bool) -> None:
    module = encode_length(0x123456789 << 10)
    body = module + b"\x02\x01\x05" + string(b"x") + b"\x00"
    data = rdb(b"\xf7" + body if beside else record(7, b"k", module + b"\x05" + string(b"x") + b"\x00"))
    report = checked(tmp_path, data, releases=releases_asked(["redis-7.0"]))
    assert report.refused
    (reason,) = report.releases[0].reasons
    name = reason.partition("'")[2].partition("'")[0]
    report = checked(tmp_path, data, releases=releases_asked(["redis-7.0"]), modules=[name])
    assert report.releases[0].loads is None
    assert report.refused
    assert not checked(tmp_path, data).refused


def counted_stream(length: int, added: int, read: int) -> bytes:
    """A stream of Redis 7.0 with one entry and a group."""
    node = string(stream_id(1, 1)) + string(stream_node((0, 0, [b"v"])))
    counters = b"".join(encode_length(n) for n in (length, 1, 1, 1, 1, 0, 0, added))
    group = string(b"g") + encode_length(0) * 2 + encode_length(read & 0xFFFFFFFFFFFFFFFF) + b"\0\0"
    return rdb(record(19, b"s", b"\x01" + node + counters + b"\x01" + group))


@pytest.mark.parametrize(
    ("counts", "newest", "older", "code"),
    [
        ((1, 1, 1), True, True, ""),
        ((1, 1, -1), True, True, ""),
        ((1, 1, 100), False, True, "stream-counters"),
        ((1, 0, 0), False, True, "stream-counters"),
        ((2, 2, 1), False, True, "stream-count"),
    ],
)
def test_redis_8_10_checks_the_counters_of_streams(
    tmp_path: Path, counts: tuple[int, int, int], newest: bool, older: bool, code: str
) -> None:
    report = checked(tmp_path, counted_stream(*counts), releases=releases_asked(["redis-7.0", "redis-8.6", "8.10"]))
    assert [a.loads for a in report.releases] == [older, older, newest]
    assert set(report.findings.counts) <= {code}


@pytest.mark.server
@pytest.mark.parametrize("counts", [(1, 1, 100), (1, 0, 0), (2, 2, 1)])
def test_servers_agree_about_the_counters_of_streams(tmp_path: Path, counts: tuple[int, int, int]) -> None:
    data = counted_stream(*counts)
    for kind in SERVERS:
        report = checked(tmp_path, data, target=release_named(kind.name))
        assert predicted(report) == starts(kind, tmp_path, data), kind.name


@pytest.mark.parametrize(
    ("byte", "payload", "loads"),
    [(24, b"\x01\x00" + strings(b"f", b"v"), False), (25, string(listpack(b"f", b"v", 0)), True)],
)
def test_the_least_expiry_of_a_hash_must_be_a_time_unless_it_is_in_one_listpack(
    tmp_path: Path, byte: int, payload: bytes, loads: bool
) -> None:
    # seen on Redis 8.2.3, 8.6.2 and 8.10.2
    data = rdb(record(byte, b"k", b"\xff" * 7 + b"\x03" + payload), magic=b"REDIS0012")
    report = checked(tmp_path, data, releases=releases_asked(["redis-8.2", "redis-8.6", "redis-8.10"]))
    assert [a.loads for a in report.releases] == [loads] * 3


@pytest.mark.server
def test_a_damaged_listpack_that_is_unpacked_crashes_servers_as_they_load_it(tmp_path: Path) -> None:
    torn = listpack(b"v", 1, count=32514)
    torn = torn[:6] + b"\x7f" + torn[6:]
    torn = struct.pack("<I", len(torn)) + torn[4:]
    data = rdb(record(17, b"k", string(torn)))
    for kind in SERVERS:
        assert not predicted(checked(tmp_path, data, target=release_named(kind.name)))
        assert not starts(kind, tmp_path, data)


@pytest.mark.server
@pytest.mark.parametrize("inside", [False, True])
def test_functions_of_valkey_are_not_for_redis(tmp_path: Path, inside: bool) -> None:
    use = "server.register_function('f', function() return 1 end)"
    if inside:
        use = "redis.register_function('f', function() if true then return server.call('PING') end end)"
    data = rdb(b"\xf5" + string(b"#!lua name=lib\n" + use.encode()))
    for kind in SERVERS:
        if kind.version >= (7, 0):
            report = checked(tmp_path, data, target=release_named(kind.name))
            assert predicted(report) == starts(kind, tmp_path, data), kind.name
            assert predicted(report) == (inside or kind.is_valkey)


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (b"$EOF:" + b"4e0367cb" * 5 + b"\r\n", b"4e0367cb" * 5),
        (b"$EOF:" + b"4e0367cb" * 5 + b"\r\n", b"4e0367cb" * 5 + b"*1\r\n$4\r\nPING\r\n"),
        (b"$%d\r\n", b"\n"),
        (b"\n\n$%d\r\n", b""),
    ],
)
def test_a_captured_replication_link_is_read(tmp_path: Path, head: bytes, tail: bytes) -> None:
    data = rdb(record(0, b"k", string(b"v")))
    whole = (head % len(data) if b"%d" in head else head) + data + tail
    report = checked(tmp_path, whole)
    assert report.facts is not None
    assert (report.facts.keys, report.facts.checksum) == (1, "ok")
    assert "capture" in report.findings.counts
    assert digest(str(tmp_path / "dump.rdb")).keys == 1


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0\0\0\0", "xz"),
        (b"PK\x03\x04and more", "zip archive"),
        (b"7z\xbc\xaf\x27\x1c\0\0\0", "7z archive"),
        (b"name".ljust(257, b"\0") + b"ustar\0" + bytes(300), "tar archive"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"-ERR unknown command\r\n", "redis-cli --rdb"),
        (bytes(9) + rdb()[9:], "zeros: the header is lost"),
        (bytes.fromhex("1201020d0d0000000200816102816202ff0a0068eb0a891341bbb1"), "answer of DUMP"),
    ],
)
def test_what_is_no_rdb_is_named_with_the_way_out(tmp_path: Path, data: bytes, what: str) -> None:
    report = checked(tmp_path, data)
    (finding,) = report.findings.items
    assert finding.message.startswith("wrong magic: not an RDB; it")
    assert what in finding.message
    with pytest.raises(FormatError, match=what):
        digest(str(tmp_path / "dump.rdb"))


def test_a_snapshot_of_dragonfly_is_named(tmp_path: Path) -> None:
    data = rdb(b"\xfa" + strings(b"redis-ver", b"df-v1.33.1"), record(201, b"k", b""), magic=b"REDIS0009")
    (finding,) = checked(tmp_path, data).findings.items
    assert finding.code == "unsupported"
    assert "Dragonfly wrote the file" in finding.message


@pytest.mark.parametrize(
    ("value", "loads"),
    [
        (b"1,2,3", True),
        (b" 0x1f, 2,\n3junk", True),
        (b"-1,+2,-3", True),
        (b"0x,1,2", True),
        (b"1,2", False),
        (b"08,2,3", False),
        (b"1 ,2,3", False),
        (b"1,0x2,3", False),
        (b"", False),
    ],
)
def test_valkey_wants_three_numbers_in_a_slot_info(tmp_path: Path, value: bytes, loads: bool) -> None:
    """As sscanf reads them, seen of Valkey 9.1; Redis passes the field by."""
    path = tmp_path / "x.rdb"
    path.write_bytes(rdb(b"\xfa" + strings(b"Slot-Info", value), record(0, b"k", string(b"v"))))
    told = {answer.release: answer.loads for answer in check_rdb(path, releases=["valkey-9.1", "redis-7.0"]).releases}
    assert told == {"valkey-9.1": loads, "redis-7.0": True}


@pytest.mark.parametrize(("release", "loads"), [("redis-6.2", False), ("redis-7.0", False), ("valkey-9.1", True)])
def test_the_opcode_that_counts_the_keys_of_a_slot_is_unknown_to_old_servers(
    tmp_path: Path, release: str, loads: bool
) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(rdb(b"\xfe\0\xf4\1\1\0", record(0, b"k", string(b"v")), magic=b"REDIS0009"))
    (told,) = check_rdb(path, releases=[release]).releases
    assert told.loads is loads


@pytest.mark.server
def test_redis_8_10_checks_the_first_element_of_a_stream(tmp_path: Path) -> None:
    node = stream_node((0, 0, [b"v"]))
    node = node[:7] + bytes((node[7] ^ 0x40,)) + node[8:]
    value = b"\x01" + string(stream_id(1, 1)) + string(node) + b"\x01\x01\x01\x00"
    data = rdb(record(15, b"s", value), magic=b"REDIS0009")
    report = checked(tmp_path, data, releases=releases_asked(["redis-6.2", "redis-8.6", "8.10", "valkey-9.1"]))
    assert [a.loads for a in report.releases] == [True, True, False, False]
    for kind in SERVERS:
        if kind.name in {"redis-8.10", "valkey-9.1"}:
            assert not starts(kind, tmp_path, data)


@pytest.mark.parametrize("flags", [0, 1])
def test_metadata_of_keys_needs_its_module_unless_servers_may_pass_it(tmp_path: Path, flags: int) -> None:
    meta = b"\xf3\x01" + bytes((0x18 | flags, 0xF5, 0xC4, 0x28)) + b"\x02\x07\x00"
    data = rdb(meta + record(0, b"s", string(b"v")), magic=b"REDIS0015")
    report = checked(tmp_path, data, releases=releases_asked(["redis-8.10"]))
    assert [a.loads for a in report.releases] == [flags == 1]
    assert [finding.code for finding in report.findings.items] == (["module-data"] if flags == 0 else [])


@pytest.mark.server
@pytest.mark.parametrize("flags", [0, 1])
def test_redis_8_10_agrees_about_metadata_of_keys(tmp_path: Path, flags: int) -> None:
    meta = b"\xf3\x01" + bytes((0x18 | flags, 0xF5, 0xC4, 0x28)) + b"\x02\x07\x00"
    data = rdb(meta + record(0, b"s", string(b"v")), magic=b"REDIS0015")
    for kind in SERVERS:
        if kind.name == "redis-8.10":
            assert starts(kind, tmp_path, data) == (flags == 1)
