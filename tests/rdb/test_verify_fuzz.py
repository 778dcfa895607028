"""Any bytes give findings or one known error: seeded damage to every type, thousands of times."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest

from rdbtool.errors import RdbToolError
from rdbtool.findings import Findings
from rdbtool.io.window import Window, window_over
from rdbtool.rdb.reader import Frame, RdbReader
from rdbtool.rdb.verify.file import verify_rdb
from tests.rdb.corpus import FIXTURES
from tests.rdb.sources import Dripping, told

SEED = 20260409
PER_TYPE = 1500


def records_by_type() -> dict[str, bytes]:
    """For every type in the fixtures the largest small record, in a file of its own, without checksum."""
    found: dict[str, bytes] = {}
    for path in sorted(FIXTURES.glob("*/*.rdb")):
        if path.parent.name == "broken":
            continue
        data = path.read_bytes()
        reader = RdbReader(window_over(data))
        try:
            for event in reader:
                if isinstance(event, Frame):
                    name = f"{data[:6].decode()}-{event.type.name}"
                    end = event.value_offset + len(event.raw())
                    whole = data[:9] + data[event.offset : end] + b"\xff" + bytes(8 if reader.version >= 5 else 0)
                    if len(whole) < 700 and len(whole) > len(found.get(name, b"")):
                        found[name] = whole
        except RdbToolError:
            continue
    return found


RECORDS = records_by_type()


def damaged(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(9, len(out)) if rng.random() < 0.95 else rng.randrange(len(out))
        kind = rng.random()
        if kind < 0.35:
            out[at] ^= 1 << rng.randrange(8)
        elif kind < 0.6:
            out[at] = rng.choice((0, 1, 0x3F, 0x40, 0x7F, 0x80, 0x81, 0xC0, 0xC3, 0xFE, 0xFF))
        elif kind < 0.7:
            out[at : at + 8] = rng.randbytes(8)
        elif kind < 0.8:
            out[at:at] = rng.randbytes(rng.randint(1, 9))
        elif kind < 0.9:
            del out[at : at + rng.randint(1, 5)]
        else:
            del out[at:]
        if len(out) < 12:
            break
    return bytes(out)


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
    start = time.monotonic()
    worst = 0.0
    for _ in range(PER_TYPE):
        data = damaged(rng, whole)
        findings = Findings()
        before = time.monotonic()
        facts = verify_rdb(window_over(data), findings)
        worst = max(worst, time.monotonic() - before)
        assert facts.end <= len(data)
        assert facts.complete or findings.items, data.hex()
        for finding in findings.items:
            assert finding.offset <= len(data), (data.hex(), finding)
    assert worst < 1.0
    assert time.monotonic() - start < 60


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
