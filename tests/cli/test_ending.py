"""How the program ends when somebody ends it, or a bug does."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rdbtool.tasks import check_rdb
from tests.aof.craft import command
from tests.cli.running import run

ROOT = Path(__file__).resolve().parents[2]
RDB = ROOT / "fixtures" / "rdb" / "redis-7.4.1" / "small-plain.rdb"
SIGNALS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


def start(*arguments: object, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "rdbtool", *map(str, arguments)]
    return subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), SIGNALS.items())
@pytest.mark.parametrize("output", ["out.rdb", "set/", "out-{}.rdb"])
def test_a_signal_leaves_nothing_that_is_half_made(tmp_path: Path, number: int, code: int, output: str) -> None:
    """The input is a pipe that never ends, so the output is under construction when the signal comes."""
    options = ["--split", "3"] if "{" in output else []
    process = start("convert", "-", f"{tmp_path}/{output}", *options, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(RDB.read_bytes()[:2000])
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not os.listdir(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert os.listdir(tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert errors == b""
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_an_interrupt_at_any_moment_is_quiet_and_leaves_nothing(tmp_path: Path) -> None:
    """From the first import on to the end."""
    source = tmp_path / "x.aof"
    source.write_bytes(b"".join(command("SET", f"key{i}", "v") for i in range(3000)))
    codes: list[int] = []
    delay = 0.02
    while not codes or codes[-1] != 0:
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        process = start("rewrite", source, "-o", out)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        codes.append(process.returncode)
        # Python's own start-up, before our `main` is called, answers with a traceback of its own and code 1.
        assert process.returncode in {0, 1, 130, -signal.SIGINT}
        assert process.returncode != 1 or b"KeyboardInterrupt" in errors
        assert not re.search(rb"rdbtool/(__main__\.py\", line \d+, in main|cli/)", errors), errors
        assert sorted(os.listdir(tmp_path)) in (["x.aof"], ["out", "x.aof"])
        delay *= 1.4
        assert delay < 60
    assert {130, -signal.SIGINT} & set(codes)


def test_a_rewrite_that_is_killed_before_its_manifest_leaves_parts_that_the_next_run_names(tmp_path: Path) -> None:
    manifest = tmp_path / "appendonly.aof.manifest"
    manifest.write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    (tmp_path / "appendonly.aof.1.incr.aof").write_bytes(command("SET", "key", "v"))
    before = manifest.read_bytes()
    code = (
        "import os, signal\n"
        "from rdbtool.tasks import rewrite\n"
        "rewrite._commit_parts = lambda made, _: (rewrite.commit_all(made), os.kill(os.getpid(), signal.SIGKILL))\n"
        f"rewrite.rewrite_in_place({str(tmp_path)!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert manifest.read_bytes() == before
    left = ["appendonly.aof.1.base.rdb", "appendonly.aof.2.incr.aof"]
    assert sorted(os.listdir(tmp_path)) == sorted([*left, "appendonly.aof.1.incr.aof", manifest.name])
    for words in (["check-aof"], ["rewrite", "--in-place"]):
        done = run(*words, tmp_path)
        assert done.returncode == 0
        for name in left:
            assert re.search(f"not-in-manifest.*{re.escape(name)}", done.stdout + done.stderr), done
    assert b"type b" in manifest.read_bytes()


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    out = tmp_path / "out.rdb"
    words = f"trap '' HUP; exec {sys.executable} -m rdbtool convert - {out}"
    with subprocess.Popen(["bash", "-c", words], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        data = RDB.read_bytes()
        process.stdin.write(data[:2000])
        process.stdin.flush()
        while not os.listdir(tmp_path):
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        process.stdin.write(data[2000:])
        process.stdin.close()
        assert process.wait(30) == 0
    assert os.listdir(tmp_path) == ["out.rdb"]


def test_a_bug_is_one_line_and_a_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise IndexError("\x1b[31mlist index")

    monkeypatch.setattr(check_rdb, "verify_rdb", fail)
    done = run("check-rdb", RDB)
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1
    assert "IndexError: \\x1b[31mlist index" in done.stderr
    assert "report" in done.stderr
    shown = run("--debug", "check-rdb", RDB)
    assert shown.returncode == 70
    assert "Traceback" in shown.stderr


def test_all_shards_are_written_or_none(tmp_path: Path) -> None:
    blocked = tmp_path / "out-5461-10922.rdb"
    blocked.mkdir()
    assert run("convert", RDB, tmp_path / "out-{}.rdb", "--split", "3").returncode == 2
    assert os.listdir(tmp_path) == [blocked.name]
    blocked.rmdir()
    assert run("convert", RDB, tmp_path / "out-{}.rdb", "--split", "3").returncode == 0
    assert len(os.listdir(tmp_path)) == 3


def test_a_full_disk_leaves_no_shard(tmp_path: Path) -> None:
    words = f"ulimit -f 4; trap '' XFSZ; {sys.executable} -m rdbtool convert {RDB} '{tmp_path}/out-{{}}.rdb' --split 3"
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.slow  # starts the program many times
@pytest.mark.parametrize("output", ["/dev/stdout", "/dev/fd/1", "-"])
def test_standard_output_by_any_name_gets_the_result_and_nothing_else(output: str) -> None:
    process = start("rewrite", ROOT / "fixtures/aof/multi-rdb", "-o", output)
    data, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert data.startswith((b"REDIS", b"VALKEY"))
    assert b"before" not in data
    assert b"before" in errors
    assert run("check-rdb", "-", stdin=data).returncode == 0


@pytest.mark.slow  # starts the program many times
def test_a_process_substitution_gets_the_result(tmp_path: Path) -> None:
    log = ROOT / "fixtures/aof/truncated.aof"
    for words, size in (
        (f"rewrite {ROOT}/fixtures/aof/multi-rdb -o", 12_000),
        (f"convert {RDB} --to rdb", 11_000),
        (f"check-aof {log} -o", 2892),
    ):
        script = f"{sys.executable} -m rdbtool {words} >(cat >{tmp_path}/got; touch {tmp_path}/end)"
        assert subprocess.run(["bash", "-c", script], capture_output=True, check=False).returncode == 0
        deadline = time.monotonic() + 20
        while not (tmp_path / "end").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / "got").stat().st_size >= size, words
        (tmp_path / "end").unlink()
