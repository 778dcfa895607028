"""A set of logs that changes while it is copied is copied as it was at one moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rdbtool.errors import InputError
from rdbtool.io import copying
from rdbtool.tasks.backup import logs
from rdbtool.tasks.backup.logs import copy_log
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
    real = copying.copy_file

    def copy_file(origin: str, *rest: Any, **options: Any) -> bool:
        happenings.get(len(copied), lambda: None)()
        copied.append(os.path.basename(origin))
        return real(origin, *rest, **options)

    monkeypatch.setattr(logs, "copy_file", copy_file)
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
    assert copied == [f"{NAME}.1.base.rdb", f"{NAME}.1.incr.aof", f"{NAME}.2.incr.aof"]


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
