"""What several workers find, each of them in a share of the keys, is what one process finds, in the same order."""

from __future__ import annotations

import io
import os
import random
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rdbtool.errors import RdbToolError
from rdbtool.inputs.filters import select
from rdbtool.inputs.selection import Selection
from rdbtool.model import Entry, Hash, SortedSet, Value
from rdbtool.rdb.events import Function
from rdbtool.rdb.opening import open_rdb_writer
from rdbtool.tasks.diff import run, shares
from rdbtool.tasks.diff.difference import Difference, Side
from rdbtool.tasks.diff.run import Diff, DiffOptions
from rdbtool.tasks.diff.snapshot import open_snapshot

from .parting import SNAPSHOTS, some_damaged

SMALL_TABLE = 20_000


def facts_of(side: Side | None) -> object:
    if side is None:
        return None
    return side.encoding, side.expire_at_ms, side.idle_s, side.freq, side.size, side.meta, side.frame().raw()


def told(difference: Difference) -> object:
    inside: object = ""
    if difference.has_details and not difference.large:
        try:
            inside = list(difference.changes())
        except RdbToolError as e:
            inside = str(e)
    what = (difference.kind, difference.db, difference.key, difference.type, difference.differs, difference.codes)
    return *what, difference.large, facts_of(difference.left), facts_of(difference.right), inside


def found(
    left: Path, right: Path, options: DiffOptions, executor: Executor | None = None, workers: int = 0
) -> tuple[Any, Any, object]:
    """All that is told, up to an error."""
    differences: list[object] = []
    selection = options.selection
    if selection is not None:
        selection.kept = 0
    try:
        with open_snapshot(str(left)) as a, open_snapshot(str(right)) as b:
            diff = Diff(a, b, options, executor=executor, workers=workers)
            differences += map(told, diff)
            return differences, diff.report.as_json(), selection and int(selection.kept)
    except RdbToolError as e:
        return differences, str(e), e.code


def same(left: Path, right: Path, **options: object) -> tuple[list[Any], dict[str, Any]]:
    """What one process finds, which two and three find too."""
    asked = DiffOptions(**options)  # type: ignore[arg-type]  # passed on
    one = found(left, right, asked)
    for workers in (2, 3):
        with ThreadPoolExecutor(workers) as executor:
            assert found(left, right, asked, executor, workers) == one
    return one[:2]


def value_of(rng: random.Random, changed: float) -> Value:
    fields = [b"%d" % i for i in range(rng.randrange(1, 9))]
    body = rng.randbytes(rng.choice([3, 40])) if rng.random() < changed else b"body"
    kind = rng.randrange(4)
    if kind == 0:
        return body
    rng.shuffle(fields)
    if kind == 1:
        return Hash(dict.fromkeys(fields, body))
    if kind == 2:
        return dict.fromkeys([*fields, body])
    return SortedSet(dict.fromkeys([*fields, body], 1.5))


def entries(seed: int, changed: float) -> list[Entry]:
    """About 600 keys; with another seed nearly as many of them, with other orders, and this share of others."""
    rng = random.Random(seed)
    made = []
    for i in range(700):
        values = random.Random(i)  # of one type in both
        if rng.random() < 0.1:
            continue
        value = value_of(values, 0.0)
        if rng.random() < changed:
            value = value_of(rng, 1.0)
        elif isinstance(value, dict):
            members = list(value)
            rng.shuffle(members)
            value = dict.fromkeys(members)
        expires = 1_900_000_000_000 + rng.choice([0, 0, 5]) if i % 3 == 0 else -1
        made.append(Entry(i % 3, b"key:%d" % i, value, expires, rng.choice([7, 7, 8]) if i % 2 else -1))
    rng.shuffle(made)
    return sorted(made, key=lambda entry: entry.db)


def snapshot(path: Path, made: list[Entry], libraries: tuple[bytes, ...] = ()) -> Path:
    sink = io.BytesIO()
    with open_rdb_writer(sink, "redis-7.2", compress=False) as writer:
        for code in libraries:
            writer.event(Function(-1, b"#!lua name=" + code))
        for entry in made:
            writer.entry(entry)
    path.write_bytes(sink.getvalue())
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    seed = random.getrandbits(32)
    print("seed", seed)
    left = snapshot(tmp_path / "left.rdb", entries(seed, 0.0), (b"one\nx", b"two\nx"))
    return left, snapshot(tmp_path / "right.rdb", entries(seed + 1, 0.2), (b"two\ny", b"three\nx"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ignore_expiry": True},
        {"ttl_tolerance_ms": 4, "eviction": True},
        {"encodings": True},
        {"selection": select(keys=["*1*"])},
        {"selection": select(dbs=[1], types=["hash"])},
        {"keep_going": True},
    ],
    ids=str,
)
def test_options_mean_the_same(options: dict[str, object], pair: tuple[Path, Path]) -> None:
    differences, report = same(pair[0], pair[1], **options)
    assert len(differences) > 5
    assert report["passes"] == 1


def test_differences_of_several_passes_have_their_order(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiffOptions, "table_limit", SMALL_TABLE)
    monkeypatch.setattr(shares, "TOGETHER", 3)
    differences, report = same(*pair)
    assert len(differences) > 100
    assert report["passes"] == 16


def test_what_takes_too_much_memory_for_a_share_of_it_is_compared_by_the_process_that_waits(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "LARGE_SHARE", DiffOptions().memory_limit // 100)
    asked: list[tuple[str, ...] | None] = []
    before = Diff.difference

    def noted(self: Diff, match: object, differs: tuple[str, ...] | None = None) -> Difference | None:
        if self.decided < 0:
            asked.append(differs)
        return before(self, match, differs)  # type: ignore[arg-type]  # passed on

    differences, _ = same(*pair)
    assert any(difference[6] for difference in differences)
    monkeypatch.setattr(Diff, "difference", noted)
    with ThreadPoolExecutor(2) as executor:
        found(*pair, DiffOptions(), executor, 2)
    assert 0 < asked.count(None) < len(asked)


def test_snapshots_of_servers_are_told_alike(tmp_path: Path) -> None:
    seed = random.getrandbits(32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(40):
        left = rng.choice(SNAPSHOTS)
        near = [path for path in SNAPSHOTS if path.parent == left.parent]
        right = tmp_path / "right.rdb"
        right.write_bytes(rng.choice(near).read_bytes())
        same(left, right, memory_limit=64 << 20)


def test_damage_is_told_alike(tmp_path: Path) -> None:
    right = tmp_path / "right.rdb"
    for rng in some_damaged(right, 40, 0.8):
        left = rng.choice(SNAPSHOTS)
        sides = (left, right) if rng.random() < 0.5 else (right, left)
        same(*sides, keep_going=rng.random() < 0.2)


def test_a_database_that_comes_again_is_told_alike(tmp_path: Path) -> None:
    made = [Entry(i // 5 % 2, b"%d" % i, b"value") for i in range(60)]
    left = snapshot(tmp_path / "left.rdb", made)
    right = snapshot(tmp_path / "right.rdb", [Entry(entry.db, entry.key, b"x") for entry in made[::7]])
    differences, _ = same(left, right)
    kinds = [difference[0] for difference in differences]
    assert kinds == ["changed"] * 9 + ["removed"] * 51


class Refusing(ThreadPoolExecutor):
    """Nobody is to ask for it."""

    def submit(self, *_: object, **__: object) -> object:  # type: ignore[override]  # whatever is asked
        raise AssertionError("it was asked")


@pytest.mark.parametrize("what", ["keep going", "compressed", "limit", "no room"])
def test_one_process_does_what_only_one_can(
    what: str, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    left, right = pair
    options = DiffOptions(keep_going=what == "keep going")
    if what == "compressed":
        right = tmp_path / "right.gz"
        right.write_bytes(gzip.compress(pair[1].read_bytes()))
    if what == "limit":
        options.selection = Selection()
        options.selection.limit = 1 << 40
    if what == "no room":
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with Refusing() as executor:
        assert found(left, right, options, executor, 2) == found(left, right, options)


def test_where_most_keys_are_new_one_process_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MANY", 5)
    left = snapshot(tmp_path / "left.rdb", [Entry(0, b"%d" % i, b"value") for i in range(60)])
    right = snapshot(tmp_path / "right.rdb", [Entry(0, b"%d" % i, b"value") for i in range(30, 200)])
    differences, _ = same(left, right)
    assert len(differences) == 140 + 30
    few = snapshot(tmp_path / "few.rdb", [Entry(0, b"%d" % i, b"value") for i in range(80)])
    for other, is_one in ((right, True), (few, False)):
        with (
            ThreadPoolExecutor(2) as executor,
            open_snapshot(str(left)) as a,
            open_snapshot(str(other)) as b,
            shares.in_shares(Diff(a, b), executor, 2) as answer,
        ):
            assert (answer is None) is is_one


def test_without_room_for_what_differs_one_process_does_it(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    one = found(*pair, DiffOptions())
    monkeypatch.setattr("rdbtool.tasks.diff.shares.marshal.dumps", full)
    with ThreadPoolExecutor(2) as executor:
        assert found(*pair, DiffOptions(), executor, 2) == one


def test_a_file_that_another_one_has_taken_the_place_of_is_compared_as_it_was(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    left, right = pair
    data = right.read_bytes()
    answers = []
    with ThreadPoolExecutor(2) as pool:
        for executor in (None, pool):
            right.write_bytes(data)
            (tmp_path / "other.rdb").write_bytes(left.read_bytes())
            with open_snapshot(str(left)) as a, open_snapshot(str(right)) as b:
                (tmp_path / "other.rdb").replace(right)
                answers.append(list(map(told, Diff(a, b, executor=executor, workers=2))))
    assert len(answers[0]) > 100
    assert answers[1] == answers[0]
