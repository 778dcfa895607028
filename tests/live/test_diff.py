"""A server is compared with a backup, and brought to its state by the commands that `diff` prints."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.live.serving import AT_ONCE, url_of
from tests.servers.harness import SERVERS, Server, ServerKind, running
from tests.servers.walking import walk

STEPS = 1200
CLI = shutil.which("redis-cli")


def pipe(server: Server, commands: bytes) -> None:
    """What ``redis-cli --pipe`` does, by it where it is installed."""
    if CLI is not None:
        words = [CLI, "-s", url_of(server).removeprefix("unix://"), "--pipe"]
        done = subprocess.run(words, input=commands, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert b"errors: 0," in done.stdout
        return
    # a marker behind the commands, as that program sends one
    other = Server(server.kind, server.directory, server.process, url_of(server).removeprefix("unix://"))
    other._socket.sendall(commands + b"*2\r\n$4\r\nECHO\r\n$6\r\nmarker\r\n")
    while (reply := other._reply()) != b"marker":
        assert not isinstance(reply, Exception), reply
    other.close()


@pytest.mark.parametrize("output", ["commands", "resp"])
@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_what_a_diff_prints_brings_a_server_to_the_state_of_a_backup(
    kind: ServerKind, output: str, tmp_path: Path
) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    backup = tmp_path / "backup.rdb"
    with running(kind, tmp_path, *AT_ONCE) as server:
        url = url_of(server)
        walk(server, rng, STEPS)
        assert run("convert", url, backup).returncode == 0
        before = server.digest()
        assert run("diff", backup, url).returncode == 0
        walk(server, rng, STEPS)
        changed = run("diff", url, backup, "--format", output)
        assert changed.returncode == 1, changed.stderr
        assert server.digest() != before
        pipe(server, changed.output)
        assert server.digest() == before
        left = run("diff", url, backup)
        assert left.returncode == 0, left.stdout[:2000]


@pytest.mark.parametrize("members", [1, 200], ids=["packed", "skiplist"])
@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_the_sign_of_a_score_of_0_is_brought_back_where_a_server_keeps_it(
    kind: ServerKind, members: int, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.rdb"
    with running(kind, tmp_path, *AT_ONCE) as server:
        url = url_of(server)

        def state(score: str, *more: str) -> str:
            server.execute("FLUSHALL")
            server.execute("ZADD", "z", *more, *(word for n in range(members) for word in (score, f"m{n}")))
            server.execute("PEXPIREAT", "z", 10**13)
            return server.digest()

        states = [("0", "5", "a"), ("-0", "5", "a"), ("1", "5", "a")]
        for wanted in states[:2]:
            for had in states:
                before = state(*wanted)
                assert run("convert", url, backup, "--force").returncode == 0
                other = state(*had)
                same = run("diff", backup, url).returncode == 0
                assert same == (other == before), (wanted, had)
                pipe(server, run("diff", url, backup, "--format", "commands").output)
                assert server.digest() == before, (wanted, had)


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_lines_that_servers_refuse_are_told(kind: ServerKind, tmp_path: Path) -> None:
    backup = tmp_path / "backup.rdb"
    with running(kind, tmp_path, *AT_ONCE) as server:
        url = url_of(server)
        server.execute("SET", "long", b"x" * 200_000)  # one that is hardly too long comes in whole now and then
        assert run("convert", url, backup).returncode == 0
        server.execute("DEL", "long")
        lines = run("diff", url, backup, "--format", "commands")
        assert "1 line of more than 64 KiB" in lines.stderr
        other = Server(kind, tmp_path, server.process, url.removeprefix("unix://"))
        other._socket.sendall(lines.output)
        while (reply := other._reply()) == b"OK":
            pass
        other.close()
        assert "too big inline request" in str(reply)
        pipe(server, run("diff", url, backup, "--format", "resp").output)
        assert run("diff", url, backup).returncode == 0
