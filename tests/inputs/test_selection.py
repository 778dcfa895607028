"""Which keys are wanted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rdbtool.errors import UsageError
from rdbtool.inputs.filters import key_of, select, slot_map, slot_ranges
from rdbtool.inputs.selection import TTL_ANY, TTL_NONE, Selection, matches_glob
from rdbtool.io.window import Window
from rdbtool.model import Entry
from rdbtool.rdb.frame import Frame
from rdbtool.rdb.reader import RdbReader
from tests.outputs.collected import Pieces
from tests.rdb import craft
from tests.servers.harness import SERVERS, ServerKind, running

SEED = 42
PATTERNS = [b"*", b"a*", b"*a", b"?", b"a?c", b"[abc]*", b"[^a]b", b"[a-c]x", b"[c-a]x", b"\\*", b"a\\", b"[a", b"[^"]
PATTERNS += [b"[\\]]", b"a[b-]c", b"**a**", b"a*b*c*", b"[]a]", b"[a-]", b"x[^\\^]", b"*[0-9]?"]


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_globs_match_what_keys_matches(kind: ServerKind, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    alphabet = b"abcx0*?[]\\^-"
    keys = {bytes(rng.choices(alphabet, k=rng.randrange(1, 6))) for _ in range(400)}
    patterns = PATTERNS + [bytes(rng.choices(alphabet, k=rng.randrange(1, 7))) for _ in range(400)]
    with running(kind, tmp_path) as server:
        server.send(*[("SET", key, "1") for key in keys])
        for pattern in patterns:
            reply = server.execute("KEYS", pattern)
            assert isinstance(reply, list)
            assert {key for key in keys if matches_glob(pattern, key)} == set(reply), (SEED, pattern)


def test_a_glob_full_of_stars_is_matched_in_no_time() -> None:
    assert not matches_glob(b"a*" * 50 + b"b", b"a" * 5000)


def wants(selection: Selection, key: bytes, db: int = 0, type_: str = "string", expire_at_ms: int = -1) -> bool:
    return selection.wants(db, key, type_, expire_at_ms)


def test_without_conditions_all_are_wanted() -> None:
    assert Selection().everything
    assert wants(Selection(), b"x")


def test_conditions_add_up_and_repeated_ones_widen() -> None:
    selection = select(keys=["user:*", "session:*"], not_keys=["*:tmp"], dbs=[0, 2], types=["hash", "string,set"])
    assert not selection.everything
    assert wants(selection, b"user:1")
    assert wants(selection, b"session:1", db=2, type_="set")
    assert not wants(selection, b"user:1:tmp")
    assert not wants(selection, b"user:1", db=1)
    assert not wants(selection, b"user:1", type_="list")
    assert not wants(selection, b"other")


def test_regexes_are_searched_for_beside_globs() -> None:
    selection = select(keys=["a*"], regexes=[r"\d{3}$"])
    assert wants(selection, b"abc")
    assert wants(selection, b"x123")
    assert not wants(selection, b"x12")


def test_expiries_are_measured_from_now() -> None:
    now = 1_800_000_000_000
    day = select(ttl=["1h-1d"], now="1800000000")
    assert not wants(day, b"k")
    assert wants(day, b"k", expire_at_ms=now + 3_600_000)
    assert not wants(day, b"k", expire_at_ms=now + 3_599_999)
    assert not wants(day, b"k", expire_at_ms=now + 86_400_001)
    assert select(ttl=["none", "30d-"]).ttl == [TTL_NONE, (2_592_000_000, 1 << 62)]
    assert select(ttl=["any", "-90"]).ttl == [TTL_ANY, (0, 90_000)]
    assert wants(select(ttl=["none"]), b"k")
    assert not wants(select(ttl=["any"]), b"k")
    expired = select(expired=True, now="2027-01-15T08:00:00Z")
    assert expired.now_ms == now
    assert wants(expired, b"k", expire_at_ms=now)
    assert not wants(expired, b"k", expire_at_ms=now + 1)
    assert not wants(expired, b"k")
    assert wants(select(expired=False, now="1800000000"), b"k")


def test_slots_are_ranges() -> None:
    assert slot_ranges("0-5460, 7000") == [(0, 5460), (7000, 7000)]
    assert slot_map(["1-2", "4"])[:6] == b"\0\1\1\0\1\0"
    assert wants(select(slots=["12182"]), b"foo")
    assert not wants(select(slots=["0-12181,12183-16383"]), b"foo")


def test_a_sample_is_the_same_every_time() -> None:
    keys = [b"key:%d" % n for n in range(20_000)]
    first = [key for key in keys if wants(select(sample="10%"), key)]
    assert first == [key for key in keys if wants(select(sample="0.1"), key)]
    assert 1800 < len(first) < 2200


def test_limit_and_named_keys_are_counted() -> None:
    selection = select(limit=1, exact=["a", "base64:/w=="])
    assert selection.keeps_entry(Entry(0, b"\xff", b""))
    assert selection.full
    assert selection.exact == {b"a": False, b"\xff": True}
    assert key_of("plain") == b"plain"


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": ["soon"]},
        {"ttl": ["1y-"]},
        {"ttl": ["-"]},
        {"types": ["hashes"]},
        {"regexes": ["("]},
        {"slots": ["5-3"]},
        {"slots": ["16384"]},
        {"slots": ["a"]},
        {"sample": "0"},
        {"sample": "200%"},
        {"sample": "x"},
        {"now": "whenever"},
        {"exact": ["base64:?"]},
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, list[str]]) -> None:
    with pytest.raises(UsageError):
        select(**options)  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
@pytest.mark.parametrize("known", [True, False])
def test_size_is_measured_without_passing_the_value(piece: int, known: bool) -> None:
    lists = {b"l%d" % n: craft.counted(*[b"x" * 9] * n) for n in (0, 1, 2, 7, 6000, 9000)}
    data = craft.rdb(*[craft.record(1, key, payload) for key, payload in lists.items()])
    for size in (1, 2, 11, 12, 60_003, 60_004, 1 << 30):
        selection = select(min_size=size)
        kept = []
        for event in RdbReader(Window(Pieces(data, piece), size=len(data) if known else -1)):
            if isinstance(event, Frame) and selection.keeps(event):
                kept.append(event.key)
                assert event.raw() == lists[event.key]
        assert kept == [key for key, payload in lists.items() if len(payload) >= size]
        if piece == 1:
            break
