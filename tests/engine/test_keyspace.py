from __future__ import annotations

from random import Random, randrange

import pytest

from rdbtool.engine import keyspace
from rdbtool.engine.cells.cell import Held, SetCell
from rdbtool.engine.keyspace import Keyspace


def test_a_keyspace_is_a_dict() -> None:
    seed = randrange(1 << 30)
    print(f"seed {seed}")
    random = Random(seed)
    for most in (3, 40, 3000):
        space, model = Keyspace(), dict[bytes, Held]()
        for step in range(8000):
            key = b"%d" % random.randrange(most) if random.random() < 0.99 else b""
            pick = random.random()
            if pick < 0.5:
                held: Held = b"%d" % step if pick < 0.4 else SetCell()
                space[key] = held
                model[key] = held
            elif pick < 0.7:
                assert (key in space) == (key in model)
                if key in model:
                    del space[key]
                    del model[key]
            elif pick < 0.99:
                assert space.get(key) is model.get(key)
            elif pick < 0.991:
                space.clear()
                model.clear()
            else:
                assert list(space.items()) == list(model.items())
            assert len(space) == len(model)
        assert list(space) == list(model)
        assert [held for _, held in space.items()] == list(model.values())


def test_a_missing_key_is_an_error_where_it_is_one_in_a_dict() -> None:
    space = Keyspace()
    with pytest.raises(KeyError):
        space[b"a"]
    with pytest.raises(KeyError):
        del space[b"a"]


def test_keys_that_come_and_go_leave_no_memory_behind() -> None:
    space = Keyspace()
    for n in range(50_000):
        space[b"job:%d" % n] = b""
        if n >= 10:
            del space[b"job:%d" % (n - 10)]
    assert len(space) == 10
    assert len(space._entries) < 400


def test_bringing_keys_near_changes_nothing() -> None:
    space = Keyspace()
    for n in range(2 * keyspace.NEAR):
        space[b"%d" % n] = b"held %d" % n
    before = list(space.items())
    commands = [[b"GET", b"%d" % n] for n in range(keyspace.AHEAD - 3)] + [[b"EXEC"], [b"GET", b"none"], [b""]]
    space.touch(commands, len(commands))
    assert list(space.items()) == before
