"""What is sound is read once, and what is damaged is counted as far as it can be read."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from rdbtool.analysis.contents import Wanted
from rdbtool.basics.text import ESCAPE
from rdbtool.errors import printable
from rdbtool.findings import Severity
from rdbtool.inputs import salvaging
from rdbtool.io.output import Output
from rdbtool.outputs.key_rows import JsonRows
from rdbtool.tasks.memory import ContentsReport, memory
from tests.rdb import craft
from tests.rdb.corpus import FIXTURES
from tests.rdb.mutation import damaged

SEED = 20261127
SMALL = FIXTURES / "redis-7.0.15" / "small-plain.rdb"


def measured(path: Path) -> tuple[ContentsReport, list[tuple[str, int]]]:
    """The report, and keys with their bytes as they were written, one by one."""
    lines = io.BytesIO()
    report = memory(path, Wanted(top=10_000), rows=JsonRows(Output(lines), ESCAPE, 1))
    rows = [json.loads(line) for line in lines.getvalue().splitlines()]
    return report, [(row["key"], row["bytes"]) for row in rows]


def test_what_is_sound_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(salvaging, "open_salvaged")
    report, rows = measured(SMALL)
    assert not report.partial
    assert len(rows) == report.contents.total.keys > 100


def test_without_a_checksum_only_a_look_at_each_value_shows_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.rdb"
    records = [craft.record(0, b"k%d" % i, craft.string(b"v")) for i in range(50)]
    twice = craft.record(2, b"s", craft.counted(b"x", b"x"))
    for checksum, keys in ((False, 50), (12345, 50), (True, 51)):
        path.write_bytes(craft.rdb(*records, twice, checksum=checksum))
        report, rows = measured(path)
        assert report.contents.total.keys == len(rows) == keys
        assert report.partial == report.failed == (keys == 50)


def test_rows_of_a_mutant_are_those_of_its_sums(tmp_path: Path) -> None:
    """Each key once: those that were written before reading broke, and what can be read behind."""
    print("seed", SEED)
    rng = random.Random(SEED)
    path = tmp_path / "x.rdb"
    more = 0
    for _ in range(150):
        path.write_bytes(damaged(rng, SMALL.read_bytes()))
        report, rows = measured(path)
        told = Counter(rows)
        counted = Counter((printable(key.key, 4096), key.bytes) for _, key in report.contents.by_bytes.ranked())
        assert told >= counted
        if told != counted:
            more += 1
            assert report.findings.of(Severity.ERROR)
    assert more < 15  # where more than the last keys are in doubt, they have been written
