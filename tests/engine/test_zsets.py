from __future__ import annotations

import math
import random

import pytest

from rdbtool.engine.cells.cell import LISTPACK, SKIPLIST
from rdbtool.engine.cells.order_index import HALF, SPLIT, OrderIndex
from tests.engine.commanding import Engine


def test_zadd_adds_updates_and_says_how_many() -> None:
    e = Engine()
    assert e.run("ZADD z 1 a 2 b") == 2
    assert e.run("ZADD z 3 a 4 c") == 1
    assert e.run("ZADD z CH 5 a 4 c 6 d") == 2
    assert e.zset("z") == {"b": 2, "c": 4, "a": 5, "d": 6}


def test_zadd_conditions_keep_what_they_forbid_to_change() -> None:
    e = Engine()
    e.run("ZADD z 5 a")
    assert e.all("ZADD z NX 1 a 1 b", "ZADD z XX 2 c 2 b", "ZADD z CH GT 4 a 3 b", "ZADD z CH LT 4 a 9 b") == [
        1,
        0,
        1,
        1,
    ]
    assert e.zset("z") == {"b": 3, "a": 4}
    assert e.run("ZADD new XX 1 a") == 0
    assert "new" not in {key.decode() for key in e.dataset.keys}


def test_zadd_incr_answers_the_score_or_nothing() -> None:
    e = Engine()
    assert e.all("ZADD z INCR 2.5 a", "ZADD z INCR 1 a", "ZADD z NX INCR 1 a", "ZADD z XX INCR 1 b") == [
        2.5,
        3.5,
        None,
        None,
    ]
    assert e.run("ZINCRBY z -4 a") == -0.5


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("ZADD z NX XX 1 a", "ERR XX and NX options at the same time are not compatible"),
        ("ZADD z GT LT 1 a", "ERR GT, LT, and/or NX options at the same time are not compatible"),
        ("ZADD z INCR 1 a 2 b", "ERR INCR option supports a single increment-element pair"),
        ("ZADD z 1 a 2", "ERR syntax error"),
        ("ZADD z nan a", "ERR value is not a valid float"),
        ("ZADD z 1 a x b", "ERR value is not a valid float"),
        ("ZADD string 1 a", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("ZINCRBY inf -inf a", "ERR resulting score is not a number (NaN)"),
        ("ZREMRANGEBYSCORE z a 1", "ERR min or max is not a float"),
        ("ZREMRANGEBYLEX z a [b", "ERR min or max not valid string range item"),
        ("ZPOPMIN z -1", "ERR value is out of range, must be positive"),
        ("ZUNIONSTORE d 0 z", "ERR at least 1 input key is needed for 'zunionstore' command"),
        ("ZUNIONSTORE d 1 z WEIGHTS x", "ERR weight value is not a float"),
        ("ZDIFFSTORE d 1 z WEIGHTS 1", "ERR syntax error"),
        ("ZMPOP 0 z MIN", "ERR numkeys should be greater than 0"),
        (
            "ZRANGESTORE d z 0 1 LIMIT 0 1",
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ),
    ],
)
def test_a_bad_command_changes_nothing_and_has_the_servers_text(command: str, error: str) -> None:
    e = Engine()
    e.all("SET string x", "ZADD inf inf a", "ZADD z 1 m")
    assert e.run(command) == error
    assert e.zset("z") == {"m": 1}
    assert len(e.dataset.keys) == 3


def test_an_emptied_sorted_set_is_gone() -> None:
    for command in (
        "ZREM z a b",
        "ZREMRANGEBYRANK z 0 -1",
        "ZREMRANGEBYSCORE z -inf inf",
        "ZPOPMAX z 9",
        "ZREMRANGEBYLEX z - +",
    ):
        e = Engine()
        e.run("ZADD z 1 a 1 b")
        e.run(command)
        assert not e.dataset.keys, command


def test_pops_come_from_either_end() -> None:
    e = Engine()
    e.run("ZADD z 1 a 2 b 3 c 4 d 5 e")
    assert e.all("ZPOPMIN z", "ZPOPMAX z 2", "ZPOPMIN z 0", "BZPOPMIN x z 0", "ZMPOP 2 x z MAX COUNT 5") == [
        [b"a", 1.0],
        [b"e", 5.0, b"d", 4.0],
        [],
        [b"z", b"b", 2.0],
        [b"z", [[b"c", 3.0]]],
    ]


def test_ranges_leave_out_open_ends() -> None:
    e = Engine()
    e.run("ZADD z 1 a 2 b 3 c 4 d")
    e.run("ZREMRANGEBYSCORE z (1 (4")
    assert e.zset("z") == {"a": 1, "d": 4}
    e.run("ZADD l 0 a 0 b 0 c 0 d")
    e.run("ZREMRANGEBYLEX l (a [c")
    assert list(e.zset("l")) == ["a", "d"]


def test_zrangestore_takes_ranks_scores_and_members() -> None:
    e = Engine()
    e.run("ZADD z 1 a 2 b 3 c 4 d")
    e.all(
        "ZRANGESTORE r z 0 1 REV",
        "ZRANGESTORE s z (4 1 BYSCORE REV LIMIT 1 1",
        "ZRANGESTORE l z [b (d BYLEX",
        "SET gone x",
        "ZRANGESTORE gone z 7 9",
    )
    assert e.zset("r") == {"c": 3, "d": 4}
    assert e.zset("s") == {"b": 2}
    assert e.zset("l") == {"b": 2, "c": 3}
    assert b"gone" not in e.dataset.keys


def test_algebra_weighs_and_aggregates() -> None:
    e = Engine()
    e.all("ZADD a 1 x 2 y", "ZADD b 10 y 20 z", "SADD s x w")
    assert e.run("ZUNIONSTORE u 3 a b s WEIGHTS 2 1 5") == 4
    assert e.zset("u") == {"w": 5, "x": 7, "y": 14, "z": 20}
    e.run("ZINTERSTORE i 2 a b AGGREGATE MAX")
    assert e.zset("i") == {"y": 10}
    e.run("ZDIFFSTORE d 2 a s")
    assert e.zset("d") == {"y": 2}
    assert e.run("ZINTERSTORE u 2 a none") == 0
    assert b"u" not in e.dataset.keys


def test_infinities_of_both_signs_add_to_zero() -> None:
    e = Engine()
    e.all("ZADD a inf x", "ZADD b -inf x", "ZUNIONSTORE u 2 a b", "ZUNIONSTORE w 1 a WEIGHTS 0")
    assert e.zset("u") == {"x": 0}
    assert e.zset("w") == {"x": 0}


def test_sums_of_a_union_run_from_the_smallest_set_to_the_largest() -> None:
    e = Engine()
    e.all("ZADD big 0.1 x 0 a 0 b", "ZADD middle 0.2 x 0 a", "ZADD small 0.3 x", "ZUNIONSTORE u 3 big middle small")
    assert e.zset("u")["x"] == 0.3 + 0.2 + 0.1 != 0.1 + 0.2 + 0.3


def test_a_listpack_has_no_negative_zero_and_a_skiplist_has() -> None:
    e = Engine()
    e.run("ZADD z -0 a")
    assert math.copysign(1, e.zset("z")["a"]) == 1
    e.run("ZADD z -0 " + "b" * 65)
    assert [math.copysign(1, score) for score in e.zset("z").values()] == [1, -1]
    old = Engine("redis-6.2")
    old.run("ZADD z -0 a")
    assert math.copysign(1, old.zset("z")["a"]) == -1


def test_a_sorted_set_stays_a_skiplist_once_it_was_large() -> None:
    e = Engine()
    e.run("ZADD z " + " ".join(f"{i} m{i}" for i in range(128)))
    assert e.zset_cell("z").encoding == LISTPACK
    e.run("ZADD z 1 one-more")
    assert e.zset_cell("z").encoding == SKIPLIST
    e.run("ZREMRANGEBYRANK z 1 -1")
    assert e.zset_cell("z").encoding == SKIPLIST


@pytest.mark.parametrize(("release", "encoding"), [("redis-7.0", LISTPACK), ("redis-7.2", SKIPLIST)])
def test_newer_servers_choose_the_encoding_by_what_zadd_brings(release: str, encoding: int) -> None:
    e = Engine(release)
    e.run("ZADD z " + " ".join("1 same" for _ in range(129)))
    assert e.zset_cell("z").encoding == encoding


@pytest.mark.parametrize(
    ("release", "scores", "bounds"),
    [("redis-7.4", 1, 1), ("redis-8.0", 1, 0), ("valkey-8.1", 1, 1), ("valkey-9.1", 0, 0)],
)
def test_where_numbers_may_be_hexadecimal(release: str, scores: int, bounds: int) -> None:
    e = Engine(release)
    refused = "ERR value is not a valid float"
    assert e.run("ZADD z 0x10 a") == (1 if scores else refused)
    e.run("ZADD z 16 a")
    e.run("RPUSH l 0x10")
    assert e.run("SORT l STORE d") == (1 if bounds else "ERR One or more scores can't be converted into double")
    assert e.run("ZREMRANGEBYSCORE z 0x10 0x11") == (1 if bounds else "ERR min or max is not a float")


def test_the_order_agrees_with_a_plain_sort_whatever_happens() -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    scores = {b"%d" % i: float(rng.randrange(50)) for i in range(3 * SPLIT)}
    order = OrderIndex(scores)
    for step in range(4000):
        pick = rng.random()
        if pick < 0.5:
            member = b"%d" % rng.randrange(5 * SPLIT)
            if member in scores:
                order.remove(member, scores.pop(member))
            else:
                scores[member] = float(rng.randrange(50))
                order.add(member, scores[member])
        elif pick < 0.52:
            start = rng.randrange(len(scores) + 1)
            stop = min(len(scores), start + rng.randrange(HALF))
            taken = order.cut(start, stop)
            assert taken == sorted(scores, key=lambda m: (scores[m], m))[start:stop]
            for member in taken:
                del scores[member]
        if step % 200 == 0:
            plain = sorted(scores, key=lambda m: (scores[m], m))
            assert order.slice(0, len(scores)) == plain
            assert order.count == len(scores)
            if plain:
                rank = rng.randrange(len(plain))
                assert order.rank(plain[rank], scores[plain[rank]]) == rank
            assert order.rank_of_score(25.0, False) == sum(score < 25 for score in scores.values())
            assert order.rank_of_score(25.0, True) == sum(score <= 25 for score in scores.values())


@pytest.mark.parametrize(("where", "kept"), [("0 -1", True), ("-inf +inf BYSCORE", False)])
def test_a_range_by_rank_is_stored_in_its_final_encoding_at_once(where: str, kept: bool) -> None:
    """As Redis 7.0.15 does: a skiplist keeps a negative zero, a listpack that becomes one has lost it."""
    e = Engine("redis-7.0")
    for n in range(1, 200):
        e.run(f"ZADD a {n} m{n}")
    e.run("ZADD a -0 zero")
    e.run(f"ZRANGESTORE b a {where}")
    assert e.zset_cell("b").encoding == SKIPLIST
    assert (math.copysign(1, e.zset_cell("b").scores[b"zero"]) < 0) is kept
