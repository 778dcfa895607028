"""Files that change while they are read: the report says so, and gives no verdict that holds for no state of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rdbtool.errors import ChangedError, InputError
from rdbtool.exit_codes import of_report
from rdbtool.findings import Findings
from rdbtool.io.output import Output
from rdbtool.io.window import Window
from rdbtool.rdb.check import verify_rdb
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.convert import convert
from rdbtool.tasks.digest import digest
from rdbtool.tasks.dump import dump
from tests.aof.craft import sets
from tests.outputs.collected import Collected, exporter
from tests.rdb.craft import rdb, record, string

SNAPSHOT = rdb(*(record(0, b"key %d" % i, string(b"v" * 50)) for i in range(10_000)))


def once(change: Callable[[], object]) -> Callable[[int, int], None]:
    """A progress that makes the change at the first bytes read."""
    left = [change]

    def progress(_done: int, _size: int) -> None:
        if left:
            left.pop()()

    return progress


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def grow(path: Path, data: bytes = b"more") -> None:
    with path.open("ab") as stream:
        stream.write(data)


def overwrite(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(path.stat().st_size // 2)
        stream.write(bytes(1000))
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    ("change", "says"), [(shrink, "it shrank to"), (grow, "it grew to"), (overwrite, "it was written to")]
)
def test_a_snapshot_that_changes_is_said_to(change: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(SNAPSHOT)
    report = check_rdb(path, progress=once(lambda: change(path)))
    (found,) = [finding for finding in report.findings.items if finding.code == "changed"]
    assert says in found.message
    assert of_report(report) == 2


@pytest.mark.parametrize(("change", "says"), [(shrink, "it shrank to"), (overwrite, "it was written to")])
def test_a_log_that_changes_is_said_to(change: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(sets(10_000, 50))
    report = check_aof(path, progress=once(lambda: change(path)))
    (found,) = [finding for finding in report.findings.items if finding.code == "changed"]
    assert says in found.message
    assert of_report(report) == 2


def test_a_log_to_which_a_server_appends_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(sets(10_000, 50))
    report = check_aof(path, progress=once(lambda: grow(path, sets(3))))
    assert report.verdict == "ok"
    assert of_report(report) == 0


def test_a_snapshot_that_is_replaced_is_judged_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(SNAPSHOT)
    other = tmp_path / "other"
    other.write_bytes(b"nothing")
    report = check_rdb(path, progress=once(lambda: other.rename(path)))
    assert report.facts is not None
    assert report.facts.keys == 10_000
    assert of_report(report) == 0


def of_digest(path: Path, progress: Callable[[int, int], None]) -> object:
    return digest(path, progress=progress)


def of_conversion(path: Path, progress: Callable[[int, int], None]) -> object:
    return convert([path], path.with_suffix(".out.jsonl"), progress=progress)


def of_dump(path: Path, progress: Callable[[int, int], None]) -> object:
    return dump(str(path), exporter("jsonl", Output(Collected())), progress=progress)


READERS = [of_digest, of_conversion, of_dump]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("change", "says"), [(shrink, "it shrank to"), (grow, "it grew to"), (overwrite, "it was written to")]
)
def test_whatever_reads_a_snapshot_that_changes_says_so_and_not_that_it_is_damaged(
    read: Callable[[Path, Callable[[int, int], None]], object],
    change: Callable[[Path], None],
    says: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(SNAPSHOT)
    with pytest.raises(ChangedError, match=says):
        read(path, once(lambda: change(path)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["dump.rdb"]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(("change", "says"), [(shrink, "it shrank to"), (overwrite, "it was written to")])
def test_whatever_replays_a_log_that_changes_says_so(
    read: Callable[[Path, Callable[[int, int], None]], object],
    change: Callable[[Path], None],
    says: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.aof"
    path.write_bytes(sets(20_000, 50))
    with pytest.raises(ChangedError, match=says):
        read(path, once(lambda: change(path)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.aof"]


def a_set(folder: Path, seq: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"a.aof.{seq}.base.rdb").write_bytes(SNAPSHOT)
    (folder / f"a.aof.{seq}.incr.aof").write_bytes(sets(1000, 50))
    (folder / "a.aof.manifest").write_text(
        f"file a.aof.{seq}.base.rdb seq {seq} type b\nfile a.aof.{seq}.incr.aof seq {seq} type i\n"
    )
    return folder


@pytest.mark.parametrize("read", [of_digest, of_conversion, lambda path, progress: check_aof(path, progress=progress)])
def test_a_set_whose_files_a_rewrite_removes_is_said_to_change(
    read: Callable[[Path, Callable[[int, int], None]], object], tmp_path: Path
) -> None:
    folder = a_set(tmp_path / "set", 1)

    def rewritten() -> None:
        a_set(folder, 2)
        for old in folder.glob("a.aof.1.*"):
            old.unlink()

    with pytest.raises(ChangedError, match="a rewrite has replaced"):
        read(folder, once(rewritten))
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


class Failing:
    """A file that cannot be read from some place on."""

    def __init__(self, data: bytes, good: int) -> None:
        self.data = data[:good]

    def read(self, n: int, /) -> bytes:
        piece, self.data = self.data[:n], self.data[n:]
        if not piece:
            raise OSError(5, "Input/output error")
        return piece


def test_what_cannot_be_read_is_not_called_damaged() -> None:
    findings = Findings()
    facts = verify_rdb(Window(Failing(SNAPSHOT, 200_000), size=len(SNAPSHOT)), findings)
    assert not facts.complete
    assert set(findings.counts) == {InputError.code}
    assert "Input/output error" in findings.items[0].message
