"""With ``--jobs`` the output, its order and the exit code are those of one process; workers never outlive the run."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from rdbtool.tasks.check_rdb import check_rdb

from .running import run

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
SNAPSHOTS = [*sorted(FIXTURES.glob("rdb/redis-7.4.1/*.rdb")), *sorted(FIXTURES.glob("rdb/broken/7.4*.rdb"))]
LOGS = [path for path in sorted((FIXTURES / "aof").iterdir()) if path.suffix not in {".json", ".md"}]


@pytest.mark.parametrize("output", ["text", "json"])
@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("check-rdb", SNAPSHOTS),
        ("info", SNAPSHOTS),
        ("info", LOGS),
        ("check-aof", LOGS),
        ("digest", SNAPSHOTS),
        ("digest", LOGS),
    ],
)
def test_several_inputs_are_told_as_by_one_process(command: str, paths: list[Path], output: str) -> None:
    paths = [*paths, Path("/nowhere")]
    assert len(paths) > 5
    one, two = (run(command, "--format", output, "--jobs", jobs, *paths) for jobs in (1, 2))
    assert (two.returncode, two.stderr) == (one.returncode, one.stderr)
    assert two.stdout == one.stdout


def dies_of_b(path: str, **options: Any) -> object:
    if path.endswith("b.rdb"):
        os.kill(os.getpid(), signal.SIGKILL)
    return check_rdb(path, **options)


@pytest.mark.usefixtures("forked")
def test_a_worker_that_is_killed_is_told_with_its_file_and_the_others_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rdbtool.cli.check_rdb

    monkeypatch.setattr(rdbtool.cli.check_rdb, "check_rdb", dies_of_b)
    paths = [tmp_path / f"{name}.rdb" for name in "abcd"]
    for path in paths:
        path.write_bytes(SNAPSHOTS[0].read_bytes())
    done = run("check-rdb", "--jobs", 2, *paths)
    assert done.returncode == 2
    assert done.stdout.count(": sound") == 3
    assert f"{paths[1]}: unreadable\n  error   {paths[1]}: the process that worked on it ended" in done.stdout


@pytest.mark.usefixtures("forked")
def test_a_system_that_begins_no_more_processes_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    forks: list[int] = []

    def fork() -> int:
        if forks:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        forks.append(before())
        return forks[0]

    before = os.fork
    monkeypatch.setattr(os, "fork", fork)
    done = run("check-rdb", "--jobs", 2, SNAPSHOTS[0], SNAPSHOTS[1])
    assert done.returncode == 2
    assert done.stderr == "rdbtool: cannot begin a process: Resource temporarily unavailable; --jobs 1 needs none\n"
    with pytest.raises(ProcessLookupError):
        os.kill(forks[0], 0)


def killed(*_: object) -> object:
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("command", "path", "module", "name"),
    [
        ("check-rdb", SNAPSHOTS[-1], "check_rdb_parts", "check_part"),
        ("dump", SNAPSHOTS[-1], "dump_parts", "make_exporter"),
        ("check-aof", FIXTURES / "aof/truncated.aof", "check_aof_parts", "scan_part"),
        ("diff", SNAPSHOTS[-1], "diff.shares", "_found"),
    ],
)
def test_a_worker_that_is_killed_at_a_part_ends_the_job(
    command: str, path: Path, module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"rdbtool.tasks.{module}.{name}", killed)
    monkeypatch.setattr("rdbtool.tasks.parts.SMALLEST", 100)
    done = run(command, "--jobs", 2, path, *([path] if command == "diff" else []))
    assert done.returncode == 2
    assert "the process that worked on it ended before it was done" in done.stderr + done.stdout
    assert str(path) in done.stderr + done.stdout


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize("output", ["csv", "jsonl"])
def test_rows_of_memory_are_made_by_workers_as_by_one_process(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdbtool.tasks.parts.SMALLEST", 100)
    path = max(SNAPSHOTS, key=lambda path: path.stat().st_size)
    one, two = (run("memory", "--format", output, "--jobs", jobs, path) for jobs in (1, 2))
    assert (two.returncode, two.stderr) == (one.returncode, one.stderr)
    assert two.stdout == one.stdout
    assert one.stdout.count("\n") > 50


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_workers_without_a_word(tmp_path: Path, number: signal.Signals, code: int) -> None:
    program = r"""
        import os, sys, time
        import rdbtool.cli.check_rdb
        from rdbtool.cli import app

        def slow(path, **options):
            os.write(1, b"%d\n" % os.getpid())
            time.sleep(60)

        rdbtool.cli.check_rdb.check_rdb = slow
        app.run(["check-rdb", "--jobs", "2", "a", "b", "c"])
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        os.killpg(process.pid, number)  # as a terminal does, to all of them
        assert process.wait(timeout=20) == code
        assert process.stderr.read() == ""
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.02)


@pytest.mark.parametrize("command", ["check-aof", "check-rdb", "digest", "diff", "dump", "convert"])
def test_what_one_process_does_waits_for_nothing_that_several_need(command: str) -> None:
    path = FIXTURES / "aof/truncated.aof" if command == "check-aof" else SNAPSHOTS[0]
    others = {"convert": ["-", "--to", "rdb"], "diff": [str(path)]}
    words = [command, str(path), *others.get(command, [])]
    code = (
        "import sys\nfrom rdbtool.cli.app import run\n"
        f"try: run({words!r})\n"
        "except SystemExit: print({'concurrent.futures', 'multiprocessing'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.stderr.decode().splitlines()[-1] == "set()"
