"""Whatever happens to a backup on its way: the old ones are whole, and nothing half has a name."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdbtool.errors import OutputError
from rdbtool.tasks.backup.keeping import Keep
from rdbtool.tasks.backup.run import BackupOptions, backup
from rdbtool.tasks.judgement import MET, UNKNOWN
from rdbtool.tasks.verify.expectations import Expectations
from rdbtool.tasks.verify.run import verify_all
from tests.io.small_disk import PAGE, small_disk
from tests.live.serving import pretending
from tests.rdb import craft
from tests.tasks.backup.crafting import record, shown, snapshot

pytestmark = [pytest.mark.slow, pytest.mark.cold]
STEPS = ("open", "write", "fsync", "replace", "rename", "link", "unlink", "fchmod", "mkdir", "close")
FULL = b"+FULLRESYNC 0123456789012345678901234567890123456789 77\r\n"
KEEP = BackupOptions(keep=Keep(newest=1), compress="gzip")


def killed_at(step: int, job: Callable[[], object]) -> bool:
    """Run a job in a process of its own that is killed before it takes this step; whether it came so far."""
    child = os.fork()
    if child == 0:
        taken = 0

        def counted(call: Any) -> Any:
            def run(*arguments: Any, **options: Any) -> Any:
                nonlocal taken
                taken += 1
                if taken == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **options)

            return run

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            job()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("what", ["snapshot", "log", "compressed log"])
def test_kill_9_before_any_step_leaves_only_whole_backups(what: str, tmp_path: Path) -> None:
    source, out = tmp_path / ("dump.rdb" if what == "snapshot" else "x.aof"), tmp_path / "out"
    out.mkdir()
    source.write_bytes(snapshot(100))
    options = BackupOptions(keep=Keep(newest=1)) if what == "log" else KEEP
    names = iter(range(1000))

    def job() -> None:
        number = step * 1000 + next(names)
        assert backup(str(source), f"{out}/b{number}-{{keys}}", options=options).verdict == MET

    step = 0
    job()
    step = 1
    while killed_at(step, job):
        kept = list(verify_all(str(out), lambda _: Expectations(min_keys=100)))
        assert len(kept) == len([name for name in shown(out) if not name.endswith(".json")]) >= 1
        assert {one.verdict for one in kept} == {MET}
        step += 1
    assert step > 10
    assert backup(str(source), f"{out}/last-{{keys}}").verdict == MET
    assert not [name for name in os.listdir(out) if name.startswith(".")]  # what the killed ones left is gone


def test_kill_9_while_a_fixed_name_is_replaced_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    source, copy = tmp_path / "dump.rdb", tmp_path / "out" / "copy.rdb"
    copy.parent.mkdir()
    contents = [snapshot(100), snapshot(200)]
    source.write_bytes(contents[0])
    assert backup(str(source), str(copy)).verdict == MET
    source.write_bytes(contents[1])
    step = 1
    while killed_at(step, lambda: backup(str(source), str(copy))):
        assert copy.read_bytes() in contents
        record(copy)
        step += 1
    assert step > 10
    assert copy.read_bytes() == contents[1]
    assert record(copy)["keys"] == 200


@pytest.mark.parametrize("what", ["snapshot", "compressed", "log", "compressed log"])
def test_a_full_disk_at_any_byte_leaves_nothing(what: str, tmp_path: Path) -> None:
    source = tmp_path / ("x.aof" if "log" in what else "dump.rdb")
    source.write_bytes(snapshot(10))
    compress = "zstd" if "compressed" in what else ""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    with small_disk(tmp_path / "out", 8 << 20) as disk:
        out = disk.directory
        options = BackupOptions(keep=Keep(newest=1), compress=compress)
        assert backup(str(source), str(out / "{keys}"), options=options).verdict == MET
        before = contents(out)
        noise = [craft.record(0, b"key:%d" % i, craft.string(rng.randbytes(1000))) for i in range(1000)]
        source.write_bytes(craft.rdb(*noise))  # it cannot be compressed
        taken = source.stat().st_size
        rooms = [0, 1, *(rng.randrange(taken) for _ in range(10)), *(taken + i * PAGE for i in range(-2, 4)), 1 << 40]
        tried = 0
        for room in sorted(rooms):
            with disk.leaving(room):
                try:
                    judged = backup(str(source), str(out / "{keys}"), options=options)
                except OutputError as e:
                    assert "cannot write" in str(e) or "cannot create" in str(e)  # noqa: PT017 - it may be met, too
                else:
                    break
            assert contents(out) == before
            tried += 1
        assert judged.verdict == MET
        assert tried > 10
        assert len(shown(out)) == 2
        assert not [name for name in shown(out) if name.startswith("10.") or name == "10"]


def contents(directory: Path) -> dict[str, bytes]:
    """What is in the files of a directory, hidden ones and those in directories too."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in directory.rglob("*")}


@pytest.mark.parametrize("marked", [False, True])
def test_a_connection_lost_at_any_byte_leaves_nothing(marked: bool, tmp_path: Path) -> None:
    data = snapshot(200, 3000)
    head, tail = (b"$EOF:" + b"a" * 40 + b"\r\n", b"a" * 40) if marked else (b"$%d\r\n" % len(data), b"")
    sent = FULL + b"\n\n" + head + data + tail
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    for cut in [len(sent) - 1, *(rng.randrange(len(sent)) for _ in range(20))]:

        def answer(client: socket.socket, end: int = cut) -> None:
            client.sendall(sent[:end])

        with pretending(answer) as url:
            judged = backup(url, str(tmp_path / "x-{keys}.rdb"), options=KEEP)
        assert judged.verdict == UNKNOWN, cut
        assert os.listdir(tmp_path) == []
    with pretending(lambda client: client.sendall(sent)) as url:
        assert backup(url, str(tmp_path / "x-{keys}.rdb")).verdict == MET
    assert (tmp_path / "x-200.rdb").read_bytes() == data


def test_a_byte_that_is_changed_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    data = snapshot(200, 3000)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(20):
        at = rng.randrange(len(data))
        changed = data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]

        def answer(client: socket.socket, sent: bytes = FULL + b"$%d\r\n" % len(changed) + changed) -> None:
            client.sendall(sent)

        with pretending(answer) as url:
            judged = backup(url, str(tmp_path / "x-{keys}.rdb"), options=KEEP)
        assert judged.verdict != MET, at
        assert os.listdir(tmp_path) == []


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    data = snapshot(200, 3000)
    started = tmp_path / "started"
    out = tmp_path / "out"
    out.mkdir()

    def answer(client: socket.socket) -> None:
        client.sendall(FULL + b"$%d\r\n" % len(data) + data[:5000])
        started.touch()
        client.recv(1)

    with pretending(answer) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "rdbtool", "backup", url, str(out)], stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        while not started.exists() or not os.listdir(out):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert os.listdir(out) == []
