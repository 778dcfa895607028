"""Values to payloads and back, for every target, and numbers as the servers print them."""

from __future__ import annotations

import contextlib
import math
import random
import struct
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdbtool.basics.numbers import decimal, format_double, is_integer, parse_double, parse_integer
from rdbtool.errors import FormatError, RdbToolError, UnsupportedError
from rdbtool.io.window import Window, window_over
from rdbtool.model import Hash, SortedSet, Stream, Value
from rdbtool.rdb.encode import encode
from rdbtool.rdb.frame import frame_of
from rdbtool.rdb.layout.facts import Losses
from rdbtool.rdb.targets import Target, target, target_names
from rdbtool.servers.limits import Limits
from tests.rdb.kept import as_kept
from tests.rdb.sources import Dribble
from tests.rdb.values_strategies import KINDS, any_value, element

TARGETS = [target(name) for name in ("redis-4.0", "redis-6.2", "redis-7.0", "redis-7.2", "redis-8.6", "valkey-9.1")]


@pytest.mark.parametrize("to", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_comes_back_from_its_payload(to: Target, kind: str) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    if kind == "stream" and to.rdb_version < 9:
        with pytest.raises(UnsupportedError):
            encode(any_value(rng, kind), to)
        return
    for _ in range(12):
        value = any_value(rng, kind)
        row, payload = encode(value, to, compress=rng.random() < 0.5)
        assert to.loads(row)
        w = window_over(payload)
        row.skip(w)
        assert w.at_end()
        assert as_kept(row.value(window_over(payload)), to) == as_kept(value, to)
        # from a pipe, in small pieces
        slow = Window(Dribble(payload, rng))
        assert as_kept(row.value(slow), to) == as_kept(value, to)
        assert slow.at_end()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_payloads_give_a_value_or_an_error_of_ours(kind: str) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(60):
        row, payload = encode(any_value(rng, kind), rng.choice(TARGETS[1:]), compress=rng.random() < 0.3)
        at = rng.randrange(len(payload))
        damaged = payload[:at] + rng.randbytes(rng.randint(0, 4)) + payload[at + rng.randint(0, 4) :]
        with contextlib.suppress(FormatError, UnsupportedError):
            frame_of(0, b"k", row, damaged).value()


SMALL = {b"f": b"v"}


@pytest.mark.parametrize(
    ("name", "value", "row"),
    [
        ("redis-4.0", Hash(SMALL), "hash-ziplist"),
        ("redis-7.0", Hash(SMALL), "hash-listpack"),
        ("redis-7.0", Hash({b"f": b"v" * 65}), "hash"),
        ("redis-7.0", Hash({b"%d" % n: b"" for n in range(512)}), "hash-listpack"),
        ("redis-7.0", Hash({b"%d" % n: b"" for n in range(513)}), "hash"),
        ("redis-7.2", Hash(SMALL, {b"f": 5}), "hash-listpack"),
        ("redis-7.4", Hash(SMALL, {b"f": 5}), "hash-listpack-ex"),
        ("redis-7.4", Hash({b"f": b"v" * 65}, {b"f": 5}), "hash-metadata"),
        ("valkey-9.0", Hash(SMALL, {b"f": 5}), "hash2"),
        ("valkey-9.0", Hash(SMALL), "hash-listpack"),
        ("valkey-8.1", Hash(SMALL, {b"f": 5}), "hash-listpack"),
        ("redis-7.0", dict.fromkeys([b"1", b"2"]), "set-intset"),
        ("redis-7.0", dict.fromkeys(b"%d" % n for n in range(513)), "set"),
        ("redis-7.0", dict.fromkeys([b"a"]), "set"),
        ("redis-7.2", dict.fromkeys([b"a"]), "set-listpack"),
        ("redis-7.2", dict.fromkeys(b"a%d" % n for n in range(128)), "set-listpack"),
        ("redis-7.2", dict.fromkeys(b"a%d" % n for n in range(129)), "set"),
        ("redis-7.2", dict.fromkeys([b"a" * 65]), "set"),
        ("redis-6.2", SortedSet({b"a": 1.0}), "zset-ziplist"),
        ("redis-7.0", SortedSet({b"a": 1.0}), "zset-listpack"),
        ("redis-4.0", SortedSet({b"a" * 65: 1.0}), "zset2"),
        ("redis-7.0", SortedSet({b"%d" % n: 1.0 for n in range(129)}), "zset2"),
        ("redis-6.2", deque([b"a"]), "list-quicklist"),
        ("redis-7.0", deque([b"a"]), "list-quicklist2"),
        ("redis-6.2", Stream(), "stream-listpacks"),
        ("redis-7.0", Stream(), "stream-listpacks2"),
        ("valkey-7.2", Stream(), "stream-listpacks3"),
        ("rdb-80", Stream(), "stream-listpacks3"),
        ("rdb-8", b"x", "string"),
    ],
)
def test_values_get_the_encoding_that_the_server_would_choose(name: str, value: Value, row: str) -> None:
    assert encode(value, target(name))[0].name == row


def test_limits_decide_what_is_packed() -> None:
    limits = Limits(hash_entries=1, hash_value=3, zset_entries=1, set_entries=1, set_intset_entries=1, list_node=100)
    to = target("redis-8.0")
    for value, row in (
        (Hash({b"a": b"1234"}), "hash"),
        (Hash({b"a": b"1", b"b": b"2"}), "hash"),
        (SortedSet({b"a": 1.0, b"b": 1.0}), "zset2"),
        (dict.fromkeys([b"1", b"2"]), "set"),
        (dict.fromkeys([b"a", b"b"]), "set"),
    ):
        assert encode(value, to, limits=limits)[0].name == row
    nodes = encode(deque([b"x" * 40] * 4), to, limits=limits, compress=False)[1]
    assert nodes[0] == 2, "two nodes of two elements"
    assert encode(deque([b"x" * 200]), to, limits=limits, compress=False)[1][:2] == b"\x01\x01", "one plain node"


def test_fields_with_expiries_are_packed_in_the_order_they_expire() -> None:
    value = Hash({b"never": b"1", b"late": b"2", b"soon": b"3"}, {b"late": 2000, b"soon": 1000})
    row, payload = encode(value, target("redis-7.4"))
    assert struct.unpack("<q", payload[:8]) == (1000,)
    back = row.value(window_over(payload))
    assert isinstance(back, Hash)
    assert [*back.fields] == [b"soon", b"late", b"never"]
    assert back.expiries == {b"soon": 1000, b"late": 2000}


def test_what_a_target_cannot_keep_is_counted() -> None:
    losses = Losses("redis-7.2")
    value = Hash(dict.fromkeys([b"a", b"b", b"c"], b""), {b"a": 1, b"b": 2})
    back_row, payload = encode(value, target("redis-7.2"), losses=losses)
    assert losses.counts == {"field expiries": 2}
    back = back_row.value(window_over(payload))
    assert isinstance(back, Hash)
    assert back.fields == value.fields
    assert back.expiries is None
    with pytest.raises(UnsupportedError, match=r"redis-7\.2 cannot keep field expiries"):
        encode(value, target("redis-7.2"), losses=Losses("redis-7.2", lossless=True))


def test_a_set_with_a_member_twice_is_refused() -> None:
    row = target("redis-7.0").row("set")
    with pytest.raises(FormatError, match="more than once"):
        row.value(window_over(b"\x02\x01a\x01a"))


@pytest.mark.parametrize(
    ("number", "short", "long"),
    [
        (0.0, b"0", b"0"),
        (-0.0, b"-0", b"-0"),
        (math.inf, b"inf", b"inf"),
        (-math.inf, b"-inf", b"-inf"),
        (3.0, b"3", b"3"),
        (0.1, b"0.1", b"0.10000000000000001"),
        (-1.5, b"-1.5", b"-1.5"),
        (1e17, b"100000000000000000", b"1e+17"),
        (1e19, b"1e+19", b"1e+19"),
        (1e100, b"1e+100", b"1e+100"),
        (1e-5, b"0.00001", b"1.0000000000000001e-05"),
        (1e-6, b"0.000001", b"9.9999999999999995e-07"),
        (1e-7, b"1e-7", b"9.9999999999999995e-08"),
        (5e-324, b"5e-324", b"4.9406564584124654e-324"),
        (3.141592653589793, b"3.141592653589793", b"3.1415926535897931"),
        (123456.789012345, b"1.23456789012345e+5", b"123456.78901234501"),
        (1.7976931348623157e308, b"1.7976931348623157e+308", b"1.7976931348623157e+308"),
        (-4611686018427387904.0, b"-4611686018427387904", b"-4.6116860184273879e+18"),
        (9223372036854775808.0, b"9223372036854776000", b"9.2233720368547758e+18"),
    ],
)
def test_doubles_are_printed_as_the_servers_do(number: float, short: bytes, long: bytes) -> None:
    assert format_double(number) == short
    assert format_double(number, digits17=True) == long
    assert struct.pack(">d", parse_double(short)) == struct.pack(">d", number)


@given(st.floats(allow_nan=False))
@settings(deadline=None)
def test_doubles_come_back_from_their_text(number: float) -> None:
    for text in (format_double(number), format_double(number, digits17=True)):
        assert struct.pack(">d", parse_double(text)) == struct.pack(">d", number)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4).map(lambda d: format(d, "f").encode()))
@settings(deadline=None)
def test_short_decimals_are_read_as_the_nearest_double(text: bytes) -> None:
    assert parse_double(text) == float(text)


@pytest.mark.parametrize("text", [b"", b"-", b".", b"nan", b"1_0", b"1e", b"x", b"1.2.3", b"\x00"])
def test_text_that_is_no_score_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        parse_double(text)


def test_integers_have_one_canonical_form() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        text = element(rng)
        try:
            number = int(text)
        except ValueError:
            canonical = False
        else:
            canonical = str(number).encode() == text and -(1 << 63) <= number < 1 << 63
        assert is_integer(text) == canonical, text
        if canonical:
            assert parse_integer(text) == int(text)
            assert decimal(int(text)) == text


@pytest.mark.parametrize("edge", [0, 4096, 5000, 1_000_000, 4_096_000, -(1 << 63), (1 << 63) - 1])
def test_integers_are_printed_on_both_sides_of_a_change_of_method(edge: int) -> None:
    for number in range(max(edge - 9, -(1 << 63)), min(edge + 10, 1 << 63)):
        assert decimal(number) == str(number).encode()


def test_every_target_is_known_by_name() -> None:
    assert target_names()[0] == "redis-4.0"
    assert {"redis-8.6", "valkey-7.2", "valkey-9.1"} <= set(target_names())
    for name in (*target_names(), "redis-7.0.15", "rdb-9", "rdb-13", "rdb-80"):
        target(name)
    for name in ("redis-3.2", "redis", "rdb-7", "rdb-16", "valkey-6.0", ""):
        with pytest.raises(RdbToolError, match=r"known are redis-4\.0, .*valkey-9\.2, rdb-8, .*rdb-81"):
            target(name)
