"""The expiry of a hash field has one limit, wherever it is read, written, checked or set."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rdbtool.findings import Findings
from rdbtool.io.window import window_over
from rdbtool.model import MAX_FIELD_EXPIRY, MAX_FIELD_EXPIRY_SET, Hash
from rdbtool.rdb.encode import encode
from rdbtool.rdb.layout.facts import Losses
from rdbtool.rdb.layout.inspection import Inspection
from rdbtool.rdb.layout.visit import Visit
from rdbtool.rdb.targets import target
from tests.rdb.craft import encode_length, listpack, string, strings
from tests.rdb.mutation import ROWS
from tests.rdb.recorder import Recorder


def test_the_limits_are_those_of_redis() -> None:
    assert MAX_FIELD_EXPIRY == 0x0000FFFFFFFFFFFF  # EB_EXPIRE_TIME_MAX
    assert MAX_FIELD_EXPIRY_SET == 70368744177663  # HFE_MAX_ABS_TIME_MSEC


def ms(n: int) -> bytes:
    return (n & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")


OF_REDIS: dict[str, Callable[[int], bytes]] = {
    "hash-metadata-pre-ga": lambda n: b"\x01" + encode_length(n) + strings(b"f", b"v"),
    "hash-metadata": lambda n: ms(n) + b"\x01\x01" + strings(b"f", b"v"),
    "hash-listpack-ex-pre-ga": lambda n: string(listpack(b"f", b"v", n)),
    "hash-listpack-ex": lambda n: ms(n) + string(listpack(b"f", b"v", n)),
}
"""A hash with one field that expires at n, by the name of its type."""


def hash2(n: int) -> bytes:
    return b"\x01" + strings(b"f", b"v") + ms(n)


def accepted(name: str, payload: bytes) -> int | None:
    """The expiry that all who read the payload find; None if all find it wrong."""
    row = ROWS[name]
    findings = Findings()
    row.verify(window_over(payload), Inspection(findings))
    recorder = Recorder()
    visit = Visit(recorder)
    visit.begin(window_over(payload))
    row.visit(visit)
    expiries = [call[1] for call in recorder.calls if call[0] == "expiry"]
    if set(findings.counts) - {"field-least-expiry"}:
        assert visit.damage is not None
        with pytest.raises(type(visit.damage), match="not a time"):
            row.value(window_over(payload))
        return None
    assert visit.damage is None
    value = row.value(window_over(payload))
    assert isinstance(value, Hash)
    assert value.expiries is not None
    assert expiries == [value.expiries[b"f"]]
    return value.expiries[b"f"]


TIMES = (1, MAX_FIELD_EXPIRY_SET - 1, MAX_FIELD_EXPIRY_SET, MAX_FIELD_EXPIRY_SET + 1, MAX_FIELD_EXPIRY)


@pytest.mark.parametrize("name", OF_REDIS)
def test_what_a_snapshot_of_redis_may_hold(name: str) -> None:
    for n in TIMES:
        assert accepted(name, OF_REDIS[name](n)) == n
    for n in (MAX_FIELD_EXPIRY + 1, 1 << 62, (1 << 63) - 1):
        assert accepted(name, OF_REDIS[name](n)) is None


def test_what_a_snapshot_of_valkey_may_hold() -> None:
    for n in (0, *TIMES, MAX_FIELD_EXPIRY + 1, (1 << 63) - 1):
        assert accepted("hash2", hash2(n)) == n
    for n in (-2, -(1 << 63)):
        assert accepted("hash2", hash2(n)) is None


def test_a_relative_expiry_counts_from_the_least_in_64_bits_without_a_sign() -> None:
    def metadata(least: int, stored: int) -> bytes:
        return ms(least) + b"\x01" + encode_length(stored) + strings(b"f", b"v")

    assert accepted("hash-metadata", metadata(1000, 1)) == 1000
    assert accepted("hash-metadata", metadata(1, MAX_FIELD_EXPIRY)) == MAX_FIELD_EXPIRY
    assert accepted("hash-metadata", metadata(2, MAX_FIELD_EXPIRY)) is None
    assert accepted("hash-metadata", metadata(-10, 5)) is None
    assert accepted("hash-metadata", metadata(-10, 16)) == 5
    assert accepted("hash-metadata", metadata(20, (1 << 64) - 10)) == 9


@pytest.mark.parametrize("name", ["redis-7.4", "redis-8.0", "valkey-9.0"])
def test_what_was_read_can_be_written(name: str) -> None:
    for n in TIMES:
        losses = Losses(name)
        for fields in ({b"f": b"v"}, {b"f": b"v", **{b"%d" % i: b"" for i in range(600)}}):
            row, payload = encode(Hash(fields, {b"f": n}), target(name), losses=losses)
            value = row.value(window_over(payload))
            assert isinstance(value, Hash)
            assert value.expiries == {b"f": n}
        assert losses.counts == {}


def test_what_redis_cannot_keep_is_counted() -> None:
    losses = Losses("redis-8.0")
    row, _ = encode(Hash({b"f": b"v"}, {b"f": MAX_FIELD_EXPIRY + 1}), target("redis-8.0"), losses=losses)
    assert row.name == "hash-listpack"
    assert losses.counts == {"field expiries": 1}
