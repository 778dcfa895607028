"""Servers that let nobody replicate them give their keys one by one."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from rdbtool.errors import InputError
from rdbtool.inputs.opening import open_keys
from rdbtool.live.address import Access, Scan
from rdbtool.live.source import register
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.digest import digest
from tests.cli.running import run
from tests.live.filling import fill
from tests.live.serving import url_of
from tests.servers.harness import SERVERS, ServerKind, running

LIBRARY = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
of_each_kind = pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)


def names(url: str) -> list[bytes]:
    found = []
    with open_keys(url) as opened:
        while (event := opened.source.next()) is not None:
            key = getattr(event, "key", None)
            if key is not None:
                found.append(key)
    return sorted(found)


@of_each_kind
def test_what_is_read_key_by_key_has_the_digest_of_the_server(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        fill(server, seed=random.randrange(1 << 32))
        has_functions = kind.version >= (7, 0, 0)
        if has_functions:
            server.execute("FUNCTION", "LOAD", LIBRARY)
        url = url_of(server).replace("unix://", "unix://reader@")
        may = ["+@read", "+info", "+time", "+select", *(["+function|list"] if has_functions else [])]
        server.execute("ACL", "SETUSER", "reader", "on", ">secret", "~*", *may)
        register(Access("secret"), scan=Scan())
        assert digest(url).digest == server.digest()
        report = check_rdb(url)
        assert not report.failed
        assert report.facts is not None
        assert ("lib" in report.facts.functions) == has_functions
        server.execute("SAVE")
        compared = run("diff", tmp_path / "dump.rdb", url_of(server), "--scan")
        if has_functions:  # before Redis 7.0 a server tells what is left, and no time
            assert compared.returncode == 0, compared.stdout + compared.stderr
        assert "no state of one moment" in compared.stderr
        kept = run("backup", url_of(server), tmp_path / "kept.rdb", "--scan", "--digest", server.digest())
        assert kept.returncode == 0, kept.stdout + kept.stderr
        assert run("backup", tmp_path / "dump.rdb", tmp_path / "other.rdb", "--scan").returncode == 2


@of_each_kind
def test_a_glob_and_a_rate_are_the_servers_and_ours(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        for n in range(300):
            server.execute("SET", f"key:{n}", n, "PX", 10**9 + n)
        register(scan=Scan(match="key:1?"))
        assert names(url_of(server)) == [b"key:%d" % n for n in range(10, 20)]
        register(scan=Scan(rate=600))
        started = time.monotonic()
        assert len(names(url_of(server))) == 300
        assert 0.4 < time.monotonic() - started < 3
        server.execute("FLUSHALL")
        register(scan=Scan())
        assert names(url_of(server)) == []


@pytest.mark.server
def test_keys_that_come_and_go_meanwhile_come_once_or_not_at_all(tmp_path: Path) -> None:
    with running(SERVERS[0], tmp_path) as server:
        for n in range(20000):
            server.send(("SET", f"key:{n}", n)) if n % 500 else server.send(("SET", f"key:{n}", "x" * 300_000))
        register(scan=Scan())
        found = []
        with open_keys(url_of(server)) as opened:
            while (event := opened.source.next()) is not None:
                key = getattr(event, "key", None)
                if key is not None:
                    found.append(key)
                    if len(found) == 5000:
                        server.execute("DEL", *(f"key:{n}" for n in range(1000, 20000)))  # its table shrinks
        assert len(found) == len(set(found))
        assert {b"key:%d" % n for n in range(1000)} <= set(found)


@of_each_kind
def test_refusals_are_told_with_the_servers_words(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path) as server:
        server.execute("SET", "k", "v")
        server.execute("ACL", "SETUSER", "default", "-dump")
        register(scan=Scan())
        with pytest.raises(InputError, match=r"the server says: NOPERM.*dump"):
            names(url_of(server))
        server.execute("ACL", "SETUSER", "default", "-scan")
        with pytest.raises(InputError, match=r"the server says: .*scan"):
            names(url_of(server))
        done = run("dump", tmp_path / "x.rdb", "--scan")
        assert done.returncode == 2
        assert "live servers" in done.stderr
