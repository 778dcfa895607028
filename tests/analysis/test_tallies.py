"""Counts merge, distributions have the classes they say, and the first N are the first N."""

from __future__ import annotations

import random

from rdbtool.analysis.tallies import DAY, HOUR, Distribution, Expiries, MeasuredKey, Top

SEED = 20260304


def test_the_first_n_are_the_greatest_and_merge() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    values = [rng.randint(0, 300) for _ in range(1000)]
    whole, one, two = Top(10), Top(10), Top(10)
    for i, value in enumerate(values):
        for top in (whole, one if i % 2 else two):
            if value > top.least:
                top.add(value, MeasuredKey(0, b"%d" % i, "string", "raw"))
    one.merge(two)
    expected = sorted(values, reverse=True)[:10]
    assert [value for value, _ in whole.ranked()] == expected
    assert [value for value, _ in one.ranked()] == expected
    order = [key.key for value, key in whole.ranked() if value == expected[0]]
    assert order == sorted(order, key=int)


def test_none_are_kept_where_none_are_wanted() -> None:
    top = Top(0)
    assert top.least > 1 << 60
    assert top.ranked() == []


def test_classes_are_powers_of_two() -> None:
    counts, more = Distribution(), Distribution()
    for value in (0, 1, 2, 3, 4, 5, 1024, 1025, 1 << 62):
        counts.add(value, value)
    more.add(3, 3)
    counts.merge(more)
    assert {c["up_to"]: c["keys"] for c in counts.as_json()} == {1: 2, 2: 1, 4: 3, 8: 1, 1024: 1, 2048: 1, 1 << 62: 1}


def test_expiries_are_seen_from_now() -> None:
    now = 1_700_000_000_000
    expiries = Expiries(now)
    for left in (-5, 0, 1, HOUR, HOUR + 1, 40 * DAY, 1 << 60):
        expiries.add(now + left, 10)
    expiries.add(-1, 100)
    told = {name: keys for name, keys, _ in expiries.rows() if keys}
    assert told == {
        "expired": 2,
        "within a minute": 1,
        "within an hour": 1,
        "within a day": 1,
        "within a year": 1,
        "later": 1,
        "never": 1,
    }
    assert sum(count for _, _, count in expiries.rows()) == 170
