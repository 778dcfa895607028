"""``--executor``: many files on a Dask cluster of two workers, one of which is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from distributed import Client

from rdbtool.tasks.cluster import Cluster
from tests.cli.running import Done, run
from tests.rdb import craft
from tests.rdb.corpus import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.cold]

SHARD = craft.rdb(craft.record(0, b"user:1", craft.string(b"x")), craft.record(1, b"list", craft.counted(b"a", b"b")))
LOG = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"


@dataclass
class Dask:
    """A scheduler and its workers, as processes. ``url``: what ``--executor`` takes."""

    port: int
    directory: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"dask://127.0.0.1:{self.port}"

    def add_worker(self) -> None:
        arguments = ["dask_worker", f"tcp://127.0.0.1:{self.port}", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        self.workers.append(started(arguments, self.directory))

    def wait(self, count: int) -> None:
        connect: Any = Client
        with connect(f"tcp://127.0.0.1:{self.port}", timeout=30, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)


def started(arguments: list[str], directory: Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.{arguments[0]}", *arguments[1:]]
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def cluster(directory: Path, **environment: str) -> Iterator[Dask]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    made = Dask(port, directory, started(arguments, directory, **environment))
    try:
        for _ in range(2):
            made.add_worker()
        made.wait(2)
        yield made
    finally:
        for process in (*made.workers, made.scheduler):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    with cluster(tmp_path_factory.mktemp("dask")) as made:
        yield made


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"shard-{i}.rdb" for i in range(4)]
    for path in paths:
        path.write_bytes(SHARD)
    paths[2].write_bytes(SHARD[:-14])
    return paths


def told_the_same(dask: Dask, command: str, *arguments: object) -> Done:
    """What it says with the cluster, which is what it says without."""
    there, here = run(command, *arguments, "--executor", dask.url), run(command, *arguments)
    assert (there.returncode, there.stdout, there.stderr) == (here.returncode, here.stdout, here.stderr)
    return there


@pytest.mark.parametrize("command", ["check-rdb", "verify", "digest", "info", "memory"])
def test_a_command_over_many_files_tells_what_it_tells_without(command: str, dask: Dask, shards: list[Path]) -> None:
    for output in ("text", "json"):
        if command == "verify" and output == "json":
            continue  # it has the time in it
        done = told_the_same(dask, command, *shards, "--format", output)
        assert done.returncode in {1, 2}
        assert str(shards[2]) in done.stdout + done.stderr
    there = run(command, *shards, "/nowhere.rdb", "--executor", dask.url)
    assert there.returncode == 2
    assert "/nowhere.rdb" in there.stdout + there.stderr
    assert str(shards[3]) in there.stdout


def test_a_large_file_is_checked_in_parts(dask: Dask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.rdb"
    path.write_bytes(craft.rdb(*(craft.record(0, b"k%d" % i, craft.string(bytes(1 << 19))) for i in range(12))))
    submitted = []
    submit = Cluster.submit

    def counting(self: Cluster, *arguments: Any) -> Future[Any]:
        submitted.append(arguments)
        return submit(self, *arguments)

    monkeypatch.setattr(Cluster, "submit", counting)
    assert told_the_same(dask, "check-rdb", path).returncode == 0
    assert len(submitted) > 3


def test_logs_are_checked_there(dask: Dask, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.aof" for i in range(3)]
    for path in paths:
        path.write_bytes(LOG)
    paths[1].write_bytes(LOG[:-3])
    assert told_the_same(dask, "check-aof", *paths).returncode == 1


def test_outputs_are_written_there(dask: Dask, shards: list[Path], tmp_path: Path) -> None:
    done = run("dump", *shards, "-f", "jsonl", "-o", f"{tmp_path}/out/", "--executor", dask.url)
    assert done.returncode == 1
    assert f"{shards[2]}: nothing was written" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"shard-{i}.rdb.jsonl" for i in (0, 1, 3)]
    assert json.loads((tmp_path / "out/shard-0.rdb.jsonl").read_text().splitlines()[0])["key"] == "user:1"
    done = run("convert", *shards, tmp_path / "new/{name}.csv", "--executor", dask.url)
    assert done.returncode == 1
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [f"shard-{i}.csv" for i in (0, 1, 3)]
    assert (tmp_path / "new/shard-1.csv").read_text() == run("dump", shards[1], "-f", "csv").stdout


def test_what_a_cluster_cannot_do_is_one_line(dask: Dask, shards: list[Path], tmp_path: Path) -> None:
    for arguments, said in (
        (["check-rdb", "-", "--executor", dask.url], "the workers of a cluster read files"),
        (["check-rdb", shards[0], "--executor", "spark://x:1"], "dask://HOST:PORT"),
        (["check-rdb", shards[0], "--executor", dask.url, "--jobs", "2"], "processes of this machine"),
        (["dump", shards[0], "--executor", dask.url], "-o DIR/"),
        (["convert", *shards, tmp_path / "x.rdb", "--executor", dask.url], "{name}"),
        (["memory", shards[0], "--format", "csv", "--executor", dask.url], "--executor is for sums"),
    ):
        done = run(*arguments)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def reader_of(path: Path) -> int:
    """The process that has a FIFO open, but for this one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                links = [os.readlink(f"/proc/{name}/fd/{handle}") for handle in os.listdir(f"/proc/{name}/fd")]
            except OSError:
                continue
            if str(path) in links:
                return int(name)
        time.sleep(0.05)
    raise AssertionError("nobody reads it")


class Check:
    """A check of the shards that has begun, one of which is a FIFO, so that whoever reads it waits."""

    def __init__(self, dask: Dask, shards: list[Path]) -> None:
        self.fifo = shards[1].with_name("fifo.rdb")
        os.mkfifo(self.fifo)
        paths = [shards[0], self.fifo, shards[3]]
        command = [sys.executable, "-m", "rdbtool", "check-rdb", *map(str, paths), "--executor", dask.url]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def writer(self) -> BinaryIO:
        """The FIFO, open for writing: somebody reads it then."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return open(os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK), "wb")
            except OSError:  # nobody does yet
                assert time.monotonic() < deadline, self.process.poll()
                time.sleep(0.05)

    def end(self) -> tuple[int, str, str]:
        """Its exit code, and what it printed."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def kill_reader(dask: Dask, check: Check) -> int:
    """Kill the worker that works on the FIFO; its id."""
    with check.writer():
        found = reader_of(check.fifo)
        (worker,) = [worker for worker in dask.workers if worker.pid == found]
        worker.kill()
        worker.wait()
        dask.workers.remove(worker)
    return found


def test_a_worker_that_is_killed_costs_nothing_where_dask_tries_again(tmp_path: Path, shards: list[Path]) -> None:
    with cluster(tmp_path) as dask:
        check = Check(dask, shards)
        first = kill_reader(dask, check)
        with check.writer() as stream:
            assert reader_of(check.fifo) != first
            stream.write(SHARD)
        code, out, _ = check.end()
    assert code == 0
    assert out.count(": sound") == 3


def test_a_shard_that_kills_its_worker_is_named_and_the_others_are_finished(tmp_path: Path, shards: list[Path]) -> None:
    with cluster(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as dask:
        check = Check(dask, shards)
        kill_reader(dask, check)
        code, out, err = check.end()
    assert (code, err) == (2, "")
    assert out.count(": sound") == 2
    assert f"{check.fifo}: the process that worked on it ended before it was done" in out


def test_a_scheduler_that_dies_ends_the_run(tmp_path: Path, shards: list[Path]) -> None:
    with cluster(tmp_path) as dask:
        check = Check(dask, shards)
        with check.writer():
            reader_of(check.fifo)
            dask.scheduler.send_signal(signal.SIGKILL)
            code, out, err = check.end()
        assert code == 2
        assert f"{check.fifo}: unreadable" in out
        assert err == ""
        gone = run("check-rdb", shards[0], "--executor", dask.url)
    assert gone.returncode == 2
    assert "no scheduler of a Dask cluster answers" in gone.stderr
