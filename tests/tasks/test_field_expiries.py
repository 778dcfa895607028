"""A hash field that expires later than commands can say: every task takes the file, and what is lost is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbtool.model import MAX_FIELD_EXPIRY, MAX_FIELD_EXPIRY_SET, Hash
from rdbtool.outputs.options import OutputOptions, RdbOptions
from rdbtool.rdb.targets import target
from rdbtool.tasks.check_rdb import check_rdb
from rdbtool.tasks.convert import convert
from tests.outputs.collected import entries_of
from tests.rdb.craft import listpack, rdb, record, string


def late_hash(path: Path, ms: int) -> str:
    name = path / "late.rdb"
    payload = ms.to_bytes(8, "little") + string(listpack(b"f", b"v", ms))
    name.write_bytes(rdb(record(25, b"h", payload), magic=b"REDIS0012"))
    return str(name)


@pytest.mark.parametrize("ms", [MAX_FIELD_EXPIRY_SET + 6, MAX_FIELD_EXPIRY])
@pytest.mark.parametrize("to", ["redis-7.4", "redis-8.6", "valkey-9.0"])
def test_a_late_expiry_is_sound_and_kept(ms: int, to: str, tmp_path: Path) -> None:
    late = late_hash(tmp_path, ms)
    assert check_rdb(late).findings.items == []
    out = tmp_path / "out.rdb"
    report = convert([late], str(out), OutputOptions(format="rdb", rdb=RdbOptions(to=target(to)), base="", mode=0))
    assert report.losses == {}
    value = next(iter(entries_of(out))).value
    assert isinstance(value, Hash)
    assert value.expiries == {b"f": ms}


def test_commands_of_redis_cannot_say_it(tmp_path: Path) -> None:
    for ms, losses in ((MAX_FIELD_EXPIRY_SET, {}), (MAX_FIELD_EXPIRY_SET + 1, {"field expiries": 1})):
        out = tmp_path / "out.aof"
        report = convert(
            [late_hash(tmp_path, ms)], str(out), OutputOptions(format="aof", rdb=RdbOptions(), base="resp", mode=0)
        )
        assert report.losses == losses
        assert (b"HPEXPIREAT" in out.read_bytes()) == (not losses)
        out.unlink()
