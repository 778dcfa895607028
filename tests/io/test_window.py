"""The window hands out what its source gives, however the source cuts it."""

from __future__ import annotations

import random

import pytest

from rdbtool.errors import TruncatedError
from rdbtool.io.window import CHUNK, Window

DATA = random.Random(1).randbytes(5 * CHUNK)


class InPieces:
    """A source that gives as many bytes at a time as it likes, as a pipe does."""

    def __init__(self, data: bytes, rng: random.Random, longest: int) -> None:
        self.data = data
        self.rng = rng
        self.longest = longest
        self.at = 0

    def read(self, n: int, /) -> bytes:
        piece = self.data[self.at : self.at + min(n, self.rng.randrange(1, self.longest + 1))]
        self.at += len(piece)
        return piece


@pytest.mark.parametrize("longest", [7, 5000, CHUNK])
@pytest.mark.parametrize("sized", [False, True])
def test_bytes_come_in_order_and_are_observed_once_they_are_passed(longest: int, sized: bool) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    data = DATA[: CHUNK + 50 * min(longest, 10_000)]
    window = Window(InPieces(data, rng, longest), size=len(data) if sized else -1)
    observed: list[bytes] = []
    window.observe(observed.append)
    at = 0
    while at < len(data):
        n = min(rng.choice([1, 2, 30, rng.randrange(2 * longest + 2)]), len(data) - at)
        match rng.randrange(4):
            case 0:
                assert window.need(n)
                assert window.data[window.pos : window.pos + n] == data[at : at + n]
                n = 0
            case 1:
                window.skip(n)
            case _:
                assert window.take(n) == data[at : at + n]
        at += n
        assert window.offset() == at
    window.report()
    assert b"".join(observed) == data
    assert window.at_end()


@pytest.mark.parametrize("longest", [7, CHUNK])
@pytest.mark.parametrize("sized", [False, True])
def test_more_than_there_is_is_truncated_and_nothing_of_it_is_passed(longest: int, sized: bool) -> None:
    data = DATA[: CHUNK + 100]
    window = Window(InPieces(data, random.Random(1), longest), size=len(data) if sized else -1)
    observed: list[bytes] = []
    window.observe(observed.append)
    window.skip(CHUNK - 10)
    assert window.need(1)
    for _ in range(2):
        with pytest.raises(TruncatedError) as raised:
            window.take(111)
        assert raised.value.offset == window.offset() == CHUNK - 10
    window.report()
    assert b"".join(observed) == data[: CHUNK - 10]
    assert window.take(110) == data[CHUNK - 10 :]


def test_what_is_pinned_stays_where_the_next_bytes_come_from_another_read() -> None:
    window = Window(InPieces(DATA, random.Random(1), CHUNK), size=len(DATA))
    window.skip(CHUNK // 2)
    assert window.need(1)
    window.pin = window.pos
    assert window.take(CHUNK - 1) == DATA[CHUNK // 2 : CHUNK // 2 + CHUNK - 1]
    assert window.unpin() == DATA[CHUNK // 2 : CHUNK // 2 + CHUNK - 1]
