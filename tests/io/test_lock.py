"""Who else is at work on a file: locks on directories, and files that are open for writing."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.errors import OutputError
from rdbtool.io.lock import locked
from rdbtool.io.open_files import writers_of

HOLDING = """
import sys, time
from rdbtool.io.lock import locked
with locked(sys.argv[1]):
    print('locked', flush=True)
    sys.stdin.read()
"""


def test_a_directory_is_locked_by_one_at_a_time_and_the_other_is_told_by_whom(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(OutputError, match=rf"is being changed by process {process.pid}\b"):
            with_lock(tmp_path)
        process.kill()
    assert with_lock(tmp_path)
    assert with_lock(tmp_path)
    assert os.listdir(tmp_path) == []


def with_lock(path: Path) -> bool:
    with locked(str(path)) as held:
        return held


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not with_lock(tmp_path)


def test_what_another_process_has_open_for_writing_is_found(tmp_path: Path) -> None:
    written, read = tmp_path / "written", tmp_path / "read"
    for path in (written, read):
        path.write_bytes(b"x")
    (tmp_path / "link").symlink_to("written")
    code = "import sys; a = open(sys.argv[1], 'ab'); b = open(sys.argv[2]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(written), str(read)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process, written.open("ab"):
        assert process.stdout is not None
        process.stdout.readline()
        found = writers_of([str(tmp_path / "link"), str(read), str(tmp_path / "missing")]).found
        process.kill()
    assert [(pid, path) for pid, _, path in found] == [(process.pid, str(tmp_path / "link"))]
    assert found[0][1].startswith("python")
    assert not writers_of([str(written)]).found


def test_where_processes_cannot_be_seen_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not writers_of([], proc=str(tmp_path / "no-proc")).complete
    place = tmp_path / "1234"
    (place / "fd").mkdir(parents=True)
    assert writers_of([], proc=str(tmp_path)).complete
    real = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("/fd"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert not writers_of([], proc=str(tmp_path)).complete
