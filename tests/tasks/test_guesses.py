"""Where parts of a snapshot begin is guessed, and a wrong guess changes nothing."""

from __future__ import annotations

import io
import random
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rdbtool.inputs.selection import Selection
from rdbtool.io.source import open_input
from rdbtool.model import Entry, Hash, Value
from rdbtool.outputs.options import OutputOptions
from rdbtool.rdb.cutting import Cutter
from rdbtool.rdb.events import SelectDb
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.rdb.reader import NOWHERE, RdbReader
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.parts import cutter_of
from tests.tasks.answering import counted, digested, dumped


def snapshot(path: Path, entries: list[Entry]) -> Path:
    sink = io.BytesIO()
    with open_rdb_writer(sink, "redis-7.2", compress=False) as writer:
        for entry in entries:
            writer.entry(entry)
    path.write_bytes(sink.getvalue())
    return path


def entries(count: int, *, dbs: int = 1) -> list[Entry]:
    rng = random.Random(5)
    found: list[Entry] = []
    for i in range(count):
        value: Value = rng.randbytes(rng.randrange(60))
        if i % 3 == 0:
            value = Hash({b"field": rng.randbytes(9), b"other": b"%d" % i})
        found.append(Entry(i * dbs // count, b"user:%d" % i, value, 1_900_000_000_000 + i if i % 2 else -1))
    return found


def starts(path: Path) -> list[int]:
    with open_input(str(path)) as source:
        reader = RdbReader(source.window(), checksum=False)
        return [int(event.offset) for event in reader if isinstance(event, Frame | SelectDb)]


def same(path: Path) -> None:
    """All that is read by parts is what one process reads."""
    with ThreadPoolExecutor(2) as executor:
        checks = [
            check_rdb(path, now_ms=0, executor=each, workers=2, portion=700).as_json() for each in (executor, None)
        ]
    assert checks[0] == checks[1]
    assert counted(path, 2, 700) == counted(path, 0, 0)
    assert digested(path, 700) == digested(path, 0)
    for options in (OutputOptions("jsonl"), OutputOptions("resp")):
        assert dumped(path, options, Selection(), 700) == dumped(path, options, Selection(), 0)


@pytest.fixture
def missed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where records begin that a guess had missed."""
    found: list[int] = []
    before = Cutter.missed

    def noted(self: Cutter, at: int, db: int) -> None:
        found.append(at)
        before(self, at, db)

    monkeypatch.setattr(Cutter, "missed", noted)
    return found


def test_all_guesses_are_beginnings_of_records(tmp_path: Path, missed: list[int]) -> None:
    path = snapshot(tmp_path / "plain.rdb", entries(1500))
    with open_input(str(path)) as source:
        w = source.window()
        cutter = cutter_of(w)
        ends = []
        while (part := cutter.next(500)) is not None:
            ends.append(int(part.end))
        assert w.offset() < 2000, "the rest of the file was not read"
    assert len(ends) > 50
    assert set(ends[:-1]) <= set(starts(path))
    assert ends[-1] == NOWHERE
    same(path)
    assert not missed


def test_a_value_that_looks_like_records_misleads_nobody(tmp_path: Path, missed: list[int]) -> None:
    inner = snapshot(tmp_path / "inner.rdb", entries(200)).read_bytes()
    some = entries(60)
    some[30:30] = [Entry(0, b"backup", inner * 2), Entry(0, b"list", deque([inner, inner]))]
    same(snapshot(tmp_path / "outer.rdb", some))
    assert missed


def test_a_guess_of_the_database_that_is_wrong_is_put_right(tmp_path: Path, missed: list[int]) -> None:
    same(snapshot(tmp_path / "dbs.rdb", entries(400, dbs=9)))
    assert missed


def test_a_few_wrong_guesses_do_not_end_the_guessing_and_many_do(tmp_path: Path) -> None:
    path = snapshot(tmp_path / "plain.rdb", entries(1500))
    with open_input(str(path)) as source:
        cutter = cutter_of(source.window())
        first, second = cutter.next(500), cutter.next(500)
        assert first is not None
        assert second is not None
        cutter.missed(second.start, 7)
        third = cutter.next(500)
        assert third is not None
        assert (third.start, third.db, cutter.reader.window.offset() < 2000) == (second.end, 7, True)
        for _ in range(6):
            cutter.missed(third.start, 0)
        rest = list(iter(lambda: cutter.next(500), None))
        assert cutter.reader.window.at_end()
    assert {int(part.start) for part in rest} <= set(starts(path))
