from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rdbtool.aof.check import BROKEN, EMPTY, OK, TRUNCATED
from rdbtool.aof.names import CommandNames
from rdbtool.basics.crc64 import crc64
from rdbtool.errors import InputError, RdbToolError
from rdbtool.exit_codes import of_report
from rdbtool.model import Entry, Module
from rdbtool.servers.releases import RELEASES, find_release, releases_asked
from rdbtool.tasks.check_aof import CheckAofReport, check_aof
from rdbtool.tasks.repair_aof import plan_aof_repair, repair_aof
from tests.aof.craft import CORPUS, FIXTURES, command, damage, make_set, seeded, sets
from tests.rdb.writing import written

VERDICTS: dict[str, Any] = json.loads((FIXTURES / "damaged/verdicts.json").read_text())["files"]

# What redis-check-aof 7.4.1 gets wrong: it does not look at names, it passes a count of 0, and it minds bytes that
# the server passes unread.
TOOL_ERRS = ("c04-", "c10-", "c11-", "c12-", "c20-")


MANY = 1 << 30
"""Databases: that a server has fewer is no damage."""


def codes(report: CheckAofReport) -> list[str]:
    return [f.code for f in report.findings.items]


def agrees_with_servers(report: CheckAofReport, answers: dict[str, Any], size: int) -> None:
    """Whether it starts, and cuts the file, as every server in ``answers`` did with truncated logs allowed."""
    (file,) = report.files
    for server, answer in answers.items():
        if server.endswith("aof-load-truncated yes"):
            assert answer["starts"] == (report.verdict != BROKEN), server
            assert (answer["file_size_after"] != size) == (file.verdict == TRUNCATED), server


@pytest.mark.parametrize("name", VERDICTS)
def test_damaged_logs_are_judged_as_servers_and_the_check_tool_judged_them(name: str) -> None:
    facts = VERDICTS[name]
    report = check_aof(str(FIXTURES / "damaged" / name))
    agrees_with_servers(report, facts["server"], facts["size"])
    tool = facts["redis-check-aof 7.4.1"]
    if not name.startswith(TOOL_ERRS):
        assert report.files[0].good_up_to == tool["ok_up_to"]
        assert of_report(report) == tool["rc"]


@pytest.mark.parametrize(
    ("name", "code", "offset"),
    [
        ("c01-star-to-x", "bad-prefix", 1933),
        ("c03-argc-more", "bad-prefix", 1970),
        ("c04-argc-zero", "bad-argc", 1933),
        ("c07-len-huge", "bad-length", 1937),
        ("c08-len-neg", "bad-length", 1937),
        ("c10-cr-to-space", "bad-header", 1937),
        ("c11-crlf-after-arg", "bad-crlf", 1945),
        ("c12-payload-byte", "unknown-command", 1933),
        ("c13-nul-block", "bad-prefix", 1933),
        ("c15-zeros-end", "bad-prefix", 2924),
        ("c18-exec-lost", "multi-without-exec", 760),
        ("c18-exec-lost", "nested-multi", 2127),
        ("c19-multi-nested", "nested-multi", 2939),
        ("c20-unknown-cmd", "unknown-command", 2924),
        ("c21-lf-only", "text-copy", 0),
        ("c22-crcrlf", "text-copy", 0),
        ("c23-bom", "text-copy", 0),
        ("c23-bom", "bad-prefix", 0),
        ("cut-02814", "truncated-command", 2805),
    ],
)
def test_findings_are_at_the_place_of_the_damage(name: str, code: str, offset: int) -> None:
    report = check_aof(str(FIXTURES / "damaged" / f"{name}.aof"))
    assert (code, offset) in [(f.code, f.offset) for f in report.findings.items]


def test_the_readme_log_is_what_its_json_says() -> None:
    facts = json.loads((FIXTURES / "truncated.aof.json").read_text())
    (file,) = check_aof(str(FIXTURES / "truncated.aof")).files
    assert (file.size, file.good_up_to, file.commands, file.transactions) == (
        facts["size"],
        facts["good_up_to"],
        facts["commands"],
        facts["transactions"],
    )


def test_a_set_is_checked_file_by_file() -> None:
    report = check_aof(str(FIXTURES / "multi"))
    assert report.verdict == OK
    assert [(f.role, f.verdict) for f in report.files] == [("base", OK)] + [("incr", OK)] * 4
    assert all(f.good_up_to == f.size for f in report.files)
    assert of_report(report) == 0


def test_history_is_checked_when_asked_for() -> None:
    assert check_aof(str(FIXTURES / "multi-rdb")).history == []
    report = check_aof(str(FIXTURES / "multi-rdb"), history=True)
    assert [f.role for f in report.history] == ["history", "history"]
    assert report.files[0].preamble is not None
    assert report.files[0].preamble.dialect == "valkey"


def test_a_truncated_file_that_is_not_the_last_does_not_load(tmp_path: Path) -> None:
    directory = Path(shutil.copytree(FIXTURES / "multi", tmp_path / "x"))
    path = directory / "appendonly.aof.4.incr.aof"
    path.write_bytes(path.read_bytes()[:-5])
    report = check_aof(str(directory))
    assert report.verdict == BROKEN
    (finding,) = report.findings.items
    assert "not the last file" in finding.message
    assert finding.path == str(path)


def test_a_command_that_nobody_knows_is_told_and_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    for data in (command("MYSET", "k", "v"), command("JSON.SET", "k", "$", "1") * 2):
        path.write_bytes(sets(1) + data)
        report = check_aof(str(path))
        assert report.verdict == BROKEN
        assert codes(report) == ["unknown-command"]
        assert report.files[0].whole
    path.write_bytes(sets(1) + command("MYSET", "k", "v"))
    assert check_aof(str(path), names=CommandNames.parse(["myset"])).findings.items == []


def test_an_argument_over_the_limit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(command("SET", "k", "v" * 100))
    report = check_aof(str(path), max_bulk=50)
    assert codes(report) == ["long-argument"]
    assert report.verdict == OK


def test_a_bad_manifest_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "x.manifest"
    path.write_bytes(b"file a seq 1 type z\n")
    report = check_aof(str(path))
    assert codes(report) == ["bad-manifest"]
    assert report.verdict == BROKEN
    assert report.as_json()["files"] == []


def test_an_empty_log_is_fine_and_an_empty_base_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.touch()
    assert check_aof(str(path)).files[0].verdict == EMPTY
    assert of_report(check_aof(str(path))) == 0
    directory = Path(shutil.copytree(FIXTURES / "multi", tmp_path / "set"))
    (directory / "appendonly.aof.3.base.aof").write_bytes(b"")
    report = check_aof(str(directory))
    assert [f.severity.name for f in report.findings.items] == ["WARNING"]
    assert report.verdict == OK


def test_what_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        check_aof(str(tmp_path / "gone.aof"))
    with pytest.raises(InputError):
        check_aof(str(tmp_path))
    # Reading it fails, whoever asks: it is the memory of a process, and offset 0 is not mapped.
    with pytest.raises(InputError, match="Input/output error"):
        check_aof("/proc/self/mem")


def test_compressed_logs_and_standard_input_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (FIXTURES / "truncated.aof").read_bytes()
    path = tmp_path / "x.aof.gz"
    path.write_bytes(gzip.compress(data))
    (packed,) = check_aof(str(path)).files
    (plain,) = check_aof(str(FIXTURES / "truncated.aof")).files
    assert (packed.verdict, packed.good_up_to, packed.commands) == (TRUNCATED, plain.good_up_to, plain.commands)
    with pytest.raises(RdbToolError, match="plain file"):
        plan_aof_repair(check_aof(str(path)))

    class Stdin:
        buffer = io.BytesIO(data)

    monkeypatch.setattr(sys, "stdin", Stdin)
    (piped,) = check_aof("-").files
    assert (piped.verdict, piped.good_up_to) == (TRUNCATED, plain.good_up_to)


def test_a_read_only_log_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    shutil.copy(FIXTURES / "truncated.aof", path)
    path.chmod(0o444)
    before = path.stat()
    assert check_aof(str(path)).verdict == TRUNCATED
    after = path.stat()
    assert (before.st_mtime_ns, before.st_size, before.st_ino) == (after.st_mtime_ns, after.st_size, after.st_ino)


def test_any_bytes_give_a_report_or_one_error_and_can_be_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rnd = seeded()
    monkeypatch.setattr(os, "fsync", lambda _: None)  # only takes time here
    bases = [(FIXTURES / "damaged/whole.aof").read_bytes(), (FIXTURES / "preamble+tail.aof").read_bytes()[:4000]]
    path, copy = tmp_path / "x.aof", tmp_path / "copy.aof"
    for _ in range(400):
        path.write_bytes(damage(rnd.choice(bases), rnd))
        report = check_aof(str(path))
        for salvage in (False, True):
            try:
                plan = plan_aof_repair(report, salvage=salvage)
            except RdbToolError:
                assert report.verdict == BROKEN
                continue
            assert plan.empty == (report.files[0].whole and "cut-annotation" not in codes(report)), path
            repair_aof(plan, output=str(copy))
            assert check_aof(str(copy), databases=MANY).files[0].whole, path
            copy.unlink()
            plan = plan_aof_repair(report, salvage=salvage, drop_refused=True)
            repair_aof(plan, output=str(copy))
            assert check_aof(str(copy), databases=MANY).verdict == OK, path
            copy.unlink()


def test_a_snapshot_that_is_mended_keeps_a_database_that_its_server_may_have(tmp_path: Path) -> None:
    path, copy = tmp_path / "x.aof", tmp_path / "copy.aof"
    path.write_bytes(b"REDIS0009\xfe\x2d" + b"".join(b"\x00\x01%c\x01b" % n for n in b"abcdefghi") + b"\x00\x01j\x30")
    plan = plan_aof_repair(check_aof(str(path)), salvage=True)
    done = repair_aof(plan, output=str(copy))
    assert "database-number" in done.findings.counts
    assert check_aof(str(copy), databases=46).verdict == OK


def corpus(*parts: str) -> Path:
    return CORPUS.joinpath(*parts)


needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason="the large corpus is not beside this clone")


@needs_corpus
def test_every_log_of_every_server_is_whole() -> None:
    paths = [p for p in corpus("made").glob("*/*.aof") if p.is_file()] + list(corpus("made").glob("*/multi-*/"))
    paths += corpus("made").glob("*/new-types-aof/")
    assert len(paths) > 70
    for path in paths:
        report = check_aof(str(path), history=True)
        if path == corpus("made", "redis-7.0-rc2", "multi-rdbbase-history"):
            assert "function-pre-release" in codes(report)  # which no release loads
            continue
        assert report.verdict == OK, path
        assert set(codes(report)) <= {"valkey-preamble", "script"}, path
        assert all(f.good_up_to == f.size for f in report.files), path


@needs_corpus
def test_every_broken_log_is_judged_as_servers_judged_it() -> None:
    verdicts = json.loads(corpus("made-broken", "aof", "verdicts.json").read_text())
    assert len(verdicts) > 100
    for name, facts in verdicts.items():
        path = corpus("made-broken", name)
        report = check_aof(str(path))
        if path.is_dir():
            starts = facts["server"]["redis-7.4.1 aof-load-truncated yes"]["starts"]
            assert starts == (report.verdict != BROKEN or codes(report) == ["no-manifest"]), name
            continue
        agrees_with_servers(report, facts["server"], facts["size"])
        tool = facts["check_aof"]["redis-7.4.1"]
        if "ok_up_to" in tool and tool["ok_up_to"] is not None and not path.name.startswith(TOOL_ERRS):
            assert report.files[0].good_up_to == tool["ok_up_to"], name


@needs_corpus
def test_every_directory_of_the_servers_own_tests_is_judged_as_servers_judged_it() -> None:
    cases = json.loads(corpus("redis-test-aofs", "verdicts.json").read_text())["cases"]
    assert len(cases) > 30
    for case in cases:
        report = check_aof(str(corpus("redis-test-aofs", case["dir"])))
        for server, answer in case["server"].items():
            if server.endswith("aof-load-truncated yes"):
                assert answer["starts"] == (report.verdict != BROKEN), (case["dir"], server)


@needs_corpus
def test_cutting_at_a_time_gives_what_the_check_tool_gives(tmp_path: Path) -> None:
    verdicts = json.loads(corpus("made-broken", "aof", "verdicts.json").read_text())
    compared = 0
    for name, facts in verdicts.items():
        for call, answer in facts.get("truncate_to_timestamp", {}).items():
            until = int(call.rsplit(" ", 1)[1])
            path = tmp_path / f"{compared}.aof"
            shutil.copy(corpus("made-broken", name), path)
            path.chmod(0o644)
            report = check_aof(str(path), until=until)
            compared += 1
            try:
                plan = plan_aof_repair(report, until=until)
            except RdbToolError:
                assert answer["rc"] == 1, (name, call)
                continue
            assert answer["rc"] == 0, (name, call)
            if not plan.empty:
                repair_aof(plan)
            assert path.stat().st_size == answer["size_after"], (name, call)
    assert compared > 5


def test_findings_do_not_pile_up(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(command("EXEC") * 5000)
    report = check_aof(str(path))
    assert report.findings.counts == {"stray-exec": 5000}
    assert len(report.findings.items) == 1000
    assert os.path.getsize(path) == report.files[0].good_up_to


def test_progress_is_told_over_all_files_of_a_set() -> None:
    told: list[tuple[int, int]] = []
    report = check_aof(str(FIXTURES / "multi"), progress=lambda done, total: told.append((done, total)))
    total = sum(f.size for f in report.files)
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_snapshot_in_front_that_is_newer_is_not_called_refused_by_all(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(b"REDIS0099\xff" + bytes(8) + sets(2))
    report = check_aof(str(path))
    assert report.verdict == "broken"
    (finding,) = [f for f in report.findings.items if f.code == "bad-preamble"]
    assert "newer ones may load it" in finding.message


def test_a_compressed_log_with_a_snapshot_that_is_cut_short_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.aof.gz"
    whole = gzip.compress((FIXTURES / "preamble+tail.aof").read_bytes())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut short"):
        check_aof(str(path))


def test_what_a_replica_of_keydb_was_sent_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    nested = command("SET", "a", "1") + command("INCR", "a")
    path.write_bytes(sets(1) + command("RREPLAY", "0" * 36, nested, "0", "1") * 2)
    report = check_aof(str(path))
    assert codes(report) == ["unknown-command", "nested-commands"]
    assert report.files[0].nested == {b"SET": 2, b"INCR": 2}
    report = check_aof(str(path), names=CommandNames.parse(["RREPLAY"]))
    assert codes(report) == ["nested-commands"]
    assert report.verdict == OK


def test_scripts_that_may_crash_a_server_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(sets(1) + command("EVAL", "return redis.call('lpush', 'key:0', 'x')", "0"))
    report = check_aof(str(path))
    assert codes(report) == ["script"]
    assert not report.refused
    assert [row.loads for row in report.suitability] == [None, None]
    old, new = releases_asked(["redis-6.2", "redis-7.0"])
    assert not check_aof(str(path), releases=[old]).refused
    assert check_aof(str(path), releases=[new]).refused


def test_a_wrong_number_of_words_is_an_error_for_a_server_that_minds(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(sets(1) + command("GET", "a", "b"))
    old, new = releases_asked(["redis-7.0", "valkey-9.1"])
    assert not check_aof(str(path), releases=[old]).failed
    assert check_aof(str(path), releases=[new]).verdict == BROKEN
    path.write_bytes(sets(1) + command("SET", "a"))
    (row,) = check_aof(str(path), releases=[old]).suitability
    assert row.loads is None  # it reads an argument that is not there


def test_the_server_is_the_one_that_wrote_it(tmp_path: Path) -> None:
    for version, release in ((b"6.2.14", "redis-6.2"), (b"3.9.101", "redis-4.0"), (b"255.255.255", "redis-8.10")):
        head = b"REDIS0008\xfa\x09redis-ver" + bytes([len(version)]) + version + b"\xff"
        path = tmp_path / "x.aof"
        path.write_bytes(head + crc64(head).to_bytes(8, "little") + sets(1))
        assert [row.release for row in check_aof(str(path)).suitability] == [release]
    path.write_bytes(sets(1))
    assert [row.release for row in check_aof(str(path)).suitability] == ["redis-8.10", "valkey-9.2"]


@needs_corpus
def test_a_log_is_loaded_by_the_release_that_wrote_it() -> None:
    for path in corpus("made").glob("*/*.aof"):
        name = path.parent.name
        if path.is_file() and "rc" not in name and find_release(name.rpartition(".")[0]) in RELEASES:
            (row,) = check_aof(str(path), releases=releases_asked([name])).suitability
            assert row.loads is not False, (path, row)


def test_many_files_that_are_missing_take_little_time(tmp_path: Path) -> None:
    lines = (f"file a.aof.{i}.incr.aof seq {i} type i\n" for i in range(1, 20001))
    (tmp_path / "a.aof.manifest").write_text("".join(lines))
    started = time.process_time()
    assert check_aof(str(tmp_path)).verdict == BROKEN
    assert time.process_time() - started < 10


def test_the_writer_of_a_preamble_has_the_modules_of_its_data(tmp_path: Path) -> None:
    """Asked for by name, a release is taken as it comes."""
    path = tmp_path / "appendonly.aof"
    path.write_bytes(written("redis-7.0", Entry(0, b"m", Module("hellotype", 0, b"\x00")), aof=True)[0])
    (own,) = {answer.loads for answer in check_aof(str(path)).suitability}
    assert own is None
    (named,) = check_aof(str(path), releases=[*releases_asked(["redis-7.0"])]).suitability
    assert named.loads is False


def test_a_command_that_is_unknown_within_an_open_transaction_stops_the_server(tmp_path: Path) -> None:
    """It is looked up before the end is missed: seen of Redis 7.0."""
    path = tmp_path / "x.aof"
    path.write_bytes(command("SET", "a", "1") + command("MULTI") + command("EZEC"))
    (told,) = check_aof(path, releases=["redis-7.0"]).suitability
    assert told.loads is False
    assert told.cuts_at == -1
    assert told.words == "Unknown command 'EZEC'"


def test_a_set_was_not_written_by_a_server_that_knows_no_sets(tmp_path: Path) -> None:
    """The base says Redis 5.0, for whoever compacts a set keeps the version of its snapshot."""
    base = written("redis-5.0", Entry(0, b"k", b"v"), aof=True)[0]
    report = check_aof(make_set(tmp_path / "set", base=base, one=sets(3)))
    assert report.verdict == OK
    assert all(told.loads for told in report.suitability)
