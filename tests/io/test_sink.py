"""Outputs appear whole under their final name, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdbtool.errors import NotSyncedError, OutputError
from rdbtool.io.sink import DirectorySink, commit_all, open_sink


def test_nothing_shows_under_the_final_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with open_sink(str(path)) as sink:
        sink.write(b"a" * 3_000_000)
        sink.write(b"b")
        assert not path.exists()
    assert path.read_bytes() == b"a" * 3_000_000 + b"b"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's advice")
def test_much_is_on_its_way_to_the_disk_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    def advise(_: int, start: int, size: int, advice: int) -> None:
        told.append((start, size))
        assert advice == os.POSIX_FADV_DONTNEED
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "posix_fadvise", advise)
    pieces = [bytes([i]) * 3_000_000 for i in range(9)]
    with open_sink(str(tmp_path / "out")) as sink:
        for piece in pieces:
            sink.write(piece)
    assert told == [(0, 9_000_000), (9_000_000, 9_000_000), (18_000_000, 9_000_000)]
    assert (tmp_path / "out").read_bytes() == b"".join(pieces)


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


def modes(*paths: Path) -> list[int]:
    return [stat.S_IMODE(path.lstat().st_mode) for path in paths]


def through_a_fifo(fifo: Path, write: Callable[[], object]) -> bytes:
    """What a reader of ``fifo`` gets while ``write`` runs."""
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write()
    reader.join(20)
    return got[0]


def put(path: object, data: bytes = b"new", **options: Any) -> None:
    with open_sink(str(path), **options) as sink:
        sink.write(data)


def test_a_fifo_is_written_to_and_stays_one(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    link = tmp_path / "link"
    link.symlink_to("fifo")
    data = bytes(range(256)) * 1000
    assert through_a_fifo(fifo, lambda: put(fifo, data)) == data
    assert through_a_fifo(fifo, lambda: put(link, data)) == data
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["fifo", "link"]


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    full = tmp_path / "full"
    try:
        os.mknod(full, stat.S_IFCHR | 0o600, os.makedev(1, 7))
    except PermissionError:  # only root makes devices; the FIFO takes the same way
        return
    put(full, b"")
    with pytest.raises(OutputError, match="No space left"):
        put(full, b"x" * 5000)
    assert stat.S_ISCHR(full.lstat().st_mode)
    assert os.listdir(tmp_path) == ["full"]


def test_nothing_is_written_to_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
        with pytest.raises(OutputError, match="is a socket"):
            open_sink(str(path))
    assert stat.S_ISSOCK(path.lstat().st_mode)


def test_an_open_descriptor_is_written_to_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before,")
    with path.open("ab") as stream:
        for directory in ("/dev/fd", "/proc/self/fd", f"/proc/{os.getpid()}/fd"):
            put(f"{directory}/{stream.fileno()}", b"new,")
        assert not stream.closed
        os.write(stream.fileno(), b"after")
    assert path.read_bytes() == b"before,new,new,new,after"
    assert os.listdir(tmp_path) == ["out"]


def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    target = tmp_path / "away" / "target"
    for old in (b"old", None):
        if old is None:
            target.unlink()
        else:
            target.write_bytes(old)
        for name, to in (("first", "second"), ("second", "away/target")):
            with contextlib.suppress(FileExistsError):
                (tmp_path / name).symlink_to(to)
        put(tmp_path / "first")
        assert target.read_bytes() == b"new"
        assert not target.is_symlink()
        assert os.readlink(tmp_path / "first") == "second"
    assert sorted(os.listdir(tmp_path)) == ["away", "first", "second"]
    assert os.listdir(tmp_path / "away") == ["target"]


def test_links_that_lead_nowhere_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("missing/x")
    for name, message in (("a", "links that lead to each other"), ("c", "cannot create")):
        with pytest.raises(OutputError, match=message):
            open_sink(str(tmp_path / name))
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_a_new_file_is_for_nobody_to_whom_an_input_is_closed(tmp_path: Path) -> None:
    private, group, readonly = tmp_path / "private", tmp_path / "group", tmp_path / "readonly"
    for path, mode in ((private, 0o600), (group, 0o640), (readonly, 0o444)):
        path.write_bytes(b"x")
        path.chmod(mode)
    out = tmp_path / "out"
    for inputs, mode in (
        ((), 0o644),
        (("-", "missing", "/dev/null"), 0o644),
        ((str(private),), 0o600),
        ((str(group),), 0o640),
        ((str(readonly),), 0o644),
        ((str(group), str(private)), 0o600),
    ):
        mask = os.umask(0o022)
        try:
            put(out, inputs=inputs)
        finally:
            os.umask(mask)
        assert modes(out) == [mode], inputs
        out.unlink()
    put(out, like=str(group), inputs=(str(private),))
    assert modes(out) == [0o640]


def test_root_gives_a_new_file_to_the_owner_of_what_it_comes_from(tmp_path: Path) -> None:
    source, old = tmp_path / "source", tmp_path / "old"
    for path in (source, old):
        path.write_bytes(b"x")
    try:
        os.chown(source, 12345, 12346)
        os.chown(old, 12347, 12348)
    except PermissionError:  # only root gives files away
        return
    put(tmp_path / "new", inputs=(str(source),))
    put(old, inputs=(str(source),))
    with DirectorySink(str(tmp_path / "set"), inputs=(str(source),)) as directory, directory.file("part") as sink:
        sink.write(b"x")
    owners = [((s := (tmp_path / name).stat()).st_uid, s.st_gid) for name in ("new", "old", "set", "set/part")]
    assert owners == [(12345, 12346), (12347, 12348), (12345, 12346), (12345, 12346)]


def test_a_group_that_cannot_be_given_gets_no_more_than_everybody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    source.chmod(0o664)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    put(tmp_path / "new", like=str(source))
    assert modes(tmp_path / "new") == [0o644]


def test_a_directory_appears_whole_and_has_the_mode_of_the_one_it_comes_from(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    source = closed / "x"
    source.write_bytes(b"x")
    source.chmod(0o640)
    out = tmp_path / "out"
    with DirectorySink(f"{out}/", inputs=(str(source),)) as directory:
        with directory.file("part") as sink:
            sink.write(b"x")
        assert not out.exists()
    assert modes(out, out / "part") == [0o700, 0o640]
    assert sorted(os.listdir(tmp_path)) == ["closed", "out"]
    with pytest.raises(OutputError, match="not empty"):
        DirectorySink(str(out))
    with pytest.raises(OutputError, match="no directory"):
        DirectorySink(str(source))


def test_an_empty_directory_is_filled_also_behind_a_link_and_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty").chmod(0o750)
    (tmp_path / "link").symlink_to("empty")
    with DirectorySink(str(tmp_path / "link")) as directory, directory.file("part") as sink:
        sink.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "empty") == ["part"]
    assert modes(tmp_path / "empty") == [0o750]


def test_a_directory_that_another_filled_meanwhile_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    directory = DirectorySink(str(out))
    out.mkdir()
    (out / "theirs").write_bytes(b"x")
    with pytest.raises(OutputError, match="cannot create"):
        directory.commit()
    assert os.listdir(out) == ["theirs"]
    assert os.listdir(tmp_path) == ["out"]
    assert not os.path.exists(directory.temporary)


def test_a_name_that_must_be_free_is_not_taken_from_another(tmp_path: Path) -> None:
    out = tmp_path / "out"
    sink = open_sink(str(out), exclusive=True)
    sink.write(b"ours")
    out.write_bytes(b"theirs")
    with pytest.raises(OutputError, match="File exists"):
        sink.commit()
    assert out.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["out"]


def test_only_ones_own_file_is_withdrawn(tmp_path: Path) -> None:
    for replaced in (False, True):
        sink = open_sink(str(tmp_path / "out"), exclusive=True)
        sink.commit()
        if replaced:
            (tmp_path / "other").write_bytes(b"theirs")
            os.replace(tmp_path / "other", tmp_path / "out")
        sink.withdraw()
        assert (tmp_path / "out").exists() is replaced


def test_without_hard_links_a_free_name_is_taken_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    put(tmp_path / "out", exclusive=True)
    assert (tmp_path / "out").read_bytes() == b"new"
    with pytest.raises(OutputError, match="File exists"):
        put(tmp_path / "out", exclusive=True)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("failing", [0, 1, 2, 3])
def test_of_several_outputs_all_appear_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"old")
    inode = old.stat().st_ino
    replace, rename = os.replace, os.rename
    calls = 0

    def failing_call(real: Callable[..., None]) -> Callable[..., None]:
        def call(*paths: str) -> None:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(errno.EIO, "Input/output error")
            real(*paths)

        return call

    sinks = [open_sink(str(tmp_path / name)) for name in ("new", "old")]
    directory = DirectorySink(str(tmp_path / "set"))
    for sink in sinks:
        sink.write(b"new")
    with directory.file("part") as part:
        part.write(b"new")
    monkeypatch.setattr(os, "replace", failing_call(replace))
    monkeypatch.setattr(os, "rename", failing_call(rename))
    if failing:
        with pytest.raises(OutputError, match="Input/output"):
            commit_all([*sinks, directory])
        assert os.listdir(tmp_path) == ["old"]
        assert (old.read_bytes(), old.stat().st_ino) == (b"old", inode)
    else:
        commit_all([*sinks, directory])
        assert sorted(os.listdir(tmp_path)) == ["new", "old", "set"]
        assert [(tmp_path / name).read_bytes() for name in ("new", "old", "set/part")] == [b"new"] * 3


def test_what_is_there_is_not_called_unwritten_when_its_directory_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fail_for_directories(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", fail_for_directories)
    with pytest.raises(NotSyncedError, match="is written, whole, but a power cut may undo that") as e:
        put(tmp_path / "out")
    assert e.value.path == str(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


MAKING = """
import sys, time
from rdbtool.io.sink import DirectorySink, open_sink
kept = [open_sink({path!r}), DirectorySink({path!r} + '-set')]
kept[0].write(b'x' * 3000000)
kept[1].file('part').write(b'x' * 3000000)
print('made', flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_into_the_same_place(tmp_path: Path) -> None:
    code = MAKING.format(path=str(tmp_path / "out"))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(os.listdir(tmp_path)) == 2
        put(tmp_path / "other")
        assert len(os.listdir(tmp_path)) == 3, "what is being made stays"
        process.kill()
        process.wait()
    assert len(os.listdir(tmp_path)) == 3
    (tmp_path / ".out.0.rdbtool-tmp.not").write_bytes(b"another's")
    (tmp_path / ".link.rdbtool-tmp").symlink_to("other")
    put(tmp_path / "last")
    assert sorted(os.listdir(tmp_path)) == [".link.rdbtool-tmp", ".out.0.rdbtool-tmp.not", "last", "other"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path) -> None:
    name = "ä" * 127
    put(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
