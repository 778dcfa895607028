"""Files that change while they are read: the report says so, and gives no verdict that holds for no state of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rdbtool.errors import InputError
from rdbtool.exit_codes import of_report
from rdbtool.findings import Findings
from rdbtool.io.window import Window
from rdbtool.rdb.check import verify_rdb
from rdbtool.tasks.check_aof import check_aof
from rdbtool.tasks.check_rdb import check_rdb
from tests.aof.craft import sets
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
