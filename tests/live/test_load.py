"""What is loaded into real servers is what the file holds, and what they refuse is told."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.live.address import Access, Scan
from rdbtool.live.load import Conflict, LoadOptions
from rdbtool.live.source import register
from rdbtool.outputs.changing import Changes
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from rdbtool.tasks.load import load
from tests.live.filling import fill
from tests.live.serving import AT_ONCE, WITH_TLS, certificates, free_port, url_of, with_tls
from tests.rdb import craft
from tests.servers.harness import SERVERS, Server, ServerKind, running

RDB = Path(__file__).resolve().parents[2] / "fixtures" / "rdb"
PLAIN = RDB / "redis-7.4.1" / "small-plain.rdb"
ANY = LoadOptions(into_nonempty=True)

of_each_kind = pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)


def saved(kind: ServerKind, directory: Path, seed: int) -> tuple[Path, str]:
    """A snapshot that a server saved, and its digest."""
    directory.mkdir()
    with running(kind, directory) as server:
        fill(server, seed)
        told = server.digest()
        server.execute("SAVE")
    return directory / "dump.rdb", told


@of_each_kind
@pytest.mark.parametrize("how", ["restore", "commands"])
def test_a_server_gets_what_the_snapshot_holds(kind: ServerKind, how: str, tmp_path: Path) -> None:
    path, told = saved(kind, tmp_path / "source", seed=random.randrange(1 << 32))
    with running(kind, tmp_path) as server:
        report = load(path, url_of(server), LoadOptions(commands=how == "commands"), verify=True)
        assert server.digest() == told
        assert report.failed_keys == report.conflicts == report.encoded == 0
        assert report.loaded == report.keys == (report.commands if how == "commands" else report.as_they_stand)
        assert report.verified is not None
        assert report.verified["different"] == report.verified["missing"] == 0
        assert how == "commands" or not report.loss
        server.execute("SELECT", 7)
        left = server.execute("PTTL", "own-large")
        assert isinstance(left, int)
        assert 0 < left <= 10**10


@of_each_kind
@pytest.mark.parametrize("name", ["redis-2.6.17", "redis-4.0.14", "redis-7.4.1", "redis-8.6.3", "valkey-9.1.2"])
def test_what_a_release_does_not_take_is_encoded_for_it(kind: ServerKind, name: str, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        report = load(RDB / name / "small-plain.rdb", url_of(server), verify=True)
        assert report.failed_keys == 0
        assert report.verified is not None
        assert report.verified["different"] == report.verified["missing"] == 0
        assert report.verified["compared"] > 50
        assert report.loss == bool(report.losses)


@of_each_kind
def test_functions_go_along(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        report = load(RDB / "redis-7.0.15" / "small-plain.rdb", url_of(server))
        if kind.version < (7, 0, 0):
            assert report.losses["functions"] == 2
            return
        listed = server.execute("FUNCTION", "LIST")
        assert isinstance(listed, list)
        assert len(listed) == report.functions == 2
        calls = calls_of(server)
        assert calls["function|restore"] == 2
        assert "function|load" not in calls


@pytest.mark.parametrize("kind", [kind for kind in SERVERS if kind.version >= (7, 0, 0)], ids=lambda kind: kind.name)
def test_of_functions_that_are_there_the_options_say_what_becomes(kind: ServerKind, tmp_path: Path) -> None:
    path = tmp_path / "functions.rdb"
    libraries = [library(name, 1) for name in ("theirs", "ours")]
    path.write_bytes(craft.rdb(*[b"\xf5" + craft.string(code) for code in libraries]))
    with running(kind, tmp_path) as server:
        for how in ("restore", "load", "commands"):
            if how == "load":
                server.execute("ACL", "SETUSER", "default", "-function|restore")
            conflicts: tuple[Conflict, ...] = ("error", "skip", "replace")
            for conflict in conflicts:
                server.execute("FUNCTION", "FLUSH")
                server.execute("FUNCTION", "LOAD", library("theirs", 0))
                options = LoadOptions(conflict, into_nonempty=True, commands=how == "commands")
                report = load(path, url_of(server), options)
                assert server.execute("FCALL", "f_ours", 0) == 1
                assert server.execute("FCALL", "f_theirs", 0) == (conflict == "replace")
                expected = {"error": (1, 1, True), "skip": (1, 0, False), "replace": (2, 0, False)}[conflict]
                assert (report.functions, report.failed_keys, report.loss) == expected, (how, conflict, report)


def library(name: str, result: int) -> bytes:
    """A function library whose function says that number."""
    code = f"redis.register_function('f_{name}', function() return {result} end)"
    return f"#!lua name={name}\n{code}".encode()


def calls_of(server: Server) -> dict[str, int]:
    """How often each command was called."""
    told = server.execute("INFO", "COMMANDSTATS")
    assert isinstance(told, bytes)
    return {name: int(calls) for name, calls in re.findall(r"cmdstat_(\S+):calls=(\d+)", told.decode())}


@of_each_kind
def test_only_what_is_to_be_written_to_is_written_to(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        server.execute("SET", "theirs", "1")
        with pytest.raises(UsageError, match="it has 1 key"):
            load(PLAIN, url_of(server))
        assert server.execute("DBSIZE") == 1
        server.execute("FLUSHALL")
        server.execute("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(UsageError, match=r"a replica, of 127\.0\.0\.1:1"):
            load(PLAIN, url_of(server), ANY)


def strings(*names: bytes, value: bytes = b"new") -> bytes:
    return craft.rdb(*[craft.record(0, name, craft.string(value)) for name in names])


@of_each_kind
@pytest.mark.parametrize("commands", [False, True], ids=["restore", "commands"])
def test_of_keys_that_are_there_the_options_say_what_becomes(kind: ServerKind, commands: bool, tmp_path: Path) -> None:
    path = tmp_path / "two.rdb"
    path.write_bytes(strings(b"old", b"new"))
    with running(kind, tmp_path) as server:
        conflicts: tuple[Conflict, ...] = ("error", "skip", "replace")
        for conflict in conflicts:
            server.execute("FLUSHALL")
            server.execute("SET", "old", "theirs")
            dry = load(path, url_of(server), LoadOptions(conflict, into_nonempty=True, dry_run=True))
            assert server.execute("DBSIZE") == 1
            report = load(path, url_of(server), LoadOptions(conflict, into_nonempty=True, commands=commands))
            assert server.execute("GET", "old") == (b"new" if conflict == "replace" else b"theirs")
            assert server.execute("GET", "new") == b"new"
            expected = {"error": (1, 0, 1, True), "skip": (1, 1, 0, False), "replace": (2, 0, 0, False)}
            for told in (dry, report):
                found = (told.loaded, told.conflicts, told.failed_keys, told.loss)
                assert found == expected[conflict], (conflict, told)
        assert [f.key for f in load(path, url_of(server), ANY).findings.items] == [b"old", b"new"]


@of_each_kind
def test_what_a_server_refuses_is_told_by_key_and_the_rest_goes_on(kind: ServerKind, tmp_path: Path) -> None:
    path = tmp_path / "bad.rdb"
    bad = craft.record(16 if kind.version >= (7, 0, 0) else 13, b"bad", craft.string(b"rubbish"))
    path.write_bytes(
        craft.rdb(craft.record(0, b"a", craft.string(b"1")), bad, craft.record(0, b"b", craft.string(b"2")))
    )
    with running(kind, tmp_path, "--sanitize-dump-payload", "yes") as server:
        report = load(path, url_of(server))
        assert (report.loaded, report.failed_keys, report.loss) == (2, 1, True)
        (finding,) = report.findings.items
        assert finding.key == b"bad"
        assert "the server says: ERR Bad data format" in finding.message
        assert sorted(server.execute("KEYS", "*") or []) == [b"a", b"b"]  # type: ignore[type-var, arg-type]
        other = load(path, url_of(server), LoadOptions("replace", into_nonempty=True), keep_going=True)
        assert (other.loaded, other.failed_keys, other.damaged) == (2, 0, 1)


@of_each_kind
def test_names_and_databases_change_on_the_way(kind: ServerKind, tmp_path: Path) -> None:
    path = tmp_path / "one.rdb"
    path.write_bytes(strings(b"k"))
    with running(kind, tmp_path) as server:
        report = load(path, url_of(server), LoadOptions(prefix=b"p:"), changes=Changes({0: 3}), verify=True)
        assert report.verified == {"compared": 1, "different": 0, "missing": 0}
        server.execute("SELECT", 3)
        assert server.execute("GET", "p:k") == b"new"
        refused = load(path, url_of(server), ANY, changes=Changes({0: 99}))
        assert (refused.loaded, refused.failed_keys) == (0, 1)
        assert any("database 99" in f.message for f in refused.findings.items)
        assert server.execute("DBSIZE") == 1


@of_each_kind
def test_what_has_expired_is_gone_and_what_expires_does_so_at_its_time(kind: ServerKind, tmp_path: Path) -> None:
    path = tmp_path / "expiring.rdb"
    at = int(time.time() * 1000) + 5_000_000
    records = [(b"far", at), (b"past", 1000), (b"epoch", 0)]
    path.write_bytes(
        craft.rdb(
            *[b"\xfc" + ms.to_bytes(8, "little") + craft.record(0, key, craft.string(b"v")) for key, ms in records]
        )
    )
    with running(kind, tmp_path) as server:
        report = load(path, url_of(server), verify=True)
        assert report.verified == {"compared": 1, "different": 0, "missing": 0}
        assert server.execute("KEYS", "*") == [b"far"]
        left = server.execute("PTTL", "far")
        assert isinstance(left, int)
        assert abs(int(time.time() * 1000) + left - at) < 2000


@of_each_kind
def test_a_log_is_loaded_too(kind: ServerKind, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("SET a 1\nRPUSH l x y\nXADD s 1-1 f v\nZADD z 1.5 m\n")
    with running(kind, tmp_path) as server:
        report = load(log, url_of(server), verify=True)
        assert (report.encoded, report.verified) == (4, {"compared": 4, "different": 0, "missing": 0})
        assert server.digest() == digest(log, release=kind.name).digest


@of_each_kind
@pytest.mark.parametrize("scan", [None, Scan()], ids=["snapshot", "scan"])
def test_one_server_is_loaded_into_another(kind: ServerKind, scan: Scan | None, tmp_path: Path) -> None:
    other = SERVERS[(SERVERS.index(kind) + 1) % len(SERVERS)]
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    register(scan=scan)
    with running(kind, tmp_path / "source", *AT_ONCE) as source, running(other, tmp_path / "target") as target:
        source.execute("DEBUG", "POPULATE", 3000)
        source.execute("ZADD", "z", *range(200))
        source.execute("XADD", "x", "1-1", "f", "v")
        report = load(url_of(source), url_of(target))
        assert report.loaded == 3002
        assert target.digest() == source.digest()


@of_each_kind
def test_a_difference_is_found_also_where_debug_is_refused(kind: ServerKind, tmp_path: Path) -> None:
    path = tmp_path / "three.rdb"
    path.write_bytes(strings(b"same", b"other", b"gone"))
    with running(kind, tmp_path) as server:
        server.execute("SET", "other", "theirs")
        for debug in (True, False):
            if not debug:
                server.execute("ACL", "SETUSER", "default", "-debug")
            report = load(path, url_of(server), LoadOptions("skip", into_nonempty=True), verify=True)
            assert report.verified == {"compared": 3, "different": 1, "missing": 0}
            assert report.loss


@pytest.mark.server
def test_a_rate_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "many.rdb"
    path.write_bytes(strings(*(b"%d" % n for n in range(200))))
    with running(SERVERS[0], tmp_path) as server:
        started = time.monotonic()
        load(path, url_of(server), LoadOptions(rate=400))
        assert 0.4 < time.monotonic() - started < 2


@pytest.mark.parametrize("kind", WITH_TLS, ids=lambda kind: kind.name)
def test_over_tls_it_is_the_same(kind: ServerKind, tmp_path: Path) -> None:
    path, told = saved(kind, tmp_path / "source", seed=random.randrange(1 << 32))
    port = free_port()
    files = certificates(tmp_path)
    access = Access(cacert=str(files["ca"]), cert=str(files["cert"]), key=str(files["key"]))
    url = f"rediss://localhost:{port}"
    with running(kind, tmp_path, *with_tls(port, files), *AT_ONCE) as server:
        report = load(path, url, verify=True, access=access)
        assert server.digest() == told
        assert report.verified is not None
        assert report.verified["different"] == report.verified["missing"] == 0
        for scan in (None, Scan()):
            register(access, scan=scan)
            out = tmp_path / "copy.rdb"
            convert(url, out)
            assert digest(out).digest == told
