"""So many times the work takes about so many times as long: nothing that logs do every day is quadratic."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest

from rdbtool.basics.collector import collector_off
from rdbtool.engine.dataset import Dataset
from rdbtool.engine.replay.replay import Replay

Script = list[tuple[int, list[bytes]]]
SMALL = 400
MORE = 40
QUADRATIC = 400
"""40 is linear, 1600 quadratic; in between are memory that is scattered, which much data feel and little do not, and
machines that do other things as well.
"""


def lines(*commands: str) -> Script:
    return [(0, command.encode().split()) for command in commands]


def appends(n: int) -> Script:
    return lines(*["APPEND k 0123456789abcdef"] * n)


def appends_and_reads_of_its_length(n: int) -> Script:
    return lines("SETRANGE k 5000 x", *["APPEND k 0123456789abcdef", "STRLEN k"] * n)


def bitmap(n: int) -> Script:
    return lines(*[f"SETBIT k {i * 97 % (n * 64)} 1" for i in range(n)])


def ranges(n: int) -> Script:
    return lines(*[f"SETRANGE k {i * 16} 0123456789abcdef" for i in range(n)])


def queue(n: int) -> Script:
    return lines(*[f"LPUSH q job{i}" for i in range(n)], *["RPOP q"] * n)


def both_ends(n: int) -> Script:
    return lines(*[f"RPUSH q job{i}" for i in range(n)], *["LPOP q", "RPUSH q x"] * n)


def circle(n: int) -> Script:
    return lines(*[f"RPUSH q job{i}" for i in range(n)], *["LMOVE q q LEFT RIGHT"] * n)


def delay_queue(n: int) -> Script:
    return lines(*[f"ZADD z {i * 7919 % n} m{i}" for i in range(n)], *["ZPOPMIN z"] * n)


def moving_scores(n: int) -> Script:
    return lines(*[c for i in range(n) for c in (f"ZADD z {i} m{i % 500}", f"ZREMRANGEBYSCORE z -inf {i - 400}")])


def capped_stream(n: int) -> Script:
    return lines(*[f"XADD s MAXLEN 100 {i + 1}-0 f v" for i in range(n)])


def long_stream_read_and_acknowledged(n: int) -> Script:
    entries = [f"XADD s {i + 1}-0 f v" for i in range(n)]
    claims = [f"XCLAIM s g c 0 {i + 1}-0 TIME 5 RETRYCOUNT 1 FORCE JUSTID LASTID {i + 1}-0" for i in range(n)]
    return lines(*entries, "XGROUP CREATE s g 0", *claims, *[f"XACK s g {i + 1}-0" for i in range(n)])


def oldest_member_first(n: int) -> Script:
    return lines(*[f"SADD s m{i}" for i in range(n)], *[f"SREM s m{i}" for i in range(n)])


def popped_set(n: int) -> Script:
    return lines(*[f"SADD s m{i}" for i in range(n)], *["SPOP s"] * n)


def oldest_field_first(n: int) -> Script:
    return lines(*[f"HSET h f{i} v" for i in range(n)], *[f"HDEL h f{i}" for i in range(n)])


def fields_that_expire(n: int) -> Script:
    return lines(*[c for i in range(n) for c in (f"HSET h f{i} v", f"HPEXPIREAT h 9999999999999 FIELDS 1 f{i}")])


def merges_of_hyperloglogs(n: int) -> Script:
    few = lines(*[f"PFADD h{i} a{i} b{i}" for i in range(20)])
    return few + lines(*["PFMERGE all " + " ".join(f"h{i}" for i in range(20))] * (n // 200))


def short_lived_keys(n: int) -> Script:
    return lines(*[c for i in range(n) for c in (f"SET k{i} v", f"PEXPIREAT k{i} 9999999999999", f"DEL k{i}")])


CASES = [
    appends,
    appends_and_reads_of_its_length,
    bitmap,
    ranges,
    queue,
    both_ends,
    circle,
    delay_queue,
    moving_scores,
    capped_stream,
    long_stream_read_and_acknowledged,
    oldest_member_first,
    popped_set,
    oldest_field_first,
    fields_that_expire,
    merges_of_hyperloglogs,
    short_lived_keys,
]


def cost(script: Script) -> float:
    replay = Replay(Dataset())
    with collector_off():
        start = process_time()
        replay.run(script)
        spent = process_time() - start
    assert not replay.failed
    assert not replay.stopped
    return spent


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_forty_times_as_much_costs_about_forty_times_as_much(case: Callable[[int], Script]) -> None:
    ratios: list[float] = []
    while not ratios or (ratios[-1] >= QUADRATIC and len(ratios) < 5):  # the machine may have been busy elsewhere
        small = min(cost(case(SMALL)) for _ in range(3))
        ratios.append(cost(case(SMALL * MORE)) / small)
    assert ratios[-1] < QUADRATIC, f"{ratios} times as long"
