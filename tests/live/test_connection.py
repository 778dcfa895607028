"""Connections to real servers: with users and passwords, over TLS; and what is said where they fail."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rdbtool.errors import InputError, UnsupportedError, UsageError
from rdbtool.live.address import Access
from rdbtool.live.connection import Connection, RefusedError
from rdbtool.tasks.backup.run import BackupOptions, backup
from rdbtool.tasks.judgement import MET, UNKNOWN
from tests.live.serving import (
    AT_ONCE,
    WITH_TLS,
    certificates,
    free_port,
    pretending,
    received,
    tls_in_front,
    url_of,
    with_tls,
)
from tests.servers.harness import SERVERS, ServerKind, running

SECRET = "s3cret-of-the-test"


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_password_lets_us_in_and_is_never_shown(kind: ServerKind, tmp_path: Path) -> None:
    port = free_port()
    with running(kind, tmp_path, "--port", str(port)) as server:
        server.execute("CONFIG", "SET", "requirepass", SECRET)
        place = f"127.0.0.1:{port}"
        with Connection(f"redis://:{SECRET}@{place}") as connection:
            assert connection.name == f"redis://:***@{place}"
            assert connection.info()["redis_version"]
        with Connection(f"redis://{place}", Access(password=SECRET)) as connection:
            assert connection.call("PING") == b"PONG"
        with pytest.raises(InputError) as raised:
            Connection(f"redis://:{SECRET}x@{place}")
        assert SECRET not in str(raised.value)
        assert "the server says: " in str(raised.value)
        with pytest.raises(RefusedError, match="Authentication required"), Connection(f"redis://{place}") as connection:
            connection.info()


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_user_needs_the_right_to_replicate(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path, "--repl-diskless-sync-delay", "0") as server:
        server.execute("SET", "k", "v")
        server.execute("ACL", "SETUSER", "backup", "on", f">{SECRET}", "+psync", "+replconf", "+ping", "+info")
        server.execute("ACL", "SETUSER", "nobody", "on", f">{SECRET}", "+ping")
        url = url_of(server).replace("unix://", "unix://backup@")
        with Connection(url, Access(SECRET)) as connection:
            assert b"redis-ver" in received(connection) or kind.is_valkey
        other = url.replace("backup", "nobody")
        with Connection(other, Access(passwords={other: SECRET})) as connection, pytest.raises(RefusedError) as raised:
            received(connection)
        assert "no permissions" in str(raised.value)


@pytest.mark.server
def test_a_server_that_quotes_the_password_does_not_make_us_show_it(tmp_path: Path) -> None:
    kind = SERVERS[0]
    with running(kind, tmp_path, "--rename-command", "AUTH", "LOGIN") as server, pytest.raises(InputError) as raised:
        Connection(url_of(server), Access(password=SECRET))
    assert SECRET not in str(raised.value)
    assert "***" in str(raised.value)


def test_what_cannot_be_reached_is_named_with_the_systems_words() -> None:
    with pytest.raises(InputError, match=r"redis://127\.0\.0\.1:\d+: .*refused"):
        Connection(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(InputError, match=r"unix:///no/such/socket: .*[Nn]o such file"):
        Connection("unix:///no/such/socket")


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":x\r\n", b"$x\r\n", b"*x\r\n", b"*1\r\n" * 5000, b"\xff\r\n"]
)
def test_what_is_no_reply_is_told(garbage: bytes) -> None:
    told = pytest.raises(InputError, match="what came is no reply of a server")
    with pretending(lambda client: client.sendall(garbage), until=b"INFO") as url, told, Connection(url) as connection:
        connection.info()


def _without_end(data: bytes) -> Callable[[socket.socket], object]:
    """Sends the same until nobody listens any more."""

    def send(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client.sendall(data)

    return send


@pytest.mark.parametrize("until", [b"AUTH", b"INFO"])
def test_a_line_without_end_is_no_reply(until: bytes) -> None:
    told = pytest.raises(InputError, match="what came is no reply of a server")
    send = _without_end(b"+" + b"x" * (1 << 16))
    with pretending(send, until=until) as url, told, Connection(url, Access(SECRET)) as connection:
        connection.info()


def test_a_reply_without_end_ends_with_the_patience() -> None:
    told = pytest.raises(InputError, match=r"[Tt]imeout")
    send = _without_end(b"*2\r\n" + b"$65536\r\n" + b"x" * (1 << 16) + b"\r\n*100000000\r\n" + b":1\r\n" * 10_000)
    with pretending(send, until=b"INFO") as url, told, Connection(url, Access(timeout_s=1)) as connection:
        connection.info()


@pytest.mark.parametrize("kind", WITH_TLS, ids=lambda k: k.name)
def test_over_tls_only_a_trusted_server_is_spoken_to(kind: ServerKind, tmp_path: Path) -> None:
    port = free_port()
    files = certificates(tmp_path)
    with running(kind, tmp_path, *with_tls(port, files), *AT_ONCE) as server:
        server.execute("SET", "k", "v" * 500_000)
        url = f"rediss://localhost:{port}"
        with pytest.raises(InputError, match="certificate"):
            Connection(url, Access(cert=str(files["cert"]), key=str(files["key"])))
        trusted = Access(cacert=str(files["ca"]), cert=str(files["cert"]), key=str(files["key"]))
        unchecked = Access(insecure=True, cert=str(files["cert"]), key=str(files["key"]))
        for access in (trusted, unchecked):
            with Connection(url, access) as connection:
                assert received(connection)[:5] in {b"REDIS", b"VALKE"}
        wanted = pytest.raises(InputError, match=r"it may want a certificate of ours \(--cert\)")
        with wanted, Connection(url, Access(cacert=str(files["ca"]))) as connection:
            connection.call("PING")
        with pytest.raises(InputError, match="where it speaks TLS, the URL begins with rediss://"):
            Connection(url.replace("rediss", "redis")).info()
        with pytest.raises(UsageError, match="/no/such: there is no such file"):
            Connection(url, Access(cacert="/no/such"))


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_a_backup_comes_from_behind_tls(kind: ServerKind, tmp_path: Path) -> None:
    """Most servers of pip are built without it; then something else speaks it for them."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with running(kind, tmp_path, *AT_ONCE) as server, tls_in_front(server, context) as url:
        server.execute("SET", "k", "v" * 500_000)
        judged = backup(url, str(tmp_path / "x.rdb"), options=BackupOptions(Access(cacert=str(tmp_path / "ca.pem"))))
        assert judged.verdict == MET, judged.error
        assert judged.details["backup"]["digest"] == server.digest()
        unknown = backup(url, str(tmp_path / "y.rdb"))
        assert unknown.verdict == UNKNOWN
        assert "certificate" in str(unknown.error)


@pytest.mark.server
def test_some_server_of_the_tests_speaks_tls() -> None:
    assert WITH_TLS


def test_without_redis_py_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(UnsupportedError, match=r"needs the extra: pip install 'rdbtoolkit\[server\]'"):
        Connection("redis://localhost")
