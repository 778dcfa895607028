"""Packed values: what servers write, what is read back, and what damage gives."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdbtool.errors import FormatError
from rdbtool.rdb.layout.cursor import Cursor
from rdbtool.rdb.layout.intset import IntsetCursor, pack_intset
from rdbtool.rdb.layout.listpack import ListpackCursor
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.ziplist import ZiplistCursor
from rdbtool.rdb.layout.ziplist_builder import ZiplistBuilder
from rdbtool.rdb.layout.zipmap import ZipmapCursor
from tests.rdb.values_strategies import INTEGERS, elements

ELEMENTS = st.one_of(INTEGERS.map(lambda n: b"%d" % n), st.binary(max_size=300))


def listpack(items: list[bytes]) -> bytes:
    builder = ListpackBuilder()
    for item in items:
        builder.append(item)
    data = builder.finish()
    assert builder.size == len(data)
    return data


def ziplist(items: list[bytes]) -> bytes:
    builder = ZiplistBuilder()
    for item in items:
        builder.append(item)
    data = builder.finish()
    assert builder.size == len(data)
    return data


@given(st.lists(ELEMENTS))
@settings(deadline=None)
def test_listpacks_and_ziplists_give_back_what_they_were_made_of(items: list[bytes]) -> None:
    assert ListpackCursor(listpack(items)).items() == items
    assert ZiplistCursor(ziplist(items)).items() == items


@given(st.sets(INTEGERS))
@settings(deadline=None)
def test_intsets_are_sorted_and_as_narrow_as_they_can_be(members: set[int]) -> None:
    data = pack_intset(list(members))
    assert IntsetCursor(data).items() == [b"%d" % n for n in sorted(members)]
    widest = max((n.bit_length() if n >= 0 else (~n).bit_length() for n in members), default=0)
    assert data[0] == (2 if widest < 16 else 4 if widest < 32 else 8)


def test_long_elements_and_many_elements_are_read_back() -> None:
    for size in (63, 64, 126, 127, 4095, 4096, 16381, 16382, 16383, 16384, 2097146, 2097151):
        items = [b"x" * size, b"y"]
        assert ListpackCursor(listpack(items)).items() == items
        assert ZiplistCursor(ziplist(items)).items() == items
    for count in (65534, 65535, 65536, 70000):
        items = [b"7"] * count
        assert len(ListpackCursor(listpack(items)).items()) == count
        assert len(ZiplistCursor(ziplist(items)).items()) == count


def test_a_ziplist_has_the_bytes_of_the_example_in_its_documentation() -> None:
    # ziplist.c: the elements 2 and 5, then "Hello World"
    assert ziplist([b"2", b"5"]) == bytes.fromhex("0f0000000c000000020000f302f6ff")
    assert ziplist([b"2", b"5", b"Hello World"])[14:-1] == b"\x02\x0bHello World"


def test_a_zipmap_skips_the_free_bytes_behind_values() -> None:
    # zipmap.c: "foo" => "bar", "hello" => "world", here with two unused bytes
    data = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02worldxx\xff"
    assert ZipmapCursor(data).items() == [b"foo", b"bar", b"hello", b"world"]
    long = b"\x01\x01k\xfe\x00\x01\x00\x00\x00" + b"v" * 256 + b"\xff"
    assert ZipmapCursor(long).items() == [b"k", b"v" * 256]


SAMPLES: list[tuple[Callable[[bytes], Cursor], bytes]] = [
    (
        ListpackCursor,
        listpack([b"a", b"1", b"-5", b"300", b"70000", b"-9000000", b"3000000000", b"z" * 70, b"y" * 200]),
    ),
    (ZiplistCursor, ziplist([b"a", b"1", b"-5", b"300", b"70000", b"-9000000", b"3000000000", b"z" * 300, b"y"])),
    (ListpackCursor, listpack([b"x" * 5000])),
    (ZiplistCursor, ziplist([b"x" * 17000])),
    (IntsetCursor, pack_intset([1, 70000, -5])),
    (ZipmapCursor, b"\x02\x03foo\x03\x00bar\x05hello\x05\x02worldxx\xff"),
]


@pytest.mark.parametrize(("cursor", "data"), SAMPLES)
def test_damage_gives_elements_or_a_format_error(cursor: Callable[[bytes], Cursor], data: bytes) -> None:
    places = [*range(min(len(data), 40)), *range(max(0, len(data) - 40), len(data))]
    refused = 0
    for place in places:
        for bit in range(8):
            damaged = data[:place] + bytes((data[place] ^ 1 << bit,)) + data[place + 1 :]
            refused += _refuses(cursor, damaged)
    for size in {*range(min(len(data), 60)), *range(max(0, len(data) - 60), len(data))}:
        assert _refuses(cursor, data[:size]), size
    assert refused


def test_random_bytes_give_elements_or_a_format_error() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for _ in range(300):
        whole = rng.choice((listpack, ziplist))(elements(rng)[:30])
        at = rng.randrange(len(whole))
        damaged = whole[:at] + rng.randbytes(rng.randint(1, 8)) + whole[at + rng.randint(0, 8) :]
        for cursor in (ListpackCursor, ZiplistCursor, IntsetCursor, ZipmapCursor):
            _refuses(cursor, damaged)
            _refuses(cursor, len(damaged).to_bytes(4, "little") + damaged[4:])


def _refuses(cursor: Callable[[bytes], Cursor], data: bytes) -> bool:
    try:
        for item in cursor(data).items(100_000):
            assert len(item) <= max(len(data), 20)
    except FormatError:
        return True
    return False
