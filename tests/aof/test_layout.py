from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rdbtool.aof.layout import locate
from rdbtool.aof.resp import Command
from rdbtool.errors import FormatError, InputError, UsageError
from tests.aof.craft import FIXTURES, command, sets
from tests.aof.reading import read_files


@pytest.fixture
def multi(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / "multi", tmp_path / "appendonlydir"))


def codes(path: Path) -> list[str]:
    return [f.code for f in locate(str(path)).findings]


def test_a_directory_is_read_through_its_manifest(multi: Path) -> None:
    for path in (multi, multi / "appendonly.aof.manifest", multi.parent):
        layout = locate(str(path))
        assert [f.role for f in layout.files] == ["base", "incr", "incr", "incr", "incr"]
        assert layout.is_set
        assert not layout.findings


def test_history_is_apart() -> None:
    layout = locate(str(FIXTURES / "multi-rdb"))
    assert [f.role for f in layout.files] == ["base", "incr"]
    assert [f.role for f in layout.history] == ["history", "history"]


def test_a_single_log_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "appendonly.aof"
    path.write_bytes(sets(1))
    for name in (path, tmp_path):
        layout = locate(str(name))
        assert [(f.path, f.role) for f in layout.files] == [(str(path), "aof")]
        assert not layout.is_set


def test_a_log_that_mentions_file_is_no_manifest(tmp_path: Path) -> None:
    path = tmp_path / "x.aof"
    path.write_bytes(command("SET", "k", "\r\nfile a seq 1 type b\n"))
    assert not locate(str(path)).is_set


def test_a_missing_file_is_told(multi: Path) -> None:
    (multi / "appendonly.aof.5.incr.aof").unlink()
    layout = locate(str(multi))
    assert [f.missing for f in layout.files] == [False, False, False, True, False]
    assert [f.code for f in layout.findings] == ["missing-file"]
    with pytest.raises(InputError, match="not there"):
        list(read_files(layout))


def test_gaps_strangers_and_leftovers_are_told(multi: Path) -> None:
    manifest = multi / "appendonly.aof.manifest"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(line for line in lines if b".5.incr" not in line))
    (multi / "temp-appendonly.aof.incr").write_bytes(b"")
    (multi / "temp-rewriteaof-12.aof").write_bytes(b"")
    (multi / "appendonly.aof.3.incr.aof.cut-12").write_bytes(b"saved by a repair")
    assert codes(multi) == ["sequence-gap", "not-in-manifest", "leftover", "leftover"]


def test_a_file_named_twice_is_told(multi: Path) -> None:
    manifest = multi / "appendonly.aof.manifest"
    manifest.write_bytes(manifest.read_bytes() + b"file appendonly.aof.3.incr.aof seq 9 type i\n")
    assert "named-twice" in codes(multi)


def test_parts_without_a_manifest_are_told(multi: Path) -> None:
    (multi / "appendonly.aof.manifest").unlink()
    layout = locate(str(multi))
    assert [f.code for f in layout.findings] == ["no-manifest"]
    assert [f.role for f in layout.files] == ["base", "incr", "incr", "incr", "incr"]


def test_an_unfinished_upgrade_is_found_beside_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "appendonlydir"
    directory.mkdir()
    (directory / "appendonly.aof.manifest").write_bytes(b"file appendonly.aof seq 1 type b\n")
    (tmp_path / "appendonly.aof").write_bytes(sets(1))
    layout = locate(str(directory))
    assert [f.code for f in layout.findings] == ["unfinished-upgrade"]
    assert os.path.samefile(layout.files[0].path, tmp_path / "appendonly.aof")


def test_several_manifests_have_to_be_named(multi: Path) -> None:
    shutil.copy(multi / "appendonly.aof.manifest", multi / "other.aof.manifest")
    with pytest.raises(UsageError, match="several manifests"):
        locate(str(multi))


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        locate(str(tmp_path))
    with pytest.raises(InputError):
        locate(str(tmp_path / "gone"))
    (tmp_path / "x.manifest").write_bytes(b"")
    with pytest.raises(FormatError, match="empty"):
        locate(str(tmp_path))


def test_the_files_of_a_set_are_read_in_order() -> None:
    names = []
    commands = 0
    keys = 0
    for reader in read_files(locate(str(FIXTURES / "multi-rdb"))):
        names.append(os.path.basename(reader.file.path))
        if reader.preamble is not None:
            keys += sum(hasattr(event, "key") for event in reader.preamble)
        while (event := reader.log.next()) is not None:
            commands += isinstance(event, Command)
    assert names == ["appendonly.aof.2.base.rdb", "appendonly.aof.2.incr.aof"]
    assert keys > 100
    assert commands > 0


def test_a_log_behind_a_snapshot_is_read_with_offsets_of_the_file() -> None:
    (reader,) = read_files(locate(str(FIXTURES / "preamble+tail.aof")))
    assert reader.preamble is not None
    for _ in reader.preamble:
        pass
    event = reader.log.next()
    assert isinstance(event, Command)
    data = (FIXTURES / "preamble+tail.aof").read_bytes()
    assert data[event.offset : event.offset + 1] == b"*"
    assert event.args[0] == b"SELECT"
