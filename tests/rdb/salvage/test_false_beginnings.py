"""Places behind damage from which records seem to run, and do not: no key comes back that was never there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rdb.corpus import FIXTURES

from .harming import Outcome, count, whole_of


@pytest.mark.parametrize(
    ("name", "at", "size", "put"),
    [
        pytest.param("redis-2.6.17/small-nocompress.rdb", 4028, 2, b"", id="the end of a ziplist"),
        pytest.param("redis-8.10.2/arrays.rdb", 972, 3, b"", id="texts of an array"),
        pytest.param("redis-8.10.2/arrays.rdb", 506, 7, b"", id="the last of an array in front"),
        pytest.param("redis-8.10.2/arrays.rdb", 1204, 7, b"", id="numbers of an array"),
        pytest.param("redis-8.10.2/arrays.rdb", 500, 8, b"", id="a count of none in front of the break"),
        pytest.param("redis-8.10.2/arrays.rdb", 70, 8, b"", id="a count of none in front of a bad value"),
        pytest.param("valkey-9.1.2/small-plain.rdb", 10780, 7, b"", id="a hash whose count is damaged"),
        pytest.param("valkey-7.2.7/small-plain.rdb", 1354, 0, b"[\xe0\xbc\xa6zd_", id="a hash with bytes put in"),
        pytest.param("redis-7.4.1/small-nochecksum.rdb", 2355, 3, b"", id="a count in the form of a number"),
        pytest.param("redis-7.0-rc2/small-plain.rdb", 358, 9, b"", id="the same in a function"),
        pytest.param("redis-2.6.17/small-plain.rdb", 3166, 6, b"", id="a number that is stored as text"),
        pytest.param("redis-2.6.17/small-plain.rdb", 1463, 5, b"", id="the end of what is packed"),
        pytest.param("valkey-9.1.2/small-plain.rdb", 10904, 7, b"", id="a name with a record in it"),
        pytest.param("redis-8.10.2/streams.rdb", 68, 0, b"\xb8\xf8\xceX\x1b\x17\xf2a\x91", id="one with fields in it"),
        pytest.param("redis-7.4-rc1/small-plain.rdb", 5012, 512, bytes(512), id="a field behind zeros"),
        pytest.param("redis-7.4.1/cluster.rdb", 347, 9, b"", id="two letters in a list and a number behind it"),
        pytest.param("redis-7.4.1/small-nochecksum.rdb", 9298, 5, b"", id="the name of a stream's group"),
        pytest.param("redis-5.0.14/small-plain.rdb", 2296, 7, b"", id="a stream's end and the rest of a name"),
        pytest.param("redis-3.0.7/small-plain.rdb", 2581, 512, bytes(512), id="a value with the next one's expiry"),
        pytest.param("redis-7.4-rc1/small-plain.rdb", 4031, 7, b"", id="two fields behind a torn string"),
        pytest.param("redis-7.4.1/small-plain.rdb", 910, 8, b"", id="fields behind a torn stream"),
        pytest.param("redis-7.4.1/module-aux.rdb", 136, 3, b"", id="the rest of a module's value"),
        pytest.param("redis-1.3.12/small-plain.rdb", 311, 9, b"", id="an expiry in an expiry"),
        pytest.param("redis-2.4.18/expire-beyond-2038.rdb", 221, 0, b"\x81\xfd&", id="an expiry out of a value"),
        pytest.param("redis-7.4.1/small-nochecksum.rdb", 1457, 9, b"", id="the last byte of a number"),
        pytest.param("redis-7.0-rc2/small-plain.rdb", 1676, 4, b"", id="an empty name and a few odd bytes"),
        pytest.param("redis-2.4.18/expire-beyond-2038.rdb", 7189, 512, bytes(512), id="an expiry beyond 2038"),
        pytest.param("redis-4.0.14/small-plain.rdb", 8892, 8, b"", id="more keys than a database has"),
        pytest.param("valkey-9.1.2/small-plain.rdb", 1452, 7, b"", id="a group's name that swallows all behind it"),
        pytest.param(
            "redis-2.4.18/small-plain.rdb", 6512, 9, b"", id="a sorted set that swallows keys, and ends in step"
        ),
    ],
)
def test_no_key_comes_back_that_was_never_there(name: str, at: int, size: int, put: bytes, tmp_path: Path) -> None:
    whole = whole_of(FIXTURES / name)
    data = whole.data[:at] + put + whole.data[at + size :]
    outcome = Outcome()
    seen = count(whole, at, size, data, tmp_path, outcome, undo=False)
    assert outcome.wrong == 0, seen
    assert outcome.back >= outcome.intact - 4, seen
