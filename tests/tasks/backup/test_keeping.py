"""Old backups go when new ones are good, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rdbtool.errors import OutputError, UsageError
from rdbtool.tasks.backup import run as backup_run
from rdbtool.tasks.backup.keeping import Keep, chosen
from rdbtool.tasks.backup.naming import naming
from rdbtool.tasks.backup.record import Made, made_at
from rdbtool.tasks.backup.run import BackupOptions, backup
from rdbtool.tasks.judgement import MET
from rdbtool.tasks.verify.expectations import expectations
from tests.tasks.backup.crafting import shown, snapshot

START = datetime(2026, 1, 1, 3, tzinfo=UTC)


def made(days: float) -> Made:
    taken = START + timedelta(days=days)
    return Made(f"{taken:%Y-%m-%d}.rdb", "s", int(taken.timestamp()))


def kept(keep: Keep, *days: float) -> list[str]:
    return sorted(path[5:10] for path in chosen([made(day) for day in days], keep))


def test_the_newest_stay_and_the_last_of_each_day_and_week() -> None:
    days = [0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 31]
    assert kept(Keep(newest=2), *days) == ["01-16", "02-01"]
    assert kept(Keep(daily=3), *days) == ["01-15", "01-16", "02-01"]
    assert kept(Keep(weekly=3), *days) == ["01-08", "01-16", "02-01"]
    assert kept(Keep(newest=1, daily=2, weekly=4), *days) == ["01-04", "01-08", "01-16", "02-01"]


def test_of_a_day_only_the_last_stays_but_the_newest_always_does() -> None:
    morning, noon = made(0), Made("noon.rdb", "s", made(0.4).taken_s)
    assert chosen([morning, noon], Keep(daily=9)) == {"noon.rdb"}
    assert chosen([morning, noon], Keep(newest=0)) == {"noon.rdb"}


def test_names_are_told_apart() -> None:
    names = naming("/b/x-{time}-{keys}.rdb", "")
    path = names.filled(taken_s=0, keys=12, digest="d" * 40)
    assert path == "/b/x-19700101T000000Z-12.rdb"
    assert names.is_name("x-19700101T000000Z-12.rdb")
    for other in ("x-19700101T000000Z-.rdb", "y-19700101T000000Z-1.rdb", "x-19700101T000000Z-1.rdb.json", "x.rdb"):
        assert not names.is_name(other)


@pytest.mark.parametrize("name", ["", "-", "x-{date}.rdb", "{time}/x.rdb", "x.json", "x.rdb.gz"])
def test_what_is_no_name_of_a_backup_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        naming(name, "", "zstd")


class Clock:
    """A night each time."""

    def __init__(self) -> None:
        self.night = 0

    def time(self) -> float:
        self.night += 1
        return (START + timedelta(days=self.night)).timestamp()


@pytest.fixture
def nights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_run, "time", Clock())


@pytest.mark.usefixtures("nights")
def test_only_what_was_made_of_the_same_source_under_such_names_is_removed(tmp_path: Path) -> None:
    a, b = tmp_path / "a.rdb", tmp_path / "b.rdb"
    for source in (a, b):
        source.write_bytes(snapshot(10))
    out = tmp_path / "out"
    out.mkdir()
    others = {"dump-20200101T000000Z.rdb", "notes.json", "dump-20200101T000001Z.rdb.json", "dump.rdb"}
    for name in others:
        (out / name).write_bytes(b"{}" if name.endswith(".json") else a.read_bytes())
    assert backup(str(b), str(out)).verdict == MET
    assert backup(str(a), f"{out}/weekly-{{time}}.rdb").verdict == MET
    before = shown(out)
    for _ in range(5):
        assert backup(str(a), str(out), options=BackupOptions(keep=Keep(newest=2))).verdict == MET
    new = shown(out) - before
    assert before < shown(out)
    assert new == {
        "dump-20260108T030000Z.rdb",
        "dump-20260108T030000Z.rdb.json",
        "dump-20260107T030000Z.rdb",
        "dump-20260107T030000Z.rdb.json",
    }


@pytest.mark.usefixtures("nights")
def test_a_backup_that_is_not_good_removes_nothing(tmp_path: Path) -> None:
    source = tmp_path / "dump.rdb"
    source.write_bytes(snapshot(10))
    out = tmp_path / "out"
    out.mkdir()
    options = BackupOptions(keep=Keep(newest=1))
    assert backup(str(source), str(out), options=options).verdict == MET
    before = shown(out)
    whole = source.read_bytes()
    for bad in (whole[:-1], whole[:-20], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"REDIS"):
        source.write_bytes(bad)
        judged = backup(str(source), str(out), options=options)
        assert judged.verdict != MET
        assert judged.notes[-1].startswith("nothing was written")
        assert shown(out) == before
        assert len(list(out.iterdir())) == len(before)
    source.write_bytes(whole)
    assert backup(str(source), str(out), expectations(min_keys=11), options).verdict != MET
    assert shown(out) == before


@pytest.mark.usefixtures("nights")
def test_a_fixed_name_is_replaced_only_where_we_made_what_has_it(tmp_path: Path) -> None:
    source, copy = tmp_path / "dump.rdb", tmp_path / "copy.rdb"
    source.write_bytes(snapshot(10))
    copy.write_bytes(b"mine")
    with pytest.raises(OutputError, match="no backup that this command made"):
        backup(str(source), str(copy))
    assert copy.read_bytes() == b"mine"
    assert backup(str(source), str(copy), options=BackupOptions(overwrite=True)).verdict == MET
    source.write_bytes(snapshot(20))
    assert backup(str(source), str(copy)).verdict == MET
    assert copy.read_bytes() == source.read_bytes()
    assert made_at(str(copy)) is not None


@pytest.mark.usefixtures("nights")
def test_a_backup_is_compared_with_the_one_before(tmp_path: Path) -> None:
    source, out = tmp_path / "dump.rdb", tmp_path / "out"
    out.mkdir()
    wanted = expectations(max_shrink="20%")
    source.write_bytes(snapshot(100))
    first = backup(str(source), str(out), wanted)
    assert first.verdict == MET
    assert "there is no earlier backup to compare with" in first.notes
    source.write_bytes(snapshot(90))
    assert backup(str(source), str(out), wanted).verdict == MET
    source.write_bytes(snapshot(50))
    judged = backup(str(source), str(out), wanted)
    assert [check.name for check in judged.checks if not check.met] == ["max-shrink bytes", "max-shrink keys"]
