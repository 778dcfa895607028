"""What a page tells, as data: the boxes of its map, the balance of slots, and findings that are told once."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from rdbtool.analysis.prefixes import Branch, Prefix, Prefixes, PrefixTree
from rdbtool.errors import InputError
from rdbtool.findings import Severity
from rdbtool.tasks.report.run import report
from rdbtool.tasks.report.shares import Balance, Box, balances_of, boxes_of
from tests.rdb import craft

ROOT = Path(__file__).resolve().parents[2]
WHOLE = ROOT / "fixtures/rdb/redis-7.4.1/small-plain.rdb"


def tree_of(keys: dict[bytes, int], *, depth: int = 3, limit: int = 10_000) -> Branch:
    tree = PrefixTree(Prefixes(depth=depth, limit=limit))
    for key, size in keys.items():
        tree.add(key, size, size)
    return tree.tree()


def test_a_prefix_holds_its_keys_and_further_prefixes() -> None:
    keys = {b"a:b:1": 10, b"a:b:2": 10, b"a:1": 5, b"c:1": 3, b"d": 1}
    assert boxes_of(tree_of(keys)) == [
        Box(b"", -1, 5, 29),
        Box(b"", 0, 1, 1, own=True),
        Box(b"a:", 0, 3, 25),
        Box(b"a:", 2, 1, 5, own=True),
        Box(b"a:b:", 2, 2, 20),
        Box(b"c:", 0, 1, 3),
    ]


def test_without_keys_there_is_one_box() -> None:
    assert boxes_of(Branch(b"", Prefix(None, 0))) == [Box(b"", -1, 0, 0)]


@pytest.mark.parametrize("most", [0, 1, 10, 1000])
def test_what_is_too_much_is_summed_where_it_belongs(most: int) -> None:
    rng = random.Random(most)
    keys = {b"%d:%d:%d" % (rng.randrange(9), rng.randrange(9), i): rng.randrange(1, 1000) for i in range(2000)}
    boxes = boxes_of(tree_of(keys, limit=60), most)
    assert sum(not box.own and not box.other for box in boxes) <= most + 1
    assert boxes[0].bytes == sum(keys.values())
    for at, box in enumerate(boxes):
        inside = [other for other in boxes if other.parent == at]
        assert not inside or sum(other.bytes for other in inside) == box.bytes
        assert not inside or sum(other.keys for other in inside) == box.keys
        assert box.parent < at


def test_balance_is_that_of_equal_ranges_of_slots() -> None:
    even = balances_of([1] * 16384)
    assert [one.masters for one in even] == [3, 6, 12]
    assert all(one.most - one.least < 0.0001 for one in even)
    # redis-cli --cluster create gives three masters 0-5460, 5461-10922 and 10923-16383
    for slot, shares in ((5460, [1, 0, 0]), (5461, [0, 1, 0]), (10922, [0, 1, 0]), (10923, [0, 0, 1])):
        slots = [0] * 16384
        slots[slot] = 10
        slots[0 if shares[0] else 8000 if shares[1] else 16000] += 90
        assert balances_of(slots)[0] == Balance(3, 0.0, 1.0)
    assert balances_of([0] * 16384)[0] == Balance(3, 0.0, 0.0)


def test_damage_is_told_once_and_what_a_replay_missed_as_well(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(WHOLE.read_bytes()[:5000])
    told = report(path)
    assert (told.partial, told.checked, len(told.findings.of(Severity.ERROR))) == (True, True, 1)
    path.write_bytes(WHOLE.read_bytes().replace(b"user", b"User").replace(b"str:a43", b"str:A43"))
    assert report(path).findings.counts == {"checksum": 1}
    log = Path(shutil.copy(ROOT / "fixtures/aof/truncated.aof", tmp_path))
    assert sorted(report(log).findings.counts) == ["replayed", "truncated-command"]


def test_what_is_read_is_all_that_there_is(tmp_path: Path) -> None:
    told = report(WHOLE, top=3)
    assert (told.partial, told.checked, told.findings.items, told.loss) == (False, True, [], False)
    assert told.measured.contents.total.keys == 115
    assert len(told.measured.contents.by_bytes.ranked()) == 3
    assert told.size == WHOLE.stat().st_size
    with pytest.raises(InputError):
        report(tmp_path / "missing")
    with pytest.raises(InputError):
        report(tmp_path)


def test_a_duplicate_key_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    path.write_bytes(craft.rdb(*(craft.record(0, b"twice", craft.string(b"v")) for _ in range(2))))
    told = report(path)
    assert told.failed
    assert not told.partial
