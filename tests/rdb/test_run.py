from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from rdbtool.rdb.layout.listpack import ListpackCursor
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder, listpack_of
from rdbtool.rdb.layout.listpack_entry import element_at, end_of, integer_at
from rdbtool.rdb.layout.run import LONGEST, RunOfFields, elements_of, find, length_of
from tests.rdb.values_strategies import INTEGERS

SHORT = st.one_of(INTEGERS.map(lambda n: b"%d" % n), st.binary(max_size=LONGEST))
LONG = st.one_of(*(st.integers(n - 9, n + 9) for n in (64, 128, 4096, 16383, 70000, 2097151))).map(bytes)


@given(st.lists(st.one_of(SHORT, LONG), max_size=40))
@settings(deadline=None)
def test_a_run_is_a_listpack_without_its_ends(items: list[bytes]) -> None:
    builder = ListpackBuilder()
    encoded = [builder.encoded(item) for item in items]
    run = b"".join(encoded)
    starts = [0, *accumulate(map(len, encoded))]
    assert [end_of(run, at) for at in starts[:-1]] == starts[1:]
    assert [element_at(run, at) for at in starts[:-1]] == items
    assert ListpackCursor(listpack_of(run, len(items))).items() == items
    assert elements_of(run, len(items)) == items
    assert length_of(run) == len(items)


@given(INTEGERS, SHORT)
def test_an_integer_is_read_where_it_stands(number: int, before: bytes) -> None:
    builder = ListpackBuilder()
    start = builder.encoded(before)
    assert integer_at(start + builder.encoded(b"%d" % number), len(start)) == number


@given(st.dictionaries(SHORT, SHORT, max_size=20), SHORT)
@settings(deadline=None)
def test_a_field_is_found_among_fields_only(pairs: dict[bytes, bytes], other: bytes) -> None:
    builder = ListpackBuilder()
    run = b"".join(builder.encoded(element) for pair in pairs.items() for element in pair)
    assert RunOfFields(run, len(pairs)).fields() == pairs
    for field, value in pairs.items():
        at = find(run, builder.encoded(field), 2)
        assert element_at(run, end_of(run, at)) == value
    if other not in pairs:
        assert find(run, builder.encoded(other), 2) == -1


@given(st.lists(SHORT, max_size=40, unique=True), SHORT)
@settings(deadline=None)
def test_a_member_is_found_among_all(members: list[bytes], other: bytes) -> None:
    builder = ListpackBuilder()
    run = b"".join(builder.encoded(member) for member in members)
    for member in members:
        assert element_at(run, find(run, builder.encoded(member), 1)) == member
    if other not in members:
        assert find(run, builder.encoded(other), 1) == -1
