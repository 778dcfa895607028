"""Hashes: runs while they are small, dicts when they are not, and nobody sees which."""

from __future__ import annotations

from random import Random, randrange

import pytest

from rdbtool.engine.cells.cell import SMALL, HashCell
from rdbtool.model import MAX_FIELD_EXPIRY_SET, Hash
from rdbtool.rdb.layout.listpack_builder import ListpackBuilder
from rdbtool.rdb.layout.run import LONGEST
from tests.engine.commanding import Engine


def fields_of(cell: HashCell) -> dict[bytes, bytes]:
    value = cell.copy().value()
    assert isinstance(value, Hash)
    return value.fields


def test_a_small_hash_is_the_dict_that_it_would_be() -> None:
    seed = randrange(1 << 30)
    print(f"seed {seed}")
    random = Random(seed)
    names = [b"%d" % n for n in (0, -1, 127, 128, 4096, -4097, 1 << 31, -(1 << 63))] + [b"f%d" % n for n in range(15)]
    names += [b"", b"x" * LONGEST]
    for _ in range(30):
        e, model = Engine(), dict[bytes, bytes]()
        for _ in range(120):
            field = random.choice(names)
            if random.random() < 0.7:
                value = random.choice([b"%d" % random.randrange(-(10**9), 10**9), b"v" * random.randrange(LONGEST + 1)])
                assert e.run("HSET h", field, value) == (field not in model)
                model[field] = value
            else:
                assert e.run("HDEL h", field) == (field in model)
                model.pop(field, None)
            field = random.choice(names)
            assert e.run("HGET h", field) == model.get(field)
            cell = e.dataset.hash(b"h")
            assert (cell is None) == (not model)
            if cell is not None:
                assert cell.run is not None
                assert fields_of(cell) == model
                assert list(fields_of(cell)) == list(model)


@pytest.mark.parametrize("field", [b"f", b"f" * (LONGEST + 1)])
@pytest.mark.parametrize("value", [b"v", b"v" * (LONGEST + 1), b"v" * 1000])
@pytest.mark.parametrize("count", [1, SMALL - 1, SMALL, SMALL + 1, 600])
def test_growing_beyond_a_run_loses_nothing(field: bytes, value: bytes, count: int) -> None:
    e = Engine()
    model = {b"%d" % n: b"old" for n in range(count - 1)}
    for name in model:
        e.run("HSET h", name, b"old")
    assert e.run("HSET h", field, value) == 1
    model[field] = value
    cell = e.dataset.hash(b"h")
    assert cell is not None
    assert (cell.run is None) == (count > SMALL or max(len(field), len(value)) > LONGEST)
    assert len(cell) == count
    assert fields_of(cell) == model
    assert e.run("HSET h", field, b"again") == 0
    assert fields_of(cell) == {**model, field: b"again"}


def test_a_copy_goes_its_own_way() -> None:
    e = Engine()
    e.all("HSET a f 1 g 2", "COPY a b", "HSET a f 3", "HDEL b g")
    assert e.run("HGETALL a") == [b"f", b"3", b"g", b"2"]
    assert e.run("HGETALL b") == [b"f", b"1"]


def test_expiries_stand_beside_a_run() -> None:
    e = Engine("redis-8.0")
    e.all("HSET h f 1 g 2", "HSETEX h PXAT 2000000005000 FIELDS 1 f 3", "HSET h g 4")
    cell = e.dataset.hash(b"h")
    assert cell is not None
    value = cell.value()
    assert isinstance(value, Hash)
    assert value.fields == {b"f": b"3", b"g": b"4"}
    assert value.expiries == {b"f": 2_000_000_005_000}


def test_a_field_that_is_too_long_for_a_run_is_in_none() -> None:
    scratch = ListpackBuilder()
    cell = HashCell()
    assert cell.put_small(b"f", b"v", scratch) == 1
    assert cell.get(b"f" * 500, scratch) is None
    assert not cell.remove(b"f" * 500, scratch)
    assert len(cell) == 1


@pytest.mark.parametrize(
    ("line", "latest"), [("redis-8.6", MAX_FIELD_EXPIRY_SET), ("valkey-9.0", (1 << 63) - 1)], ids=["redis", "valkey"]
)
def test_the_expiry_of_a_field_is_set_up_to_the_limit_of_the_server(line: str, latest: int) -> None:
    e = Engine(line)
    e.run("HSET h f v")
    assert e.run(f"HPEXPIREAT h {latest} FIELDS 1 f") == [1]
    assert e.run(f"HPEXPIRE h {latest - e.dataset.now_ms} FIELDS 1 f") == [1]
    assert e.run(f"HEXPIREAT h {latest // 1000} FIELDS 1 f") == [1]
    for wrong in (f"HPEXPIREAT h {latest + 1}", f"HPEXPIRE h {latest + 1}", f"HEXPIREAT h {latest // 1000 + 1}"):
        assert str(e.run(f"{wrong} FIELDS 1 f")).startswith("ERR ")
    assert str(e.run(f"HPEXPIRE h {latest - e.dataset.now_ms + 1} FIELDS 1 f")).startswith("ERR invalid expire time")
