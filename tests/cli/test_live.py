"""Commands that read snapshots read them from live servers too, and passwords stay where they belong."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.live.serving import AT_ONCE, free_port, pretending, url_of
from tests.servers.harness import SERVERS, ServerKind, running

SECRET = "p@ss:w0rd/of the test"
QUOTED = "p%40ss:w0rd%2Fof%20the%20test"


@pytest.mark.parametrize("kind", SERVERS, ids=lambda k: k.name)
def test_every_command_that_reads_a_snapshot_reads_from_a_server(kind: ServerKind, tmp_path: Path) -> None:
    with running(kind, tmp_path, *AT_ONCE) as server:
        server.execute("DEBUG", "POPULATE", 500)
        server.execute("RPUSH", "list", *range(100))
        url = url_of(server)
        assert "sound" in run("check-rdb", url).stdout
        judged = run("verify", url, "--min-keys", 501, "--max-age", "1h", "--digest", server.digest())
        assert (judged.returncode, judged.stdout.splitlines()[0]) == (0, f"{url}: good")
        booted = run("verify", url, "--boot")
        assert booted.returncode == 2
        assert "which backup --boot makes of a live server" in booted.stdout
        assert run("digest", url).stdout.split()[0] == server.digest()
        assert len(run("dump", url, "--keys-only").stdout.splitlines()) == 501
        copy = tmp_path / "copy.rdb"
        assert run("convert", url, copy).returncode == 0
        assert run("digest", copy).stdout.split()[0] == server.digest()
        assert run("diff", url, copy).returncode == 0
        assert run("diff", copy, url).returncode == 0
        assert run("report", url, "-o", tmp_path / "page.html").returncode == 0
        assert "of 501.</p>" in (tmp_path / "page.html").read_text()
        server.execute("SET", "new", "1")
        changed = run("diff", copy, url)
        assert changed.returncode == 1
        assert "new" in changed.stdout
        assert run("convert", url, copy, tmp_path / "merged.rdb", "--on-conflict", "merge").returncode == 2


@pytest.mark.server
def test_the_password_of_a_url_is_shown_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    with running(SERVERS[0], tmp_path, "--port", str(port), *AT_ONCE) as server:
        server.execute("SET", "k", "v")
        server.execute("CONFIG", "SET", "requirepass", SECRET)
        url = f"redis://:{QUOTED}@127.0.0.1:{port}"
        for arguments in (("check-rdb", url, "--format", "json"), ("digest", url), ("check-rdb", f"{url}1")):
            done = run(*arguments)
            assert done.returncode == (0 if arguments[1] == url else 2), done.stderr
            assert SECRET not in done.stdout + done.stderr
            assert QUOTED not in done.stdout + done.stderr
        bare = f"redis://127.0.0.1:{port}"
        refused = run("digest", bare)
        assert refused.returncode == 2
        assert "the server says: NOAUTH Authentication required" in refused.stderr
        monkeypatch.setenv("REDISCLI_AUTH", SECRET)
        assert run("digest", bare).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="what other users see of a command line is read from /proc")
def test_other_users_do_not_see_the_password_in_the_command_line() -> None:
    with pretending(lambda client: client.recv(1)) as url:
        url = url.replace("redis://", "redis://:geheim@")
        with subprocess.Popen([sys.executable, "-m", "rdbtool", "check-rdb", url]) as process:
            try:
                line = ""
                for _ in range(200):
                    line = Path(f"/proc/{process.pid}/cmdline").read_text()
                    if "******@" in line:
                        break
                    time.sleep(0.05)
                assert "geheim" not in line
                assert "redis://:******@127" in line
            finally:
                process.kill()


def test_trusting_anybody_is_said_loudly() -> None:
    done = run("check-rdb", f"rediss://127.0.0.1:{free_port()}", "--insecure", "--quiet")
    assert done.returncode == 2
    assert "warning: --insecure" in done.stderr
