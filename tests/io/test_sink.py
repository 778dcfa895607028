"""Outputs appear whole under their final name, or not at all."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from rdbtool.errors import OutputError
from rdbtool.io.sink import open_sink


def test_nothing_shows_under_the_final_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with open_sink(str(path)) as sink:
        sink.write(b"a" * 3_000_000)
        sink.write(b"b")
        assert not path.exists()
    assert path.read_bytes() == b"a" * 3_000_000 + b"b"
    assert os.listdir(tmp_path) == ["out"]


def test_an_exception_leaves_what_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def fail() -> None:
        with open_sink(str(path)) as sink:
            sink.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]


def test_an_input_is_never_replaced_under_any_of_its_names(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"precious")
    link = tmp_path / "link"
    link.symlink_to(path)
    hard = tmp_path / "hard"
    os.link(path, hard)
    for name in (path, link, hard):
        with pytest.raises(OutputError, match="input of this run"):
            open_sink(str(name), inputs=(str(path),))


def test_the_new_file_has_the_mode_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with open_sink(str(path)) as sink:
        sink.write(b"new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_missing_directory_and_a_directory_as_target_are_errors(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot create"):
        open_sink(str(tmp_path / "missing" / "out"))
    with pytest.raises(OutputError, match="is a directory"):
        open_sink(str(tmp_path))


def test_a_full_disk_is_an_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from rdbtool.errors import OutputError
from rdbtool.io.sink import open_sink
try:
    with open_sink({str(path)!r}) as sink:
        sink.write(b"x" * 5000)
except OutputError as e:
    print(e)
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "cannot write" in shown
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
