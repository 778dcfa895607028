"""The notice of uncompiled runs: on a terminal, once a day, and never in the way."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rdbtool import is_compiled
from rdbtool.cli import uncompiled
from rdbtool.cli.uncompiled import DAY_S, NOTICE, SILENT, tell_if_uncompiled
from rdbtool.extras import DISTRIBUTION

Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that remembers, in a home where nobody has been told."""
    monkeypatch.delenv(SILENT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(uncompiled, "is_compiled", lambda: False)
    return tmp_path / "cache" / "rdbtool" / "uncompiled"


def test_it_is_told_once_a_day_with_the_way_out(capsys: Shown, stamp: Path) -> None:
    tell_if_uncompiled()
    assert capsys.readouterr() == ("", NOTICE)
    assert f"--only-binary {DISTRIBUTION} {DISTRIBUTION}\n" in NOTICE
    tell_if_uncompiled()
    assert capsys.readouterr().err == ""
    os.utime(stamp, (0, time.time() - DAY_S - 1))
    tell_if_uncompiled()
    assert capsys.readouterr().err == NOTICE
    os.utime(stamp, (0, time.time() + 2 * DAY_S))  # a clock that was wrong silences nothing for long
    tell_if_uncompiled()
    assert capsys.readouterr().err == NOTICE


def test_compiled_or_silenced_it_is_not_told(capsys: Shown, stamp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SILENT, "1")
    tell_if_uncompiled()
    monkeypatch.delenv(SILENT)
    monkeypatch.setattr(uncompiled, "is_compiled", lambda: True)
    tell_if_uncompiled()
    assert capsys.readouterr().err == ""
    assert not stamp.exists()


def test_where_nothing_can_be_remembered_it_is_told_and_nothing_fails(capsys: Shown, stamp: Path) -> None:
    stamp.parents[1].write_bytes(b"a file where the directory should be")
    for _ in range(2):
        tell_if_uncompiled()
        assert capsys.readouterr().err == NOTICE


def test_a_link_in_its_place_is_not_written_through(stamp: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"data")
    os.utime(tmp_path / "precious", (0, 0))
    stamp.parent.mkdir(parents=True)
    stamp.symlink_to(tmp_path / "precious")
    tell_if_uncompiled()
    assert (tmp_path / "precious").read_bytes() == b"data"


def test_only_a_terminal_is_told_and_results_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"*1\r\n$4\r\nPING\r\n")
    command = [sys.executable, "-m", "rdbtool", "check-aof", str(path)]
    piped = subprocess.run(command, capture_output=True, check=True)
    assert piped.stderr == b""
    told = []
    for _ in range(2):
        terminal, stderr = pty.openpty()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, check=True)
        os.close(stderr)
        told.append(b"")
        with contextlib.suppress(OSError):  # how Linux says that there is nothing more
            told[-1] = os.read(terminal, 1 << 16)
        os.close(terminal)
        assert done.stdout == piped.stdout
    assert [text.decode().replace("\r\n", "\n") for text in told] == ["" if is_compiled() else NOTICE, ""]
