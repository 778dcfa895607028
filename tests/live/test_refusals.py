"""Servers that refuse what is asked of them: one line with their words, exit code 2, and nothing half."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.live.serving import AT_ONCE, free_port, url_of
from tests.rdb import craft
from tests.servers.harness import SERVERS, Server, ServerKind, running

of_each_kind = pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)


def filled(server: Server) -> None:
    server.execute("DEBUG", "POPULATE", 50)


@contextlib.contextmanager
def misconf(kind: ServerKind, directory: Path) -> Iterator[Server]:
    """A server that has keys, cannot save, and takes no writes for that."""
    protected = ("--enable-protected-configs", "yes") if kind.version >= (7, 0, 0) else ()
    with running(kind, directory, "--repl-diskless-sync", "no", *protected, *AT_ONCE) as server:
        filled(server)
        gone = directory / "gone"
        gone.mkdir()
        server.execute("CONFIG", "SET", "dir", str(gone))
        gone.rmdir()
        server.execute("CONFIG", "SET", "save", "900 1")
        server.execute("BGSAVE")
        until(server, "rdb_last_bgsave_status:err")
        yield server
        server.execute("CONFIG", "SET", "save", "")


@contextlib.contextmanager
def masterdown(kind: ServerKind, directory: Path) -> Iterator[Server]:
    """A replica that has keys, whose master is gone, and that serves nothing until it is back."""
    for name in ("master", "replica"):
        (directory / name).mkdir()
    options = ("--replica-serve-stale-data", "no", *AT_ONCE)
    with running(kind, directory / "replica", *options) as replica:
        port = free_port()
        with running(kind, directory / "master", "--port", str(port), *AT_ONCE) as master:
            filled(master)
            replica.execute("REPLICAOF", "127.0.0.1", port)
            until(replica, "master_link_status:up")
        until(replica, "master_link_status:down")
        yield replica


def until(server: Server, line: str) -> None:
    deadline = time.monotonic() + 60
    while line not in (server.execute("INFO") or b"").decode():  # type: ignore[union-attr]
        assert time.monotonic() < deadline, line
        time.sleep(0.05)


def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "x.rdb"
    path.write_bytes(craft.rdb(*[craft.record(0, b"new:%d" % n, craft.string(b"v")) for n in range(9)]))
    return path


@contextlib.contextmanager
def noauth(kind: ServerKind, directory: Path) -> Iterator[Server]:
    with running(kind, directory, *AT_ONCE) as server:
        filled(server)
        server.execute("CONFIG", "SET", "requirepass", "secret")
        yield server


@contextlib.contextmanager
def noperm(kind: ServerKind, directory: Path) -> Iterator[Server]:
    """A server whose users may not do what the commands need."""
    with running(kind, directory, *AT_ONCE) as server:
        filled(server)
        server.execute("ACL", "SETUSER", "default", "-psync", "-sync", "-scan", "-restore", "-set")
        yield server


@contextlib.contextmanager
def loading(kind: ServerKind, directory: Path) -> Iterator[Server]:
    with running(kind, directory, *AT_ONCE) as server:
        server.execute("CONFIG", "SET", "rdbcompression", "no")
        server.execute("DEBUG", "POPULATE", 12000, "key", 5000)  # it answers after every 2 MB that it has loaded
        server.execute("CONFIG", "SET", "key-load-delay", "200")
        other = Server(kind, directory, server.process, server._path)
        other._socket.sendall(b"*2\r\n$5\r\nDEBUG\r\n$6\r\nRELOAD\r\n")
        time.sleep(0.5)
        yield server
        server.send(("CONFIG", "SET", "key-load-delay", "0"))  # Redis 6.2 refuses
        other._reply()
        other.close()


@contextlib.contextmanager
def full(kind: ServerKind, directory: Path) -> Iterator[Server]:
    with running(kind, directory, *AT_ONCE) as server:
        filled(server)
        server.execute("CONFIG", "SET", "maxmemory", "1")
        yield server


READING = {
    "check-rdb": ("check-rdb", "URL"),
    "digest": ("digest", "URL"),
    "diff": ("diff", "FILE", "URL"),
    "convert": ("convert", "URL", "OUT"),
    "backup": ("backup", "URL", "OUT"),
}
SCANNING = {"dump --scan": ("dump", "URL", "--scan"), "convert --scan": ("convert", "URL", "OUT", "--scan")}
WRITING = {
    "load": ("load", "FILE", "URL", "--into-nonempty"),
    "load --commands": ("load", "FILE", "URL", "--into-nonempty", "--commands"),
}
SAYS = {
    "misconf": {**dict.fromkeys(READING, "its log says why"), **dict.fromkeys(WRITING, "the server says: MISCONF ")},
    "masterdown": {
        **dict.fromkeys([*READING, *SCANNING], "the server says: MASTERDOWN "),
        **dict.fromkeys(WRITING, "a replica, of 127.0.0.1:"),
    },
    "noauth": dict.fromkeys([*READING, *SCANNING, *WRITING], "the server says: NOAUTH "),
    "noperm": {
        **dict.fromkeys([*READING, *SCANNING], "the server says: NOPERM "),
        **dict.fromkeys(WRITING, "the server says: NOPERM "),
    },
    "loading": {
        **dict.fromkeys(["convert", "dump --scan"], "the server says: LOADING "),
        "load": "the server is loading the dataset",
    },
    "full": dict.fromkeys(WRITING, "the server says: OOM "),
}
STATES = {state.__name__: state for state in (misconf, masterdown, noauth, noperm, loading, full)}


@of_each_kind
@pytest.mark.parametrize("state", SAYS)
def test_a_refusal_is_one_line_with_code_2_and_nothing_half(state: str, kind: ServerKind, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    named = {"FILE": snapshot(tmp_path), "OUT": out / "x.rdb"}
    with STATES[state](kind, tmp_path) as server:
        before = server.execute("DBSIZE") if state in {"misconf", "full"} else None
        for command, says in SAYS[state].items():
            words = {**READING, **SCANNING, **WRITING}[command]
            done = run(*(url_of(server) if word == "URL" else named.get(word, word) for word in words))
            told = [line for line in (done.stdout + done.stderr).splitlines() if " --scan: " not in line]
            assert done.returncode == 2, (command, told)
            assert sum(says in line for line in told) == 1, (command, told)
            assert command in {"check-rdb", "backup"} or len(told) == 1, (command, told)
            assert list(out.iterdir()) == []
        assert before is None or server.execute("DBSIZE") == before
