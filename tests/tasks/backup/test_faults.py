"""Whatever happens to a backup on its way: the old ones are whole, and nothing half has a name."""

from __future__ import annotations

import os
import random
import resource
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
from tests.live.serving import pretending
from tests.tasks.backup.crafting import all_whole, record, snapshot

pytestmark = pytest.mark.slow
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


def test_kill_9_before_any_step_leaves_only_whole_backups(tmp_path: Path) -> None:
    source, out = tmp_path / "dump.rdb", tmp_path / "out"
    out.mkdir()
    source.write_bytes(snapshot(100))
    names = iter(range(1000))

    def job() -> None:
        number = step * 1000 + next(names)
        assert backup(str(source), f"{out}/b{number}-{{keys}}.rdb", options=KEEP).verdict == MET

    step = 0
    job()
    step = 1
    while killed_at(step, job):
        assert all_whole(out) >= 1
        step += 1
    assert step > 10
    assert backup(str(source), f"{out}/last-{{keys}}.rdb").verdict == MET
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


def test_a_full_disk_at_any_byte_leaves_nothing(tmp_path: Path) -> None:
    source, out = tmp_path / "dump.rdb", tmp_path / "out"
    out.mkdir()
    source.write_bytes(snapshot(1000, 1000))
    assert backup(str(source), str(out / "old.rdb")).verdict == MET
    before = sorted(os.listdir(out))
    size = source.stat().st_size
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for limit in [0, 1, size - 1, *(rng.randrange(size) for _ in range(10))]:
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, old[1]))
        try:
            with pytest.raises(OutputError, match="cannot write"):
                backup(str(source), str(out / "new-{keys}.rdb"), options=BackupOptions(keep=Keep(newest=1)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        assert sorted(os.listdir(out)) == before
    assert all_whole(out) == 1


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
