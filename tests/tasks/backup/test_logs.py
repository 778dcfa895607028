"""A set of logs that changes while it is copied is copied as it was at one moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdbtool.aof.check import OK
from rdbtool.errors import InputError
from rdbtool.tasks.backup import logs
from rdbtool.tasks.backup.logs import copy_log
from rdbtool.tasks.backup.run import backup
from rdbtool.tasks.judgement import MET, UNMET
from tests.tasks.backup.crafting import snapshot

NAME = "appendonly.aof"


def command(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words)


def generation(directory: Path, number: int, increments: int = 1) -> Path:
    """Make the set that a server has after so many rewrites; what was there before goes."""
    for old in directory.iterdir():
        if old.suffix != ".manifest":
            old.unlink()
    base = f"{NAME}.{number}.base.rdb"
    (directory / base).write_bytes(snapshot(number * 10))
    lines = [f"file {base} seq {number} type b"]
    for i in range(number, number + increments):
        name = f"{NAME}.{i}.incr.aof"
        (directory / name).write_bytes(command("SET", "k", str(i)))
        lines.append(f"file {name} seq {i} type i")
    temporary = directory / "temp"
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(directory / f"{NAME}.manifest")
    return directory / f"{NAME}.manifest"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "appendonlydir"
    directory.mkdir()
    return directory


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    directory = tmp_path / "copy"
    directory.mkdir()
    return directory


def meanwhile(monkeypatch: pytest.MonkeyPatch, happenings: dict[int, Callable[[], object]]) -> list[str]:
    """Let things happen before the copying of some file: by its number, from 0. What was copied, in order."""
    copied: list[str] = []
    real = logs._Job.copy_part

    def copy_part(job: Any, origin: str, *rest: Any, **options: Any) -> None:
        happenings.get(len(copied), lambda: None)()
        copied.append(os.path.basename(origin))
        real(job, origin, *rest, **options)

    monkeypatch.setattr(logs._Job, "copy_part", copy_part)
    return copied


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_rewrite_while_it_is_copied_means_to_start_again(
    source: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = generation(source, 1, 2)
    meanwhile(monkeypatch, {0: lambda: generation(source, 2, 2), 1: lambda: generation(source, 4, 1)})
    copy_log(str(manifest), str(copy))
    assert contents(copy) == contents(source)


def test_a_rewrite_behind_the_last_copy_is_seen_too(source: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = generation(source, 1, 2)
    seen: list[bytes] = []
    real = logs._read

    def read(path: str) -> bytes:
        if len(seen) == 1:
            generation(source, 3)
        seen.append(real(path))
        return seen[-1]

    monkeypatch.setattr(logs, "_read", read)
    copy_log(str(manifest), str(copy))
    assert contents(copy) == contents(source)


def test_what_is_no_longer_written_is_copied_once(source: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = generation(source, 1, 2)

    def begin_a_rewrite() -> None:
        name = f"{NAME}.3.incr.aof"
        (source / name).write_bytes(b"")
        with manifest.open("a") as stream:
            stream.write(f"file {name} seq 3 type i\n")

    copied = meanwhile(monkeypatch, {1: begin_a_rewrite})
    copy_log(str(manifest), str(copy))
    assert contents(copy) == contents(source)
    last = f"{NAME}.2.incr.aof"  # while the server wrote it, and when it had gone on to the next
    assert copied == [f"{NAME}.1.base.rdb", f"{NAME}.1.incr.aof", last, last, f"{NAME}.3.incr.aof"]


def test_what_the_manifest_calls_history_is_left_out(source: Path, copy: Path) -> None:
    manifest = generation(source, 1)
    with manifest.open("a") as stream:
        stream.write(f"file {NAME}.0.incr.aof seq 0 type h\n".replace("seq 0", "seq 9"))
    copy_log(str(manifest), str(copy))
    assert b"type h" not in (copy / manifest.name).read_bytes()


def test_a_part_that_is_not_there_is_named(source: Path, copy: Path) -> None:
    manifest = generation(source, 1)
    (source / f"{NAME}.1.incr.aof").unlink()
    with pytest.raises(InputError, match=r"appendonly\.aof\.1\.incr\.aof: cannot open"):
        copy_log(str(manifest), str(copy))


def test_nothing_is_a_link_to_what_a_server_has(source: Path, copy: Path) -> None:
    copy_log(str(generation(source, 1, 3)), str(copy))
    assert all(path.stat().st_nlink == 1 for path in copy.iterdir())
    assert not {p.stat().st_ino for p in copy.iterdir()} & {p.stat().st_ino for p in source.iterdir()}


def test_an_endless_row_of_rewrites_is_given_up(source: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = generation(source, 1)
    monkeypatch.setattr(logs, "TRIES", 5)
    meanwhile(monkeypatch, {i: lambda i=i: generation(source, i + 2) for i in range(20)})  # type: ignore[misc]
    with pytest.raises(InputError, match="faster than it can be copied"):
        copy_log(str(manifest), str(copy))


def bytes_read() -> int:
    """What this process has read so far, from anything."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="only Linux tells what a process reads")
@pytest.mark.parametrize("alone", [True, False])
def test_each_byte_of_a_log_is_read_once(alone: bool, source: Path, tmp_path: Path) -> None:
    manifest = generation(source, 1, 3)
    big = command("SET", "k", "v" * 1000) * 5000
    for part in source.glob("*.aof"):
        part.write_bytes(big)
    place = tmp_path / "x.aof"
    place.write_bytes(big * 3)
    size = place.stat().st_size if alone else sum(part.stat().st_size for part in source.iterdir())
    assert backup(str(place if alone else manifest), str(tmp_path / "warm")).verdict == MET
    before = bytes_read()
    assert backup(str(place if alone else manifest), str(tmp_path / "out")).verdict == MET
    assert size <= bytes_read() - before < size * 1.05


def test_what_is_judged_is_what_was_copied(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = generation(source, 1, 2)
    part = source / f"{NAME}.1.incr.aof"
    good, bad = part.read_bytes(), part.read_bytes().replace(b"$1", b"$x", 1)
    for copied, since, verdict in ((good, bad, MET), (bad, good, UNMET)):
        part.write_bytes(copied)
        with monkeypatch.context() as patches:
            meanwhile(patches, {2: lambda since=since: part.write_bytes(since)})  # type: ignore[misc]
            judged = backup(str(manifest), str(tmp_path / verdict))
        assert judged.verdict == verdict
    assert (tmp_path / MET / part.name).read_bytes() == good
    assert sorted(os.listdir(tmp_path)) == sorted(["appendonlydir", MET, f"{MET}.json"])


def test_what_is_cut_off_is_not_judged(source: Path, copy: Path) -> None:
    manifest = generation(source, 1, 2)
    part = source / f"{NAME}.2.incr.aof"
    whole = part.read_bytes()
    part.write_bytes(whole + command("MULTI") + command("NO.SUCH", "x") + b"*2\r\n$3\r\nDE")
    _, checked = copy_log(str(manifest), str(copy))
    verdict, findings = checked[part.name]
    assert (copy / part.name).read_bytes() == whole
    assert (verdict.verdict, verdict.size, verdict.commands, verdict.unknown) == (OK, len(whole), 1, [])
    assert not findings.items
