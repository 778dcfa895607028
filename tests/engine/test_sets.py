"""Sets: runs while they are small, dicts when they are not, and nobody sees which."""

from __future__ import annotations

from random import Random, randrange

import pytest

from rdbtool.engine.cells.cell import SMALL, SetCell
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.run import LONGEST
from tests.engine.commanding import Engine
from tests.engine.object_encoding import encoding_name

NUMBERS = [b"%d" % n for n in (0, -1, 127, 128, 4096, -4097, 1 << 31, -(1 << 63))]


def encoding(e: Engine) -> str:
    cell = e.dataset.set(b"s")
    assert cell is not None
    return encoding_name(e.dataset.release, b"s", cell)


def test_a_small_set_is_the_dict_that_it_would_be() -> None:
    seed = randrange(1 << 30)
    print(f"seed {seed}")
    random = Random(seed)
    names = NUMBERS + [b"m%d" % n for n in range(15)] + [b"", b"x" * LONGEST, b"007", b"-0"]
    for _ in range(30):
        e, model = Engine(), dict[bytes, None]()
        for _ in range(120):
            member = random.choice(names)
            if random.random() < 0.7:
                assert e.run("SADD s", member) == (member not in model)
                model[member] = None
            else:
                assert e.run("SREM s", member) == (member in model)
                model.pop(member, None)
            member = random.choice(names)
            assert e.run("SISMEMBER s", member) == (member in model)
            assert e.run("SCARD s") == len(model)
            cell = e.dataset.set(b"s")
            assert (cell is None) == (not model)
            if cell is not None:
                assert cell.run is not None
                value = cell.copy().value()
                assert isinstance(value, dict)
                assert list(value) == list(model)


@pytest.mark.parametrize("member", [b"m", b"m" * (LONGEST + 1), b"m" * 1000, b"-5"])
@pytest.mark.parametrize("count", [1, SMALL - 1, SMALL, SMALL + 1, 600])
def test_growing_beyond_a_run_loses_nothing(member: bytes, count: int) -> None:
    e = Engine()
    model = {b"%d" % n: None for n in range(count - 1)}
    for name in model:
        e.run("SADD s", name)
    assert e.run("SADD s", member) == 1
    model[member] = None
    cell = e.dataset.set(b"s")
    assert cell is not None
    assert (cell.run is None) == (count > SMALL or len(member) > LONGEST)
    assert len(cell) == count
    assert cell.value() == model
    assert e.run("SADD s", member) == 0
    assert e.run("SREM s", member) == 1
    assert cell.value() == {name: None for name in model if name != member}


@pytest.mark.parametrize("release", ["redis-6.2", "redis-7.0", "valkey-9.1"])
@pytest.mark.parametrize("members", [[b"1", b"2"], [b"1", b"a"], [b"a", b"1"], [b"1", b"m" * 65], NUMBERS])
def test_the_encoding_does_not_depend_on_the_form(release: str, members: list[bytes]) -> None:
    small, opened = Engine(release), Engine(release)
    for member in members:
        small.run("SADD s", member)
        opened.run("SADD s", member)
        opened.run("SMEMBERS s")
        assert encoding(small) == encoding(opened)


def test_a_copy_goes_its_own_way() -> None:
    e = Engine()
    e.all("SADD a 1 m", "COPY a b", "SADD a 2", "SREM b m", "SMOVE a c m")
    assert e.run("SMEMBERS a") == [b"1", b"2"]
    assert e.run("SMEMBERS b") == [b"1"]
    assert e.run("SMEMBERS c") == [b"m"]


def test_a_member_that_is_too_long_for_a_run_is_in_none() -> None:
    scratch = ListpackBuilder()
    cell = SetCell()
    assert cell.add_small(b"m", scratch) == 1
    assert not cell.has(b"m" * 500, scratch)
    assert not cell.remove(b"m" * 500, scratch)
    assert len(cell) == 1
