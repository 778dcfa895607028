from __future__ import annotations

import math
import struct
import time
from pathlib import Path
from random import Random, randrange

import pytest

from rdbtool.basics import fpconv
from rdbtool.basics.numbers import is_integer
from rdbtool.engine import long_double as extended
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.numbers import float_or_none, integer
from rdbtool.engine.replies import CommandError
from rdbtool.servers.releases import release_named
from tests.engine.differential import agree, answer, args
from tests.servers.harness import SERVERS, ServerKind, running

# fmt: off
ODD = [
    "0x1.8p-3", "0xABCDEF.123456789abcdefp-20", "1e-4940", "1e4900", "-0", ".5", "5.", "1e", "0x",
    "inf", "-inf", "nan", "1e4932", "2e4932", "1e-4951", "1e-4950", "3.6e-4951", "1_0", "+", "-",
    ".", "1e+5", "1E-5", "INFINITY", "0x.8", "0xp1",
]
# fmt: on


def decimal(random: Random) -> str:
    pick = random.randrange(6)
    if pick == 0:
        return f"{random.uniform(-10, 10):.{random.randrange(1, 20)}f}"
    if pick == 1:
        return f"{random.randrange(-(10**9), 10**9)}.{random.randrange(10 ** random.randrange(1, 25))}"
    if pick == 2:
        return f"{random.uniform(-1, 1)}e{random.randrange(-30, 30)}"
    if pick == 3:
        return str(random.getrandbits(random.randrange(1, 80)))
    if pick == 4:
        return f"{random.choice('+-')}{random.randrange(10**18)}e{random.randrange(-4950, 4930)}"
    return random.choice([*ODD, " 1"])


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_floats_are_added_and_printed_as_in_the_server(kind: ServerKind, tmp_path: Path) -> None:
    seed = randrange(1 << 30)
    print(f"seed {seed}")
    random = Random(seed)
    commands = []
    for _ in range(600):
        if random.random() < 0.3:
            commands.append(args("SET", "k", decimal(random)))
        commands.append(args("INCRBYFLOAT", "k", decimal(random)))
    dataset = Dataset(release_named(kind.name))
    with running(kind, tmp_path) as server:
        for command, theirs in zip(commands, server.send(*[tuple(c) for c in commands]), strict=True):
            ours = answer(dataset, command)
            assert agree(ours, theirs), (command, str(ours)[:200], str(theirs)[:200])


def test_a_long_double_is_rounded_to_64_bits_half_to_even() -> None:
    assert extended.parse(b"18446744073709551617") == 18446744073709551616
    assert extended.parse(b"18446744073709551619") == 18446744073709551620
    assert extended.parse(b"-18446744073709551617.0") == -18446744073709551616
    assert extended.parse(b"inf") is None


@pytest.mark.parametrize("text", [b"1e4933", b"1e-4970", b"9" * 6000, b"1e99999999999"])
def test_a_long_double_out_of_range_is_refused_at_once(text: bytes) -> None:
    with pytest.raises(CommandError):
        extended.parse(text)


def test_scores_read_back_the_same() -> None:
    seed = randrange(1 << 30)
    print(f"seed {seed}")
    random = Random(seed)
    for _ in range(5000):
        (score,) = struct.unpack("<d", random.randbytes(8))
        if math.isfinite(score):
            assert float(fpconv.shortest(score)) == score


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"-0"),
        (3.0, b"3"),
        (1e7, b"10000000"),
        (1e8, b"1e+8"),
        (0.1, b"0.1"),
        (1e-5, b"0.00001"),
        (1e-7, b"1e-7"),
        (123456789.125, b"123456789.125"),
        (-2.5e-9, b"-2.5e-9"),
        (5e-324, b"5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (math.inf, b"inf"),
        (-math.inf, b"-inf"),
        (9007199254740993.0, b"9007199254740992"),
    ],
)
def test_scores_are_printed_as_by_fpconv(score: float, text: bytes) -> None:
    assert fpconv.shortest(score) == text


@pytest.mark.parametrize(
    "text", [b"0", b"7", b"-1", b"9223372036854775807", b"-9223372036854775808", b"1234567890123456789"]
)
def test_canonical_integers_are_integers(text: bytes) -> None:
    assert is_integer(text)
    assert integer(text) == int(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-",
        b"+1",
        b"01",
        b"-0",
        b" 1",
        b"1 ",
        b"1.0",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"1" * 30,
        b"0x1",
        b"\xb2",
    ],
)
def test_everything_else_is_not(text: bytes) -> None:
    assert not is_integer(text)
    with pytest.raises(CommandError):
        integer(text)


@pytest.mark.parametrize("digits", [b"1", b"0x1", b".1", b"1.1"])
def test_a_long_text_that_is_nearly_a_number_takes_linear_time(digits: bytes) -> None:
    began = time.process_time()
    assert float_or_none(digits + b"1" * (1 << 18) + b"?") is None
    assert time.process_time() - began < 5  # an hour, where each of the digits is tried as the last
