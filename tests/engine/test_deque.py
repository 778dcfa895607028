from __future__ import annotations

from collections import deque
from random import Random, randrange

from rdbtool.engine.cells.deque import Deque
from rdbtool.engine.cells.interning import MOST, TRIAL, InternedNames


def test_a_deck_is_a_deque() -> None:
    seed = randrange(1 << 30)
    print(f"seed {seed}")
    random = Random(seed)
    for _ in range(20):
        ours, model = Deque([]), deque[bytes]()
        leaning = random.random()
        for step in range(2000):
            pick = random.random()
            head = random.random() < leaning
            if pick < 0.55 or not model:
                element = b"%d" % step
                ours.push(element, head)
                model.appendleft(element) if head else model.append(element)
            elif pick < 0.9:
                head = random.random() < 0.5
                assert ours.pop(head) == (model.popleft() if head else model.pop())
            elif pick < 0.95:
                index = random.randrange(len(model))
                assert ours.get(index) == model[index]
                ours.set(index, b"new")
                model[index] = b"new"
            elif pick < 0.955:
                assert ours.all() == list(model)
            assert len(ours) == len(model)
        assert ours.all() == list(model)


def test_equal_names_become_one_object() -> None:
    names = InternedNames()
    first = b"some field".replace(b" ", b"_")
    second = b"some field".replace(b" ", b"_")
    assert first is not second
    assert names.one(first) is first
    assert names.one(second) is first


def test_names_that_never_come_up_again_are_not_remembered_for_long() -> None:
    names = InternedNames()
    for i in range(TRIAL + 1):
        names.one(b"%d" % i)
    a, b = bytes([7, 7]), bytes(bytearray([7, 7]))
    assert a is not b
    assert names.one(a) is a
    assert names.one(b) is b
    assert MOST < TRIAL
