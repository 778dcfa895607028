"""Any bytes give findings or one known error: seeded damage to every type, thousands of times."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest

from rdbtool.findings import Findings
from rdbtool.io.window import Window, window_over
from rdbtool.rdb.check import verify_rdb
from rdbtool.rdb.reader import RdbReader
from tests.rdb.mutation import damaged, records_by_type
from tests.rdb.sources import Dripping, told

SEED = 20260409
PER_TYPE = 1500


RECORDS = records_by_type()


def test_there_is_a_record_of_every_type() -> None:
    assert len(RECORDS) >= 26, sorted(RECORDS)


@pytest.mark.parametrize("name", RECORDS)
def test_damage_gives_findings_or_one_error(name: str) -> None:
    print("seed", SEED)
    rng = random.Random(f"{SEED} {name}")
    whole = RECORDS[name]
    findings = Findings()
    verify_rdb(window_over(whole), findings)
    assert set(findings.counts) <= {"no-checksum", "expired-keys", "module-value"}
    start = time.process_time()
    worst = 0.0
    for _ in range(PER_TYPE):
        data = damaged(rng, whole)
        findings = Findings()
        before = time.process_time()
        facts = verify_rdb(window_over(data), findings)
        worst = max(worst, time.process_time() - before)
        assert facts.end <= len(data)
        assert facts.complete or findings.items, data.hex()
        for finding in findings.items:
            assert finding.offset <= len(data), (data.hex(), finding)
    assert worst < 1.0
    assert time.process_time() - start < 60


def test_damage_is_told_the_same_however_the_bytes_arrive() -> None:
    print("seed", SEED)
    rng = random.Random(SEED)
    for name in RECORDS:
        for _ in range(15):
            data = damaged(rng, RECORDS[name])
            findings = [Findings() for _ in range(3)]
            verify_rdb(Window(Dripping(data, 1 << 20), size=len(data)), findings[0])
            verify_rdb(Window(Dripping(data, 1), size=len(data)), findings[1])
            verify_rdb(Window(Dripping(data, 5), size=len(data)), findings[2])
            assert findings[0].items == findings[1].items == findings[2].items, data.hex()
            assert told(RdbReader(Window(Dripping(data, 3), size=len(data)))) == told(RdbReader(window_over(data)))


@pytest.mark.slow
def test_damage_never_makes_memory_be_reserved() -> None:
    """Nor does it where the size of the input is not known."""
    print("seed", SEED)
    rng = random.Random(SEED)
    tracemalloc.start()
    try:
        for name in RECORDS:
            for _ in range(30):
                data = damaged(rng, RECORDS[name])
                verify_rdb(Window(Dripping(data, 1 << 20)), Findings())
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()
