"""The task check_rdb: facts, findings, and which releases load a file."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pytest

from rdbtool.errors import InputError, OutputError
from rdbtool.exit_codes import of_report
from rdbtool.findings import Severity
from rdbtool.rdb.opcodes import VALKEY
from rdbtool.servers.releases import release_named
from rdbtool.tasks.check_rdb import CheckRdbReport, check_rdb
from tests.rdb.corpus import CORPUS, FIXTURES, name_of, written_files
from tests.rdb.craft import counted, listpack, rdb, record, string
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
